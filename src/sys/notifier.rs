//! Wakes threads that wait for an event: a self-pipe, because a signal must end the wait and a condition variable
//! continues waiting after one. Waiting does not consume a notification.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::sys::fd;
use crate::sys::fork::{self, ProcessLocal};

/// Each byte in the pipe is one notification that has not been consumed.
#[derive(Debug)]
pub(crate) struct Notifier {
    reader: ProcessLocal<OwnedFd>,
    writer: ProcessLocal<OwnedFd>,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wakeup {
    /// A notification exists (another waiter may have consumed it since), or the other descriptor is readable.
    Woken,
    /// A signal came.
    Signalled,
    /// The deadline has passed.
    TimedOut,
}

impl Notifier {
    /// A notifier without notifications.
    pub(crate) fn new() -> Result<Self> {
        let (reader, writer) =
            ProcessLocal::open_pair(fd::pipe).map_err(|errno| Error::system("could not make a pipe", errno))?;
        Ok(Self { reader, writer })
    }

    /// Wakes a waiting thread, now or when it starts to wait. Never blocks: if the pipe is full, every waiter wakes
    /// anyway.
    pub(crate) fn notify(&self) {
        if let Ok(writer) = self.writer.verified() {
            let _ = rustix::io::write(writer, &[1]);
        }
    }

    /// Blocks until there is a notification, and does not consume it.
    ///
    /// # Errors
    ///
    /// [`Error::System`], with `EBADF` where other code has closed the pipe.
    pub(crate) fn wait(&self, deadline: &Deadline) -> Result<Wakeup> {
        let reader = PollFd::new(self.reader.get()?, PollFlags::IN);
        self.unless_closed(wait_for(&mut [reader], deadline))
    }

    /// As [`Notifier::wait`], but also until `socket` is readable.
    ///
    /// # Errors
    ///
    /// As [`Notifier::wait`].
    pub(crate) fn wait_or_readable(&self, socket: &OwnedFd, deadline: &Deadline) -> Result<Wakeup> {
        let mut polled = [PollFd::new(socket, PollFlags::IN), PollFd::new(self.reader.get()?, PollFlags::IN)];
        let waited = wait_for(&mut polled, deadline);
        let [_, notified] = polled;
        if notified.revents().is_empty() { waited } else { self.unless_closed(waited) }
    }

    fn unless_closed(&self, waited: Result<Wakeup>) -> Result<Wakeup> {
        if waited == Ok(Wakeup::Woken) && !self.is_whole() { Err(fork::closed_by_others()) } else { waited }
    }

    /// Consumes one notification, if there is one.
    pub(crate) fn consume(&self) {
        if let Ok(reader) = self.reader.verified() {
            let _ = rustix::io::read(reader, &mut [0u8; 1]);
        }
    }

    /// Consumes all notifications. For an edge-triggered poll, which stays silent while an old one is unread, and for
    /// notifications that all mean the same.
    pub(crate) fn drain(&self) {
        let mut count = [0u8; 64];
        while let Ok(reader) = self.reader.verified()
            && rustix::io::read(reader, &mut count) == Ok(count.len())
        {}
    }

    /// Returns whether both ends of the pipe are still open, and not closed by other code.
    pub(crate) fn is_whole(&self) -> bool {
        self.reader.verified().is_ok() && self.writer.verified().is_ok()
    }

    /// The reading end of the pipe, for a poll of the caller's own.
    pub(crate) fn reader(&self) -> &ProcessLocal<OwnedFd> {
        &self.reader
    }
}

/// Blocks until one of the descriptors is ready.
pub(crate) fn wait_for(descriptors: &mut [PollFd<'_>], deadline: &Deadline) -> Result<Wakeup> {
    let remaining = deadline.remaining();
    if remaining.is_zero() {
        return Ok(Wakeup::TimedOut);
    }
    let timeout = if remaining == Duration::MAX { None } else { Timespec::try_from(remaining).ok() };
    match poll(descriptors, timeout.as_ref()) {
        Ok(0) => Ok(Wakeup::TimedOut),
        Ok(_) => Ok(Wakeup::Woken),
        Err(Errno::INTR) => Ok(Wakeup::Signalled),
        Err(errno) => Err(Error::system("could not wait", errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_wakes_later_waits_until_it_is_consumed() {
        let notifier = Notifier::new().unwrap();
        notifier.notify();
        let soon = Deadline::after(Duration::from_secs(5));
        assert_eq!(notifier.wait(&soon), Ok(Wakeup::Woken));
        notifier.consume();
        assert_eq!(notifier.wait(&Deadline::after(Duration::from_millis(1))), Ok(Wakeup::TimedOut));
    }

    #[test]
    fn all_notifications_can_be_drained_at_once() {
        let notifier = Notifier::new().unwrap();
        for count in [0, 1, 64, 1000] {
            (0..count).for_each(|_| notifier.notify());
            notifier.drain();
            assert_eq!(notifier.wait(&Deadline::after(Duration::from_millis(1))), Ok(Wakeup::TimedOut));
        }
    }

    #[test]
    fn notifications_beyond_the_capacity_of_the_pipe_do_not_block() {
        let notifier = Notifier::new().unwrap();
        for _ in 0..100_000 {
            notifier.notify();
        }
        assert_eq!(notifier.wait(&Deadline::never()), Ok(Wakeup::Woken));
    }
}
