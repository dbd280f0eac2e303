//! What a client counts.

use crate::counter::counters;

counters! {
    /// Connections made.
    connects,
    /// Attempts to connect that failed, but for those whose caller had no time left.
    failed_connects,
    /// Calls begun.
    calls,
    /// Notifications begun.
    notifications,
    /// Calls and notifications that ran out of time.
    timeouts,
    /// Calls and notifications during which the connection ended.
    disconnects,
    /// Well-formed JSON that was no response.
    skipped_messages,
}
