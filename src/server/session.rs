//! One connection being served: the next request, natives answered inside.
//!
//! A connection that carries notifications is served by one thread at a time until it ends, and is read to its end also
//! when the server stops.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::builtin::{BuiltinResponse, builtin_response, is_builtin, unavailable_failure};
use super::dispatcher::Dispatcher;
use super::notification_queues::Position;
use super::state::ServerState;
use crate::connection::{Connection, ReceiveBy, Socket};
use crate::deadline::Deadline;
use crate::error::{Error, FailureCode, Phase, Result, excerpt};
use crate::journal::Level;
use crate::message::{CARRY_NOTIFICATIONS, Parsed, Request, ResultEnvelope, Sender, failure_response};
use crate::panic_point::panic_point;
use crate::semaphore::Waited;
use crate::wait::{UntilSignal, Wait};

/// An admitted connection. Whoever has it may read and write; it is closed when dropped.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    state: Arc<ServerState>,
    /// Not kept alive: it keeps this one.
    dispatcher: Weak<Dispatcher>,
    number: u64,
    /// Whose notifications it carries; `None` if it is for calls.
    sender: Option<Sender>,
    /// Whether a notification was read since it was last waited for one.
    is_in_burst: bool,
    /// Whether an earlier connection of that sender comes first.
    is_queued: bool,
    /// An answer of the core's own that a signal left unfinished.
    pending_response: Option<(BuiltinResponse, usize, Deadline)>,
}

/// What a session has for its handler thread.
#[derive(Debug)]
pub(super) enum SessionEvent {
    /// A call or notification for a handler.
    Request(Request),
    /// A signal came; nothing is lost.
    Interrupted,
    /// Another connection of the same sender comes first: this one is to wait among the senders.
    Queued,
    /// The connection is over.
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

    /// Blocks until a request for a handler comes; answers those to the core itself meanwhile.
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

    /// Whether the worker has closed the connection. Not once the server stops: it has ended the receiving half of every
    /// connection itself then.
    pub(super) fn peer_closed(&self) -> bool {
        !self.state.is_closed() && self.connection.has_ended()
    }

    /// Whether part of a further request has been read already.
    pub(super) fn has_partial_frame(&self) -> bool {
        self.connection.has_begun_a_frame()
    }

    /// Its number among the connections.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whose notifications it carries; `None` if it is for calls.
    pub(super) fn sender(&self) -> Option<Sender> {
        self.sender
    }

    /// Its turn has come: no earlier connection of its sender is left.
    pub(super) fn start_turn(&mut self) {
        self.is_queued = false;
    }

    /// Reads what has arrived, without handling it, until `deadline` at the most, and counts it as dropped. Does not block.
    ///
    /// # Returns
    ///
    /// How many notifications that were, and whether there may be more.
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
            // The clock is not read for each of them.
            if messages & 1023 == 0 && deadline.has_passed() {
                break true;
            }
        };
        self.state.counters.dropped_notifications.add(count);
        (count, may_go_on)
    }

    /// Answers the next request if it has arrived, where no thread is left to serve it: a call for a handler by saying
    /// so. It waits for nothing but, for a moment, the worker to take the answer.
    ///
    /// # Returns
    ///
    /// Whether it is to come again at once, or is to wait for a thread because it carries notifications.
    ///
    /// # Errors
    ///
    /// Any, after which the connection is over.
    pub(super) fn answer_without_thread(&mut self) -> Result<bool> {
        // Of the last answer there may be a rest.
        self.flush_response_briefly()?;
        if self.sender.is_some() {
            return Ok(true);
        }
        let Some(body) = self.connection.try_receive(Phase::Request)? else { return Ok(false) };
        if let Some(request) = self.route(body)? {
            match &request.id {
                Some(id) => self.respond(BuiltinResponse::Failure(failure_response(id, &unavailable_failure()))),
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

    /// The socket, to be watched.
    pub(super) fn socket(&self) -> &Socket {
        self.connection.socket()
    }

    /// Sends the answer to a call, in `parts`.
    pub(super) fn send(&mut self, parts: &[&[u8]], wait: &impl Wait) -> Result<()> {
        panic_point("answer");
        let sent = self.connection.send(parts, &Deadline::after(self.state.write_timeout), wait);
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

    /// The request in a frame's body, if it is one for a handler. An answer of the core's own is to be sent afterwards.
    fn route(&mut self, body: Vec<u8>) -> Result<Option<Request>> {
        let request = match Request::parse(body)? {
            Parsed::Message(request) => request,
            Parsed::Unusable { id, reason } => {
                self.state.counters.requests.add_one();
                self.respond(BuiltinResponse::failure(&id, FailureCode::InvalidParams, reason, "ArgumentError"));
                return Ok(None);
            }
            Parsed::Other => {
                self.state.counters.skipped_messages.add_one();
                return Ok(None);
            }
        };
        panic_point("session");
        match &request.id {
            // No call of anybody's, but part of how notifications are sent.
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

    /// `None` once the server stops and nothing more is to be read.
    fn next_body(&mut self) -> Result<Option<Vec<u8>>> {
        let by = ReceiveBy { first_byte: Deadline::never(), whole_frame: self.state.read_timeout };
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
            if self.connection.has_begun_a_frame() {
                return self.connection.receive(&by, Phase::Request, &UntilSignal).map(Some);
            }
            let waited = if std::mem::take(&mut self.is_in_burst) {
                match self.connection.pause(BURST_PAUSE)? {
                    Waited::Signalled => Waited::Signalled,
                    // To be looked at once more.
                    Waited::TimedOut | Waited::Woken => Waited::Woken,
                }
            } else if self.state.is_closed() {
                self.connection.wait_readable(&Deadline::after(QUIET_PERIOD))?
            } else {
                self.connection.wait_readable_or_posted(&self.state.closing, &Deadline::never())?
            };
            match waited {
                Waited::Woken => {}
                Waited::Signalled => return Err(Error::Interrupted),
                Waited::TimedOut => return Ok(None),
            }
        }
    }

    /// Sends an answer of the core's own before the next request is read.
    fn respond(&mut self, response: BuiltinResponse) {
        self.pending_response = Some((response, 0, Deadline::after(self.state.write_timeout)));
    }

    /// Sends what is left of an answer of the core's own.
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

    /// The connection takes its place among those of its sender before that is told so: what it opens next is to find it
    /// there.
    fn carry_notifications(&mut self, id: &str, request: &Request) -> BuiltinResponse {
        let (None, Some(sender), Some(dispatcher)) = (self.sender, request.sender(), self.dispatcher.upgrade()) else {
            let reason = "rpc.notifications takes [sender], 32 hexadecimal digits, once for each connection";
            return BuiltinResponse::failure(id, FailureCode::InvalidParams, reason.to_owned(), "ArgumentError");
        };
        let position = dispatcher.notification_queues.join(sender, self.number);
        if position == Position::Refused {
            return BuiltinResponse::Text(ResultEnvelope::new(id), "false");
        }
        self.sender = Some(sender);
        self.is_queued = position == Position::Waiting;
        BuiltinResponse::Text(ResultEnvelope::new(id), "true")
    }

    /// As [`Session::flush_response`], for who must not wait for a worker that is stopped.
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
        // In a forked copy another thread may have had the lock at the fork.
        if let (Some(sender), Some(dispatcher)) = (self.sender, self.dispatcher.upgrade())
            && self.state.is_owner()
            && let Some(next) = dispatcher.notification_queues.remove(sender, self.number)
        {
            dispatcher.dispatch(next);
        }
    }
}

/// How long nothing must come for a connection that carries notifications to be taken for read to its end, once the
/// server stops. 100 ms: over the loopback device what a sender's kernel still holds comes at once, as soon as there is
/// room for it.
pub(super) const QUIET_PERIOD: Duration = Duration::from_millis(100);

/// How long a thread that has handled a notification lets others arrive before it waits to be woken. 200 us: to wake a
/// thread costs the sender more than all the rest of `notify`, and so only the first notification of a burst does. Those
/// behind it are handled so much later.
const BURST_PAUSE: Duration = Duration::from_micros(200);

/// How long the worker may take to take an answer where the thread that sends it has others to turn away. 100 ms: it takes
/// it at once, unless it is stopped.
const BRIEF_WRITE_TIMEOUT: Duration = Duration::from_millis(100);
