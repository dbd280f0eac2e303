//! Figures that only grow.

use crate::sync::atomic::{AtomicU64, Ordering};

/// A figure that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// So many more.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// What it has come to.
    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares a struct of counters that can be read by name.
macro_rules! counters {
    ($($(#[$meaning:meta])* $name:ident),* $(,)?) => {
        /// Figures that only grow.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $($(#[$meaning])* pub(super) $name: $crate::counter::Counter,)*
        }

        impl Counters {
            /// Name and value of each.
            pub(super) fn read(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.read()),)*]
            }
        }
    };
}

pub(crate) use counters;
