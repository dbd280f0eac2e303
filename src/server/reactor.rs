//! Connections whose handler has answered, or need not, and is still at work.
//!
//! Whoever takes one out of the map owns it: the handler thread when the handler ends, or the acceptor when the next request
//! arrives first. Nearly every handler ends within microseconds, so the acceptor begins to watch a connection only after
//! [`POLL_INTERVAL`]: while anything is parked it looks around every so often, and parking costs no system call.

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Poll, Registry, Token};

use super::polling::{IDLE_POLLS, POLL_INTERVAL};
use super::session::Session;
use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::fork::ProcessLocal;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, lock};

/// The parked connections, and the poll that watches over them.
#[derive(Debug)]
pub(super) struct Reactor {
    registry: ProcessLocal<Registry>,
    /// Until the acceptor takes it.
    poll: Mutex<Option<ProcessLocal<Poll>>>,
    next_token: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    parked: HashMap<Token, ParkedSession>,
    closed: bool,
    /// Whether the acceptor looks around, and how many times in a row it found nothing.
    idle_polls: Option<u32>,
}

/// A parked connection.
#[derive(Debug)]
struct ParkedSession {
    session: Box<Session>,
    register_at: Deadline,
    registered: bool,
}

/// What became of a connection that was to be parked.
#[derive(Debug)]
pub(super) enum Parked {
    /// It is here. True if the acceptor is to be told, because it sleeps.
    At(Token, bool),
    /// Its next request has arrived already, or it cannot be watched: it needs a handler thread.
    Busy(Box<Session>),
    /// The server stops: it was closed.
    Closed,
}

impl Reactor {
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

    /// The poll, for the acceptor alone.
    pub(super) fn take_poll(&self) -> Option<ProcessLocal<Poll>> {
        lock(&self.poll).take()
    }

    /// A token that nothing else ever had.
    pub(super) fn next_token(&self) -> Token {
        Token(self.next_token.fetch_add(1, Ordering::Relaxed))
    }

    /// Keeps a connection until somebody takes it.
    pub(super) fn park(&self, session: Box<Session>) -> Parked {
        if session.has_partial_frame() {
            return Parked::Busy(session);
        }
        self.park_idle(session)
    }

    /// As [`Reactor::park`], for one whose next request is known not to have arrived as a whole.
    pub(super) fn park_idle(&self, session: Box<Session>) -> Parked {
        let token = self.next_token();
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            drop(session);
            return Parked::Closed;
        }
        state
            .parked
            .insert(token, ParkedSession { session, register_at: Deadline::after(POLL_INTERVAL), registered: false });
        let is_first = state.idle_polls.is_none();
        state.idle_polls = Some(0);
        Parked::At(token, is_first)
    }

    /// Takes a connection, if nobody else has.
    pub(super) fn unpark(&self, token: Token) -> Option<Box<Session>> {
        let ParkedSession { session, registered, .. } = lock(&self.state).parked.remove(&token)?;
        if registered {
            self.deregister(session.socket());
        }
        Some(session)
    }

    /// The acceptor's round: watches the connections whose grace is over.
    ///
    /// # Returns
    ///
    /// Those that cannot be watched and need a handler thread at once.
    pub(super) fn poll_parked(&self) -> VecDeque<Box<Session>> {
        let mut state = lock(&self.state);
        let Some(idle_polls) = state.idle_polls else { return VecDeque::new() };
        let mut unregistrable = Vec::new();
        let mut is_idle = true;
        for (token, place) in state.parked.iter_mut().filter(|(_, place)| !place.registered) {
            is_idle = false;
            if place.register_at.has_passed() {
                place.registered = self.register(place.session.socket(), *token).is_ok();
                unregistrable.extend((!place.registered).then_some(*token));
            }
        }
        let idle_polls = if is_idle { idle_polls.saturating_add(1) } else { 0 };
        state.idle_polls = (idle_polls < IDLE_POLLS).then_some(idle_polls);
        unregistrable.iter().filter_map(|token| state.parked.remove(token)).map(|place| place.session).collect()
    }

    /// Whether the acceptor is to look around.
    pub(super) fn is_polling(&self) -> bool {
        lock(&self.state).idle_polls.is_some()
    }

    /// What says what that poll watches, unless other code has closed it.
    pub(super) fn registry(&self) -> Result<&Registry> {
        self.registry.verified()
    }

    /// Watches a socket for something to read, at most once per arrival.
    pub(super) fn register(&self, socket: &Socket, token: Token) -> Result<()> {
        let descriptor = socket.here()?.as_raw_fd();
        self.registry.here()?.register(&mut SourceFd(&descriptor), token, Interest::READABLE).map_err(|error| {
            Error::System {
                operation: "could not watch a connection".to_owned(),
                code: error.raw_os_error().unwrap_or_default(),
            }
        })
    }

    /// Watches a socket no more.
    pub(super) fn deregister(&self, socket: &Socket) {
        if let (Ok(socket), Ok(registry)) = (socket.here(), self.registry.here()) {
            // It fails only for what is not watched.
            let _ = registry.deregister(&mut SourceFd(&socket.as_raw_fd()));
        }
    }

    /// Parks nothing any more, and gives back what was parked.
    pub(super) fn close(&self) -> VecDeque<Box<Session>> {
        let mut state = lock(&self.state);
        state.closed = true;
        std::mem::take(&mut state.parked).into_values().map(|place| place.session).collect()
    }
}

/// The acceptor's own tokens come before it.
pub(super) const FIRST_TOKEN: usize = 2;
