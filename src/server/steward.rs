//! What one thread of the host does besides: it logs what the core cannot, and sees that attendants are waiting.

use std::sync::Arc;

use super::attendant::Attendant;
use super::hall::Hall;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::failpoint::failpoint;
use crate::log_buffer::LogEntry;
use crate::notifier::Wakeup;
use crate::wait::HostLock;

/// The one who is called when the core needs the host.
#[derive(Debug)]
pub struct Steward {
    hall: Arc<Hall>,
}

/// What the host is to do.
#[derive(Debug)]
pub enum Duty {
    /// Write these to the log.
    Log(Vec<LogEntry>),
    /// Let a thread serve this attendant.
    Start(Attendant),
}

impl Steward {
    /// The steward of a hall.
    pub(super) fn new(hall: Arc<Hall>) -> Self {
        Self { hall }
    }

    /// Another steward for a hall that has none any more.
    pub(super) fn succeed(hall: &Arc<Hall>) -> Option<Self> {
        hall.take_stewardship().then(|| Self::new(hall.clone()))
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
    pub fn next_duty(&self, host: &impl HostLock) -> Result<Option<Duty>> {
        let mut is_deaf = false;
        while self.hall.desk.is_owner() {
            failpoint("steward");
            if let Some(attendant) = Attendant::enlist(&self.hall) {
                return Ok(Some(Duty::Start(attendant)));
            }
            // Asked first: what was reported before is taken below.
            let is_over = is_deaf || self.hall.is_deserted();
            let reports = self.hall.desk.take_reports();
            if !reports.is_empty() {
                return Ok(Some(Duty::Log(reports)));
            }
            if is_over {
                return Ok(None);
            }
            // Also what the host has deferred until the thread waits, and does not mention again.
            host.check_interrupts()?;
            match host.without_lock(|| self.hall.desk.steward_bell.wait(&Deadline::never())).transpose() {
                Ok(Some(Wakeup::Woken)) => self.hall.desk.steward_bell.consume(),
                Ok(_) => host.check_interrupts()?,
                Err(error) => {
                    self.hall.fail_if_closed_by_others(error)?;
                    is_deaf = true;
                }
            }
        }
        Ok(None)
    }
}

impl Drop for Steward {
    fn drop(&mut self) {
        self.hall.note_steward_left();
    }
}
