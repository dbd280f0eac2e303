//! Everything between the door and the threads that serve, from a server's start to its stop.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;

use super::desk::Desk;
use super::lobby::Lobby;
use super::parking::Parking;
use super::senders::Senders;
use super::session::Session;
use crate::connection::{Connection, Socket};
use crate::document::DocumentStore;
use crate::error::{Error, Result};
use crate::log_buffer::Level;
use crate::metrics::ServerCounters;
use crate::notifier::Notifier;
use crate::options::ServerOptions;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, lock};
use rustix::io::Errno;

/// What the threads of a started server share.
#[derive(Debug)]
pub(super) struct Hall {
    pub(super) desk: Arc<Desk>,
    pub(super) lobby: Lobby,
    pub(super) parking: Parking,
    pub(super) senders: Senders,
    /// Posted when the doorkeeper is to look up.
    pub(super) doorkeeper_bell: Notifier,
    /// How many notifications were dropped before the start.
    pub(super) dropped_before: u64,
    max_frame_size: usize,
    pending_handshakes: AtomicUsize,
    doorkeeper_left: AtomicBool,
    /// Whether some thread of the host starts others where they are needed.
    has_steward: AtomicBool,
    failed: Mutex<bool>,
}

impl Hall {
    /// An empty hall.
    pub(super) fn new(
        options: &ServerOptions,
        documents: Arc<DocumentStore>,
        counters: Arc<ServerCounters>,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            dropped_before: counters.dropped_notifications.read(),
            desk: Desk::new(options, documents, counters)?,
            lobby: Lobby::new(options.spare_threads, options.max_threads)?,
            parking: Parking::new()?,
            senders: Senders::default(),
            doorkeeper_bell: Notifier::new()?,
            max_frame_size: options.max_frame_size,
            pending_handshakes: AtomicUsize::new(0),
            doorkeeper_left: AtomicBool::new(false),
            has_steward: AtomicBool::new(true),
            failed: Mutex::default(),
        }))
    }

    /// Takes in a connection that has proved itself.
    pub(super) fn admit(self: &Arc<Self>, socket: Socket) {
        let number = self.desk.enroll(socket.clone());
        let connection = Connection::new(socket, self.max_frame_size);
        self.seek_attendant(Session::new(connection, self, number));
    }

    /// Lets a connection that has something to say wait for an attendant.
    pub(super) fn seek_attendant(&self, session: Box<Session>) {
        if self.lobby.enter(session) {
            self.desk.steward_bell.notify();
        }
        self.tell_doorkeeper_of_want();
    }

    /// There is an attendant less.
    pub(super) fn note_attendant_left(&self) {
        self.lobby.leave();
        // One less may be too few.
        self.desk.steward_bell.notify();
        self.tell_doorkeeper_of_want();
    }

    /// Takes the place of the steward. False if somebody has it.
    pub(super) fn take_stewardship(&self) -> bool {
        !self.has_steward.swap(true, Ordering::AcqRel)
    }

    /// Notes that nobody starts attendants any more. Does nothing in a forked copy.
    pub(super) fn note_steward_left(&self) {
        if self.desk.is_owner() {
            self.has_steward.store(false, Ordering::Release);
            self.doorkeeper_bell.notify();
        }
    }

    /// Takes the connections that wait for an attendant who will not come: none is spare, and nobody starts another.
    pub(super) fn take_stranded(&self) -> VecDeque<Box<Session>> {
        if self.has_steward.load(Ordering::Acquire) { VecDeque::new() } else { self.lobby.take_stranded() }
    }

    /// Without a steward it is the doorkeeper who looks after those that wait.
    fn tell_doorkeeper_of_want(&self) {
        if !self.has_steward.load(Ordering::Acquire) {
            self.doorkeeper_bell.notify();
        }
    }

    /// Sends everybody home: the doorkeeper, the steward, and each attendant when it next looks for work.
    pub(super) fn close(&self) {
        self.desk.close();
        // Dropped after the locks inside are released: each of them takes one of the desk's.
        drop((self.lobby.close(), self.parking.close()));
        self.doorkeeper_bell.notify();
    }

    /// Ends the server, because what it cannot do without cannot be used any more. Only the first cause is reported.
    pub(super) fn fail(&self, cause: &dyn Display) {
        {
            // Held until it is reported: the steward may come here too, and logs what there is before it ends.
            let mut failed = lock(&self.failed);
            if *failed || self.desk.is_closed() {
                return;
            }
            *failed = true;
            self.desk.report(Level::Error, format!("the server ends: {cause}"));
        }
        self.close();
        self.desk.shut_down_all();
    }

    /// Whether it ended by itself.
    pub(super) fn has_failed(&self) -> bool {
        *lock(&self.failed)
    }

    /// Ends the server after a wait that failed because other code has closed what was waited for.
    ///
    /// # Errors
    ///
    /// `error` itself, if it says anything else.
    pub(super) fn fail_if_closed_by_others(&self, error: Error) -> Result<()> {
        match &error {
            Error::System { code, .. } if *code == Errno::BADF.raw_os_error() => {
                self.fail(&error);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Notes that the doorkeeper has gone and will report nothing more.
    pub(super) fn note_doorkeeper_left(&self) {
        self.doorkeeper_left.store(true, Ordering::Release);
        self.desk.steward_bell.notify();
    }

    /// Whether it was closed and the doorkeeper has gone; also in a forked copy.
    pub(super) fn is_deserted(&self) -> bool {
        self.desk.is_closed() && (self.doorkeeper_left.load(Ordering::Acquire) || !self.desk.is_owner())
    }

    /// Notes how many connections are in the middle of a handshake.
    pub(super) fn note_pending_handshakes(&self, count: usize) {
        self.pending_handshakes.store(count, Ordering::Relaxed);
    }

    /// Figures by name.
    pub(super) fn stats(&self) -> Vec<(&'static str, u64)> {
        let (threads, spare_threads) = self.lobby.attendants_and_spares();
        vec![
            ("connections", self.desk.connections() as u64),
            ("threads", threads as u64),
            ("spare_threads", spare_threads as u64),
            ("pending_handshakes", self.pending_handshakes.load(Ordering::Relaxed) as u64),
        ]
    }
}
