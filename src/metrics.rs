//! Everything that is counted: one counter each for what a client and a server do. `stats` reads them.

use crate::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds `count`.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The current value.
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares a struct of counters that can be read by name.
macro_rules! counters {
    ($(#[$purpose:meta])* $counters:ident { $($(#[$meaning:meta])* $name:ident),* $(,)? }) => {
        $(#[$purpose])*
        #[derive(Debug, Default)]
        pub(crate) struct $counters {
            $($(#[$meaning])* pub(crate) $name: Counter,)*
        }

        impl $counters {
            /// Name and value of each.
            pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.read()),)*]
            }
        }
    };
}

counters! {
    /// What a client counts.
    ClientCounters {
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
}

counters! {
    /// What a server counts.
    ServerCounters {
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
}
