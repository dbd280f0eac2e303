//! The supervisor: one thread of the host that logs for the core and starts handler threads.

use std::sync::Arc;

use super::dispatcher::Dispatcher;
use super::handler_thread::HandlerThread;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::log_buffer::LogEntry;
use crate::sys::failpoint::failpoint;
use crate::sys::notifier::Wakeup;
use crate::wait::HostLock;

/// The role of the supervisor, which one thread at a time has. Dropping it gives it up.
#[derive(Debug)]
pub struct Supervisor {
    dispatcher: Arc<Dispatcher>,
}

/// A task for the host.
#[derive(Debug)]
pub enum Task {
    /// Write these lines to the log.
    Log(Vec<LogEntry>),
    /// Start a thread and run this in it.
    SpawnThread(HandlerThread),
}

impl Supervisor {
    /// The first supervisor of a server.
    pub(super) fn new(dispatcher: Arc<Dispatcher>) -> Self {
        Self { dispatcher }
    }

    /// Another supervisor, if the last one was dropped.
    pub(super) fn replace(dispatcher: &Arc<Dispatcher>) -> Option<Self> {
        dispatcher.state.claim_supervision().then(|| Self::new(dispatcher.clone()))
    }

    /// Blocks until there is a task.
    ///
    /// # Returns
    ///
    /// `None` when the server has stopped and everything is logged, and in a forked copy.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Interrupted`]; a further call continues. [`crate::Error::System`] if waiting is impossible.
    pub fn next_task(&self, host: &impl HostLock) -> Result<Option<Task>> {
        let mut waker_closed = false;
        while self.dispatcher.state.is_owner() {
            failpoint("supervisor");
            if let Some(handler_thread) = HandlerThread::try_add(&self.dispatcher) {
                return Ok(Some(Task::SpawnThread(handler_thread)));
            }
            // Read before the log is drained: nothing is logged after it is true.
            let has_ended = waker_closed || self.dispatcher.state.has_shut_down();
            let entries = self.dispatcher.state.drain_log();
            if !entries.is_empty() {
                return Ok(Some(Task::Log(entries)));
            }
            if has_ended {
                return Ok(None);
            }
            // The host may have deferred something until this thread waits, and does not signal it again.
            host.check_interrupts()?;
            match host.without_lock(|| self.dispatcher.state.supervisor_waker.wait(&Deadline::never())).transpose() {
                Ok(Some(Wakeup::Woken)) => self.dispatcher.state.supervisor_waker.consume(),
                Ok(_) => host.check_interrupts()?,
                Err(error) => {
                    self.dispatcher.fail_if_closed_by_others(error)?;
                    waker_closed = true;
                }
            }
        }
        Ok(None)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.dispatcher.state.supervisor_exited();
    }
}
