//! Stand-in for `connection`, over a pair of sockets that loom sees. A message is a frame, and is sent in one step.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mio::fake_kernel::{Descriptor, Peeked};
use rustix::net::Shutdown;

use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result};
use crate::sys::fork::ProcessLocal;
use crate::sys::notifier::{Notifier, Wakeup};
use crate::wait::HostLock;

pub type Socket = Arc<ProcessLocal<Descriptor>>;

#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    /// Frames that were read together with an earlier one.
    begun: VecDeque<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
pub struct ReceiveDeadlines {
    pub first_byte: Deadline,
    pub whole_frame: Duration,
}

impl Connection {
    pub fn new(socket: Socket, _max_frame_size: usize) -> Self {
        Self { socket, begun: VecDeque::new() }
    }

    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    pub fn send(&mut self, parts: &[&[u8]], deadline: &Deadline, host: &impl HostLock) -> Result<()> {
        self.send_rest(parts, &mut 0, deadline, host)
    }

    pub fn send_rest(
        &mut self,
        parts: &[&[u8]],
        _sent: &mut usize,
        _deadline: &Deadline,
        _wait: &impl HostLock,
    ) -> Result<()> {
        let is_sent = self.socket.resource().send(parts.concat());
        if is_sent { Ok(()) } else { Err(Error::Disconnected { phase: Phase::Send }) }
    }

    pub fn receive(&mut self, _by: &ReceiveDeadlines, phase: Phase, host: &impl HostLock) -> Result<Vec<u8>> {
        if self.begun.is_empty() {
            let inbox = self.socket.resource().inbox();
            match host.without_lock(|| inbox.receive()) {
                Some(received) => self.begun = received,
                None => host.check_interrupts()?,
            }
        }
        self.begun.pop_front().ok_or(Error::Disconnected { phase })
    }

    pub fn try_receive(&mut self, phase: Phase) -> Result<Option<Vec<u8>>> {
        if self.begun.is_empty() {
            match self.socket.resource().inbox().peek() {
                Peeked::Nothing => return Ok(None),
                Peeked::Message => self.begun = self.socket.resource().inbox().take_all(),
                Peeked::End => return Err(Error::Disconnected { phase }),
            }
        }
        Ok(self.begun.pop_front())
    }

    /// Does not wait: see [`Notifier::wait`].
    pub(crate) fn wait_readable(&self, _deadline: &Deadline) -> Result<Wakeup> {
        let is_readable = self.socket.resource().inbox().peek() != Peeked::Nothing;
        Ok(if is_readable { Wakeup::Woken } else { Wakeup::TimedOut })
    }

    pub(crate) fn pause(&self, _duration: Duration) -> Result<Wakeup> {
        Ok(Wakeup::TimedOut)
    }

    pub(crate) fn wait_readable_or_notified(&self, notifier: &Notifier, _deadline: &Deadline) -> Result<Wakeup> {
        self.socket.resource().inbox().wait_or(notifier.reader().resource().inbox());
        Ok(Wakeup::Woken)
    }

    pub fn has_partial_frame(&self) -> bool {
        !self.begun.is_empty()
    }

    pub fn is_idle(&self) -> bool {
        !self.has_partial_frame() && self.socket.resource().inbox().peek() == Peeked::Nothing
    }

    pub fn has_ended(&self) -> bool {
        self.socket.resource().inbox().peek() == Peeked::End
    }
}

pub(crate) fn shut_down(socket: &Socket, how: Shutdown) {
    if !matches!(how, Shutdown::Write) {
        socket.resource().shut_down_receiving();
    }
    if !matches!(how, Shutdown::Read) {
        socket.resource().shut_down_sending();
    }
}
