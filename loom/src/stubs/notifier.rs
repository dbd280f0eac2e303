//! Stand-in for `notifier`, over a pipe that loom sees.

use mio::fake_kernel::{Descriptor, Peeked};

use crate::deadline::Deadline;
use crate::error::Result;
use crate::sys::fork::ProcessLocal;

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

    /// With a deadline it does not wait at all, because the deadline can pass at any moment: that it passes later is an
    /// order in which this thread runs later.
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

    fn inbox(&self) -> &mio::fake_kernel::Inbox {
        self.pipe.resource().inbox()
    }
}
