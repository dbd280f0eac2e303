//! How the core blocks in a process that has a global lock. The core never releases or takes that lock itself: it
//! passes what may block to a `HostLock`.

use std::time::Duration;

use crate::error::{Error, Result};

/// Runs system calls that may block, and asks the host about interrupts when a signal ended one early.
pub trait HostLock {
    /// Runs `operation`, which may block until a signal comes. A host with a global lock releases it meanwhile.
    ///
    /// # Returns
    ///
    /// The value of `operation`, or `None` if it was not run because the host wants its thread back.
    fn without_lock<R>(&self, operation: impl FnOnce() -> R) -> Option<R>;

    /// Runs `operation` with the host's lock held, if the host's policy allows it. `operation` may block for the given
    /// time, which is too short for other threads to miss the lock. Meant for answers that nearly always come quickly.
    ///
    /// # Returns
    ///
    /// The value of `operation`, or `None` if it was not run.
    fn spin_with_lock<R>(&self, _operation: impl FnOnce(Duration) -> R) -> Option<R> {
        None
    }

    /// Asks the host about interrupts, with its lock held, after a wait ended early.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] if the caller must give up. Otherwise the wait continues.
    fn check_interrupts(&self) -> Result<()>;
}

/// A host without a global lock: blocks in the calling thread and continues after signals.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl HostLock for NoHost {
    fn without_lock<R>(&self, operation: impl FnOnce() -> R) -> Option<R> {
        Some(operation())
    }

    fn check_interrupts(&self) -> Result<()> {
        Ok(())
    }
}

/// A wait that ends with the first signal, for code that already runs without the host's lock and asks the host about
/// interrupts later.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UntilSignal;

impl HostLock for UntilSignal {
    fn without_lock<R>(&self, operation: impl FnOnce() -> R) -> Option<R> {
        Some(operation())
    }

    fn check_interrupts(&self) -> Result<()> {
        Err(Error::Interrupted)
    }
}
