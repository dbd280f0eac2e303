//! Connections that wait for a handler thread, and handler threads that wait for a connection.

use std::collections::VecDeque;

use super::session::Session;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::semaphore::{Semaphore, Waited};
use crate::sync::{Mutex, lock};

/// Where connections and handler threads meet.
#[derive(Debug)]
pub(super) struct ReadyQueue {
    spare_threads: usize,
    max_threads: usize,
    state: Mutex<State>,
    ready: Semaphore,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Box<Session>>,
    threads: usize,
    /// How many of the handler threads have a connection.
    busy: usize,
    closed: bool,
    /// Whether nothing is served any more.
    sealed: bool,
}

impl State {
    fn idle(&self) -> usize {
        self.threads.saturating_sub(self.busy)
    }
}

/// What a handler thread found.
#[derive(Debug)]
pub(super) enum Popped {
    /// A connection to serve.
    Session(Box<Session>),
    /// A signal; it should look again.
    Interrupted,
    /// Nothing more to do: enough others are waiting, or the server stops. It is counted no more.
    Exit,
}

impl ReadyQueue {
    /// An empty ready queue in which `spare_threads` handler threads should wait at any time, of `max_threads` in all.
    pub(super) fn new(spare_threads: usize, max_threads: usize) -> Result<Self> {
        Ok(Self { spare_threads, max_threads, state: Mutex::default(), ready: Semaphore::new()? })
    }

    /// Lets a connection wait. True if a handler thread more will be needed.
    ///
    /// After the ready queue was closed the connection is closed instead, unless it carries notifications that are still to be
    /// read.
    pub(super) fn push(&self, session: Box<Session>) -> bool {
        let mut state = lock(&self.state);
        if state.sealed || (state.closed && session.sender().is_none()) {
            drop(state);
            drop(session);
            return false;
        }
        state.waiting.push_back(session);
        // Under the lock: whoever finds the connection takes this post, and one that came later would stay for ever and
        // let no handler thread sleep.
        self.ready.post();
        self.needs_thread(&state)
    }

    /// Blocks until there is a connection, a signal, or no reason to stay.
    pub(super) fn pop_blocking(&self) -> Result<Popped> {
        loop {
            if let Some(found) = self.try_pop() {
                return Ok(found);
            }
            if self.ready.wait(&Deadline::never())? == Waited::Signalled {
                return Ok(Popped::Interrupted);
            }
        }
    }

    /// Counts another handler thread, if one is needed.
    pub(super) fn try_add_thread(&self) -> bool {
        let mut state = lock(&self.state);
        let is_needed = !state.closed && self.needs_thread(&state);
        if is_needed {
            state.threads = state.threads.saturating_add(1);
        }
        is_needed
    }

    /// A handler thread's connection has ended, or gone to another.
    pub(super) fn release(&self) {
        let mut state = lock(&self.state);
        state.busy = state.busy.saturating_sub(1);
    }

    /// A handler thread without a connection is counted no more.
    pub(super) fn remove_thread(&self) {
        let mut state = lock(&self.state);
        state.threads = state.threads.saturating_sub(1);
    }

    /// Sends handler threads away when they find no connection, and gives back those that waited, but for those that carry
    /// notifications.
    pub(super) fn close(&self) -> VecDeque<Box<Session>> {
        let mut state = lock(&self.state);
        state.closed = true;
        // Nobody takes this post, so that it wakes everybody.
        self.ready.post();
        let (kept, given_back) =
            std::mem::take(&mut state.waiting).into_iter().partition(|session| session.sender().is_some());
        state.waiting = kept;
        given_back
    }

    /// Gives back the connections that no handler thread has found.
    pub(super) fn take_waiting(&self) -> VecDeque<Box<Session>> {
        std::mem::take(&mut lock(&self.state).waiting)
    }

    /// Takes the connections for which no handler thread is spare. Those that carry notifications stay: nobody waits for an
    /// answer to these.
    pub(super) fn take_stranded(&self) -> VecDeque<Box<Session>> {
        let mut state = lock(&self.state);
        let served = state.idle().min(state.waiting.len());
        let (kept, stranded): (VecDeque<_>, VecDeque<_>) =
            state.waiting.split_off(served).into_iter().partition(|session| session.sender().is_some());
        state.waiting.extend(kept);
        stranded.iter().for_each(|_| self.ready.take());
        stranded
    }

    /// Lets no connection wait any more.
    pub(super) fn seal(&self) -> VecDeque<Box<Session>> {
        lock(&self.state).sealed = true;
        self.take_waiting()
    }

    /// How many handler threads there are, and how many of them have no connection.
    pub(super) fn thread_counts(&self) -> (usize, usize) {
        let state = lock(&self.state);
        (state.threads, state.idle())
    }

    fn needs_thread(&self, state: &State) -> bool {
        let wanted = self.spare_threads.saturating_add(state.waiting.len());
        state.idle() < wanted && state.threads < self.max_threads
    }

    fn try_pop(&self) -> Option<Popped> {
        let mut state = lock(&self.state);
        if let Some(session) = state.waiting.pop_front() {
            state.busy = state.busy.saturating_add(1);
            self.ready.take();
            return Some(Popped::Session(session));
        }
        if state.closed || state.idle() > self.spare_threads {
            state.threads = state.threads.saturating_sub(1);
            return Some(Popped::Exit);
        }
        None
    }
}
