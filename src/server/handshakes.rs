//! Connections that have not proved themselves: non-blocking, under one deadline each, at most so many.

use std::collections::BTreeMap;
use std::time::Duration;

use mio::Token;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::fd::MSG_NOSIGNAL;
use crate::handshake::{CLIENT_PROOF_LENGTH, ServerHandshake};
use crate::secret::Secret;

/// The pending connections. Tokens only grow, so the first is the oldest.
#[derive(Debug)]
pub(super) struct Handshakes {
    secret: Secret,
    timeout: Duration,
    most: usize,
    pending: BTreeMap<Token, Pending>,
}

#[derive(Debug)]
struct Pending {
    socket: Socket,
    handshake: ServerHandshake,
    proof: [u8; CLIENT_PROOF_LENGTH],
    received: usize,
    deadline: Deadline,
}

/// What became of a connection that said something.
#[derive(Debug)]
pub(super) enum Progress {
    /// It has not said everything.
    Pending,
    /// It knows the secret. The server's own proof is still to be sent.
    Proved(Socket, [u8; crate::handshake::MAC_LENGTH]),
    /// The client ended it before it said anything.
    Abandoned,
    /// It is not one of ours.
    Failed(Socket, String),
}

impl Handshakes {
    /// No connections yet.
    pub(super) fn new(secret: Secret, timeout: Duration, most: usize) -> Self {
        Self { secret, timeout, most, pending: BTreeMap::new() }
    }

    /// Greets a new connection.
    ///
    /// # Returns
    ///
    /// The oldest one, if it had to make room.
    ///
    /// # Errors
    ///
    /// [`Error::Handshake`] if the client has gone, [`Error::System`] if memory is short.
    pub(super) fn begin(&mut self, token: Token, socket: Socket) -> Result<Option<Socket>> {
        let handshake = ServerHandshake::new()?;
        // The buffer of a fresh socket takes all of it; one that does not is not worth waiting for.
        send_whole(&socket, &handshake.hello())?;
        let displaced = if self.pending.len() >= self.most { self.pending.pop_first() } else { None };
        let deadline = Deadline::after(self.timeout);
        self.pending
            .insert(token, Pending { socket, handshake, proof: [0; CLIENT_PROOF_LENGTH], received: 0, deadline });
        Ok(displaced.map(|(_, oldest)| oldest.socket))
    }

    /// Reads what a connection says. `None` if it is not one of these.
    pub(super) fn advance(&mut self, token: Token) -> Option<Progress> {
        let outcome = self.pending.get_mut(&token)?.read_proof();
        if let Ok(false) = outcome {
            return Some(Progress::Pending);
        }
        let Pending { socket, handshake, proof, received, .. } = self.pending.remove(&token)?;
        Some(match outcome {
            Ok(_) => match handshake.verify(&self.secret, &proof) {
                Ok(server_proof) => Progress::Proved(socket, server_proof),
                Err(error) => Progress::Failed(socket, error.to_string()),
            },
            Err(_) if received == 0 => Progress::Abandoned,
            Err(reason) => Progress::Failed(socket, reason.to_owned()),
        })
    }

    /// Takes the connections whose time is up.
    pub(super) fn take_late(&mut self) -> Vec<Socket> {
        let mut late = Vec::new();
        while let Some(oldest) = self.pending.first_entry().filter(|oldest| oldest.get().deadline.has_passed()) {
            late.push(oldest.remove().socket);
        }
        late
    }

    /// When the next one's time is up.
    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        self.pending.first_key_value().map(|(_, oldest)| oldest.deadline)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.pending.len()
    }
}

impl Pending {
    /// Whether all of the proof is there now.
    fn read_proof(&mut self) -> Result<bool, &'static str> {
        loop {
            let Some(room) = self.proof.get_mut(self.received..).filter(|room| !room.is_empty()) else {
                return Ok(true);
            };
            let socket = self.socket.get().map_err(|_| "it was inherited")?;
            match recv(socket, room, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Err("the connection ended during the handshake"),
                Ok((_, count)) => self.received = self.received.saturating_add(count),
                Err(Errno::AGAIN) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(_) => return Err("the connection broke during the handshake"),
            }
        }
    }
}

/// Sends a handshake message, which is far smaller than any socket's buffer, without blocking.
pub(super) fn send_whole(socket: &Socket, message: &[u8]) -> Result<()> {
    match send(socket.get()?, message, SendFlags::DONTWAIT | MSG_NOSIGNAL) {
        Ok(sent) if sent == message.len() => Ok(()),
        _ => Err(Error::Handshake { reason: "the connection broke during the handshake".to_owned() }),
    }
}
