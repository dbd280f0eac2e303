//! Connections whose handler has answered, or need not, and is still at work.
//!
//! Each is watched by the doorkeeper. Whoever takes it out of the map owns it: the doorkeeper when the next request
//! arrives, or the attendant when the handler ends first.

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mio::unix::SourceFd;
use mio::{Interest, Poll, Registry, Token};

use super::session::Session;
use crate::connection::Socket;
use crate::error::{Error, Result};
use crate::fork::ProcessLocal;
use crate::sync::lock;

/// The parked connections, and the poll that watches over them.
#[derive(Debug)]
pub(super) struct Parking {
    registry: ProcessLocal<Registry>,
    /// Until the doorkeeper takes it.
    poll: Mutex<Option<ProcessLocal<Poll>>>,
    next_token: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    parked: HashMap<Token, Box<Session>>,
    closed: bool,
}

/// What became of a connection that was to be parked.
#[derive(Debug)]
pub(super) enum Parked {
    /// It is watched.
    At(Token),
    /// Its next request has arrived already, or it cannot be watched: it needs an attendant.
    Busy(Box<Session>),
    /// The server stops: it was closed.
    Closed,
}

impl Parking {
    /// Nothing parked.
    pub(super) fn new() -> Result<Self> {
        let failed = |error: std::io::Error| Error::System {
            operation: "could not make a poll".to_owned(),
            code: error.raw_os_error().unwrap_or_default(),
        };
        let to_errno =
            |error: std::io::Error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
        let poll = ProcessLocal::open(|| Poll::new().map_err(to_errno)).map_err(|errno| failed(errno.into()))?;
        let registry = {
            let original = poll.here()?.registry();
            ProcessLocal::open(|| original.try_clone().map_err(to_errno)).map_err(|errno| failed(errno.into()))?
        };
        Ok(Self {
            registry,
            poll: Mutex::new(Some(poll)),
            next_token: AtomicUsize::new(FIRST_TOKEN),
            state: Mutex::default(),
        })
    }

    /// The poll, for the doorkeeper alone.
    pub(super) fn take_poll(&self) -> Option<ProcessLocal<Poll>> {
        lock(&self.poll).take()
    }

    /// A token that nothing else ever had.
    pub(super) fn fresh_token(&self) -> Token {
        Token(self.next_token.fetch_add(1, Ordering::Relaxed))
    }

    /// Watches a connection until somebody takes it.
    pub(super) fn park(&self, session: Box<Session>) -> Parked {
        if session.has_begun_a_frame() {
            return Parked::Busy(session);
        }
        let socket = session.socket().clone();
        let token = self.fresh_token();
        {
            let mut state = lock(&self.state);
            if state.closed {
                drop(state);
                drop(session);
                return Parked::Closed;
            }
            state.parked.insert(token, session);
        }
        if self.watch(&socket, token).is_ok() {
            return Parked::At(token);
        }
        match lock(&self.state).parked.remove(&token) {
            Some(session) => Parked::Busy(session),
            None => Parked::Closed,
        }
    }

    /// Takes a connection, if nobody else has.
    pub(super) fn take(&self, token: Token) -> Option<Box<Session>> {
        let session = lock(&self.state).parked.remove(&token)?;
        self.unwatch(session.socket());
        Some(session)
    }

    /// Watches a socket for something to read, at most once per arrival.
    pub(super) fn watch(&self, socket: &Socket, token: Token) -> Result<()> {
        let descriptor = socket.here()?.as_raw_fd();
        self.registry.here()?.register(&mut SourceFd(&descriptor), token, Interest::READABLE).map_err(|error| {
            Error::System {
                operation: "could not watch a connection".to_owned(),
                code: error.raw_os_error().unwrap_or_default(),
            }
        })
    }

    /// Watches a socket no more.
    pub(super) fn unwatch(&self, socket: &Socket) {
        if let (Ok(socket), Ok(registry)) = (socket.here(), self.registry.here()) {
            // It fails only for what is not watched.
            let _ = registry.deregister(&mut SourceFd(&socket.as_raw_fd()));
        }
    }

    /// Parks nothing any more, and gives back what was parked.
    pub(super) fn close(&self) -> HashMap<Token, Box<Session>> {
        let mut state = lock(&self.state);
        state.closed = true;
        std::mem::take(&mut state.parked)
    }
}

/// The doorkeeper's own tokens come before it.
pub(super) const FIRST_TOKEN: usize = 2;
