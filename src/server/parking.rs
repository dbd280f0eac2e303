//! Connections whose handler has answered, or need not, and is still at work.
//!
//! Whoever takes one out of the map owns it: the attendant when the handler ends, or the doorkeeper when the next request
//! arrives first. Nearly every handler ends within microseconds, so the doorkeeper begins to watch a connection only after
//! [`GRACE`]: while anything is parked it looks around every so often, and parking costs no system call.

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Poll, Registry, Token};

use super::rounds::{GRACE, IDLE_ROUNDS};
use super::session::Session;
use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::fork::ProcessLocal;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, lock};

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
    parked: HashMap<Token, Place>,
    closed: bool,
    /// Whether the doorkeeper looks around, and how many times in a row it found nothing.
    rounds: Option<u32>,
}

/// A parked connection.
#[derive(Debug)]
struct Place {
    session: Box<Session>,
    grace: Deadline,
    watched: bool,
}

/// What became of a connection that was to be parked.
#[derive(Debug)]
pub(super) enum Parked {
    /// It is here. True if the doorkeeper is to be told, because it sleeps.
    At(Token, bool),
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
            let original = poll.get()?.registry();
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

    /// Keeps a connection until somebody takes it.
    pub(super) fn park(&self, session: Box<Session>) -> Parked {
        if session.has_partial_frame() {
            return Parked::Busy(session);
        }
        self.keep(session)
    }

    /// As [`Parking::park`], for one whose next request is known not to have arrived as a whole.
    pub(super) fn keep(&self, session: Box<Session>) -> Parked {
        let token = self.fresh_token();
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            drop(session);
            return Parked::Closed;
        }
        state.parked.insert(token, Place { session, grace: Deadline::after(GRACE), watched: false });
        let is_first = state.rounds.is_none();
        state.rounds = Some(0);
        Parked::At(token, is_first)
    }

    /// Takes a connection, if nobody else has.
    pub(super) fn take(&self, token: Token) -> Option<Box<Session>> {
        let Place { session, watched, .. } = lock(&self.state).parked.remove(&token)?;
        if watched {
            self.unwatch(session.socket());
        }
        Some(session)
    }

    /// The doorkeeper's round: watches the connections whose grace is over.
    ///
    /// # Returns
    ///
    /// Those that cannot be watched and need an attendant at once.
    pub(super) fn look_around(&self) -> VecDeque<Box<Session>> {
        let mut state = lock(&self.state);
        let Some(rounds) = state.rounds else { return VecDeque::new() };
        let mut unwatchable = Vec::new();
        let mut is_idle = true;
        for (token, place) in state.parked.iter_mut().filter(|(_, place)| !place.watched) {
            is_idle = false;
            if place.grace.has_passed() {
                place.watched = self.watch(place.session.socket(), *token).is_ok();
                unwatchable.extend((!place.watched).then_some(*token));
            }
        }
        let rounds = if is_idle { rounds.saturating_add(1) } else { 0 };
        state.rounds = (rounds < IDLE_ROUNDS).then_some(rounds);
        unwatchable.iter().filter_map(|token| state.parked.remove(token)).map(|place| place.session).collect()
    }

    /// Whether the doorkeeper is to look around.
    pub(super) fn needs_rounds(&self) -> bool {
        lock(&self.state).rounds.is_some()
    }

    /// What says what that poll watches, unless other code has closed it.
    pub(super) fn registry(&self) -> Result<&Registry> {
        self.registry.verified()
    }

    /// Watches a socket for something to read, at most once per arrival.
    pub(super) fn watch(&self, socket: &Socket, token: Token) -> Result<()> {
        let descriptor = socket.get()?.as_raw_fd();
        self.registry.get()?.register(&mut SourceFd(&descriptor), token, Interest::READABLE).map_err(|error| {
            Error::System {
                operation: "could not watch a connection".to_owned(),
                code: error.raw_os_error().unwrap_or_default(),
            }
        })
    }

    /// Watches a socket no more.
    pub(super) fn unwatch(&self, socket: &Socket) {
        if let (Ok(socket), Ok(registry)) = (socket.get(), self.registry.get()) {
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

/// The doorkeeper's own tokens come before it.
pub(super) const FIRST_TOKEN: usize = 2;
