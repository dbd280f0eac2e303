//! Making a connection: TCP's handshake, then ours, each under its own timeout and the caller's deadline.

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
use crate::fd;
use crate::fork::ProcessLocal;
use crate::handshake::{ClientHandshake, HELLO_LENGTH, MAC_LENGTH};
use crate::options::ClientOptions;
use crate::secret::Secret;
use crate::wait::HostLock;

/// A connected, blocking socket over which both sides have proved themselves.
pub(super) fn connect(
    address: SocketAddr,
    secret: &Secret,
    options: &ClientOptions,
    deadline: &Deadline,
    host: &impl HostLock,
) -> Result<Socket> {
    // Of all attempts together, from the first connection on.
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
        "could not connect to {address}: the server made room for others {MAX_ATTEMPTS} times (max_handshakes)"
    );
    Err(Error::ConnectionRefused { reason, cause: Cause::Disconnected })
}

/// How often a client connects in a row where the server closes the connection to make room for others before it has
/// read the proof. 10: on a host so busy, or under such a flood, that every other handshake is too slow, one client in a
/// thousand fails.
const MAX_ATTEMPTS: u32 = 10;

/// How long to wait for the server to say something, the first time, and twice as long each time that it has not. It
/// greets whoever it accepts at once, and in a flood within a tenth of a second. But of a connection that is made while the
/// server's backlog becomes full, or while it ends to listen, nobody but this side may know: the kernel then drops the last
/// message of TCP's own handshake, and comes back to it after a second. 250 ms: where that happens twice, a worker still gets
/// in within a second. Growing, so that a server that is slower than that is reached, too.
const HELLO_TIMEOUT: Duration = Duration::from_millis(250);

/// How long the kernel may take to answer an attempt to connect. On loopback it answers at once, or not at all where the
/// server's backlog is full, and then repeats the attempt only after a second. 10 ms: where somebody floods the server so
/// that nine attempts of ten find its backlog full, a worker gets in after a tenth of a second on average, and nearly
/// always within half of one.
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

/// A connection to a port of the ephemeral range on which nobody listens may meet itself.
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

/// A handshake under way.
struct Connector<'a, W> {
    address: SocketAddr,
    socket: &'a Socket,
    /// For the first byte.
    hello_deadline: Deadline,
    deadline: Deadline,
    host: &'a W,
}

/// How far it came.
enum Outcome {
    /// Both sides have proved themselves.
    Authenticated,
    /// The server said nothing. It may not know of the connection.
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
        // Smaller than the buffer of any fresh socket.
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

    /// Whether the server says something, or ends the connection, while there is hello_timeout; or has done so by its end, for
    /// a caller who was kept from looking.
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

    /// Whether the server, which has ended the connection, did so without having read what was sent. The kernel answers
    /// what it finds unread, and what arrives after the end, by a reset, which may come a moment after the end.
    fn was_reset(&self) -> Result<bool> {
        let soon = self.deadline.within(RESET_WAIT);
        // Without an event to wait for, a poll tells of errors and of what is over in both directions.
        match wait_until(self.socket.get()?, PollFlags::empty(), &soon, Phase::Handshake, self.host) {
            Ok(()) => Ok(true),
            Err(Error::Timeout { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A connection that the kernel had made and nobody took. So it is while a parent's death is under way: its listening
    /// socket may still be there, and nobody behind it.
    fn closed_early(&self) -> Error {
        let Self { address, .. } = self;
        Error::ConnectionRefused {
            reason: format!("{address} closed the connection before the handshake: it is ending, or was full"),
            cause: Cause::Disconnected,
        }
    }
}

/// What came of a message.
enum Read<const LENGTH: usize> {
    /// All of it.
    Complete([u8; LENGTH]),
    /// The other side ended the connection before.
    Eof,
    /// The other side closed the connection without having read what was sent to it.
    Reset,
}

/// 20 ms: a reset comes over the loopback device at once, but for a kernel that is busy. Only a failure waits for so long.
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
