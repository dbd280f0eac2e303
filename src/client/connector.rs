//! Connects to a server: the TCP connect and then the handshake, each under its own timeout and the caller's deadline.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::sockopt::{set_tcp_nodelay, socket_error};
use rustix::net::{AddressFamily, RecvFlags, connect as connect_socket, getpeername, getsockname, recv, send};

use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::{Cause, Error, Phase, Result};
use crate::options::ClientOptions;
use crate::protocol::handshake::{ClientHandshake, HELLO_LENGTH, MAC_LENGTH};
use crate::secret::Secret;
use crate::sys::fd;
use crate::sys::fork::ProcessLocal;
use crate::wait::HostLock;

/// Connects and authenticates; returns a blocking socket.
pub(super) fn connect(
    address: SocketAddr,
    secret: &Secret,
    options: &ClientOptions,
    deadline: &Deadline,
    host: &impl HostLock,
) -> Result<Socket> {
    // One deadline for the handshakes of all attempts, set after the first connect.
    let mut handshake_deadline = None;
    let mut hello_timeout = HELLO_TIMEOUT;
    for attempt in 1..=MAX_ATTEMPTS {
        let limit = handshake_deadline.unwrap_or(*deadline);
        let socket = connect_tcp(address, &limit.within(options.connect_timeout), host)?;
        let limit = *handshake_deadline.get_or_insert_with(|| deadline.within(options.handshake_timeout));
        let hello_deadline = if attempt < MAX_ATTEMPTS { limit.within(hello_timeout) } else { limit };
        let connector = Connector { address, socket: &socket, hello_deadline, deadline: limit, host };
        match connector.handshake(secret)? {
            Outcome::Authenticated => return set_blocking(socket, address),
            Outcome::NoHello => hello_timeout = hello_timeout.saturating_mul(2),
            Outcome::Evicted => {}
        }
    }
    let reason = format!(
        "could not connect to {address}: the server evicted the connection {MAX_ATTEMPTS} times (max_handshakes)"
    );
    Err(Error::ConnectionRefused { reason, cause: Cause::Disconnected })
}

/// Attempts in a row when the server evicts the connection before it has read the proof. 10: if every other handshake
/// is too slow, because of a busy host or a flood, one client in a thousand fails.
const MAX_ATTEMPTS: u32 = 10;

/// The wait for the server's hello; it doubles with each attempt. A server sends its hello at once, and within 0.1 s in
/// a flood. But if the accept queue is full or just being closed, Linux drops the client's final ACK and retries after
/// 1 s, so the server may not know this connection. 250 ms: if that happens twice, a worker still connects within 1 s.
/// It doubles so that slower servers are reached as well.
const HELLO_TIMEOUT: Duration = Duration::from_millis(250);

/// The wait for the server's SYN-ACK before a new attempt. On loopback it comes at once, or not at all if the server's
/// backlog is full, and the kernel retries only after 1 s. 10 ms: if a flood makes nine of ten attempts fail, a worker
/// connects after 0.1 s on average and nearly always within 0.5 s.
const SYN_TIMEOUT: Duration = Duration::from_millis(10);

fn connect_tcp(address: SocketAddr, deadline: &Deadline, host: &impl HostLock) -> Result<Socket> {
    loop {
        match try_connect(address, &deadline.within(SYN_TIMEOUT), host) {
            Err(Error::Timeout { phase, .. }) => {
                deadline.check(phase)?;
            }
            outcome => return outcome,
        }
    }
}

fn try_connect(address: SocketAddr, deadline: &Deadline, host: &impl HostLock) -> Result<Socket> {
    let failed = |errno| refused(address, errno);
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = ProcessLocal::open(|| fd::stream_socket(family)).map_err(failed)?;
    let descriptor = socket.get()?;
    set_tcp_nodelay(descriptor, true).map_err(failed)?;
    match connect_socket(descriptor, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS | Errno::INTR) => {
            if !is_ready(descriptor, PollFlags::OUT) {
                wait_until(descriptor, PollFlags::OUT, deadline, Phase::Connect, host)?;
            }
            socket_error(descriptor).and_then(|outcome| outcome).map_err(failed)?;
        }
        Err(errno) => return Err(failed(errno)),
    }
    reject_self_connect(descriptor, address)?;
    Ok(Arc::new(socket))
}

/// Refuses a socket that is connected to itself, which happens with ports of the ephemeral range where no server
/// listens.
fn reject_self_connect(descriptor: &OwnedFd, address: SocketAddr) -> Result<()> {
    let here = getsockname(descriptor).map_err(|errno| refused(address, errno))?;
    match getpeername(descriptor) {
        Ok(Some(there)) if there != here => Ok(()),
        Ok(_) => Err(refused(address, Errno::CONNREFUSED)),
        Err(errno) => Err(refused(address, errno)),
    }
}

fn set_blocking(socket: Socket, address: SocketAddr) -> Result<Socket> {
    let descriptor = socket.get()?;
    fcntl_getfl(descriptor)
        .and_then(|flags| fcntl_setfl(descriptor, flags - OFlags::NONBLOCK))
        .map_err(|errno| refused(address, errno))?;
    Ok(socket)
}

/// A handshake in progress.
struct Connector<'a, W> {
    address: SocketAddr,
    socket: &'a Socket,
    /// The deadline for the first byte of the hello.
    hello_deadline: Deadline,
    deadline: Deadline,
    host: &'a W,
}

/// How an attempt ended.
enum Outcome {
    /// Both sides are authenticated.
    Authenticated,
    /// The server sent nothing. It may not know this connection.
    NoHello,
    /// The server closed the connection before it read the proof.
    Evicted,
}

impl<W: HostLock> Connector<'_, W> {
    fn handshake(&self, secret: &Secret) -> Result<Outcome> {
        if !self.wait_for_hello()? {
            return Ok(Outcome::NoHello);
        }
        let Read::Complete(hello) = self.read_exact::<HELLO_LENGTH>()? else { return Err(self.closed_early()) };
        let (proof, expected) = ClientHandshake::new()?.answer(secret, &hello)?;
        // The proof is smaller than the send buffer of a fresh socket.
        match send(self.socket.get()?, &proof, fd::MSG_NOSIGNAL) {
            Ok(sent) if sent == proof.len() => {}
            _ => return Ok(Outcome::Evicted),
        }
        match self.read_exact::<MAC_LENGTH>()? {
            Read::Complete(server_proof) => expected.verify(&server_proof).map(|()| Outcome::Authenticated),
            Read::Eof if self.was_reset()? => Ok(Outcome::Evicted),
            Read::Eof => Err(Error::Handshake { reason: NOT_ACCEPTED.to_owned() }),
            Read::Reset => Ok(Outcome::Evicted),
        }
    }

    /// Returns whether the server has sent something or closed the connection before `hello_deadline`. Checks once more
    /// afterwards, because the caller may have been kept from running.
    fn wait_for_hello(&self) -> Result<bool> {
        match wait_until(self.socket.get()?, PollFlags::IN, &self.hello_deadline, Phase::Handshake, self.host) {
            Err(Error::Timeout { .. }) => {
                self.deadline.check(Phase::Handshake)?;
                Ok(is_ready(self.socket.get()?, PollFlags::IN))
            }
            outcome => outcome.map(|()| true),
        }
    }

    fn read_exact<const LENGTH: usize>(&self) -> Result<Read<LENGTH>> {
        let mut message = [0; LENGTH];
        let mut received = 0usize;
        while let Some(room) = message.get_mut(received..).filter(|room| !room.is_empty()) {
            let socket = self.socket.get()?;
            match recv(socket, room, RecvFlags::empty()) {
                Ok((_, 0)) => return Ok(Read::Eof),
                Ok((_, count)) => received = received.saturating_add(count),
                Err(Errno::AGAIN | Errno::INTR) => {
                    wait_until(socket, PollFlags::IN, &self.deadline, Phase::Handshake, self.host)?;
                }
                Err(_) => return Ok(Read::Reset),
            }
        }
        Ok(Read::Complete(message))
    }

    /// Returns whether the server closed the connection without reading what was sent. The kernel answers unread data
    /// with a reset, which may arrive a moment after the end of the stream.
    fn was_reset(&self) -> Result<bool> {
        let soon = self.deadline.within(RESET_WAIT);
        // Without events, `poll` reports only errors and connections that are closed in both directions.
        match wait_until(self.socket.get()?, PollFlags::empty(), &soon, Phase::Handshake, self.host) {
            Ok(()) => Ok(true),
            Err(Error::Timeout { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The error for a connection that the kernel accepted but the server never used: the listening socket of an ending
    /// parent may exist for a moment longer than its threads.
    fn closed_early(&self) -> Error {
        let Self { address, .. } = self;
        Error::ConnectionRefused {
            reason: format!("{address} closed the connection before the handshake: it is ending, or was full"),
            cause: Cause::Disconnected,
        }
    }
}

/// The result of reading a message.
enum Read<const LENGTH: usize> {
    /// The whole message.
    Complete([u8; LENGTH]),
    /// The server closed the connection before the message was complete.
    Eof,
    /// The server closed the connection without reading what was sent to it.
    Reset,
}

/// How long to wait for a reset after the end of the stream. 20 ms: over loopback it arrives at once unless the kernel
/// is busy, and only failures wait.
const RESET_WAIT: Duration = Duration::from_millis(20);

const NOT_ACCEPTED: &str = "the server closed the connection after the client's proof: it has another secret, or \
    max_connections others, or is ending, or its handshake_timeout has passed";

fn is_ready(descriptor: &OwnedFd, event: PollFlags) -> bool {
    matches!(poll(&mut [PollFd::new(descriptor, event)], Some(&Timespec::default())), Ok(1..))
}

fn wait_until(
    descriptor: &OwnedFd,
    event: PollFlags,
    deadline: &Deadline,
    phase: Phase,
    host: &impl HostLock,
) -> Result<()> {
    loop {
        let timeout = Timespec::try_from(deadline.check(phase)?).ok();
        match host.without_lock(|| poll(&mut [PollFd::new(descriptor, event)], timeout.as_ref())) {
            Some(Ok(1..)) => return Ok(()),
            Some(Ok(0)) => {}
            None | Some(Err(Errno::INTR)) => host.check_interrupts()?,
            Some(Err(errno)) => return Err(Error::system("could not wait for the connection", errno)),
        }
    }
}

fn refused(address: SocketAddr, errno: Errno) -> Error {
    let reason = format!("could not connect to {address}: {}", std::io::Error::from(errno));
    Error::ConnectionRefused { reason, cause: Cause::System(errno.raw_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::SocketType;

    #[test]
    fn a_connection_that_met_itself_is_refused() {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
        connect_socket(&socket, &address).unwrap();
        assert_eq!(reject_self_connect(&socket, address), Err(refused(address, Errno::CONNREFUSED)));
    }
}
