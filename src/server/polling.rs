//! How the acceptor looks around for connections that are parked.

use std::time::Duration;

/// How long a handler may go on after its answer before the connection is watched, and how often the acceptor looks
/// around. 1 ms: the shortest that a poll can wait. A call behind a slow handler waits for two of them at most.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Rounds that find nothing before the acceptor sleeps again. 100 ms: waking it up again costs a system call.
pub(super) const IDLE_POLLS: u32 = 100;
