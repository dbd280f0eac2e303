//! A counting notifier whose waiters a signal wakes, which no condition variable does: a pipe.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::fd;
use crate::fork::{self, ProcessLocal};

/// Posts that nobody has taken yet are the bytes in the pipe.
#[derive(Debug)]
pub(crate) struct Notifier {
    reader: ProcessLocal<OwnedFd>,
    writer: ProcessLocal<OwnedFd>,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wakeup {
    /// Something was posted, and another waiter may have taken it; or there is something to read.
    Woken,
    /// A signal came.
    Signalled,
    /// The deadline has passed.
    TimedOut,
}

impl Notifier {
    /// A notifier without posts.
    pub(crate) fn new() -> Result<Self> {
        let (reader, writer) =
            ProcessLocal::open_pair(fd::pipe).map_err(|errno| Error::system("could not make a pipe", errno))?;
        Ok(Self { reader, writer })
    }

    /// Wakes a waiter, now or when it begins to wait. Never blocks: a full pipe wakes everybody anyway.
    pub(crate) fn notify(&self) {
        if let Ok(writer) = self.writer.verified() {
            let _ = rustix::io::write(writer, &[1]);
        }
    }

    /// Blocks until there is a post, and leaves it there.
    ///
    /// # Errors
    ///
    /// [`Error::System`], with `EBADF` where other code has closed the pipe.
    pub(crate) fn wait(&self, deadline: &Deadline) -> Result<Wakeup> {
        let reader = PollFd::new(self.reader.get()?, PollFlags::IN);
        self.unless_closed(wait_for(&mut [reader], deadline))
    }

    /// As [`Notifier::wait`], but also until there is something to read from `socket`.
    ///
    /// # Errors
    ///
    /// As for it.
    pub(crate) fn wait_or_readable(&self, socket: &OwnedFd, deadline: &Deadline) -> Result<Wakeup> {
        let mut polled = [PollFd::new(socket, PollFlags::IN), PollFd::new(self.reader.get()?, PollFlags::IN)];
        let waited = wait_for(&mut polled, deadline);
        let [_, posted] = polled;
        if posted.revents().is_empty() { waited } else { self.unless_closed(waited) }
    }

    fn unless_closed(&self, waited: Result<Wakeup>) -> Result<Wakeup> {
        if waited == Ok(Wakeup::Woken) && !self.is_whole() { Err(fork::closed_by_others()) } else { waited }
    }

    /// Takes a post if there is one.
    pub(crate) fn consume(&self) {
        if let Ok(reader) = self.reader.verified() {
            let _ = rustix::io::read(reader, &mut [0u8; 1]);
        }
    }

    /// Takes every post: for a poll that tells only of the first one after none, and for posts that all say the same.
    pub(crate) fn drain(&self) {
        let mut posts = [0u8; 64];
        while let Ok(reader) = self.reader.verified()
            && rustix::io::read(reader, &mut posts) == Ok(posts.len())
        {}
    }

    /// Whether no other code has closed one of its ends.
    pub(crate) fn is_whole(&self) -> bool {
        self.reader.verified().is_ok() && self.writer.verified().is_ok()
    }

    /// The end of the pipe that becomes readable, for a poll of the caller's own.
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
    fn a_post_is_seen_by_who_waits_later_until_it_is_taken() {
        let notifier = Notifier::new().unwrap();
        notifier.notify();
        let soon = Deadline::after(Duration::from_secs(5));
        assert_eq!(notifier.wait(&soon), Ok(Wakeup::Woken));
        notifier.consume();
        assert_eq!(notifier.wait(&Deadline::after(Duration::from_millis(1))), Ok(Wakeup::TimedOut));
    }

    #[test]
    fn all_posts_can_be_taken_at_once() {
        let notifier = Notifier::new().unwrap();
        for posts in [0, 1, 64, 1000] {
            (0..posts).for_each(|_| notifier.notify());
            notifier.drain();
            assert_eq!(notifier.wait(&Deadline::after(Duration::from_millis(1))), Ok(Wakeup::TimedOut));
        }
    }

    #[test]
    fn posts_beyond_what_the_pipe_holds_do_not_block() {
        let notifier = Notifier::new().unwrap();
        for _ in 0..100_000 {
            notifier.notify();
        }
        assert_eq!(notifier.wait(&Deadline::never()), Ok(Wakeup::Woken));
    }
}
