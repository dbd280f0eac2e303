//! An authenticated blocking stream of frames, sent and received by a deadline. Clients and servers use it.
//!
//! `recv` and `send` block under `SO_RCVTIMEO` and `SO_SNDTIMEO`, which takes one system call less than polling first.
//! The kernel's timeout only wakes the thread; the deadline decides. Linux timers may fire up to 1/8 late, so long
//! waits are split: a shorter socket timeout first, then the remainder.

mod socket_timeout;

use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, sendmsg, shutdown};

use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result};
use crate::protocol::frame::{self, FrameDecoder};
use crate::sys::fd::MSG_NOSIGNAL;
use crate::sys::fork::ProcessLocal;
use crate::sys::notifier::{Notifier, Wakeup, wait_for};
use crate::wait::HostLock;
use socket_timeout::{kernel_timeout, set_socket_timeout};

/// A connected socket that does not cross a fork. It is shared, so that another thread can shut it down.
pub type Socket = Arc<ProcessLocal<OwnedFd>>;

/// A stream of frames. It must be dropped after an error in the middle of a frame.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    decoder: FrameDecoder,
    max_frame_size: usize,
    /// The deadline of the frame that is being received; `None` between frames.
    frame_deadline: Option<Deadline>,
    /// The socket's current timeouts; `None` for none.
    receive_timeout: Option<Duration>,
    send_timeout: Option<Duration>,
}

/// The time limits for receiving a frame.
#[derive(Debug, Clone, Copy)]
pub struct ReceiveDeadlines {
    /// The deadline of its first byte.
    pub first_byte: Deadline,
    /// The time from its first byte to its last.
    pub whole_frame: Duration,
}

impl Connection {
    /// A stream over a connected, blocking socket whose handshake is done.
    pub fn new(socket: Socket, max_frame_size: usize) -> Self {
        Self {
            socket,
            decoder: FrameDecoder::new(max_frame_size),
            max_frame_size,
            frame_deadline: None,
            receive_timeout: None,
            send_timeout: None,
        }
    }

    /// The socket, for another thread to shut it down.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Sends one frame whose body is the concatenation of `parts`; blocks until the kernel has taken it.
    ///
    /// # Errors
    ///
    /// [`Error::FrameTooLarge`] before anything is sent; [`Error::Timeout`], [`Error::Disconnected`],
    /// [`Error::Interrupted`] or [`Error::Closed`] (in a forked copy) afterwards.
    pub fn send(&mut self, parts: &[&[u8]], deadline: &Deadline, host: &impl HostLock) -> Result<()> {
        self.send_rest(parts, &mut 0, deadline, host)
    }

    /// Continues to send a frame at byte `sent`, which it advances.
    ///
    /// After [`Error::Interrupted`] the caller can continue with the same `parts` and `sent`.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub fn send_rest(
        &mut self,
        parts: &[&[u8]],
        sent: &mut usize,
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<()> {
        let header = frame::header(frame::length(parts), self.max_frame_size)?;
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(parts.len().saturating_add(1));
        slices.push(IoSlice::new(&header));
        slices.extend(parts.iter().map(|part| IoSlice::new(part)));
        let mut slices = slices.as_mut_slice();
        IoSlice::advance_slices(&mut slices, *sent);
        let mut cursor = WriteCursor { slices, sent };
        // The kernel nearly always takes the whole frame at once, without a reason to release the host's lock.
        if self.send_some(&mut cursor, SendFlags::DONTWAIT)? == IoStep::Done {
            return Ok(());
        }
        while host.without_lock(|| self.send_until(&mut cursor, deadline)).transpose()? != Some(IoStep::Done) {
            host.check_interrupts()?;
        }
        Ok(())
    }

    /// Receives one frame's body; blocks until it has arrived.
    ///
    /// After [`Error::Interrupted`] nothing is lost: the next call continues with the same frame.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] and [`Error::Disconnected`] with the given phase, [`Error::FrameTooLarge`],
    /// [`Error::Interrupted`], [`Error::Closed`] (in a forked copy).
    pub fn receive(&mut self, by: &ReceiveDeadlines, phase: Phase, host: &impl HostLock) -> Result<Vec<u8>> {
        loop {
            if let Some(body) = self.decoder.next_frame()? {
                self.frame_deadline = None;
                return Ok(body);
            }
            if host.spin_with_lock(|max_wait| self.receive_within(max_wait, by, phase)).transpose()?
                == Some(IoStep::Done)
            {
                continue;
            }
            if host.without_lock(|| self.receive_until(by, phase)).transpose()? != Some(IoStep::Done) {
                host.check_interrupts()?;
            }
        }
    }

    /// Receives one frame's body if it has arrived, and at most part of one otherwise. Does not block.
    ///
    /// # Errors
    ///
    /// As [`Connection::receive`].
    pub fn try_receive(&mut self, phase: Phase) -> Result<Option<Vec<u8>>> {
        let mut body = self.decoder.next_frame()?;
        if body.is_none() && self.receive_some(RecvFlags::DONTWAIT, phase)? == IoStep::Done {
            body = self.decoder.next_frame()?;
        }
        if body.is_some() {
            self.frame_deadline = None;
        }
        Ok(body)
    }

    /// Blocks until the socket is readable, a signal comes, or the deadline passes.
    ///
    /// # Errors
    ///
    /// [`Error::System`] if waiting is impossible, [`Error::Closed`] in a forked copy.
    pub(crate) fn wait_readable(&self, deadline: &Deadline) -> Result<Wakeup> {
        wait_for(&mut [PollFd::new(self.socket.get()?, PollFlags::IN)], deadline)
    }

    /// Blocks for `duration` or until a signal comes, whatever arrives meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Connection::wait_readable`].
    pub(crate) fn pause(&self, duration: Duration) -> Result<Wakeup> {
        wait_for(&mut [], &Deadline::after(duration))
    }

    /// As [`Connection::wait_readable`], but also until `notifier` has a notification.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub(crate) fn wait_readable_or_notified(&self, notifier: &Notifier, deadline: &Deadline) -> Result<Wakeup> {
        notifier.wait_or_readable(self.socket.get()?, deadline)
    }

    /// Returns whether bytes of another frame have been received already, which no poll reports any more.
    pub fn has_partial_frame(&self) -> bool {
        !self.decoder.is_empty()
    }

    /// Returns whether the other side is connected and has sent nothing unasked. Does not block.
    pub fn is_idle(&self) -> bool {
        !self.has_partial_frame() && self.peek() == Peeked::Nothing
    }

    /// Returns whether the other side has closed the connection. Does not block.
    pub fn has_ended(&self) -> bool {
        self.peek() == Peeked::End
    }

    fn peek(&self) -> Peeked {
        let Ok(socket) = self.socket.get() else { return Peeked::End };
        match recv(socket, &mut [0u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => Peeked::Nothing,
            Ok((_, 1..)) => Peeked::Bytes,
            Ok(_) | Err(_) => Peeked::End,
        }
    }

    /// Sends until the frame is complete or a signal comes.
    fn send_until(&mut self, cursor: &mut WriteCursor<'_, '_>, deadline: &Deadline) -> Result<IoStep> {
        loop {
            let remaining = kernel_timeout(deadline.check(Phase::Send)?);
            if self.send_timeout != remaining {
                set_socket_timeout(&self.socket, Timeout::Send, remaining)?;
                self.send_timeout = remaining;
            }
            match self.send_some(cursor, SendFlags::empty())? {
                IoStep::Blocked => {}
                step => return Ok(step),
            }
        }
    }

    /// Sends once. When the socket timeout passes the kernel has taken part of the frame, and the caller checks the
    /// deadline.
    fn send_some(&self, cursor: &mut WriteCursor<'_, '_>, flags: SendFlags) -> Result<IoStep> {
        let mut control = SendAncillaryBuffer::default();
        match sendmsg(self.socket.get()?, cursor.slices, &mut control, flags | MSG_NOSIGNAL) {
            Ok(count) => Ok(cursor.advance(count)),
            Err(Errno::AGAIN) => Ok(IoStep::Blocked),
            Err(Errno::INTR) => Ok(IoStep::Signalled),
            Err(_) => Err(Error::Disconnected { phase: Phase::Send }),
        }
    }

    /// Receives until a frame is complete or invalid, or a signal comes.
    fn receive_until(&mut self, by: &ReceiveDeadlines, phase: Phase) -> Result<IoStep> {
        loop {
            let deadline = self.current_deadline(by);
            let remaining = kernel_timeout(deadline.check(phase)?);
            if self.receive_timeout != remaining {
                set_socket_timeout(&self.socket, Timeout::Recv, remaining)?;
                self.receive_timeout = remaining;
            }
            match self.receive_some(RecvFlags::empty(), phase)? {
                IoStep::Blocked => {}
                step => return Ok(step),
            }
        }
    }

    /// As [`Connection::receive_until`], for at most `max_wait`. Uses `poll`, because socket timeouts are too coarse
    /// for that.
    fn receive_within(&mut self, max_wait: Duration, by: &ReceiveDeadlines, phase: Phase) -> Result<IoStep> {
        let max_wait = self.current_deadline(by).within(max_wait);
        loop {
            let remaining = Timespec::try_from(max_wait.remaining()).unwrap_or_default();
            match poll(&mut [PollFd::new(self.socket.get()?, PollFlags::IN)], Some(&remaining)) {
                Ok(0) => return Ok(IoStep::Blocked),
                Ok(_) => {}
                Err(_) => return Ok(IoStep::Signalled),
            }
            match self.receive_some(RecvFlags::DONTWAIT, phase)? {
                IoStep::Blocked if !max_wait.has_passed() => {}
                step => return Ok(step),
            }
        }
    }

    /// Receives once; a frame may need more.
    fn receive_some(&mut self, flags: RecvFlags, phase: Phase) -> Result<IoStep> {
        match recv(self.socket.get()?, spare_capacity(self.decoder.read_buffer()?), flags) {
            Ok((0, _)) => Err(Error::Disconnected { phase }),
            Ok(_) if self.decoder.has_whole_frame()? => Ok(IoStep::Done),
            Ok(_) | Err(Errno::AGAIN) => Ok(IoStep::Blocked),
            Err(Errno::INTR) => Ok(IoStep::Signalled),
            Err(_) => Err(Error::Disconnected { phase }),
        }
    }

    fn current_deadline(&mut self, by: &ReceiveDeadlines) -> Deadline {
        if self.decoder.is_empty() {
            return by.first_byte;
        }
        *self.frame_deadline.get_or_insert_with(|| by.first_byte.within(by.whole_frame))
    }
}

/// Shuts down a connection, which ends the wait of the thread that uses it. Does nothing in a forked copy.
pub(crate) fn shut_down(socket: &Socket, how: Shutdown) {
    if let Ok(socket) = socket.get() {
        // The connection may have ended by itself just now.
        let _ = shutdown(socket, how);
    }
}

/// The part of a frame that the kernel has not taken yet, and the number of bytes that it has.
struct WriteCursor<'slices, 'bytes> {
    slices: &'slices mut [IoSlice<'bytes>],
    sent: &'slices mut usize,
}

impl WriteCursor<'_, '_> {
    fn advance(&mut self, count: usize) -> IoStep {
        IoSlice::advance_slices(&mut self.slices, count);
        *self.sent = self.sent.saturating_add(count);
        if self.slices.iter().all(|slice| slice.is_empty()) { IoStep::Done } else { IoStep::Blocked }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IoStep {
    Done,
    Blocked,
    Signalled,
}

#[derive(Debug, PartialEq, Eq)]
enum Peeked {
    Nothing,
    Bytes,
    End,
}
