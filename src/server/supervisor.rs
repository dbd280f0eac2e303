//! What one thread of the host does besides: it logs what the core cannot, and sees that handler threads are waiting.

use std::sync::Arc;

use super::dispatcher::Dispatcher;
use super::handler_thread::HandlerThread;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::journal::Entry;
use crate::panic_point::panic_point;
use crate::semaphore::Waited;
use crate::wait::Wait;

/// The one who is called when the core needs the host.
#[derive(Debug)]
pub struct Supervisor {
    dispatcher: Arc<Dispatcher>,
}

/// What the host is to do.
#[derive(Debug)]
pub enum Task {
    /// Write these to the log.
    Log(Vec<Entry>),
    /// Let a thread serve this handler thread.
    SpawnThread(HandlerThread),
}

impl Supervisor {
    /// The supervisor of a dispatcher.
    pub(super) fn new(dispatcher: Arc<Dispatcher>) -> Self {
        Self { dispatcher }
    }

    /// Another supervisor for a dispatcher that has none any more.
    pub(super) fn replace(dispatcher: &Arc<Dispatcher>) -> Option<Self> {
        dispatcher.claim_supervision().then(|| Self::new(dispatcher.clone()))
    }

    /// Blocks until there is something to do.
    ///
    /// # Returns
    ///
    /// `None` when the server stops and everything is logged, and in a forked copy.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Interrupted`], after which a further call goes on; [`crate::Error::System`] if waiting is impossible.
    pub fn next_task(&self, wait: &impl Wait) -> Result<Option<Task>> {
        let mut is_deaf = false;
        while self.dispatcher.state.is_owner() {
            panic_point("supervisor");
            if let Some(handler_thread) = HandlerThread::try_add(&self.dispatcher) {
                return Ok(Some(Task::SpawnThread(handler_thread)));
            }
            // Asked first: what was reported before is taken below.
            let is_over = is_deaf || self.dispatcher.has_shut_down();
            let reports = self.dispatcher.state.drain_log();
            if !reports.is_empty() {
                return Ok(Some(Task::Log(reports)));
            }
            if is_over {
                return Ok(None);
            }
            // Also what the host has deferred until the thread waits, and does not mention again.
            wait.interrupted()?;
            match wait.block(|| self.dispatcher.state.supervisor_waker.wait(&Deadline::never())).transpose() {
                Ok(Some(Waited::Woken)) => self.dispatcher.state.supervisor_waker.take(),
                Ok(_) => wait.interrupted()?,
                Err(error) => {
                    self.dispatcher.fail_if_closed_by_others(error)?;
                    is_deaf = true;
                }
            }
        }
        Ok(None)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.dispatcher.supervisor_exited();
    }
}
