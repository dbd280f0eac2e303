//! The one native thread: it accepts, lets in who knows the secret, and watches parked connections. It never blocks
//! but in its poll, and a panic costs it one event.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use rustix::io::Errno;
use rustix::net::getpeername;

use super::hall::Hall;
use super::handshakes::{Handshakes, Progress, send_whole};
use super::listener::Listener;
use super::rejections::Rejections;
use super::restraint::Restraint;
use super::rounds::GRACE;
use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::failpoint::failpoint;
use crate::fork::ProcessLocal;
use crate::log_buffer::Level;
use crate::options::ServerOptions;
use crate::os;
use crate::secret::Secret;
use crate::sync::thread::{self, JoinHandle};

/// Starts the doorkeeper of a hall.
///
/// # Errors
///
/// [`Error::System`] if no thread can be had.
pub(super) fn spawn(
    hall: Arc<Hall>,
    (listener, address): (Arc<Listener>, SocketAddr),
    secret: Secret,
    options: &ServerOptions,
) -> Result<JoinHandle<()>> {
    let handshakes = Handshakes::new(secret, options.handshake_timeout, options.max_handshakes);
    let rejections = Rejections::new(address);
    let doorkeeper = Doorkeeper {
        hall: hall.clone(),
        listener,
        handshakes,
        rejections,
        restraint: Restraint::new(),
        accept_again: None,
        is_door_watched: true,
    };
    let poll = doorkeeper.prepare_poll()?;
    let presence = Presence(hall);
    thread::Builder::new()
        .name("zen-ipc door".to_owned())
        .stack_size(STACK_SIZE)
        .spawn(move || {
            let _presence = presence;
            doorkeeper.run(poll);
        })
        .map_err(|error| {
            let code = error.raw_os_error().unwrap_or_default();
            Error::System { operation: "could not start the doorkeeper's thread".to_owned(), code }
        })
}

/// Bytes. 2 MiB, Rust's own default, of which only the pages that are used become memory. Stated here because that default
/// follows the environment (`RUST_MIN_STACK`), where too small a value ends the process.
const STACK_SIZE: usize = 2 << 20;

/// How long accepting pauses when no descriptor is to be had. Long enough not to burn a core, short enough that a
/// worker's connect timeout does not notice.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections accepted before anything else is looked at, so that a flood of them does not starve the admitted.
const ACCEPTS_AT_ONCE: usize = 64;

const BELL: Token = Token(0);
const DOOR: Token = Token(1);

struct Doorkeeper {
    hall: Arc<Hall>,
    listener: Arc<Listener>,
    handshakes: Handshakes,
    rejections: Rejections,
    restraint: Restraint,
    /// When to accept again although the poll will not say so: after a pause, or when there were too many at once.
    accept_again: Option<Deadline>,
    /// Whether the poll says so. Not in a pause, in which each arrival would wake this thread for nothing.
    is_door_watched: bool,
}

impl Doorkeeper {
    fn prepare_poll(&self) -> Result<ProcessLocal<Poll>> {
        let poll = self.hall.parking.take_poll().ok_or_else(crate::fork::wrong_process_error)?;
        let failed = |error: std::io::Error| Error::System {
            operation: "could not watch the listening socket".to_owned(),
            code: error.raw_os_error().unwrap_or_default(),
        };
        let bell = self.hall.doorkeeper_bell.reader().get()?.as_raw_fd();
        let registry = poll.get()?.registry();
        registry.register(&mut SourceFd(&bell), BELL, Interest::READABLE).map_err(failed)?;
        self.listener.with_descriptor(|door| watch_door(registry, door)).transpose().map_err(failed)?;
        Ok(poll)
    }

    fn run(mut self, poll: ProcessLocal<Poll>) {
        os::block_all_signals();
        self.attend(poll);
        // It was closed before, unless the server ended by itself.
        self.listener.close();
        self.contain(|doorkeeper| doorkeeper.tell_rejections(true));
    }

    fn attend(&mut self, mut poll: ProcessLocal<Poll>) {
        let mut events = Events::with_capacity(256);
        while !self.hall.desk.is_closed() {
            let timeout = self.time_to_next_deadline();
            let Ok(poll) = poll.get_mut() else { return };
            if let Err(error) = poll.poll(&mut events, timeout)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                return self.hall.fail(&format!("its connections cannot be polled: {error}"));
            }
            if let Err(error) = self.hall.parking.registry() {
                return self.hall.fail(&error);
            }
            // The door comes last: who has proved itself meanwhile need not make room.
            for is_door in [false, true] {
                for token in events.iter().map(Event::token).filter(|token| (*token == DOOR) == is_door) {
                    self.contain(|doorkeeper| doorkeeper.handle(token));
                }
            }
            self.contain(Self::handle_deadlines);
            self.contain(Self::turn_away);
            self.hall.note_pending_handshakes(self.handshakes.count());
        }
    }

    /// Runs a step; a panic in it is reported and costs only that step.
    fn contain(&mut self, step: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
            self.hall.desk.report(Level::Error, "a bug in the doorkeeper cost one connection (please report it)");
            // Others may have come with the one that was lost, and the poll tells of each arrival once.
            self.accept_again = Some(Deadline::after(ACCEPT_PAUSE));
        }
    }

    fn handle(&mut self, token: Token) {
        match token {
            // Of what comes on top of a post that was left there, the poll need not tell.
            BELL => self.hall.doorkeeper_bell.drain(),
            // Its time will come.
            DOOR if self.accept_again.is_some() => {}
            DOOR => self.accept(),
            _ => match self.handshakes.advance(token) {
                Some(progress) => self.handle_handshake(progress),
                None => {
                    if let Some(session) = self.hall.parking.take(token) {
                        self.hall.seek_attendant(session);
                    }
                }
            },
        }
    }

    fn handle_deadlines(&mut self) {
        for socket in self.handshakes.take_late() {
            self.reject(&socket, "the handshake took too long");
        }
        for session in self.hall.parking.look_around() {
            self.hall.seek_attendant(session);
        }
        if self.accept_again.is_some_and(|again| again.has_passed()) {
            self.accept();
        }
        self.tell_rejections(false);
    }

    /// Has those answered who wait for a thread that will not come.
    fn turn_away(&mut self) {
        for mut session in self.hall.take_stranded() {
            match session.turn_away() {
                Ok(true) => self.hall.seek_attendant(session),
                // It waits for its next request among the parked ones, whether a thread takes it then or not.
                Ok(false) => drop(self.hall.parking.keep(session)),
                Err(_) => {}
            }
        }
    }

    fn time_to_next_deadline(&self) -> Option<Duration> {
        let deadlines = [self.handshakes.next_deadline(), self.accept_again, self.rejections.next_deadline()];
        let round = self.hall.parking.needs_rounds().then_some(GRACE);
        deadlines.iter().flatten().map(Deadline::remaining).chain(round).min()
    }

    fn accept(&mut self) {
        self.accept_again = None;
        if let Err(error) = self.resume() {
            return self.pause_for_want(&error);
        }
        for _ in 0..ACCEPTS_AT_ONCE {
            if let Some(until) = self.restraint.pause() {
                return self.pause(until);
            }
            match self.listener.accept() {
                None | Some(Err(Errno::AGAIN)) => return,
                Some(Ok(socket)) => self.greet(socket),
                // That one connection went away again.
                Some(Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO | Errno::PERM)) => {}
                // Other code has closed it, and its number may be another file's.
                Some(Err(errno @ (Errno::BADF | Errno::NOTSOCK | Errno::INVAL | Errno::OPNOTSUPP))) => {
                    return self.hall.fail(&format!("its listening socket cannot be used: {errno}"));
                }
                // Out of descriptors or memory, or something that asking again at once would not change either.
                Some(Err(errno)) => return self.pause_for_want(&errno.into()),
            }
        }
        self.accept_again = Some(Deadline::after(Duration::ZERO));
    }

    fn pause_for_want(&mut self, cause: &std::io::Error) {
        self.hall.desk.counters.accept_pauses.add_one();
        self.hall.desk.report(Level::Warn, format!("accepting connections pauses: {cause}"));
        self.pause(Deadline::after(ACCEPT_PAUSE));
    }

    fn pause(&mut self, until: Deadline) {
        self.accept_again = Some(until);
        if self.is_door_watched
            && let Ok(registry) = self.hall.parking.registry()
        {
            let ignored = self.listener.with_descriptor(|door| registry.deregister(&mut SourceFd(&door)));
            self.is_door_watched = !matches!(ignored, Some(Ok(())));
        }
    }

    /// Has the poll tell of arrivals again.
    fn resume(&mut self) -> std::io::Result<()> {
        if !self.is_door_watched
            && let Ok(registry) = self.hall.parking.registry()
        {
            self.listener.with_descriptor(|door| watch_door(registry, door)).transpose()?;
            self.is_door_watched = true;
        }
        Ok(())
    }

    fn greet(&mut self, socket: Socket) {
        self.hall.desk.counters.accepted.add_one();
        failpoint("doorkeeper");
        let token = self.hall.parking.fresh_token();
        let greeted =
            self.hall.parking.watch(&socket, token).and_then(|()| self.handshakes.begin(token, socket.clone()));
        match greeted {
            Ok(None) => {}
            Ok(Some(displaced)) => self.reject(&displaced, "max_handshakes others came before it proved itself"),
            // It went away before it could be greeted.
            Err(Error::Handshake { .. }) => self.note_abandoned(),
            Err(error) => self.reject(&socket, &error.to_string()),
        }
    }

    fn handle_handshake(&mut self, progress: Progress) {
        failpoint("handshake");
        match progress {
            Progress::Pending => {}
            Progress::Abandoned => self.note_abandoned(),
            Progress::Failed(socket, reason) => self.reject(&socket, &reason),
            Progress::Proved(socket, server_proof) => {
                self.hall.parking.unwatch(&socket);
                if !self.hall.desk.has_room() {
                    self.hall.desk.counters.refused_connections.add_one();
                    self.report_rejection(&socket, "it knows the secret, but there are max_connections others");
                } else if send_whole(&socket, &server_proof).is_err() {
                    self.note_abandoned();
                } else {
                    self.hall.admit(socket);
                }
            }
        }
    }

    /// Counts and reports a connection that is not one of ours; it closes when its last owner drops it.
    fn reject(&mut self, socket: &Socket, reason: &str) {
        self.hall.desk.counters.rejected_handshakes.add_one();
        self.restraint.charge();
        self.report_rejection(socket, reason);
        // Who has been let in may be waiting for this core, and this thread has many more of them to turn away.
        thread::yield_now();
    }

    /// Counts a connection that its client has ended, before it said anything or after it proved itself. A worker does
    /// so where the server is too slow for it, and makes another: there is nothing to warn of.
    fn note_abandoned(&mut self) {
        self.hall.desk.counters.abandoned_handshakes.add_one();
        self.restraint.charge();
    }

    fn report_rejection(&mut self, socket: &Socket, reason: &str) {
        if let Some(line) = self.rejections.note(reason, || peer_of(socket)) {
            self.hall.desk.report(Level::Warn, line);
        }
    }

    /// Reports how many were rejected that were not told one by one, if it is time or the last chance.
    fn tell_rejections(&mut self, last_chance: bool) {
        if let Some(line) = self.rejections.end_period(last_chance) {
            self.hall.desk.report(Level::Warn, line);
        }
    }
}

fn watch_door(registry: &Registry, door: RawFd) -> std::io::Result<()> {
    registry.register(&mut SourceFd(&door), DOOR, Interest::READABLE)
}

fn peer_of(socket: &Socket) -> Option<SocketAddr> {
    let peer = getpeername(socket.get().ok()?).ok().flatten()?;
    SocketAddr::try_from(peer).ok()
}

/// Tells the hall when the doorkeeper has gone, whatever it died of.
struct Presence(Arc<Hall>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.note_doorkeeper_left();
    }
}
