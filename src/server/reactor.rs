//! Watches parked connections: those whose handler still runs but whose request is answered, or needs no answer.
//!
//! A parked connection belongs to whichever takes it out first: its handler thread when the handler ends, or the
//! acceptor when the next request arrives. Nearly every handler ends within microseconds, so the acceptor registers a
//! connection with its poll only after [`POLL_INTERVAL`]; while any is parked the acceptor looks at that interval, and
//! parking costs no system call.

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Interest, Poll, Registry, Token};

use super::polling::{IDLE_POLLS, POLL_INTERVAL};
use super::session::Session;
use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::sys::fork::ProcessLocal;
use crate::sys::sync::atomic::{AtomicUsize, Ordering};
use crate::sys::sync::{Mutex, lock};

/// The parked connections, and the acceptor's poll.
#[derive(Debug)]
pub(super) struct Reactor {
    registry: ProcessLocal<Registry>,
    /// `None` once the acceptor has taken it.
    poll: Mutex<Option<ProcessLocal<Poll>>>,
    next_token: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    parked: HashMap<Token, ParkedSession>,
    closed: bool,
    /// `Some` while the acceptor polls: the number of polls in a row that found no unregistered connection.
    idle_polls: Option<u32>,
}

/// A parked connection.
#[derive(Debug)]
struct ParkedSession {
    session: Box<Session>,
    register_at: Deadline,
    registered: bool,
}

/// The outcome of parking a connection.
#[derive(Debug)]
pub(super) enum Parked {
    /// It was parked. True if the acceptor sleeps and must be woken.
    At(Token, bool),
    /// Its next request has arrived already: it needs a handler thread.
    Busy(Box<Session>),
    /// The server stops, and the connection was closed.
    Closed,
}

impl Reactor {
    /// A reactor without connections.
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

    /// Takes the poll, which belongs to the acceptor alone.
    pub(super) fn take_poll(&self) -> Option<ProcessLocal<Poll>> {
        lock(&self.poll).take()
    }

    /// A token that was never used before.
    pub(super) fn next_token(&self) -> Token {
        Token(self.next_token.fetch_add(1, Ordering::Relaxed))
    }

    /// Parks a connection until [`Reactor::unpark`].
    pub(super) fn park(&self, session: Box<Session>) -> Parked {
        if session.has_partial_frame() {
            return Parked::Busy(session);
        }
        self.park_idle(session)
    }

    /// As [`Reactor::park`], for a connection whose next request is known to be incomplete.
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

    /// Takes a parked connection, unless another thread has taken it.
    pub(super) fn unpark(&self, token: Token) -> Option<Box<Session>> {
        let ParkedSession { session, registered, .. } = lock(&self.state).parked.remove(&token)?;
        if registered {
            self.deregister(session.socket());
        }
        Some(session)
    }

    /// Registers connections that were parked for longer than [`POLL_INTERVAL`] with the poll; for the acceptor.
    ///
    /// # Returns
    ///
    /// Those that cannot be registered and need a handler thread at once.
    pub(super) fn poll_parked(&self) -> VecDeque<Box<Session>> {
        let mut state = lock(&self.state);
        let Some(idle_polls) = state.idle_polls else { return VecDeque::new() };
        let mut unregistrable = Vec::new();
        let mut is_idle = true;
        for (token, parked) in state.parked.iter_mut().filter(|(_, parked)| !parked.registered) {
            is_idle = false;
            if parked.register_at.has_passed() {
                parked.registered = self.register(parked.session.socket(), *token).is_ok();
                unregistrable.extend((!parked.registered).then_some(*token));
            }
        }
        let idle_polls = if is_idle { idle_polls.saturating_add(1) } else { 0 };
        state.idle_polls = (idle_polls < IDLE_POLLS).then_some(idle_polls);
        unregistrable.iter().filter_map(|token| state.parked.remove(token)).map(|parked| parked.session).collect()
    }

    /// True while the acceptor must call [`Reactor::poll_parked`].
    pub(super) fn is_polling(&self) -> bool {
        lock(&self.state).idle_polls.is_some()
    }

    /// The poll's registry, unless other code has closed it.
    pub(super) fn registry(&self) -> Result<&Registry> {
        self.registry.verified()
    }

    /// Registers a socket for readability, edge-triggered.
    pub(super) fn register(&self, socket: &Socket, token: Token) -> Result<()> {
        let descriptor = socket.get()?.as_raw_fd();
        self.registry.get()?.register(&mut SourceFd(&descriptor), token, Interest::READABLE).map_err(|error| {
            Error::System {
                operation: "could not watch a connection".to_owned(),
                code: error.raw_os_error().unwrap_or_default(),
            }
        })
    }

    /// Removes a socket from the poll.
    pub(super) fn deregister(&self, socket: &Socket) {
        if let (Ok(socket), Ok(registry)) = (socket.get(), self.registry.get()) {
            // Fails only for a socket that is not registered.
            let _ = registry.deregister(&mut SourceFd(&socket.as_raw_fd()));
        }
    }

    /// Takes all parked connections; later ones are closed.
    pub(super) fn close(&self) -> VecDeque<Box<Session>> {
        let mut state = lock(&self.state);
        state.closed = true;
        std::mem::take(&mut state.parked).into_values().map(|parked| parked.session).collect()
    }
}

/// Lower tokens are the acceptor's own.
pub(super) const FIRST_TOKEN: usize = 2;
