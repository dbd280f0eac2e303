//! The parent's side: bind, start, hand out calls, stop.
//!
//! The core starts one thread, the acceptor. All other work is done by threads of the host that call into the core:
//! *handler threads*, each of which serves one connection at a time and returns with calls, and one *supervisor*, which
//! returns with lines to log and with handler threads to start.

mod accept_throttle;
mod acceptor;
mod builtin;
mod call;
mod daemonize;
mod dispatcher;
mod drain;
mod handler_thread;
mod listener;
mod local_call;
mod notification_queues;
mod pending_handshakes;
mod polling;
mod reactor;
mod ready_queue;
mod rejection_log;
mod reply_channel;
mod session;
mod state;
mod supervisor;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub use call::Call;
pub use daemonize::Snapshot;
pub use handler_thread::HandlerThread;
pub use local_call::LocalCall;
pub use supervisor::{Supervisor, Task};

use crate::deadline::Deadline;
use crate::documents::DocumentStore;
use crate::error::{Error, Result};
use crate::metrics::ServerCounters;
use crate::options::ServerOptions;
use crate::secret::Secret;
use crate::shared_memory::generations::SharedGenerations;
use crate::sys::fork;
use crate::sys::sync::thread::JoinHandle;
use crate::sys::sync::{Mutex, lock};
use crate::wait::HostLock;
use dispatcher::Dispatcher;
use listener::Listener;

/// A server. In a process forked from its own only `address` and `secret` work.
#[derive(Debug)]
pub struct Server {
    options: ServerOptions,
    secret: Secret,
    address: SocketAddr,
    page: SharedGenerations,
    documents: Arc<DocumentStore>,
    counters: Arc<ServerCounters>,
    /// Replaced after a server failed, because its acceptor may still use the old one.
    listener: Mutex<Arc<Listener>>,
    running: Mutex<Option<Running>>,
    generation: u32,
}

#[derive(Debug)]
struct Running {
    dispatcher: Arc<Dispatcher>,
    /// `None` once it was told to exit.
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds and listens. No connection is accepted before [`Server::start`].
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

    /// Begins to accept workers; after [`Server::close_connections`] on the same address again.
    ///
    /// # Returns
    ///
    /// The supervisor, which one thread of the host must run; `None` if the server was started before.
    ///
    /// # Errors
    ///
    /// [`Error::System`] if the address was taken meanwhile or no thread could be started, [`Error::Closed`] in a
    /// forked copy.
    pub fn start(&self) -> Result<Option<Supervisor>> {
        self.check_process()?;
        let mut running = lock(&self.running);
        if running.as_ref().is_some_and(|running| !running.dispatcher.has_failed()) {
            return Ok(None);
        }
        let mut listener = lock(&self.listener);
        if running.take().is_some() {
            std::mem::take(&mut *listener).close();
        }
        listener.rebind(self.address)?;
        self.launch(&mut running, listener.clone()).map(Some)
    }

    fn launch(&self, running: &mut Option<Running>, listener: Arc<Listener>) -> Result<Supervisor> {
        let dispatcher = Dispatcher::new(&self.options, self.documents.clone(), self.counters.clone())?;
        let acceptor =
            acceptor::spawn(dispatcher.clone(), (listener, self.address), self.secret.clone(), &self.options)?;
        *running = Some(Running { dispatcher: dispatcher.clone(), acceptor: Some(acceptor) });
        Ok(Supervisor::new(dispatcher))
    }

    /// Another supervisor, if the thread that ran the last one has ended and the server still runs.
    pub fn replace_supervisor(&self) -> Option<Supervisor> {
        self.check_process().ok()?;
        let running = lock(&self.running);
        let dispatcher =
            running.as_ref().map(|running| &running.dispatcher).filter(|dispatcher| !dispatcher.state.is_closed())?;
        Supervisor::replace(dispatcher)
    }

    /// First part of stopping, which does not wait: stops accepting, ends idle connections at once, those in a call
    /// after that call, and those for notifications after what their senders' kernels have taken.
    ///
    /// # Returns
    ///
    /// False if there is nothing to stop, also in a forked copy.
    pub fn stop_accepting(&self) -> bool {
        if self.check_process().is_err() {
            return false;
        }
        let mut running = lock(&self.running);
        let Some(running) = running.as_mut() else { return false };
        lock(&self.listener).close();
        running.dispatcher.close();
        if let Some(acceptor) = running.acceptor.take()
            && running.dispatcher.state.acceptor_waker.is_whole()
        {
            // The acceptor handles each event without blocking and catches its own panics.
            let _ = acceptor.join();
        }
        running.dispatcher.shut_down_receiving();
        true
    }

    /// Second part of stopping: ends every connection that carries calls.
    pub fn end_calls(&self) {
        if let Some(dispatcher) = self.running_dispatcher() {
            dispatcher.shut_down_calls();
        }
    }

    /// Last part of stopping, after which nothing is handled: reads the notifications that are left, for at most
    /// `allowed`, counts them as dropped, and ends every connection. Blocks meanwhile.
    ///
    /// # Returns
    ///
    /// The number of notifications dropped since the start.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`]; the connections are closed all the same.
    pub fn close_connections(&self, allowed: Duration, host: &impl HostLock) -> Result<u64> {
        let Some(dispatcher) = self.running_dispatcher() else { return Ok(0) };
        let drained = drain::drain_notifications(&dispatcher, &Deadline::after(allowed), host);
        self.shut_down();
        drained.map(|()| self.counters.dropped_notifications.read().saturating_sub(dispatcher.dropped_before))
    }

    fn shut_down(&self) {
        if self.check_process().is_ok()
            && let Some(running) = lock(&self.running).take()
        {
            running.dispatcher.state.seal();
            running.dispatcher.state.shut_down_all();
            // Sessions are dropped after the locks are released, as in `Dispatcher::close`.
            drop((running.dispatcher.ready_queue.seal(), running.dispatcher.notification_queues.take_waiting()));
        }
    }

    fn running_dispatcher(&self) -> Option<Arc<Dispatcher>> {
        self.check_process().ok()?;
        lock(&self.running).as_ref().map(|running| running.dispatcher.clone())
    }

    /// Closes the listening socket only; connected workers stay. False if it was closed before, also in a forked copy.
    pub fn stop_listening(&self) -> bool {
        self.check_process().is_ok() && lock(&self.listener).close()
    }

    /// True if it was started in this process and has not ended since.
    pub fn is_started(&self) -> bool {
        self.check_process().is_ok()
            && lock(&self.running).as_ref().is_some_and(|running| !running.dispatcher.has_failed())
    }

    /// Stores a document and tells every worker. Checks the text, so the host's lock should be released.
    ///
    /// # Returns
    ///
    /// The document's generation, which the same text does not change.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] if the text is not JSON or nests too deep, [`Error::FrameTooLarge`] if no frame could
    /// carry it, [`Error::Closed`] in a forked copy.
    pub fn publish(&self, key: &str, json: Vec<u8>) -> Result<u64> {
        self.check_process()?;
        let (generation, is_new) = self.documents.publish(key, json)?;
        if is_new {
            self.page.bump(key);
        }
        Ok(generation)
    }

    /// Removes a document and tells every worker.
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

    /// The latest version of a document, read without a socket; `None` if that is `known_generation`.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] in a forked copy.
    pub fn document(&self, key: &str, known_generation: Option<u64>) -> Result<Option<crate::documents::Document>> {
        self.check_process()?;
        Ok(self.documents.read(key, known_generation))
    }

    /// The address that it was bound to; also in a forked copy and after the socket was closed.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The secret; also in a forked copy.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Statistics by name; empty in a forked copy.
    pub fn stats(&self) -> Vec<(&'static str, u64)> {
        if self.check_process().is_err() {
            return Vec::new();
        }
        let mut stats = lock(&self.running).as_ref().map(|running| running.dispatcher.stats()).unwrap_or_default();
        stats.push(("documents", self.documents.count() as u64));
        stats.extend(self.counters.read());
        stats
    }

    /// Checks that this process made the server.
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
            self.stop_accepting();
            self.shut_down();
            return;
        }
        // In a forked copy the acceptor does not exist, and the rest may have been locked at the fork: leak it.
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        std::mem::forget((running, self.documents.clone()));
    }
}

/// Bytes. Room for id, generation and punctuation around a document in a response, rounded up.
const DOCUMENT_ENVELOPE: usize = 256;
