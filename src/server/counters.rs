//! What the server counts.

use crate::counter::counters;

counters! {
    /// Connections that the kernel handed over.
    accepted,
    /// Connections that proved themselves.
    admitted,
    /// Connections that did not, whatever the reason, but for the next two.
    rejected_handshakes,
    /// Connections that did, and found `max_connections` others.
    refused_connections,
    /// Connections that their clients ended before they had said anything, or just after they had proved themselves.
    abandoned_handshakes,
    /// How often accepting paused because no descriptor was to be had.
    accept_pauses,
    /// Calls read, those that the core answers itself included.
    requests,
    /// Notifications read.
    notifications,
    /// Notifications that a sender's kernel had taken and that were not handled, because the server stopped or no thread
    /// was left.
    dropped_notifications,
    /// Calls dropped because nobody waited for them any more.
    expired_calls,
    /// Well-formed JSON that was no message.
    skipped_messages,
    /// Connections ended because of what came over them.
    protocol_errors,
}
