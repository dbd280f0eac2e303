//! A session: one authenticated connection, from which a handler thread reads requests. Built-in methods are answered
//! here.
//!
//! A connection that carries notifications is served by one thread at a time until it ends, and is read to its end even
//! while the server stops.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::builtin::{BuiltinResponse, builtin_response, is_builtin, unavailable_failure};
use super::dispatcher::Dispatcher;
use super::notification_queues::Position;
use super::state::ServerState;
use crate::connection::{Connection, ReceiveDeadlines, Socket};
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result, excerpt};
use crate::log_buffer::Level;
use crate::protocol::message::{CARRY_NOTIFICATIONS, Parsed, Request, ResultEnvelope, Sender};
use crate::sys::failpoint::failpoint;
use crate::sys::notifier::Wakeup;
use crate::wait::{HostLock, UntilSignal};

/// An authenticated connection. Its owner may read and write; dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    state: Arc<ServerState>,
    /// Weak, because the dispatcher owns sessions.
    dispatcher: Weak<Dispatcher>,
    number: u64,
    /// The sender of its notifications; `None` if it carries calls.
    sender: Option<Sender>,
    /// True if a notification was read since the last wait.
    is_in_burst: bool,
    /// True while an earlier connection of the same sender is served.
    is_queued: bool,
    /// The response of a built-in method whose sending a signal interrupted: bytes sent so far, and its deadline.
    pending_response: Option<(BuiltinResponse, usize, Deadline)>,
}

/// The outcome of [`Session::next`].
#[derive(Debug)]
pub(super) enum SessionEvent {
    /// A call or notification for a handler.
    Request(Request),
    /// A signal came; nothing is lost.
    Interrupted,
    /// The session must wait in its sender's queue.
    Queued,
    /// The connection has ended.
    Ended,
}

impl Session {
    /// A session over an authenticated connection.
    pub(super) fn new(connection: Connection, dispatcher: &Arc<Dispatcher>, number: u64) -> Box<Self> {
        let (state, dispatcher) = (dispatcher.state.clone(), Arc::downgrade(dispatcher));
        Box::new(Self {
            connection,
            state,
            dispatcher,
            number,
            sender: None,
            is_in_burst: false,
            is_queued: false,
            pending_response: None,
        })
    }

    /// Blocks until there is a request for a handler. Answers built-in methods meanwhile.
    pub(super) fn next(&mut self) -> SessionEvent {
        match self.next_request() {
            Ok(Some(request)) => SessionEvent::Request(request),
            Ok(None) if self.is_queued => SessionEvent::Queued,
            Ok(None) | Err(Error::Disconnected { .. }) => SessionEvent::Ended,
            Err(Error::Interrupted) => SessionEvent::Interrupted,
            Err(error) => {
                self.state.counters.protocol_errors.add_one();
                self.state.log(Level::Warn, format!("a worker's connection was closed: {error}"));
                SessionEvent::Ended
            }
        }
    }

    /// True if the worker has closed the connection. False while the server stops, because a stop ends the receiving
    /// half of every connection itself.
    pub(super) fn peer_closed(&self) -> bool {
        !self.state.is_closed() && self.connection.has_ended()
    }

    /// True if part of a further request has been read.
    pub(super) fn has_partial_frame(&self) -> bool {
        self.connection.has_partial_frame()
    }

    /// Its number in the table of connections.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The sender of its notifications; `None` if it carries calls.
    pub(super) fn sender(&self) -> Option<Sender> {
        self.sender
    }

    /// Ends its wait in the queue: no earlier connection of its sender is left.
    pub(super) fn start_turn(&mut self) {
        self.is_queued = false;
    }

    /// Reads what has arrived and counts it as dropped, at most until `deadline`. Does not block.
    ///
    /// # Returns
    ///
    /// The number of notifications, and true if more may follow.
    pub(super) fn discard_notifications(&mut self, deadline: &Deadline) -> (u64, bool) {
        let (mut count, mut messages) = (0u64, 0u64);
        let may_go_on = loop {
            match self.connection.try_receive(Phase::Request).and_then(|body| body.map(Request::parse).transpose()) {
                Ok(Some(Parsed::Message(request))) if request.id.is_none() => count = count.saturating_add(1),
                Ok(Some(_)) => {}
                Ok(None) => break true,
                Err(_) => break false,
            }
            messages = messages.wrapping_add(1);
            // Reading the clock for every message would cost too much.
            if messages & 1023 == 0 && deadline.has_passed() {
                break true;
            }
        };
        self.state.counters.dropped_notifications.add(count);
        (count, may_go_on)
    }

    /// Answers the next request, if it has arrived, where no handler thread is left: calls for handlers with an error.
    /// Blocks only briefly, while the worker takes the response.
    ///
    /// # Returns
    ///
    /// True if the session has more to read, or must wait for a handler thread because it carries notifications.
    ///
    /// # Errors
    ///
    /// Any; the connection is over then.
    pub(super) fn answer_without_thread(&mut self) -> Result<bool> {
        // The last response may be unfinished.
        self.flush_response_briefly()?;
        if self.sender.is_some() {
            return Ok(true);
        }
        let Some(body) = self.connection.try_receive(Phase::Request)? else { return Ok(false) };
        if let Some(request) = self.route(body)? {
            match &request.id {
                Some(id) => self.respond(BuiltinResponse::failure(id, &unavailable_failure())),
                None => {
                    self.state.counters.dropped_notifications.add_one();
                    let line = format!("no thread was left to handle a notification {:?}", excerpt(&request.name));
                    self.state.log(Level::Warn, line);
                }
            }
        }
        self.flush_response_briefly()?;
        Ok(self.sender.is_some() || self.has_partial_frame())
    }

    /// The socket, for a poll.
    pub(super) fn socket(&self) -> &Socket {
        self.connection.socket()
    }

    /// Sends the response of a call, made of `parts`.
    pub(super) fn send(&mut self, parts: &[&[u8]], host: &impl HostLock) -> Result<()> {
        failpoint("answer");
        let sent = self.connection.send(parts, &Deadline::after(self.state.write_timeout), host);
        if let Err(error @ Error::Timeout { .. }) = &sent {
            self.state.log(Level::Warn, format!("a worker did not take its answer: {error}"));
        }
        sent
    }

    fn next_request(&mut self) -> Result<Option<Request>> {
        loop {
            self.flush_response()?;
            if self.is_queued {
                return Ok(None);
            }
            let Some(body) = self.next_body()? else { return Ok(None) };
            if let Some(request) = self.route(body)? {
                return Ok(Some(request));
            }
        }
    }

    /// Returns the request in a frame's body if it is for a handler. Prepares the response of a built-in method.
    fn route(&mut self, body: Vec<u8>) -> Result<Option<Request>> {
        let request = match Request::parse(body)? {
            Parsed::Message(request) => request,
            Parsed::Unusable { id, reason } => {
                self.state.counters.requests.add_one();
                self.respond(BuiltinResponse::invalid_params(&id, reason));
                return Ok(None);
            }
            Parsed::Unrecognized => {
                self.state.counters.skipped_messages.add_one();
                return Ok(None);
            }
        };
        failpoint("session");
        match &request.id {
            // Part of the protocol and not a call of the application.
            Some(_) if request.name == CARRY_NOTIFICATIONS => {}
            Some(_) => self.state.counters.requests.add_one(),
            None => self.state.counters.notifications.add_one(),
        }
        if !is_builtin(&request.name) {
            return Ok(Some(request));
        }
        if let Some(id) = &request.id {
            let response = match request.name.as_str() {
                CARRY_NOTIFICATIONS => self.carry_notifications(id, &request),
                _ => builtin_response(&self.state.documents, id, &request),
            };
            self.respond(response);
        }
        Ok(None)
    }

    /// `None` once the server stops and nothing is left to read.
    fn next_body(&mut self) -> Result<Option<Vec<u8>>> {
        let by = ReceiveDeadlines { first_byte: Deadline::never(), whole_frame: self.state.read_timeout };
        if self.sender.is_none() {
            let is_closed = self.state.is_closed();
            return if is_closed {
                Ok(None)
            } else {
                self.connection.receive(&by, Phase::Request, &UntilSignal).map(Some)
            };
        }
        loop {
            if self.state.is_sealed() {
                self.discard_notifications(&Deadline::after(QUIET_PERIOD));
                return Ok(None);
            }
            if let Some(body) = self.connection.try_receive(Phase::Request)? {
                self.is_in_burst = true;
                return Ok(Some(body));
            }
            if self.connection.has_partial_frame() {
                return self.connection.receive(&by, Phase::Request, &UntilSignal).map(Some);
            }
            let waited = if std::mem::take(&mut self.is_in_burst) {
                match self.connection.pause(BURST_PAUSE)? {
                    Wakeup::Signalled => Wakeup::Signalled,
                    // Look once more before a longer wait.
                    Wakeup::TimedOut | Wakeup::Woken => Wakeup::Woken,
                }
            } else if self.state.is_closed() {
                self.connection.wait_readable(&Deadline::after(QUIET_PERIOD))?
            } else {
                self.connection.wait_readable_or_notified(&self.state.closing, &Deadline::never())?
            };
            match waited {
                Wakeup::Woken => {}
                Wakeup::Signalled => return Err(Error::Interrupted),
                Wakeup::TimedOut => return Ok(None),
            }
        }
    }

    /// Has a built-in method's response sent before the next request is read.
    fn respond(&mut self, response: BuiltinResponse) {
        self.pending_response = Some((response, 0, Deadline::after(self.state.write_timeout)));
    }

    /// Sends the rest of a built-in method's response.
    fn flush_response(&mut self) -> Result<()> {
        let Some((response, sent, deadline)) = &mut self.pending_response else { return Ok(()) };
        match self.connection.send_rest(&response.parts(), sent, deadline, &UntilSignal) {
            Err(Error::Interrupted) => Err(Error::Interrupted),
            outcome => {
                self.pending_response = None;
                outcome
            }
        }
    }

    /// Joins the sender's queue before it responds, so that the sender's next connection finds this one there.
    fn carry_notifications(&mut self, id: &str, request: &Request) -> BuiltinResponse {
        let (None, Some(sender), Some(dispatcher)) = (self.sender, request.sender(), self.dispatcher.upgrade()) else {
            let reason = "rpc.notifications takes [sender], 32 hexadecimal digits, once for each connection";
            return BuiltinResponse::invalid_params(id, reason);
        };
        let position = dispatcher.notification_queues.join(sender, self.number);
        if position == Position::Refused {
            return BuiltinResponse::Text(ResultEnvelope::new(id), "false");
        }
        self.sender = Some(sender);
        self.is_queued = position == Position::Waiting;
        BuiltinResponse::Text(ResultEnvelope::new(id), "true")
    }

    /// As [`Session::flush_response`], for the acceptor, which must not wait for a stopped worker.
    fn flush_response_briefly(&mut self) -> Result<()> {
        if let Some((_, _, deadline)) = &mut self.pending_response {
            *deadline = Deadline::after(BRIEF_WRITE_TIMEOUT);
        }
        self.flush_response()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.state.remove(self.number);
        if self.sender.is_some() && self.state.is_sealed() && self.state.is_owner() {
            self.discard_notifications(&Deadline::after(QUIET_PERIOD));
        }
        // In a forked copy another thread may have held the lock at the fork.
        if let (Some(sender), Some(dispatcher)) = (self.sender, self.dispatcher.upgrade())
            && self.state.is_owner()
            && let Some(next) = dispatcher.notification_queues.remove(sender, self.number)
        {
            dispatcher.dispatch(next);
        }
    }
}

/// While the server stops, a connection that carries notifications counts as read to its end once nothing has arrived
/// for this long. 100 ms: over the loopback device, what a sender's kernel holds arrives as soon as there is room.
pub(super) const QUIET_PERIOD: Duration = Duration::from_millis(100);

/// How long a thread pauses for further notifications before it waits to be woken. 200 us: waking a thread costs the
/// sender more than the rest of `notify`, so only the first notification of a burst pays for it, and the others are
/// handled this much later.
const BURST_PAUSE: Duration = Duration::from_micros(200);

/// How long the acceptor waits for a worker to take a response. 100 ms: a worker takes it at once, unless it is
/// stopped.
const BRIEF_WRITE_TIMEOUT: Duration = Duration::from_millis(100);
