//! What the threads of a started server share, from its start to its stop.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::net::Shutdown;

use super::counters::Counters;
use super::lobby::Lobby;
use super::parking::Parking;
use super::session::Session;
use crate::connection::{Connection, Socket, shut_down};
use crate::document::Documents;
use crate::error::Result;
use crate::fork;
use crate::journal::{Journal, Level};
use crate::options::ServerOptions;
use crate::semaphore::Semaphore;
use crate::sync::lock;

/// Everything between the door and the threads that serve.
#[derive(Debug)]
pub(super) struct Hall {
    pub(super) lobby: Lobby,
    pub(super) parking: Parking,
    pub(super) documents: Arc<Documents>,
    pub(super) counters: Arc<Counters>,
    pub(super) read_timeout: Duration,
    pub(super) write_timeout: Duration,
    /// Posted when the steward has something to do.
    pub(super) steward_bell: Semaphore,
    /// Posted when the doorkeeper is to look up.
    pub(super) doorkeeper_bell: Semaphore,
    pub(super) journal: Journal,
    max_frame_size: usize,
    max_connections: usize,
    next_session: AtomicU64,
    sockets: Mutex<HashMap<u64, Socket>>,
    pending_handshakes: AtomicUsize,
    generation: u32,
}

impl Hall {
    /// An empty hall.
    pub(super) fn new(
        options: &ServerOptions,
        documents: Arc<Documents>,
        counters: Arc<Counters>,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            lobby: Lobby::new(options.spare_threads)?,
            parking: Parking::new()?,
            documents,
            counters,
            read_timeout: options.read_timeout,
            write_timeout: options.write_timeout,
            steward_bell: Semaphore::new()?,
            doorkeeper_bell: Semaphore::new()?,
            journal: Journal::default(),
            max_frame_size: options.max_frame_size,
            max_connections: options.max_connections,
            next_session: AtomicU64::new(0),
            sockets: Mutex::new(HashMap::new()),
            pending_handshakes: AtomicUsize::new(0),
            generation: fork::generation(),
        }))
    }

    /// Whether it was not inherited. In a forked copy, such as that of a thread that forked inside a handler, no lock of
    /// it may be waited for: its holder does not exist.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.generation == fork::generation()
    }

    /// Whether another connection may be admitted.
    pub(super) fn has_room(&self) -> bool {
        lock(&self.sockets).len() < self.max_connections
    }

    /// Takes in a connection that has proved itself.
    pub(super) fn admit(self: &Arc<Self>, socket: Socket) {
        self.counters.admitted.add_one();
        let number = self.next_session.fetch_add(1, Ordering::Relaxed);
        lock(&self.sockets).insert(number, socket.clone());
        let connection = Connection::new(socket, self.max_frame_size);
        self.seek_attendant(Session::new(connection, self.clone(), number));
    }

    /// Lets a connection that has something to say wait for an attendant.
    pub(super) fn seek_attendant(&self, session: Box<Session>) {
        if self.lobby.enter(session) {
            self.steward_bell.post();
        }
    }

    /// Forgets a connection that ended. Does nothing in a forked copy.
    pub(super) fn forget(&self, number: u64) {
        if self.is_of_this_process() {
            lock(&self.sockets).remove(&number);
        }
    }

    /// Writes to the journal and calls the steward.
    pub(super) fn report(&self, level: Level, message: impl Into<String>) {
        self.journal.write(level, message);
        self.steward_bell.post();
    }

    /// Sends everybody home: the doorkeeper, the steward, and each attendant when it next looks for work.
    pub(super) fn close(&self) {
        let waiting = self.lobby.close();
        let parked = self.parking.close();
        self.steward_bell.post();
        self.doorkeeper_bell.post();
        // Dropped here, outside the locks above: each of them takes the lock of `sockets`.
        drop((waiting, parked));
    }

    /// Whether it was closed; also in a forked copy.
    pub(super) fn is_closed(&self) -> bool {
        !self.is_of_this_process() || self.lobby.is_closed()
    }

    /// Ends one or both directions of every connection.
    pub(super) fn shut_down_connections(&self, how: Shutdown) {
        for socket in lock(&self.sockets).values() {
            shut_down(socket, how);
        }
    }

    /// Notes how many connections are in the middle of a handshake.
    pub(super) fn note_pending_handshakes(&self, count: usize) {
        self.pending_handshakes.store(count, Ordering::Relaxed);
    }

    /// Figures by name.
    pub(super) fn stats(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("connections", lock(&self.sockets).len() as u64),
            ("spare_threads", self.lobby.spares() as u64),
            ("pending_handshakes", self.pending_handshakes.load(Ordering::Relaxed) as u64),
        ]
    }
}
