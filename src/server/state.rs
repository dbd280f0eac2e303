//! State shared by all threads and connections of a running server: connection table, counters, log, and which threads
//! run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::Shutdown;

use crate::connection::{Socket, shut_down};
use crate::documents::DocumentStore;
use crate::error::Result;
use crate::log_buffer::{Level, LogBuffer, LogEntry};
use crate::metrics::ServerCounters;
use crate::options::ServerOptions;
use crate::sys::fork;
use crate::sys::notifier::Notifier;
use crate::sys::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sys::sync::{Mutex, lock};

/// Lives from a server's start to its stop.
#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) documents: Arc<DocumentStore>,
    pub(super) counters: Arc<ServerCounters>,
    pub(super) read_timeout: Duration,
    pub(super) write_timeout: Duration,
    /// Wakes the acceptor from its poll.
    pub(super) acceptor_waker: Notifier,
    /// Wakes the supervisor.
    pub(super) supervisor_waker: Notifier,
    /// Posted when the server stops, and never consumed.
    pub(super) closing: Notifier,
    log_buffer: LogBuffer,
    max_connections: usize,
    connections: Mutex<ConnectionTable>,
    pending_handshakes: AtomicUsize,
    acceptor_exited: AtomicBool,
    has_supervisor: AtomicBool,
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
        documents: Arc<DocumentStore>,
        counters: Arc<ServerCounters>,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            documents,
            counters,
            read_timeout: options.read_timeout,
            write_timeout: options.write_timeout,
            acceptor_waker: Notifier::new()?,
            supervisor_waker: Notifier::new()?,
            closing: Notifier::new()?,
            log_buffer: LogBuffer::default(),
            max_connections: options.max_connections,
            connections: Mutex::default(),
            pending_handshakes: AtomicUsize::new(0),
            acceptor_exited: AtomicBool::new(false),
            has_supervisor: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            sealed: AtomicBool::new(false),
            generation: fork::generation(),
        }))
    }

    /// True in the process that started the server. In a forked copy, such as that of a thread that forked in a
    /// handler, none of the server's locks may be waited for: their holders do not exist.
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
        self.log_buffer.write(level, message);
        self.supervisor_waker.notify();
    }

    /// Takes the lines that were logged since the last call.
    pub(super) fn drain_log(&self) -> Vec<LogEntry> {
        self.log_buffer.drain()
    }

    /// Tells every thread to exit.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.closing.notify();
        self.supervisor_waker.notify();
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

    /// Claims the role of the supervisor. False while another one has it.
    pub(super) fn claim_supervision(&self) -> bool {
        !self.has_supervisor.swap(true, Ordering::AcqRel)
    }

    /// True while a thread of the host starts handler threads when they are needed.
    pub(super) fn has_supervisor(&self) -> bool {
        self.has_supervisor.load(Ordering::Acquire)
    }

    /// Records that there is no supervisor, so that no handler threads are started. Does nothing in a forked copy.
    pub(super) fn supervisor_exited(&self) {
        if self.is_owner() {
            self.has_supervisor.store(false, Ordering::Release);
            self.acceptor_waker.notify();
        }
    }

    /// Records that the acceptor has exited and will log nothing more.
    pub(super) fn acceptor_exited(&self) {
        self.acceptor_exited.store(true, Ordering::Release);
        self.supervisor_waker.notify();
    }

    /// True if it was closed and the acceptor has exited; also in a forked copy.
    pub(super) fn has_shut_down(&self) -> bool {
        self.is_closed() && (self.acceptor_exited.load(Ordering::Acquire) || !self.is_owner())
    }

    /// Records the number of connections that are in their handshake, for the statistics.
    pub(super) fn set_pending_handshakes(&self, count: usize) {
        self.pending_handshakes.store(count, Ordering::Relaxed);
    }

    /// Without a supervisor the acceptor answers on queued connections (`Dispatcher::take_stranded`).
    pub(super) fn wake_acceptor_if_unsupervised(&self) {
        if !self.has_supervisor() {
            self.acceptor_waker.notify();
        }
    }

    /// The number of connections that are in their handshake.
    pub(super) fn pending_handshakes(&self) -> usize {
        self.pending_handshakes.load(Ordering::Relaxed)
    }
}
