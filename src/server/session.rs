//! One connection being served: the next request, natives answered inside.

use std::sync::Arc;

use super::desk::Desk;
use crate::connection::{Connection, ReceiveBy, Socket};
use crate::deadline::Deadline;
use crate::document::Document;
use crate::error::{Error, Phase, RemoteFailure, Result};
use crate::journal::Level;
use crate::memory;
use crate::message::{
    NO_HANDLER_CLASS, PING, Parsed, READ_DOCUMENT, RESERVED_PREFIX, Request, ResultEnvelope, failure_response,
};
use crate::panic_point::panic_point;
use crate::wait::{UntilSignal, Wait};

/// An admitted connection. Whoever has it may read and write; it is closed when dropped.
#[derive(Debug)]
pub(super) struct Session {
    connection: Connection,
    desk: Arc<Desk>,
    number: u64,
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
    /// The connection is over.
    End,
}

impl Session {
    /// A session over an authenticated connection.
    pub(super) fn new(connection: Connection, desk: Arc<Desk>, number: u64) -> Box<Self> {
        Box::new(Self { connection, desk, number, unfinished: None })
    }

    /// Blocks until a request for a handler comes; answers those to the core itself meanwhile.
    pub(super) fn next(&mut self) -> Next {
        match self.next_request() {
            Ok(Some(request)) => Next::Request(request),
            Ok(None) | Err(Error::Disconnected { .. }) => Next::End,
            Err(Error::Interrupted) => Next::Signal,
            Err(error) => {
                self.desk.counters.protocol_errors.add_one();
                self.desk.report(Level::Warn, format!("a worker's connection was closed: {error}"));
                Next::End
            }
        }
    }

    /// Sends the answer to a call: the text of its result.
    pub(super) fn send_result(&mut self, id: &str, result: &[u8], wait: &impl Wait) -> Result<()> {
        let envelope = ResultEnvelope::new(id);
        self.send(&[&envelope.head, result, envelope.tail], wait)
    }

    /// Sends the answer to a call: what its handler raised.
    pub(super) fn send_failure(&mut self, id: &str, failure: &RemoteFailure, wait: &impl Wait) -> Result<()> {
        // It is copied, and written as JSON.
        memory::check(failure.message.len().saturating_mul(3))?;
        self.send(&[&failure_response(id, failure)], wait)
    }

    /// Whether the worker has closed the connection. Not once the server stops: it has ended the receiving half of every
    /// connection itself then.
    pub(super) fn was_left(&self) -> bool {
        !self.desk.is_closed() && self.connection.has_ended()
    }

    /// Whether part of a further request has been read already.
    pub(super) fn has_begun_a_frame(&self) -> bool {
        self.connection.has_begun_a_frame()
    }

    /// The socket, to be watched.
    pub(super) fn socket(&self) -> &Socket {
        self.connection.socket()
    }

    fn send(&mut self, parts: &[&[u8]], wait: &impl Wait) -> Result<()> {
        panic_point("answer");
        let sent = self.connection.send(parts, &Deadline::after(self.desk.write_timeout), wait);
        if let Err(error @ Error::Timeout { .. }) = &sent {
            self.desk.report(Level::Warn, format!("a worker did not take its answer: {error}"));
        }
        sent
    }

    fn next_request(&mut self) -> Result<Option<Request>> {
        let by = ReceiveBy { first_byte: Deadline::never(), whole_frame: self.desk.read_timeout };
        loop {
            self.finish_answer()?;
            if self.desk.is_closed() {
                return Ok(None);
            }
            let body = self.connection.receive(&by, Phase::Request, &UntilSignal)?;
            let Parsed::Message(request) = Request::parse(body)? else {
                self.desk.counters.skipped_messages.add_one();
                continue;
            };
            panic_point("session");
            match &request.id {
                Some(_) => self.desk.counters.requests.add_one(),
                None => self.desk.counters.notifications.add_one(),
            }
            if request.name != PING && !request.name.starts_with(RESERVED_PREFIX) {
                return Ok(Some(request));
            }
            if let Some(id) = &request.id {
                let answer = self.native_answer(id, &request);
                self.unfinished = Some((answer, 0, Deadline::after(self.desk.write_timeout)));
            }
        }
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

    fn native_answer(&self, id: &str, request: &Request) -> Answer {
        match request.name.as_str() {
            PING => Answer::Text(ResultEnvelope::new(id), "\"pong\""),
            READ_DOCUMENT => match request.document_wanted() {
                Some((key, known)) => match self.desk.documents.read(&key, known) {
                    Some(document) => Answer::document(id, document),
                    None => Answer::Text(ResultEnvelope::new(id), "null"),
                },
                None => Answer::failure(id, "rpc.document takes [key, known_generation]", "ArgumentError"),
            },
            name => Answer::failure(id, &no_handler_message(name), NO_HANDLER_CLASS),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.desk.forget(self.number);
    }
}

/// What a caller is told who names no method.
pub(super) fn no_handler_message(name: &str) -> String {
    format!("no handler for {name:?}")
}

/// An answer of the core's own.
#[derive(Debug)]
enum Answer {
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

    fn failure(id: &str, message: &str, class: &str) -> Self {
        let (message, class) = (message.to_owned(), Some(class.to_owned()));
        Self::Failure(failure_response(id, &RemoteFailure { message, class, backtrace: Vec::new() }))
    }

    fn parts(&self) -> Vec<&[u8]> {
        match self {
            Self::Text(envelope, text) => vec![&envelope.head, text.as_bytes(), envelope.tail],
            Self::Document { head, document } => vec![head, document.json.as_slice(), b"],null]"],
            Self::Failure(body) => vec![body],
        }
    }
}
