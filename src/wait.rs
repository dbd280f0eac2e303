//! How a caller waits. The core never leaves or takes the host's lock itself: it says when it is about to block.

use std::time::Duration;

use crate::error::{Error, Result};

/// What surrounds a system call that may block, and what happens when a signal ends one early.
pub trait HostLock {
    /// Runs `operation`, which may block until a signal comes; a host with a global lock leaves it meanwhile.
    ///
    /// # Returns
    ///
    /// What `operation` returned, or `None` if it was not run because the host wants its thread back.
    fn without_lock<R>(&self, operation: impl FnOnce() -> R) -> Option<R>;

    /// Runs `operation` with the host's lock, if the host thinks it worth it: it may block for as long as it is told,
    /// which is so short that nobody else misses the lock. For answers that are nearly always quick.
    ///
    /// # Returns
    ///
    /// What `operation` returned, or `None` if it was not run.
    fn spin_with_lock<R>(&self, _operation: impl FnOnce(Duration) -> R) -> Option<R> {
        None
    }

    /// Called, with the host's lock, after a wait ended early.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] if the caller must give up; otherwise it goes on waiting.
    fn check_interrupts(&self) -> Result<()>;
}

/// Waits without a host: blocks where it stands, and goes on after signals.
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

/// Waits until the first signal: for work that has left the host's lock already and asks the host about signals later.
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
