//! The client of a worker: calls methods, sends notifications and fetches documents. It has no thread of its own.
//!
//! A call checks a connection out of the pool, sends one frame, waits for one, and checks the connection in.
//! Notifications have one connection of their own, over which they are sent one after another without responses. A
//! connection that was left in the middle of a message is never used again.

mod backoff;
mod call;
mod connector;
mod notifications;
mod pool;

use std::net::SocketAddr;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::{Error, Phase, RemoteFailure, Result};
use crate::metrics::ClientCounters;
use crate::options::ClientOptions;
use crate::protocol::message::{CARRY_NOTIFICATIONS, PING, READ_DOCUMENT, ResultText, parse_document};
use crate::secret::Secret;
use crate::sys::fork;
use crate::sys::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::wait::HostLock;
use backoff::Backoff;
use notifications::NotificationSender;
use pool::Pool;

/// A client for any number of threads. In a forked process it refuses everything but [`Client::for_forked_child`].
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    secret: Secret,
    options: ClientOptions,
    pool: Pool,
    notification_sender: NotificationSender,
    next_id: AtomicU64,
    closed: AtomicBool,
    backoff: Backoff,
    counters: ClientCounters,
    generation: u32,
}

impl Client {
    /// A client of the server at `address`, not connected yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an option that is not allowed, [`Error::System`] without memory.
    pub fn new(address: SocketAddr, secret: Secret, options: ClientOptions) -> Result<Self> {
        options.check()?;
        if !address.ip().is_loopback() {
            return Err(Error::invalid_argument(format!(
                "host is {}; only a loopback address is allowed (127.0.0.1, ::1)",
                address.ip()
            )));
        }
        fork::install()?;
        Ok(Self::with(address, secret, options, false))
    }

    /// The same client for this forked process: without connections, and closed if the original was.
    pub fn for_forked_child(&self) -> Self {
        Self::with(self.address, self.secret.clone(), self.options.clone(), self.closed.load(Ordering::Acquire))
    }

    /// The same client for a server that has moved from `old` to `new`; `None` if this is the client of another server.
    pub fn followed(&self, secret: &Secret, old: SocketAddr, new: SocketAddr) -> Option<Self> {
        let is_its_client = self.address == old && self.secret.matches(secret);
        is_its_client.then(|| Self { address: new, ..self.for_forked_child() })
    }

    /// Returns whether this client was created in this process and not inherited by a fork.
    pub fn is_owner(&self) -> bool {
        self.generation == fork::generation()
    }

    /// Connects now, unless a connection exists.
    ///
    /// # Errors
    ///
    /// As [`Client::invoke`], for connecting.
    pub fn start(&self, host: &impl HostLock) -> Result<()> {
        let deadline = Deadline::after(self.options.connect_timeout.saturating_add(self.options.handshake_timeout));
        let (checkout, idle) = self.checkout(&self.pool, &deadline, host)?;
        let connection = self.connected(&checkout, idle, &deadline, host)?;
        checkout.checkin(connection);
        Ok(())
    }

    /// Calls a method and blocks until its result arrives. `timeout` bounds everything.
    ///
    /// `args` is the text of a JSON array, `kwargs` that of a JSON object.
    ///
    /// # Returns
    ///
    /// The text of the result.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`], [`Error::ConnectionRefused`], [`Error::Disconnected`], [`Error::Closed`],
    /// [`Error::Handshake`], [`Error::Protocol`], [`Error::FrameTooLarge`], [`Error::Remote`], [`Error::NoHandler`],
    /// [`Error::Interrupted`], [`Error::System`] if memory is short. Nothing is ever sent twice.
    pub fn invoke(
        &self,
        name: &str,
        args: &[u8],
        kwargs: &[u8],
        timeout: Duration,
        host: &impl HostLock,
    ) -> Result<ResultText> {
        // This name would turn a connection of the pool into one that carries notifications.
        if name == CARRY_NOTIFICATIONS {
            return Err(Error::NoHandler(RemoteFailure::no_handler(name)));
        }
        let deadline = Deadline::after(timeout);
        self.counters.calls.add_one();
        let outcome = self.call(name, args, kwargs, &deadline, host);
        self.count(&outcome);
        outcome
    }

    /// Sends a notification and waits until the kernel has taken it, for at most `timeout`. Does not wait for the
    /// handler.
    ///
    /// If one call of this returned before another began, its notification is handled first. The exception is a call in
    /// a signal handler that interrupted another one in the same thread: its notification is sent over a connection of
    /// the pool.
    ///
    /// # Errors
    ///
    /// As [`Client::invoke`], if the notification could not be sent.
    pub fn notify(
        &self,
        name: &str,
        args: &[u8],
        kwargs: &[u8],
        timeout: Duration,
        host: &impl HostLock,
    ) -> Result<()> {
        let deadline = Deadline::after(timeout);
        self.counters.notifications.add_one();
        let outcome = self.send_notification(name, args, kwargs, &deadline, host);
        self.count(&outcome);
        outcome
    }

    /// Fetches a document and blocks until it arrives.
    ///
    /// # Returns
    ///
    /// Its generation and text, or `None` if `known_generation` is the latest, or if nothing is published and no
    /// generation is known. The generation is [`ABSENT`](crate::documents::ABSENT) if a known document is no longer
    /// published.
    ///
    /// # Errors
    ///
    /// As [`Client::invoke`].
    pub fn fetch(
        &self,
        key: &str,
        known_generation: Option<u64>,
        timeout: Duration,
        host: &impl HostLock,
    ) -> Result<Option<(u64, Vec<u8>)>> {
        let args = serde_json::to_vec(&(key, known_generation)).map_err(|error| Error::protocol(error.to_string()))?;
        parse_document(self.invoke(READ_DOCUMENT, &args, b"{}", timeout, host)?)
    }

    /// Checks that the parent's core answers; needs no handler. Blocks until it does.
    ///
    /// # Errors
    ///
    /// As [`Client::invoke`].
    pub fn ping(&self, timeout: Duration, host: &impl HostLock) -> Result<()> {
        self.invoke(PING, b"[]", b"{}", timeout, host).map(drop)
    }

    /// Returns whether a connection is in use or an idle one is alive.
    pub fn is_connected(&self) -> bool {
        self.is_owner() && (self.pool.is_connected() || self.notification_sender.pool().is_connected())
    }

    /// Closes every connection. Calls in flight and later ones end with [`Error::Closed`].
    ///
    /// # Returns
    ///
    /// False if it was closed already.
    pub fn close(&self) -> bool {
        let is_first = !self.closed.swap(true, Ordering::AcqRel);
        if is_first && self.is_owner() {
            self.pool.close();
            self.notification_sender.pool().close();
        }
        is_first
    }

    /// The longest message in bytes that it sends or accepts.
    pub fn max_frame_size(&self) -> usize {
        self.options.max_frame_size
    }

    /// The address of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The stats by name; empty in a forked copy, which knows none.
    pub fn stats(&self) -> Vec<(&'static str, u64)> {
        if !self.is_owner() {
            return Vec::new();
        }
        let (connections, idle) = self.pool.connections();
        let (of_notifications, idle_of_notifications) = self.notification_sender.pool().connections();
        let mut stats = vec![
            ("connections", connections.saturating_add(of_notifications) as u64),
            ("idle_connections", idle.saturating_add(idle_of_notifications) as u64),
        ];
        stats.extend(self.counters.read());
        stats
    }

    fn with(address: SocketAddr, secret: Secret, options: ClientOptions, closed: bool) -> Self {
        Self {
            pool: Pool::new(options.max_connections, options.idle_timeout, Phase::FreeConnection),
            notification_sender: NotificationSender::new(options.idle_timeout),
            next_id: AtomicU64::new(1),
            closed: AtomicBool::new(closed),
            backoff: Backoff::new(options.reconnect_delay),
            counters: ClientCounters::default(),
            generation: fork::generation(),
            address,
            secret,
            options,
        }
    }
}
