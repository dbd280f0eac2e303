//! Making a connection: TCP's handshake, then ours, each under its own timeout and the caller's deadline.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::sockopt::{set_tcp_nodelay, socket_error};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect as connect_socket, getpeername, getsockname,
    recv, send, socket_with,
};

use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result};
use crate::fork::ProcessLocal;
use crate::handshake::{ClientHandshake, HELLO_LENGTH, MAC_LENGTH};
use crate::options::ClientOptions;
use crate::secret::Secret;
use crate::wait::Wait;

/// A connected, blocking socket over which both sides have proved themselves.
pub(super) fn connect(
    address: SocketAddr,
    secret: &Secret,
    options: &ClientOptions,
    deadline: &Deadline,
    wait: &impl Wait,
) -> Result<Socket> {
    let socket = reach(address, &deadline.within(options.connect_timeout), wait)?;
    let handshake = Dial { socket: &socket, deadline: &deadline.within(options.handshake_timeout), wait };
    handshake.prove(secret)?;
    let descriptor = socket.here()?;
    fcntl_getfl(descriptor)
        .and_then(|flags| fcntl_setfl(descriptor, flags - OFlags::NONBLOCK))
        .map_err(|errno| refused(address, errno))?;
    Ok(socket)
}

fn reach(address: SocketAddr, deadline: &Deadline, wait: &impl Wait) -> Result<Socket> {
    let failed = |errno| refused(address, errno);
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = ProcessLocal::open(|| socket_with(family, SocketType::STREAM, flags, None)).map_err(failed)?;
    let descriptor = socket.here()?;
    set_tcp_nodelay(descriptor, true).map_err(failed)?;
    match connect_socket(descriptor, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS | Errno::INTR) => {
            wait_until(descriptor, PollFlags::OUT, deadline, Phase::Connect, wait)?;
            socket_error(descriptor).and_then(|outcome| outcome).map_err(failed)?;
        }
        Err(errno) => return Err(failed(errno)),
    }
    check_other_side(descriptor, address)?;
    Ok(Arc::new(socket))
}

/// A connection to a port of the ephemeral range on which nobody listens may meet itself.
fn check_other_side(descriptor: &OwnedFd, address: SocketAddr) -> Result<()> {
    let here = getsockname(descriptor).map_err(|errno| refused(address, errno))?;
    match getpeername(descriptor) {
        Ok(Some(there)) if there != here => Ok(()),
        Ok(_) => Err(refused(address, Errno::CONNREFUSED)),
        Err(errno) => Err(refused(address, errno)),
    }
}

/// A handshake under way.
struct Dial<'a, W> {
    socket: &'a Socket,
    deadline: &'a Deadline,
    wait: &'a W,
}

impl<W: Wait> Dial<'_, W> {
    fn prove(&self, secret: &Secret) -> Result<()> {
        let hello: [u8; HELLO_LENGTH] = self.read()?.ok_or(DISCONNECTED)?;
        let (proof, expected) = ClientHandshake::new()?.answer(secret, &hello)?;
        // Smaller than the buffer of any fresh socket.
        match send(self.socket.here()?, &proof, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == proof.len() => {}
            _ => return Err(DISCONNECTED),
        }
        match self.read::<MAC_LENGTH>()? {
            Some(server_proof) => expected.verify(&server_proof),
            None if self.was_reset()? => Err(DISCONNECTED),
            None => Err(Error::Handshake { reason: NOT_ACCEPTED.to_owned() }),
        }
    }

    /// Whether the server, which has closed the connection, did so before it had read what was sent: it stopped, and
    /// judged nothing. The kernel answers what arrives after the end by a reset, which may come a moment after the end.
    fn was_reset(&self) -> Result<bool> {
        let soon = self.deadline.within(RESET_PATIENCE);
        // Without an event to wait for, a poll tells of errors and of what is over in both directions.
        match wait_until(self.socket.here()?, PollFlags::empty(), &soon, Phase::Handshake, self.wait) {
            Ok(()) => Ok(true),
            Err(Error::Timeout { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A message; `None` if the server closes the connection instead.
    fn read<const LENGTH: usize>(&self) -> Result<Option<[u8; LENGTH]>> {
        let mut message = [0; LENGTH];
        let mut received = 0usize;
        while let Some(room) = message.get_mut(received..).filter(|room| !room.is_empty()) {
            let socket = self.socket.here()?;
            match recv(socket, room, RecvFlags::empty()) {
                Ok((_, 0)) => return Ok(None),
                Ok((_, count)) => received = received.saturating_add(count),
                Err(Errno::AGAIN | Errno::INTR) => {
                    wait_until(socket, PollFlags::IN, self.deadline, Phase::Handshake, self.wait)?;
                }
                Err(_) => return Err(DISCONNECTED),
            }
        }
        Ok(Some(message))
    }
}

const DISCONNECTED: Error = Error::Disconnected { phase: Phase::Handshake };

/// 20 ms: a reset comes over the loopback device at once, but for a kernel that is busy. Only a failure waits for so long.
const RESET_PATIENCE: Duration = Duration::from_millis(20);

const NOT_ACCEPTED: &str =
    "the server closed the connection after the client's proof: it has another secret, or max_connections others";

fn wait_until(
    descriptor: &OwnedFd,
    event: PollFlags,
    deadline: &Deadline,
    phase: Phase,
    wait: &impl Wait,
) -> Result<()> {
    loop {
        let timeout = Timespec::try_from(deadline.check(phase)?).ok();
        match wait.block(|| poll(&mut [PollFd::new(descriptor, event)], timeout.as_ref())) {
            Some(Ok(1..)) => return Ok(()),
            Some(Ok(0)) => {}
            None | Some(Err(Errno::INTR)) => wait.interrupted()?,
            Some(Err(errno)) => return Err(Error::system("could not wait for the connection", errno)),
        }
    }
}

fn refused(address: SocketAddr, errno: Errno) -> Error {
    let cause = std::io::Error::from(errno);
    Error::ConnectionRefused { reason: format!("could not connect to {address}: {cause}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_met_itself_is_refused() {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
        connect_socket(&socket, &address).unwrap();
        assert_eq!(check_other_side(&socket, address), Err(refused(address, Errno::CONNREFUSED)));
    }
}
