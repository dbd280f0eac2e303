//! Stand-in for `polling` with one idle poll instead of 100: further ones find the same state.

use std::time::Duration;

pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(1);
pub(super) const IDLE_POLLS: u32 = 1;
