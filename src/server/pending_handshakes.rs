//! Connections in their handshake: non-blocking, each under one deadline, and at most `max_handshakes` of them.

use std::collections::BTreeMap;
use std::time::Duration;

use mio::Token;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::protocol::handshake::{CLIENT_PROOF_LENGTH, ServerHandshake};
use crate::secret::Secret;
use crate::sys::fd::MSG_NOSIGNAL;

/// The connections in their handshake. Tokens only grow, so the first is the oldest.
#[derive(Debug)]
pub(super) struct PendingHandshakes {
    secret: Secret,
    timeout: Duration,
    max: usize,
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

/// The outcome of reading from a connection.
#[derive(Debug)]
pub(super) enum Progress {
    /// The client's proof is still incomplete.
    Pending,
    /// The client knows the secret. The server's proof must be sent next.
    Authenticated(Socket, [u8; crate::protocol::handshake::MAC_LENGTH]),
    /// The client closed it before it sent anything.
    Abandoned,
    /// The handshake failed, for this reason.
    Failed(Socket, String),
}

impl PendingHandshakes {
    /// No connections yet.
    pub(super) fn new(secret: Secret, timeout: Duration, max: usize) -> Self {
        Self { secret, timeout, max, pending: BTreeMap::new() }
    }

    /// Sends the server's hello and adds the connection.
    ///
    /// # Returns
    ///
    /// The oldest connection, if it was evicted to make room.
    ///
    /// # Errors
    ///
    /// [`Error::Handshake`] if the client has gone, [`Error::System`] if memory is short.
    pub(super) fn insert(&mut self, token: Token, socket: Socket) -> Result<Option<Socket>> {
        let handshake = ServerHandshake::new()?;
        // A fresh socket's buffer takes all of it; if one does not, waiting would not help.
        send_at_once(&socket, &handshake.hello())?;
        let evicted = if self.pending.len() >= self.max { self.pending.pop_first() } else { None };
        let deadline = Deadline::after(self.timeout);
        self.pending
            .insert(token, Pending { socket, handshake, proof: [0; CLIENT_PROOF_LENGTH], received: 0, deadline });
        Ok(evicted.map(|(_, oldest)| oldest.socket))
    }

    /// Reads from a connection. `None` if the token belongs to another kind of connection.
    pub(super) fn on_readable(&mut self, token: Token) -> Option<Progress> {
        let outcome = self.pending.get_mut(&token)?.read_proof();
        if let Ok(false) = outcome {
            return Some(Progress::Pending);
        }
        let Pending { socket, handshake, proof, received, .. } = self.pending.remove(&token)?;
        Some(match outcome {
            Ok(_) => match handshake.verify(&self.secret, &proof) {
                Ok(server_proof) => Progress::Authenticated(socket, server_proof),
                Err(error) => Progress::Failed(socket, error.to_string()),
            },
            Err(_) if received == 0 => Progress::Abandoned,
            Err(reason) => Progress::Failed(socket, reason.to_owned()),
        })
    }

    /// Removes the connections whose deadline has passed.
    pub(super) fn take_expired(&mut self) -> Vec<Socket> {
        let mut expired = Vec::new();
        while let Some(oldest) = self.pending.first_entry().filter(|oldest| oldest.get().deadline.has_passed()) {
            expired.push(oldest.remove().socket);
        }
        expired
    }

    /// The earliest deadline.
    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        self.pending.first_key_value().map(|(_, oldest)| oldest.deadline)
    }

    /// The number of connections.
    pub(super) fn count(&self) -> usize {
        self.pending.len()
    }
}

impl Pending {
    /// Reads more of the client's proof. True once it is complete.
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

/// Sends a handshake message without blocking. It is far smaller than any socket's buffer.
pub(super) fn send_at_once(socket: &Socket, message: &[u8]) -> Result<()> {
    match send(socket.get()?, message, SendFlags::DONTWAIT | MSG_NOSIGNAL) {
        Ok(sent) if sent == message.len() => Ok(()),
        _ => Err(Error::Handshake { reason: "the connection broke during the handshake".to_owned() }),
    }
}
