//! What every connection of a started server needs: who is there, what is counted, and where to report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::Shutdown;

use crate::connection::{Socket, shut_down};
use crate::document::DocumentStore;
use crate::error::Result;
use crate::fork;
use crate::log_buffer::{Level, LogBuffer, LogEntry};
use crate::metrics::ServerCounters;
use crate::notifier::Notifier;
use crate::options::ServerOptions;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, lock};

/// From a server's start to its stop.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) documents: Arc<DocumentStore>,
    pub(super) counters: Arc<ServerCounters>,
    pub(super) read_timeout: Duration,
    pub(super) write_timeout: Duration,
    /// Posted when the steward has something to do.
    pub(super) steward_bell: Notifier,
    /// Posted when the server stops, and never taken.
    pub(super) closing: Notifier,
    log_buffer: LogBuffer,
    max_connections: usize,
    guests: Mutex<Guests>,
    closed: AtomicBool,
    sealed: AtomicBool,
    generation: u32,
}

#[derive(Debug, Default)]
struct Guests {
    /// In the order in which they came.
    connections: BTreeMap<u64, Guest>,
    next_number: u64,
}

#[derive(Debug)]
struct Guest {
    socket: Socket,
    carries_notifications: bool,
}

impl Desk {
    /// A desk at which nobody is yet.
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
            steward_bell: Notifier::new()?,
            closing: Notifier::new()?,
            log_buffer: LogBuffer::default(),
            max_connections: options.max_connections,
            guests: Mutex::default(),
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
    pub(super) fn has_room(&self) -> bool {
        self.connections() < self.max_connections
    }

    /// Takes note of an admitted connection, and gives it a number.
    pub(super) fn enroll(&self, socket: Socket) -> u64 {
        self.counters.admitted.add_one();
        let mut guests = lock(&self.guests);
        let number = guests.next_number;
        guests.next_number = number.wrapping_add(1);
        guests.connections.insert(number, Guest { socket, carries_notifications: false });
        number
    }

    /// Takes note that a connection carries notifications.
    pub(super) fn note_notifications(&self, number: u64) {
        if let Some(guest) = lock(&self.guests).connections.get_mut(&number) {
            guest.carries_notifications = true;
        }
    }

    /// Forgets a connection that ended. Does nothing in a forked copy.
    pub(super) fn forget(&self, number: u64) {
        if self.is_owner() {
            lock(&self.guests).connections.remove(&number);
        }
    }

    /// How many connections are admitted.
    pub(super) fn connections(&self) -> usize {
        lock(&self.guests).connections.len()
    }

    /// Lets every connection end after the call that it is in, or after what its sender's kernel has taken. To end the
    /// receiving half of one that carries notifications would have the kernel throw that away; its other half is ended,
    /// which tells the sender.
    pub(super) fn end_connections(&self) {
        self.shut_down(|guest| Some(if guest.carries_notifications { Shutdown::Write } else { Shutdown::Read }));
    }

    /// Ends every connection that is for calls.
    pub(super) fn shut_down_calls(&self) {
        self.shut_down(|guest| (!guest.carries_notifications).then_some(Shutdown::Both));
    }

    /// Ends every connection.
    pub(super) fn shut_down_all(&self) {
        self.shut_down(|_| Some(Shutdown::Both));
    }

    fn shut_down(&self, how: impl Fn(&Guest) -> Option<Shutdown>) {
        for guest in lock(&self.guests).connections.values() {
            if let Some(how) = how(guest) {
                shut_down(&guest.socket, how);
            }
        }
    }

    /// Writes to the log_buffer and calls the steward.
    pub(super) fn report(&self, level: Level, message: impl Into<String>) {
        self.log_buffer.write(level, message);
        self.steward_bell.notify();
    }

    /// What was reported and not taken yet.
    pub(super) fn take_reports(&self) -> Vec<LogEntry> {
        self.log_buffer.drain()
    }

    /// Lets every thread end as soon as it looks.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.closing.notify();
        self.steward_bell.notify();
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
