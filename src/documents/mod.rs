//! Published documents and their generations.

mod store;

pub use store::{ABSENT, Document, DocumentStore, State};
