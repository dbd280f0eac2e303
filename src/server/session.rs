//! One connection being served: the next request, natives answered inside.
//!
//! A connection that carries notifications is served by one thread at a time until it ends, and is read to its end also
//! when the server stops.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::desk::Desk;
use super::hall::Hall;
use super::senders::Place;
use crate::connection::{Connection, ReceiveDeadlines, Socket};
use crate::deadline::Deadline;
use crate::document::{Document, DocumentStore};
use crate::error::{Error, FailureCode, Phase, RemoteFailure, Result, excerpt};
use crate::failpoint::failpoint;
use crate::log_buffer::Level;
use crate::message::{
    CARRY_NOTIFICATIONS, NO_HANDLER_CLASS, PING, Parsed, READ_DOCUMENT, RESERVED_PREFIX, Request, ResultEnvelope,
    Sender, failure_response,
};
use crate::notifier::Wakeup;
use crate::wait::{HostLock, UntilSignal};

/// An admitted connection. Whoever has it may read and write; it is closed when dropped.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    desk: Arc<Desk>,
    /// Not kept alive: it keeps this one.
    hall: Weak<Hall>,
    number: u64,
    /// Whose notifications it carries; `None` if it is for calls.
    sender: Option<Sender>,
    /// Whether a notification was read since it was last waited for one.
    is_in_burst: bool,
    /// Whether an earlier connection of that sender comes first.
    must_wait: bool,
    /// An answer of the core's own that a signal left unfinished.
    unfinished: Option<(Answer, usize, Deadline)>,
}

/// What a session has for its attendant.
#[derive(Debug)]
pub(super) enum Next {
    /// A call or notification for a handler.
    Request(Request),
    /// A signal came; nothing is lost.
    Signal,
    /// Another connection of the same sender comes first: this one is to wait among the senders.
    HostLock,
    /// The connection is over.
    End,
}

impl Session {
    /// A session over an authenticated connection.
    pub(super) fn new(connection: Connection, hall: &Arc<Hall>, number: u64) -> Box<Self> {
        let (desk, hall) = (hall.desk.clone(), Arc::downgrade(hall));
        Box::new(Self {
            connection,
            desk,
            hall,
            number,
            sender: None,
            is_in_burst: false,
            must_wait: false,
            unfinished: None,
        })
    }

    /// Blocks until a request for a handler comes; answers those to the core itself meanwhile.
    pub(super) fn next(&mut self) -> Next {
        match self.next_request() {
            Ok(Some(request)) => Next::Request(request),
            Ok(None) if self.must_wait => Next::HostLock,
            Ok(None) | Err(Error::Disconnected { .. }) => Next::End,
            Err(Error::Interrupted) => Next::Signal,
            Err(error) => {
                self.desk.counters.protocol_errors.add_one();
                self.desk.report(Level::Warn, format!("a worker's connection was closed: {error}"));
                Next::End
            }
        }
    }

    /// Whether the worker has closed the connection. Not once the server stops: it has ended the receiving half of every
    /// connection itself then.
    pub(super) fn was_left(&self) -> bool {
        !self.desk.is_closed() && self.connection.has_ended()
    }

    /// Whether part of a further request has been read already.
    pub(super) fn has_partial_frame(&self) -> bool {
        self.connection.has_partial_frame()
    }

    /// Its number among the connections.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whose notifications it carries; `None` if it is for calls.
    pub(super) fn sender(&self) -> Option<Sender> {
        self.sender
    }

    /// Lets it be served: no other connection of its sender comes first any more.
    pub(super) fn admit_to_service(&mut self) {
        self.must_wait = false;
    }

    /// Reads what has arrived, without handling it, until `deadline` at the most, and counts it as dropped. Does not block.
    ///
    /// # Returns
    ///
    /// How many notifications that were, and whether there may be more.
    pub(super) fn skip_notifications(&mut self, deadline: &Deadline) -> (u64, bool) {
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
        self.desk.counters.dropped_notifications.add(count);
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
    pub(super) fn turn_away(&mut self) -> Result<bool> {
        // Of the last answer there may be a rest.
        self.answer_promptly()?;
        if self.sender.is_some() {
            return Ok(true);
        }
        let Some(body) = self.connection.try_receive(Phase::Request)? else { return Ok(false) };
        if let Some(request) = self.take(body)? {
            match &request.id {
                Some(id) => self.answer(Answer::Failure(failure_response(id, &unavailable()))),
                None => {
                    self.desk.counters.dropped_notifications.add_one();
                    let line = format!("no thread was left to handle a notification {:?}", excerpt(&request.name));
                    self.desk.report(Level::Warn, line);
                }
            }
        }
        self.answer_promptly()?;
        Ok(self.sender.is_some() || self.has_partial_frame())
    }

    /// The socket, to be watched.
    pub(super) fn socket(&self) -> &Socket {
        self.connection.socket()
    }

    /// Sends the answer to a call, in `parts`.
    pub(super) fn send(&mut self, parts: &[&[u8]], host: &impl HostLock) -> Result<()> {
        failpoint("answer");
        let sent = self.connection.send(parts, &Deadline::after(self.desk.write_timeout), host);
        if let Err(error @ Error::Timeout { .. }) = &sent {
            self.desk.report(Level::Warn, format!("a worker did not take its answer: {error}"));
        }
        sent
    }

    fn next_request(&mut self) -> Result<Option<Request>> {
        loop {
            self.finish_answer()?;
            if self.must_wait {
                return Ok(None);
            }
            let Some(body) = self.next_body()? else { return Ok(None) };
            if let Some(request) = self.take(body)? {
                return Ok(Some(request));
            }
        }
    }

    /// The request in a frame's body, if it is one for a handler. An answer of the core's own is to be sent afterwards.
    fn take(&mut self, body: Vec<u8>) -> Result<Option<Request>> {
        let request = match Request::parse(body)? {
            Parsed::Message(request) => request,
            Parsed::Unusable { id, reason } => {
                self.desk.counters.requests.add_one();
                self.answer(Answer::failure(&id, FailureCode::InvalidParams, reason, "ArgumentError"));
                return Ok(None);
            }
            Parsed::Unrecognized => {
                self.desk.counters.skipped_messages.add_one();
                return Ok(None);
            }
        };
        failpoint("session");
        match &request.id {
            // No call of anybody's, but part of how notifications are sent.
            Some(_) if request.name == CARRY_NOTIFICATIONS => {}
            Some(_) => self.desk.counters.requests.add_one(),
            None => self.desk.counters.notifications.add_one(),
        }
        if !is_answered_by_core(&request.name) {
            return Ok(Some(request));
        }
        if let Some(id) = &request.id {
            let answer = match request.name.as_str() {
                CARRY_NOTIFICATIONS => self.carry_notifications(id, &request),
                _ => native_answer(&self.desk.documents, id, &request),
            };
            self.answer(answer);
        }
        Ok(None)
    }

    /// `None` once the server stops and nothing more is to be read.
    fn next_body(&mut self) -> Result<Option<Vec<u8>>> {
        let by = ReceiveDeadlines { first_byte: Deadline::never(), whole_frame: self.desk.read_timeout };
        if self.sender.is_none() {
            let is_closed = self.desk.is_closed();
            return if is_closed {
                Ok(None)
            } else {
                self.connection.receive(&by, Phase::Request, &UntilSignal).map(Some)
            };
        }
        loop {
            if self.desk.is_sealed() {
                self.skip_notifications(&Deadline::after(SILENCE));
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
                    // To be looked at once more.
                    Wakeup::TimedOut | Wakeup::Woken => Wakeup::Woken,
                }
            } else if self.desk.is_closed() {
                self.connection.wait_readable(&Deadline::after(SILENCE))?
            } else {
                self.connection.wait_readable_or_notified(&self.desk.closing, &Deadline::never())?
            };
            match waited {
                Wakeup::Woken => {}
                Wakeup::Signalled => return Err(Error::Interrupted),
                Wakeup::TimedOut => return Ok(None),
            }
        }
    }

    /// Sends an answer of the core's own before the next request is read.
    fn answer(&mut self, answer: Answer) {
        self.unfinished = Some((answer, 0, Deadline::after(self.desk.write_timeout)));
    }

    /// Sends what is left of an answer of the core's own.
    fn finish_answer(&mut self) -> Result<()> {
        let Some((answer, sent, deadline)) = &mut self.unfinished else { return Ok(()) };
        match self.connection.send_rest(&answer.parts(), sent, deadline, &UntilSignal) {
            Err(Error::Interrupted) => Err(Error::Interrupted),
            outcome => {
                self.unfinished = None;
                outcome
            }
        }
    }

    /// The connection takes its place among those of its sender before that is told so: what it opens next is to find it
    /// there.
    fn carry_notifications(&mut self, id: &str, request: &Request) -> Answer {
        let (None, Some(sender), Some(hall)) = (self.sender, request.sender(), self.hall.upgrade()) else {
            let reason = "rpc.notifications takes [sender], 32 hexadecimal digits, once for each connection";
            return Answer::failure(id, FailureCode::InvalidParams, reason.to_owned(), "ArgumentError");
        };
        let place = hall.senders.enter(sender, self.number);
        if place == Place::Refused {
            return Answer::Text(ResultEnvelope::new(id), "false");
        }
        self.sender = Some(sender);
        self.must_wait = place == Place::Waiting;
        self.desk.note_notifications(self.number);
        Answer::Text(ResultEnvelope::new(id), "true")
    }

    /// As [`Session::finish_answer`], for who must not wait for a worker that is stopped.
    fn answer_promptly(&mut self) -> Result<()> {
        if let Some((_, _, deadline)) = &mut self.unfinished {
            *deadline = Deadline::after(PROMPT_ANSWER);
        }
        self.finish_answer()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.desk.forget(self.number);
        if self.sender.is_some() && self.desk.is_sealed() && self.desk.is_owner() {
            self.skip_notifications(&Deadline::after(SILENCE));
        }
        // In a forked copy another thread may have had the lock at the fork.
        if let (Some(sender), Some(hall)) = (self.sender, self.hall.upgrade())
            && self.desk.is_owner()
            && let Some(mut next) = hall.senders.leave(sender, self.number)
        {
            next.admit_to_service();
            hall.seek_attendant(next);
        }
    }
}

/// How long nothing must come for a connection that carries notifications to be taken for read to its end, once the
/// server stops. 100 ms: over the loopback device what a sender's kernel still holds comes at once, as soon as there is
/// room for it.
pub(super) const SILENCE: Duration = Duration::from_millis(100);

/// How long a thread that has handled a notification lets others arrive before it waits to be woken. 200 us: to wake a
/// thread costs the sender more than all the rest of `notify`, and so only the first notification of a burst does. Those
/// behind it are handled so much later.
const BURST_PAUSE: Duration = Duration::from_micros(200);

/// How long the worker may take to take an answer where the thread that sends it has others to turn away. 100 ms: it takes
/// it at once, unless it is stopped.
const PROMPT_ANSWER: Duration = Duration::from_millis(100);

/// What a caller is told where no thread is left.
fn unavailable() -> RemoteFailure {
    let message = "no thread of the parent is left to serve this call: something has killed them, and the next use of its \
                   server there starts them again";
    RemoteFailure { code: FailureCode::Unavailable, message: message.to_owned(), ..RemoteFailure::default() }
}

/// Whether a method is the core's own.
pub(super) fn is_answered_by_core(name: &str) -> bool {
    name == PING || name.starts_with(RESERVED_PREFIX)
}

/// The answer to a call of a method of the core's own.
pub(super) fn native_answer(documents: &DocumentStore, id: &str, request: &Request) -> Answer {
    match request.name.as_str() {
        PING => Answer::Text(ResultEnvelope::new(id), "\"pong\""),
        READ_DOCUMENT => match request.document_params() {
            Some((key, known)) => match documents.read(&key, known) {
                Some(document) => Answer::document(id, document),
                None => Answer::Text(ResultEnvelope::new(id), "null"),
            },
            None => {
                let reason = "rpc.document takes [key, known_generation]".to_owned();
                Answer::failure(id, FailureCode::InvalidParams, reason, "ArgumentError")
            }
        },
        name => Answer::failure(id, FailureCode::NoHandler, no_handler_message(name), NO_HANDLER_CLASS),
    }
}

/// What a caller is told who names no method.
pub(super) fn no_handler_message(name: &str) -> String {
    format!("no handler for {:?}", excerpt(name))
}

/// An answer of the core's own.
#[derive(Debug)]
pub(super) enum Answer {
    Text(ResultEnvelope, &'static str),
    /// The document's text is sent from where it is stored.
    Document {
        head: Vec<u8>,
        document: Document,
    },
    Failure(Vec<u8>),
}

impl Answer {
    fn document(id: &str, document: Document) -> Self {
        let mut head = ResultEnvelope::new(id).head;
        head.extend(format!("[{},", document.generation).bytes());
        Self::Document { head, document }
    }

    fn failure(id: &str, code: FailureCode, message: String, class: &str) -> Self {
        let class = Some(class.to_owned());
        Self::Failure(failure_response(id, &RemoteFailure { code, message, class, backtrace: Vec::new() }))
    }

    /// What the body of its frame consists of.
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        match self {
            Self::Text(envelope, text) => vec![&envelope.head, text.as_bytes(), envelope.tail],
            Self::Document { head, document } => vec![head, document.json.as_slice(), b"],null]"],
            Self::Failure(body) => vec![body],
        }
    }
}
