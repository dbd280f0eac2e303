//! The parent's side: bind, start, hand out calls, stop.
//!
//! The core starts one thread, the doorkeeper. Everything else is done by threads of the host, which come and ask:
//! *attendants*, each of which serves one connection at a time and returns with calls, and one *steward*, which learns
//! what is to be logged and when another attendant is needed.

mod attendant;
mod call;
mod desk;
mod doorkeeper;
mod drain;
mod hall;
mod handshakes;
mod line;
mod listener;
mod lobby;
mod local;
mod parking;
mod rejections;
mod restraint;
mod rounds;
mod senders;
mod session;
mod steward;
mod successor;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub use attendant::Attendant;
pub use call::Call;
pub use local::LocalCall;
pub use steward::{Duty, Steward};
pub use successor::Snapshot;

use crate::deadline::Deadline;
use crate::document::DocumentStore;
use crate::error::{Error, Result};
use crate::fork;
use crate::metrics::ServerCounters;
use crate::options::ServerOptions;
use crate::secret::Secret;
use crate::shared_generations::SharedGenerations;
use crate::sync::thread::JoinHandle;
use crate::sync::{Mutex, lock};
use crate::wait::HostLock;
use hall::Hall;
use listener::Listener;

/// A server. In a process forked from its own it answers `address` and `secret` and does nothing else.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    secret: Secret,
    address: SocketAddr,
    page: SharedGenerations,
    documents: Arc<DocumentStore>,
    counters: Arc<ServerCounters>,
    /// Another one after a server ended by itself, whose doorkeeper may still have the last one.
    listener: Mutex<Arc<Listener>>,
    running: Mutex<Option<Running>>,
    generation: u32,
}

#[derive(Debug)]
struct Running {
    hall: Arc<Hall>,
    /// `None` once it was told to end.
    doorkeeper: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds and listens. Nobody is admitted before [`Server::start`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an option that is not allowed, [`Error::System`] if the address cannot be bound.
    pub fn bind(options: ServerOptions, secret: Secret) -> Result<Self> {
        options.check()?;
        fork::install()?;
        SharedGenerations::install()?;
        let (listener, address) = Listener::bind(SocketAddr::new(options.host, options.port))?;
        let page = SharedGenerations::for_port(address.port()).ok_or_else(fork::wrong_process_error)?;
        Ok(Self {
            documents: Arc::new(DocumentStore::new(options.max_frame_size.saturating_sub(DOCUMENT_ENVELOPE))),
            counters: Arc::new(ServerCounters::default()),
            listener: Mutex::new(Arc::new(listener)),
            running: Mutex::new(None),
            generation: fork::generation(),
            options,
            secret,
            address,
            page,
        })
    }

    /// Begins to admit workers; after [`Server::finish_stop`] on the same address again.
    ///
    /// # Returns
    ///
    /// The steward, whom one thread of the host must serve; `None` if it was started already.
    ///
    /// # Errors
    ///
    /// [`Error::System`] if the address was taken meanwhile or no thread can be had, [`Error::Closed`] in a forked copy.
    pub fn start(&self) -> Result<Option<Steward>> {
        self.check_process()?;
        let mut running = lock(&self.running);
        if running.as_ref().is_some_and(|running| !running.hall.has_failed()) {
            return Ok(None);
        }
        let mut listener = lock(&self.listener);
        if running.take().is_some() {
            std::mem::take(&mut *listener).close();
        }
        listener.rebind(self.address)?;
        self.launch(&mut running, listener.clone()).map(Some)
    }

    fn launch(&self, running: &mut Option<Running>, listener: Arc<Listener>) -> Result<Steward> {
        let hall = Hall::new(&self.options, self.documents.clone(), self.counters.clone())?;
        let doorkeeper = doorkeeper::spawn(hall.clone(), (listener, self.address), self.secret.clone(), &self.options)?;
        *running = Some(Running { hall: hall.clone(), doorkeeper: Some(doorkeeper) });
        Ok(Steward::new(hall))
    }

    /// Another steward, if the thread that served the last one has ended and the server goes on.
    pub fn replace_steward(&self) -> Option<Steward> {
        self.check_process().ok()?;
        let running = lock(&self.running);
        let hall = running.as_ref().map(|running| &running.hall).filter(|hall| !hall.desk.is_closed())?;
        Steward::succeed(hall)
    }

    /// First part of stopping: nobody is admitted any more, idle connections end, and so does every other one after
    /// the call that it is in, or after the notifications that its sender's kernel has taken. Does not wait for them.
    /// False if there is nothing to stop, also in a forked copy.
    pub fn begin_stop(&self) -> bool {
        if self.check_process().is_err() {
            return false;
        }
        let mut running = lock(&self.running);
        let Some(running) = running.as_mut() else { return false };
        lock(&self.listener).close();
        running.hall.close();
        if let Some(doorkeeper) = running.doorkeeper.take()
            && running.hall.doorkeeper_bell.is_whole()
        {
            // It handles each event without blocking, and contains its own panics.
            let _ = doorkeeper.join();
        }
        running.hall.desk.end_connections();
        true
    }

    /// Second part of stopping: ends every connection that is in a call.
    pub fn end_calls(&self) {
        if let Some(hall) = self.running_hall() {
            hall.desk.shut_down_calls();
        }
    }

    /// Last part of stopping, when no thread is to handle anything any more: reads the notifications that are left, for
    /// `allowed` at the most, counts them as dropped, and ends every connection. Blocks meanwhile.
    ///
    /// # Returns
    ///
    /// How many notifications were dropped since the start.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], after which the connections are closed all the same.
    pub fn finish_stop(&self, allowed: Duration, host: &impl HostLock) -> Result<u64> {
        let Some(hall) = self.running_hall() else { return Ok(0) };
        let drained = drain::drain(&hall, &Deadline::after(allowed), host);
        self.close_connections();
        drained.map(|()| self.counters.dropped_notifications.read().saturating_sub(hall.dropped_before))
    }

    fn close_connections(&self) {
        if self.check_process().is_ok()
            && let Some(running) = lock(&self.running).take()
        {
            running.hall.desk.seal();
            running.hall.desk.shut_down_all();
            // Dropped after the locks inside are released, as when the hall is closed.
            drop((running.hall.lobby.seal(), running.hall.senders.take_all()));
        }
    }

    fn running_hall(&self) -> Option<Arc<Hall>> {
        self.check_process().ok()?;
        lock(&self.running).as_ref().map(|running| running.hall.clone())
    }

    /// Closes the listening socket only; connected workers go on. False if it was closed, also in a forked copy.
    pub fn close(&self) -> bool {
        self.check_process().is_ok() && lock(&self.listener).close()
    }

    /// Whether it was started, in this process, and did not end since.
    pub fn is_started(&self) -> bool {
        self.check_process().is_ok() && lock(&self.running).as_ref().is_some_and(|running| !running.hall.has_failed())
    }

    /// Stores a document and tells every worker. The text is checked here, so the host's lock should be left.
    ///
    /// # Returns
    ///
    /// Its generation; the same text again changes nothing.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if the text is not JSON or nests too deep, [`Error::FrameTooLarge`] if no frame
    /// could carry it, [`Error::Closed`] in a forked copy.
    pub fn publish(&self, key: &str, json: Vec<u8>) -> Result<u64> {
        self.check_process()?;
        let (generation, is_new) = self.documents.publish(key, json)?;
        if is_new {
            self.page.bump(key);
        }
        Ok(generation)
    }

    /// Takes a document back and tells every worker.
    ///
    /// # Returns
    ///
    /// False if there was none.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] in a forked copy.
    pub fn unpublish(&self, key: &str) -> Result<bool> {
        self.check_process()?;
        let was_there = self.documents.unpublish(key);
        if was_there {
            self.page.bump(key);
        }
        Ok(was_there)
    }

    /// The newest version of a document, without a socket.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] in a forked copy.
    pub fn document(&self, key: &str, known_generation: Option<u64>) -> Result<Option<crate::document::Document>> {
        self.check_process()?;
        Ok(self.documents.read(key, known_generation))
    }

    /// Where it listens; also in a forked copy, and after it was closed.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The secret; also in a forked copy.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Figures by name. In a forked copy all that it can know: none.
    pub fn stats(&self) -> Vec<(&'static str, u64)> {
        if self.check_process().is_err() {
            return Vec::new();
        }
        let mut stats = lock(&self.running).as_ref().map(|running| running.hall.stats()).unwrap_or_default();
        stats.push(("documents", self.documents.count() as u64));
        stats.extend(self.counters.read());
        stats
    }

    /// Whether this is the process that made it.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] in a forked copy.
    pub fn check_process(&self) -> Result<()> {
        if self.generation == fork::generation() {
            Ok(())
        } else {
            Err(Error::Closed { reason: "this server belongs to the process that this one was forked from".to_owned() })
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.check_process().is_ok() {
            self.begin_stop();
            self.close_connections();
            return;
        }
        // A forked copy: the thread does not exist here, and another one may have been changing the rest at the fork.
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        std::mem::forget((running, self.documents.clone()));
    }
}

/// Bytes: id, generation and punctuation around a document in a response, with room to spare.
const DOCUMENT_ENVELOPE: usize = 256;
