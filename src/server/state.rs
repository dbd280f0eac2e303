//! What every connection of a started server needs: who is there, what is counted, and where to report.

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

/// From a server's start to its stop.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) documents: Arc<Documents>,
    pub(super) counters: Arc<Counters>,
    pub(super) read_timeout: Duration,
    pub(super) write_timeout: Duration,
    /// Posted when the supervisor has something to do.
    pub(super) supervisor_waker: Semaphore,
    /// Posted when the server stops, and never taken.
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
    /// In the order in which they came.
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

    /// Whether it was not inherited. In a forked copy, such as that of a thread that forked inside a handler, no lock of
    /// the server may be waited for: its holder does not exist.
    pub(super) fn is_owner(&self) -> bool {
        self.generation == fork::generation()
    }

    /// Whether another connection may be admitted.
    pub(super) fn below_limit(&self) -> bool {
        self.connection_count() < self.max_connections
    }

    /// Takes note of an admitted connection, and gives it a number.
    pub(super) fn insert(&self, socket: Socket) -> u64 {
        self.counters.admitted.add_one();
        let mut connections = lock(&self.connections);
        let number = connections.next_number;
        connections.next_number = number.wrapping_add(1);
        connections.by_number.insert(number, socket);
        number
    }

    /// Forgets a connection that ended. Does nothing in a forked copy.
    pub(super) fn remove(&self, number: u64) {
        if self.is_owner() {
            lock(&self.connections).by_number.remove(&number);
        }
    }

    /// How many connections are admitted.
    pub(super) fn connection_count(&self) -> usize {
        lock(&self.connections).by_number.len()
    }

    /// Ends every connection.
    pub(super) fn shut_down_all(&self) {
        self.shut_down(|_| Some(Shutdown::Both));
    }

    /// Ends what `how` says of each connection's number.
    pub(super) fn shut_down(&self, how: impl Fn(u64) -> Option<Shutdown>) {
        for (number, socket) in &lock(&self.connections).by_number {
            if let Some(how) = how(*number) {
                shut_down(socket, how);
            }
        }
    }

    /// Writes to the journal and calls the supervisor.
    pub(super) fn log(&self, level: Level, message: impl Into<String>) {
        self.journal.write(level, message);
        self.supervisor_waker.post();
    }

    /// What was reported and not taken yet.
    pub(super) fn drain_log(&self) -> Vec<Entry> {
        self.journal.take()
    }

    /// Lets every thread end as soon as it looks.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.closing.post();
        self.supervisor_waker.post();
    }

    /// Has what is still read be counted, and handled no more.
    pub(super) fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
    }

    /// Whether nothing is handled any more.
    pub(super) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Whether it was closed; also in a forked copy.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) || !self.is_owner()
    }
}
