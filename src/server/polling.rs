//! How often the acceptor polls parked connections. A file of its own, so that `loom/` can replace it.

use std::time::Duration;

/// A connection is registered with the poll after it was parked for this long, and until then the acceptor looks this
/// often. 1 ms: the shortest timeout of a poll. A call behind a slow handler waits at most twice as long.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Polls without an unregistered connection after which the acceptor sleeps. 100, which take 100 ms: waking the
/// acceptor costs a system call.
pub(super) const IDLE_POLLS: u32 = 100;
