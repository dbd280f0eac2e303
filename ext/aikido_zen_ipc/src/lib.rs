//! The Ruby face of the core: `#[magnus::init]` and nothing else.
#![allow(missing_docs, reason = "the only public item is the one that #[magnus::init] generates")]

use magnus::{Error, Ruby};

#[magnus::init]
fn init(_ruby: &Ruby) -> Result<(), Error> {
    Ok(())
}
