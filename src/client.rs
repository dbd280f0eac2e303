//! A worker's side: invoke, notify, fetch a document. It has no thread of its own.
//!
//! A call takes a connection, sends one frame, waits for one, and puts the connection back. Notifications have one
//! connection for themselves, over which they are sent one after another and never answered. A connection that was left
//! in the middle of a message is never used again.

mod backoff;
mod connector;
mod notifications;
mod pool;

use std::net::SocketAddr;
use std::time::Duration;

use crate::connection::{Connection, ReceiveDeadlines};
use crate::deadline::Deadline;
use crate::error::{Error, FailureCode, Phase, RemoteFailure, Result, excerpt};
use crate::failpoint::failpoint;
use crate::fork;
use crate::message::{
    CARRY_NOTIFICATIONS, PING, Parsed, READ_DOCUMENT, RequestEnvelope, Response, ResultText, parse_document,
};
use crate::metrics::ClientCounters;
use crate::options::ClientOptions;
use crate::secret::Secret;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::wait::HostLock;
use backoff::Backoff;
use notifications::NotificationSender;
use pool::{Checkout, Pool};

/// A client. It may be used by any number of threads at once; in a process forked from its own it refuses everything
/// but [`Client::for_forked_child`].
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
    /// A client of the server at `address`. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an option that is not allowed, [`Error::System`] if memory is short.
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

    /// The same client for this process, after a fork: without connections, closed if the original was.
    pub fn for_forked_child(&self) -> Self {
        Self::with(self.address, self.secret.clone(), self.options.clone(), self.closed.load(Ordering::Acquire))
    }

    /// The same client of a server that has moved from `old` to `new`; `None` if this is a client of another one.
    pub fn followed(&self, secret: &Secret, old: SocketAddr, new: SocketAddr) -> Option<Self> {
        let is_its_client = self.address == old && self.secret.matches(secret);
        is_its_client.then(|| Self { address: new, ..self.for_forked_child() })
    }

    /// Whether it was made in this process and not inherited.
    pub fn is_owner(&self) -> bool {
        self.generation == fork::generation()
    }

    /// Connects now, unless there is a connection.
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

    /// Calls a method and blocks until its result comes. `timeout` bounds everything.
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
        // It would make a connection of the pool one that is never used for calls again.
        if name == CARRY_NOTIFICATIONS {
            let message = format!("no handler for {name:?}");
            return Err(Error::NoHandler(RemoteFailure {
                code: FailureCode::NoHandler,
                message,
                ..RemoteFailure::default()
            }));
        }
        let deadline = Deadline::after(timeout);
        self.counters.calls.add_one();
        let outcome = self.call(name, args, kwargs, &deadline, host);
        self.count(&outcome);
        outcome
    }

    /// Sends a notification. It does not wait for the handler, and for at most `timeout` for the kernel to take it.
    ///
    /// If one call of this returned before another began, its notification is handled first. The exception is a call in
    /// a signal handler that interrupted one of its own thread: that notification goes over a connection for calls.
    ///
    /// # Errors
    ///
    /// As [`Client::invoke`], where it could not be sent.
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

    /// Asks for a document; blocks until it comes.
    ///
    /// # Returns
    ///
    /// Its generation and text, or `None` if `known_generation` is the newest, or nothing was published and none is known.
    /// The generation is [`ABSENT`](crate::document::ABSENT) where a generation is known of what is not published.
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

    /// Asks whether the parent's core is there; no handler is needed. Blocks until it answers.
    ///
    /// # Errors
    ///
    /// As [`Client::invoke`].
    pub fn ping(&self, timeout: Duration, host: &impl HostLock) -> Result<()> {
        self.invoke(PING, b"[]", b"{}", timeout, host).map(drop)
    }

    /// Whether an idle connection is alive, or one is in use.
    pub fn is_connected(&self) -> bool {
        self.is_owner() && (self.pool.is_connected() || self.notification_sender.pool().is_connected())
    }

    /// Closes every connection. Calls in flight and later ones end with [`Error::Closed`].
    ///
    /// # Returns
    ///
    /// False if it was closed before.
    pub fn close(&self) -> bool {
        let is_first = !self.closed.swap(true, Ordering::AcqRel);
        if is_first && self.is_owner() {
            self.pool.close();
            self.notification_sender.pool().close();
        }
        is_first
    }

    /// Bytes: the longest message that it sends or takes.
    pub fn max_frame_size(&self) -> usize {
        self.options.max_frame_size
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Figures by name. In a forked copy all that it can know: none.
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

    fn call(
        &self,
        name: &str,
        args: &[u8],
        kwargs: &[u8],
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<ResultText> {
        let (checkout, idle) = self.checkout(&self.pool, deadline, host)?;
        let mut connection = self.connected(&checkout, idle, deadline, host)?;
        let response = self.call_over(&mut connection, name, args, kwargs, deadline, host);
        // Of a request that is too large nothing was sent; a response that is too large has begun.
        if matches!(response, Ok(_) | Err(Error::FrameTooLarge { .. })) && !connection.has_partial_frame() {
            checkout.checkin(connection);
        }
        response?.into_result()
    }

    fn call_over(
        &self,
        connection: &mut Connection,
        name: &str,
        args: &[u8],
        kwargs: &[u8],
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<Response> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed).to_string();
        let envelope = RequestEnvelope::new(Some(&id), name, Some(deadline.check(Phase::Send)?));
        let parts: [&[u8]; 5] = [&envelope.head, args, b",", kwargs, &envelope.tail];
        connection
            .send(&parts, deadline, host)
            .and_then(|()| {
                failpoint("client call");
                self.receive(connection, &id, deadline, host)
            })
            .map_err(|error| self.closed_if_ours(error))
    }

    fn receive(
        &self,
        connection: &mut Connection,
        id: &str,
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<Response> {
        let by = ReceiveDeadlines { first_byte: *deadline, whole_frame: Duration::MAX };
        loop {
            match Response::parse(connection.receive(&by, Phase::Response, host)?)? {
                Parsed::Message(response) if response.id == id => return Ok(response),
                Parsed::Message(response) => {
                    let reason =
                        format!("the answer to call {id} came as the answer to call {:?}", excerpt(&response.id));
                    return Err(Error::protocol(reason));
                }
                Parsed::Unusable { .. } | Parsed::Unrecognized => self.counters.skipped_messages.add_one(),
            }
        }
    }

    /// The right to use a connection of the pool, with an idle one if there is one.
    fn checkout<'pool>(
        &self,
        pool: &'pool Pool,
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<(Checkout<'pool>, Option<Connection>)> {
        self.check_open()?;
        pool.checkout(deadline, host).map_err(|error| self.closed_if_ours(error))
    }

    /// The idle connection, or a new one.
    fn connected(
        &self,
        checkout: &Checkout<'_>,
        idle: Option<Connection>,
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<Connection> {
        if let Some(connection) = idle {
            return Ok(connection);
        }
        // It may have been closed during the wait.
        self.check_open()?;
        let retry = self.backoff.check()?;
        match connector::connect(self.address, &self.secret, &self.options, deadline, host) {
            Ok(socket) => {
                self.counters.connects.add_one();
                self.backoff.reset();
                checkout.attach(Connection::new(socket, self.options.max_frame_size)).ok_or_else(closed_error)
            }
            Err(error) => {
                self.check_open()?;
                self.record_connect_failure(&error, deadline, retry);
                Err(error)
            }
        }
    }

    fn check_open(&self) -> Result<()> {
        if !self.is_owner() {
            return Err(fork::wrong_process_error());
        }
        if self.closed.load(Ordering::Acquire) { Err(closed_error()) } else { Ok(()) }
    }

    /// A caller that had no time left says nothing about the parent.
    fn record_connect_failure(&self, error: &Error, deadline: &Deadline, retry: Deadline) {
        if matches!(error, Error::Interrupted) || deadline.has_passed() {
            return;
        }
        self.counters.failed_connects.add_one();
        self.backoff.record_failure(error, retry);
    }

    /// What ended because this process closed it is called so.
    fn closed_if_ours(&self, error: Error) -> Error {
        match error {
            Error::Disconnected { .. } if self.closed.load(Ordering::Acquire) => closed_error(),
            error => error,
        }
    }

    fn count<T>(&self, outcome: &Result<T>) {
        match outcome {
            Err(Error::Timeout { .. }) => self.counters.timeouts.add_one(),
            Err(Error::Disconnected { .. }) => self.counters.disconnects.add_one(),
            _ => {}
        }
    }
}

fn closed_error() -> Error {
    Error::Closed { reason: "this client was closed".to_owned() }
}
