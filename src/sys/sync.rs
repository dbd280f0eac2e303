//! The locks, atomics and threads of this crate. `loom/` replaces them with those of loom, which tries every order in
//! which threads can meet at them.
//!
//! The locks are those of the standard library and not `parking_lot`'s, which keeps all waiting threads of a process in
//! one table. If another thread holds a bucket of that table during a fork, the bucket stays locked in the child, also
//! for locks that the child creates.

use std::sync::{MutexGuard, PoisonError};

pub(crate) use std::sync::{Mutex, OnceLock, atomic};
pub(crate) use std::thread;

/// Locks `mutex`, also after a panic: the guarded state is consistent between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
