//! Connections that wait for an attendant, and attendants that wait for a connection.

use std::collections::VecDeque;

use super::session::Session;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::notifier::{Notifier, Wakeup};
use crate::sync::{Mutex, lock};

/// Where connections and attendants meet.
#[derive(Debug)]
pub(super) struct Lobby {
    spare_threads: usize,
    max_threads: usize,
    state: Mutex<State>,
    arrivals: Notifier,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Box<Session>>,
    attendants: usize,
    /// How many of the attendants have a connection.
    serving: usize,
    closed: bool,
    /// Whether nothing is served any more.
    sealed: bool,
}

impl State {
    fn spares(&self) -> usize {
        self.attendants.saturating_sub(self.serving)
    }
}

/// What an attendant found.
#[derive(Debug)]
pub(super) enum Found {
    /// A connection to serve.
    Session(Box<Session>),
    /// A signal; it should look again.
    Signal,
    /// Nothing more to do: enough others are waiting, or the server stops. It is counted no more.
    Leave,
}

impl Lobby {
    /// An empty lobby in which `spare_threads` attendants should wait at any time, of `max_threads` in all.
    pub(super) fn new(spare_threads: usize, max_threads: usize) -> Result<Self> {
        Ok(Self { spare_threads, max_threads, state: Mutex::default(), arrivals: Notifier::new()? })
    }

    /// Lets a connection wait. True if an attendant more will be needed.
    ///
    /// After the lobby was closed the connection is closed instead, unless it carries notifications that are still to be
    /// read.
    pub(super) fn enter(&self, session: Box<Session>) -> bool {
        let mut state = lock(&self.state);
        if state.sealed || (state.closed && session.sender().is_none()) {
            drop(state);
            drop(session);
            return false;
        }
        state.waiting.push_back(session);
        // Under the lock: whoever finds the connection takes this post, and one that came later would stay for ever and
        // let no attendant sleep.
        self.arrivals.notify();
        self.is_short(&state)
    }

    /// Blocks until there is a connection, a signal, or no reason to stay.
    pub(super) fn find(&self) -> Result<Found> {
        loop {
            if let Some(found) = self.look() {
                return Ok(found);
            }
            if self.arrivals.wait(&Deadline::never())? == Wakeup::Signalled {
                return Ok(Found::Signal);
            }
        }
    }

    /// Counts another attendant, if one is needed.
    pub(super) fn enlist(&self) -> bool {
        let mut state = lock(&self.state);
        let is_needed = !state.closed && self.is_short(&state);
        if is_needed {
            state.attendants = state.attendants.saturating_add(1);
        }
        is_needed
    }

    /// An attendant's connection has ended, or gone to another.
    pub(super) fn is_free_again(&self) {
        let mut state = lock(&self.state);
        state.serving = state.serving.saturating_sub(1);
    }

    /// An attendant without a connection is counted no more.
    pub(super) fn leave(&self) {
        let mut state = lock(&self.state);
        state.attendants = state.attendants.saturating_sub(1);
    }

    /// Sends attendants away when they find no connection, and gives back those that waited, but for those that carry
    /// notifications.
    pub(super) fn close(&self) -> VecDeque<Box<Session>> {
        let mut state = lock(&self.state);
        state.closed = true;
        // Nobody takes this post, so that it wakes everybody.
        self.arrivals.notify();
        let (kept, given_back) =
            std::mem::take(&mut state.waiting).into_iter().partition(|session| session.sender().is_some());
        state.waiting = kept;
        given_back
    }

    /// Gives back the connections that no attendant has found.
    pub(super) fn take_waiting(&self) -> VecDeque<Box<Session>> {
        std::mem::take(&mut lock(&self.state).waiting)
    }

    /// Takes the connections for which no attendant is spare. Those that carry notifications stay: nobody waits for an
    /// answer to these.
    pub(super) fn take_stranded(&self) -> VecDeque<Box<Session>> {
        let mut state = lock(&self.state);
        let served = state.spares().min(state.waiting.len());
        let (kept, stranded): (VecDeque<_>, VecDeque<_>) =
            state.waiting.split_off(served).into_iter().partition(|session| session.sender().is_some());
        state.waiting.extend(kept);
        stranded.iter().for_each(|_| self.arrivals.consume());
        stranded
    }

    /// Lets no connection wait any more.
    pub(super) fn seal(&self) -> VecDeque<Box<Session>> {
        lock(&self.state).sealed = true;
        self.take_waiting()
    }

    /// How many attendants there are, and how many of them have no connection.
    pub(super) fn attendants_and_spares(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.attendants, state.spares())
    }

    fn is_short(&self, state: &State) -> bool {
        let wanted = self.spare_threads.saturating_add(state.waiting.len());
        state.spares() < wanted && state.attendants < self.max_threads
    }

    fn look(&self) -> Option<Found> {
        let mut state = lock(&self.state);
        if let Some(session) = state.waiting.pop_front() {
            state.serving = state.serving.saturating_add(1);
            self.arrivals.consume();
            return Some(Found::Session(session));
        }
        if state.closed || state.spares() > self.spare_threads {
            state.attendants = state.attendants.saturating_sub(1);
            return Some(Found::Leave);
        }
        None
    }
}
