//! Connections that wait for a handler thread, and the count of handler threads that wait for a connection.

use std::collections::VecDeque;

use super::session::Session;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::sys::notifier::{Notifier, Wakeup};
use crate::sys::sync::{Mutex, lock};

/// A blocking queue of connections that have something to read.
#[derive(Debug)]
pub(super) struct ReadyQueue {
    spare_threads: usize,
    max_threads: usize,
    state: Mutex<State>,
    ready: Notifier,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Box<Session>>,
    threads: usize,
    /// The threads that have a connection.
    busy: usize,
    closed: bool,
    /// True once no connection is served any more.
    sealed: bool,
}

impl State {
    fn idle(&self) -> usize {
        self.threads.saturating_sub(self.busy)
    }
}

/// The outcome of waiting for a connection.
#[derive(Debug)]
pub(super) enum Popped {
    /// A connection to serve.
    Session(Box<Session>),
    /// A signal came; the thread should call again.
    Interrupted,
    /// The thread is to end, because enough others are idle or the server stops. It is not counted any more.
    Exit,
}

impl ReadyQueue {
    /// An empty queue for at most `max_threads` threads, of which `spare_threads` should be idle at any time.
    pub(super) fn new(spare_threads: usize, max_threads: usize) -> Result<Self> {
        Ok(Self { spare_threads, max_threads, state: Mutex::default(), ready: Notifier::new()? })
    }

    /// Queues a connection. True if another handler thread is needed.
    ///
    /// A closed queue drops the connection, unless it carries notifications that are still to be read.
    pub(super) fn push(&self, session: Box<Session>) -> bool {
        let mut state = lock(&self.state);
        if state.sealed || (state.closed && session.sender().is_none()) {
            drop(state);
            drop(session);
            return false;
        }
        state.waiting.push_back(session);
        // Post while holding the lock. `try_pop` consumes one post per session; a late one would never be consumed and
        // every idle thread would spin.
        self.ready.notify();
        self.needs_thread(&state)
    }

    /// Blocks until there is a connection, a signal, or a reason to exit.
    pub(super) fn pop_blocking(&self) -> Result<Popped> {
        loop {
            if let Some(found) = self.try_pop() {
                return Ok(found);
            }
            if self.ready.wait(&Deadline::never())? == Wakeup::Signalled {
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

    /// Counts a handler thread as idle again, after its connection has ended or was passed on.
    pub(super) fn release(&self) {
        let mut state = lock(&self.state);
        state.busy = state.busy.saturating_sub(1);
    }

    /// Removes an idle handler thread from the count.
    pub(super) fn remove_thread(&self) {
        let mut state = lock(&self.state);
        state.threads = state.threads.saturating_sub(1);
    }

    /// Makes handler threads exit once the queue is empty. Returns the queued connections, except those that carry
    /// notifications.
    pub(super) fn close(&self) -> VecDeque<Box<Session>> {
        let mut state = lock(&self.state);
        state.closed = true;
        // This post is never consumed, so it wakes every thread.
        self.ready.notify();
        let (kept, given_back) =
            std::mem::take(&mut state.waiting).into_iter().partition(|session| session.sender().is_some());
        state.waiting = kept;
        given_back
    }

    /// Takes all queued connections.
    pub(super) fn take_waiting(&self) -> VecDeque<Box<Session>> {
        std::mem::take(&mut lock(&self.state).waiting)
    }

    /// Takes the queued connections for which there is no idle handler thread. Those that carry notifications stay,
    /// because no caller waits for an answer to these.
    pub(super) fn take_stranded(&self) -> VecDeque<Box<Session>> {
        let mut state = lock(&self.state);
        let served = state.idle().min(state.waiting.len());
        let (kept, stranded): (VecDeque<_>, VecDeque<_>) =
            state.waiting.split_off(served).into_iter().partition(|session| session.sender().is_some());
        state.waiting.extend(kept);
        stranded.iter().for_each(|_| self.ready.consume());
        stranded
    }

    /// Closes the queue for connections of every kind, and takes those that are in it.
    pub(super) fn seal(&self) -> VecDeque<Box<Session>> {
        lock(&self.state).sealed = true;
        self.take_waiting()
    }

    /// The number of handler threads, and how many of them are idle.
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
            self.ready.consume();
            return Some(Popped::Session(session));
        }
        if state.closed || state.idle() > self.spare_threads {
            state.threads = state.threads.saturating_sub(1);
            return Some(Popped::Exit);
        }
        None
    }
}
