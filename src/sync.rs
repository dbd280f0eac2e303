//! The locks, atomics and threads of this crate. `loom/` puts loom's in their place, and tries every order in which
//! threads can meet at them.
//!
//! The locks are those of the standard library and not `parking_lot`'s: that crate parks every waiter in one table for
//! the whole process, and a bucket of that table that another thread holds during a fork stays locked in the child,
//! also for locks that the child has made itself.

use std::sync::{MutexGuard, PoisonError};

pub(crate) use std::sync::{Mutex, OnceLock, atomic};
pub(crate) use std::thread;

/// Locks also after a panic: what these locks guard is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
