//! The locks of this crate.
//!
//! They are those of the standard library and not `parking_lot`'s: that crate parks every waiter in one table for
//! the whole process, and a bucket of that table that another thread holds during a fork stays locked in the child,
//! also for locks that the child has made itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks also after a panic: what these locks guard is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
