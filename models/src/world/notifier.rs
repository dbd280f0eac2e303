//! The core's notifier over a pipe that loom sees.

use mio::kernel::{Descriptor, Peeked};

use crate::deadline::Deadline;
use crate::error::Result;
use crate::fork::ProcessLocal;

#[derive(Debug)]
pub(crate) struct Notifier {
    pipe: ProcessLocal<Descriptor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wakeup {
    Woken,
    Signalled,
    TimedOut,
}

impl Notifier {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { pipe: ProcessLocal::new(Descriptor::pipe()) })
    }

    pub(crate) fn notify(&self) {
        self.inbox().put(Vec::new());
    }

    /// Time passes at any moment, so with a deadline there is no waiting: that it passes later is an order in which this
    /// thread comes later.
    pub(crate) fn wait(&self, deadline: &Deadline) -> Result<Wakeup> {
        if deadline.is_bounded() {
            let is_woken = self.inbox().peek() == Peeked::Message;
            return Ok(if is_woken { Wakeup::Woken } else { Wakeup::TimedOut });
        }
        self.inbox().wait();
        Ok(Wakeup::Woken)
    }

    pub(crate) fn consume(&self) {
        self.inbox().take();
    }

    pub(crate) fn drain(&self) {
        self.inbox().take_all();
    }

    pub(crate) fn reader(&self) -> &ProcessLocal<Descriptor> {
        &self.pipe
    }

    fn inbox(&self) -> &mio::kernel::Inbox {
        self.pipe.resource().inbox()
    }
}
