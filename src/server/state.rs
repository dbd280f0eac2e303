//! State shared by all connections of a running server: connection table, counters, log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::Shutdown;

use super::counters::Counters;
use crate::connection::{Socket, shut_down};
use crate::document::Documents;
use crate::error::Result;
use crate::fork;
use crate::journal::{Entry, Journal, Level};
use crate::options::ServerOptions;
use crate::semaphore::Semaphore;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, lock};

/// Lives from a server's start to its stop.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) documents: Arc<Documents>,
    pub(super) counters: Arc<Counters>,
    pub(super) read_timeout: Duration,
    pub(super) write_timeout: Duration,
    /// Wakes the supervisor.
    pub(super) supervisor_waker: Semaphore,
    /// Posted when the server stops, and never consumed.
    pub(super) closing: Semaphore,
    journal: Journal,
    max_connections: usize,
    connections: Mutex<ConnectionTable>,
    closed: AtomicBool,
    sealed: AtomicBool,
    generation: u32,
}

#[derive(Debug, Default)]
struct ConnectionTable {
    /// Sorted by age, because numbers only grow.
    by_number: BTreeMap<u64, Socket>,
    next_number: u64,
}

impl ServerState {
    /// The state of a server that has no connections yet.
    pub(super) fn new(
        options: &ServerOptions,
        documents: Arc<Documents>,
        counters: Arc<Counters>,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            documents,
            counters,
            read_timeout: options.read_timeout,
            write_timeout: options.write_timeout,
            supervisor_waker: Semaphore::new()?,
            closing: Semaphore::new()?,
            journal: Journal::default(),
            max_connections: options.max_connections,
            connections: Mutex::default(),
            closed: AtomicBool::new(false),
            sealed: AtomicBool::new(false),
            generation: fork::generation(),
        }))
    }

    /// True in the process that started the server. In a forked copy, such as a thread that forked in a handler, none
    /// of the server's locks may be waited for: their holders do not exist.
    pub(super) fn is_owner(&self) -> bool {
        self.generation == fork::generation()
    }

    /// True if another connection may be admitted.
    pub(super) fn below_limit(&self) -> bool {
        self.connection_count() < self.max_connections
    }

    /// Adds an authenticated connection and returns its number.
    pub(super) fn insert(&self, socket: Socket) -> u64 {
        self.counters.admitted.add_one();
        let mut connections = lock(&self.connections);
        let number = connections.next_number;
        connections.next_number = number.wrapping_add(1);
        connections.by_number.insert(number, socket);
        number
    }

    /// Removes a connection that has ended. Does nothing in a forked copy.
    pub(super) fn remove(&self, number: u64) {
        if self.is_owner() {
            lock(&self.connections).by_number.remove(&number);
        }
    }

    /// The number of connections.
    pub(super) fn connection_count(&self) -> usize {
        lock(&self.connections).by_number.len()
    }

    /// Shuts down every connection.
    pub(super) fn shut_down_all(&self) {
        self.shut_down(|_| Some(Shutdown::Both));
    }

    /// Shuts down each connection as `how` says for its number.
    pub(super) fn shut_down(&self, how: impl Fn(u64) -> Option<Shutdown>) {
        for (number, socket) in &lock(&self.connections).by_number {
            if let Some(how) = how(*number) {
                shut_down(socket, how);
            }
        }
    }

    /// Logs a line and wakes the supervisor, which passes it to the host.
    pub(super) fn log(&self, level: Level, message: impl Into<String>) {
        self.journal.write(level, message);
        self.supervisor_waker.post();
    }

    /// Takes the lines that were logged since the last call.
    pub(super) fn drain_log(&self) -> Vec<Entry> {
        self.journal.take()
    }

    /// Tells every thread to exit.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.closing.post();
        self.supervisor_waker.post();
    }

    /// From now on, notifications that are read are counted as dropped and not handled.
    pub(super) fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
    }

    /// True once notifications are not handled any more.
    pub(super) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// True once it was closed; also in a forked copy.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) || !self.is_owner()
    }
}
