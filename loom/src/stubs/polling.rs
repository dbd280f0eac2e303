//! One round that finds nothing instead of a hundred: what the hundredth meets, the first has met.

use std::time::Duration;

pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(1);
pub(super) const IDLE_POLLS: u32 = 1;
