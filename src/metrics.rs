//! The counters of clients and servers. `stats` of each reads them by name.

use crate::sys::sync::atomic::{AtomicU64, Ordering};

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
    /// The counters of one client.
    ClientCounters {
        /// Established connections.
        connects,
        /// Failed attempts to connect, except those whose caller had no time left.
        failed_connects,
        /// Started calls.
        calls,
        /// Started notifications.
        notifications,
        /// Calls and notifications that ran out of time.
        timeouts,
        /// Calls and notifications during which the connection ended.
        disconnects,
        /// Messages that were well-formed JSON but no response.
        skipped_messages,
    }
}

counters! {
    /// The counters of one server.
    ServerCounters {
        /// Connections accepted from the kernel.
        accepted,
        /// Authenticated connections.
        admitted,
        /// Connections that failed the handshake, except those counted by the next two.
        rejected_handshakes,
        /// Authenticated connections that were refused because `max_connections` others existed.
        refused_connections,
        /// Connections that their clients closed before they had sent anything, or right after they were authenticated.
        abandoned_handshakes,
        /// Pauses of accepting for lack of descriptors.
        accept_pauses,
        /// Received calls, including those that the core answers itself.
        requests,
        /// Received notifications.
        notifications,
        /// Notifications that a sender's kernel had taken but that were not handled, because the server stopped or no
        /// thread was left.
        dropped_notifications,
        /// Calls dropped because their callers' timeouts had passed.
        expired_calls,
        /// Messages that were well-formed JSON but no request.
        skipped_messages,
        /// Connections closed because of invalid bytes.
        protocol_errors,
    }
}
