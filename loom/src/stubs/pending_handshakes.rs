//! Stand-in for `pending_handshakes`: every handshake fails. Handshakes are seen by the acceptor's thread alone, so the
//! models need none.

use std::time::Duration;

use mio::Token;

use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::secret::Secret;

#[derive(Debug)]
pub(super) struct PendingHandshakes;

#[derive(Debug)]
pub(super) enum Progress {
    Pending,
    Authenticated(Socket, [u8; 32]),
    Abandoned,
    Failed(Socket, String),
}

impl PendingHandshakes {
    pub(super) fn new(_secret: Secret, _timeout: Duration, _most: usize) -> Self {
        Self
    }

    pub(super) fn insert(&mut self, _token: Token, _socket: Socket) -> Result<Option<Socket>> {
        Err(Error::Protocol { reason: String::new() })
    }

    pub(super) fn on_readable(&mut self, _token: Token) -> Option<Progress> {
        None
    }

    pub(super) fn take_expired(&mut self) -> Vec<Socket> {
        Vec::new()
    }

    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        None
    }

    pub(super) fn count(&self) -> usize {
        0
    }
}

pub(super) fn send_at_once(_socket: &Socket, _message: &[u8]) -> Result<()> {
    Ok(())
}
