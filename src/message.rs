//! Requests and responses to and from JSON.
//!
//! A frame's body becomes a [`Request`] or a [`Response`] in one pass; arguments and results stay the JSON text that
//! they are, for the binding to turn into values. Nothing later checks a message again.

mod parse;

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Cause, Error, FailureCode, RemoteFailure, Result, excerpt};
use crate::frame;
use crate::json::unescaped_len;
use crate::memory;
use parse::Asked;

/// Names that begin so are the core's own.
pub const RESERVED_PREFIX: &str = "rpc.";

/// Answers at once, without a handler.
pub const PING: &str = "ping";

/// Reads a document: `[key, known_generation]` gives `null` or `[generation, document]`; `[0, null]` where a generation is
/// known of a document that is not published.
pub const READ_DOCUMENT: &str = "rpc.document";

/// Says that a connection carries notifications from now on: `[sender]` gives `true`, or `false` if too many connections
/// of this sender wait for their turn.
pub const CARRY_NOTIFICATIONS: &str = "rpc.notifications";

/// The class by which a response says that there is no such method where it has no code, as those of the first servers.
pub const NO_HANDLER_CLASS: &str = "Aikido::Zen::IPC::NoHandlerError";

/// What a frame's body turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// A message.
    Message(T),
    /// A call that cannot be carried out as it is, and is to be answered so. No response is ever this.
    Unusable {
        /// The call's id.
        id: String,
        /// What is wrong with it, and what is allowed.
        reason: String,
    },
    /// Well-formed JSON that is no such message: to be skipped and counted.
    Other,
}

/// A call, or a notification if it has no id.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// `None` for a notification.
    pub id: Option<String>,
    /// The method.
    pub name: String,
    /// What the caller will still wait, counted from when it sent this.
    pub timeout: Option<Duration>,
    body: Vec<u8>,
    args: Range<usize>,
    kwargs: Range<usize>,
}

impl Request {
    /// The request in a frame's body.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the bytes are not JSON, [`Error::System`] if memory is short.
    pub fn parse(body: Vec<u8>) -> Result<Parsed<Self>> {
        let parts = match parse::request(&body)? {
            Some(Asked::Request(parts)) => parts,
            Some(Asked::Unusable { id, meta }) => {
                let reason = format!(
                    "meta is {}; an Object is allowed, whose timeout_ms is an Integer from 0 to {}",
                    excerpt(meta),
                    u64::MAX
                );
                return Ok(Parsed::Unusable { id: memory::own(id)?, reason });
            }
            None => return Ok(Parsed::Other),
        };
        let (id, name, timeout) = (parts.id.map(memory::own).transpose()?, memory::own(parts.name)?, parts.timeout);
        let (args, kwargs) = (parts.args, parts.kwargs);
        Ok(Parsed::Message(Self { id, name, timeout, args, kwargs, body }))
    }

    /// A request that crosses no socket. What [`Request::parse`] would read is taken as it is given: `args` is the text of a
    /// JSON array, `kwargs` that of a JSON object.
    ///
    /// # Errors
    ///
    /// [`Error::FrameTooLarge`] if its body is longer than `max_frame_size`, [`Error::System`] if memory is short.
    pub fn local(
        id: Option<String>,
        name: String,
        timeout: Option<Duration>,
        args: &[u8],
        kwargs: &[u8],
        max_frame_size: usize,
    ) -> Result<Self> {
        let RequestEnvelope { head, tail } = RequestEnvelope::new(id.as_deref(), &name, timeout);
        let place = head.len()..head.len().saturating_add(args.len());
        let body = frame::body(head, &[args, b",", kwargs, &tail], max_frame_size)?;
        let kwargs = place.end.saturating_add(1)..body.len().saturating_sub(tail.len());
        Ok(Self { id, name, timeout, body, args: place, kwargs })
    }

    /// The positional arguments: the text of a JSON array.
    pub fn args(&self) -> &[u8] {
        self.body.get(self.args.clone()).unwrap_or_default()
    }

    /// The keyword arguments: the text of a JSON object.
    pub fn kwargs(&self) -> &[u8] {
        self.body.get(self.kwargs.clone()).unwrap_or_default()
    }

    /// The key and the known generation of a [`READ_DOCUMENT`] request; `None` if its arguments are others.
    pub fn document_wanted(&self) -> Option<(String, Option<u64>)> {
        serde_json::from_slice(self.args()).ok()
    }

    /// The sender of a [`CARRY_NOTIFICATIONS`] request; `None` if its arguments are others.
    pub fn sender(&self) -> Option<Sender> {
        let [digits]: [String; 1] = serde_json::from_slice(self.args()).ok()?;
        Sender::parse(&digits)
    }
}

/// Names a client, so that the connections that carry its notifications are served one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sender(u128);

impl Sender {
    /// The sender of this name, 16 random bytes.
    pub fn new(name: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(name))
    }

    /// The arguments of a [`CARRY_NOTIFICATIONS`] request: an array of one String of 32 hexadecimal digits.
    pub fn as_args(&self) -> String {
        format!("[\"{:032x}\"]", self.0)
    }

    fn parse(digits: &str) -> Option<Self> {
        let is_whole = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if is_whole { u128::from_str_radix(digits, 16).ok().map(Self) } else { None }
    }
}

/// The answer to a call.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The id of the call that it answers.
    pub id: String,
    outcome: Result<Range<usize>, RemoteFailure>,
    body: Vec<u8>,
}

impl Response {
    /// The response in a frame's body.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the bytes are not JSON, [`Error::System`] if memory is short.
    pub fn parse(body: Vec<u8>) -> Result<Parsed<Self>> {
        let Some(parts) = parse::response(&body)? else { return Ok(Parsed::Other) };
        let id = memory::own(parts.id)?;
        let outcome = match parts.failure {
            Some(failure) => Err(failure),
            None => Ok(parts.result),
        };
        Ok(Parsed::Message(Self { id, outcome, body }))
    }

    /// A response that crosses no socket, with the text of a result.
    ///
    /// # Errors
    ///
    /// As [`Request::local`].
    pub fn local_result(id: &str, result: &[u8], max_frame_size: usize) -> Result<Self> {
        let ResultEnvelope { head, tail } = ResultEnvelope::new(id);
        let place = head.len()..head.len().saturating_add(result.len());
        let body = frame::body(head, &[result, tail], max_frame_size)?;
        Ok(Self { id: id.to_owned(), outcome: Ok(place), body })
    }

    /// A response that crosses no socket, with a failure.
    ///
    /// # Errors
    ///
    /// As [`Request::local`].
    pub fn local_failure(id: &str, failure: &RemoteFailure, max_frame_size: usize) -> Result<Self> {
        let failure = fitting(id, failure, max_frame_size);
        let body = failure_response(id, &failure);
        frame::header(body.len(), max_frame_size)?;
        Ok(Self { id: id.to_owned(), outcome: Err(failure.into_owned()), body })
    }

    /// Bytes of its body.
    pub fn length(&self) -> usize {
        self.body.len()
    }

    /// The result: the text of a JSON value.
    ///
    /// # Errors
    ///
    /// [`Error::Remote`] if the handler raised, [`Error::NoHandler`] if there is none, [`Error::ConnectionRefused`] if
    /// the other side has no thread to serve the call.
    pub fn into_result(self) -> Result<ResultText> {
        match self.outcome {
            Ok(place) => Ok(ResultText { body: self.body, place }),
            Err(failure) => Err(match failure.code {
                FailureCode::NoHandler => Error::NoHandler(failure),
                FailureCode::Unavailable => {
                    Error::ConnectionRefused { reason: failure.message, cause: Cause::Unavailable }
                }
                _ => Error::Remote(failure),
            }),
        }
    }
}

/// The JSON text of a result, inside the frame that brought it.
#[derive(Debug, PartialEq, Eq)]
pub struct ResultText {
    body: Vec<u8>,
    place: Range<usize>,
}

impl ResultText {
    /// The text.
    pub fn as_slice(&self) -> &[u8] {
        self.body.get(self.place.clone()).unwrap_or_default()
    }
}

/// The result of a [`READ_DOCUMENT`] call: `None`, or the generation and the document's text.
///
/// # Errors
///
/// [`Error::Protocol`] if it is something else.
pub fn parse_document(mut result: ResultText) -> Result<Option<(u64, Vec<u8>)>> {
    let pair = result.as_slice();
    if pair == b"null" {
        return Ok(None);
    }
    let parts = parse::array::<2>(pair)?.filter(|parts| parts.count() == 2);
    let generation = parts.and_then(|parts| parts.text(0).parse().ok());
    let generation = generation.ok_or_else(|| {
        Error::protocol(format!("the answer to {READ_DOCUMENT} is neither null nor [generation, document]"))
    })?;
    let place = place_of_document(pair);
    let start = result.place.start.saturating_add(place.start);
    // The text stays where it is, in memory that there is: it may be large.
    result.body.truncate(result.place.start.saturating_add(place.end));
    result.body.drain(..start.min(result.body.len()));
    Ok(Some((generation, result.body)))
}

/// All that stands between the comma and the end of `[generation,document]`. White space around the document belongs to
/// the text as it was published.
fn place_of_document(pair: &[u8]) -> Range<usize> {
    let pair = pair.trim_ascii_end();
    let end = pair.len().saturating_sub(1);
    let comma = pair.iter().position(|byte| *byte == b',').unwrap_or(end);
    comma.saturating_add(1).min(end)..end
}

/// What surrounds the arguments in a request: `head args "," kwargs tail`.
#[derive(Debug)]
pub struct RequestEnvelope {
    /// Up to the arguments.
    pub head: Vec<u8>,
    /// What follows the keyword arguments.
    pub tail: Vec<u8>,
}

impl RequestEnvelope {
    /// The envelope of a call, or of a notification if it has no `id`.
    pub fn new(id: Option<&str>, name: &str, timeout: Option<Duration>) -> Self {
        let mut head = Vec::with_capacity(SHORT_HEAD);
        head.push(b'[');
        match id {
            Some(id) => write_string(&mut head, id),
            None => head.extend_from_slice(b"null"),
        }
        head.push(b',');
        write_string(&mut head, name);
        head.push(b',');
        let mut tail = Vec::with_capacity(SHORT_TAIL);
        if let Some(timeout) = timeout {
            tail.extend_from_slice(b",{\"timeout_ms\":");
            // Rounded up: the server must not drop what somebody still waits for. It takes no more than 64 bits.
            let timeout_ms = u64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            write_json(&mut tail, &timeout_ms);
            tail.push(b'}');
        }
        tail.push(b']');
        Self { head, tail }
    }
}

/// What surrounds a result in a response: `head result tail`.
#[derive(Debug)]
pub struct ResultEnvelope {
    /// Up to the result.
    pub head: Vec<u8>,
    /// What follows it.
    pub tail: &'static [u8],
}

impl ResultEnvelope {
    /// The envelope of the answer to the call with this id.
    pub fn new(id: &str) -> Self {
        let mut head = Vec::with_capacity(SHORT_HEAD);
        head.push(b'[');
        write_string(&mut head, id);
        head.push(b',');
        Self { head, tail: b",null]" }
    }
}

/// The body of a response that tells of a failure.
pub fn failure_response(id: &str, failure: &RemoteFailure) -> Vec<u8> {
    failure_response_with(id, failure, &failure.backtrace)
}

/// The failure with as much of its backtrace, from the beginning, as a response of `max_length` bytes has room for. The
/// rest of it is there in any case.
pub fn fitting<'a>(id: &str, failure: &'a RemoteFailure, max_length: usize) -> Cow<'a, RemoteFailure> {
    let mut length = failure_response_with(id, failure, &[]).len();
    let mut line_json = Vec::new();
    let fits = |line: &&String| {
        line_json.clear();
        write_string(&mut line_json, line);
        // And a comma, but for the last one.
        length = length.saturating_add(line_json.len()).saturating_add(1);
        length.saturating_sub(1) <= max_length
    };
    let lines = failure.backtrace.iter().take_while(fits).count();
    match failure.backtrace.get(..lines) {
        Some(backtrace) if lines < failure.backtrace.len() => {
            Cow::Owned(RemoteFailure { backtrace: backtrace.to_vec(), ..failure.clone() })
        }
        _ => Cow::Borrowed(failure),
    }
}

fn failure_response_with(id: &str, failure: &RemoteFailure, backtrace: &[String]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Detail<'a> {
        code: &'a str,
        class: Option<&'a str>,
        backtrace: &'a [String],
    }
    let detail = Detail { code: failure.code.name(), class: failure.class.as_deref(), backtrace };
    let mut body = Vec::new();
    write_json(&mut body, &(id, (), &failure.message, detail));
    body
}

/// The last element of a response.
#[derive(Debug, Default)]
struct Detail {
    code: Option<Cow<'static, str>>,
    class: Option<String>,
    backtrace: Vec<String>,
}

impl Detail {
    /// What went wrong. Servers that send no code say by the class that there is no handler.
    fn code(&self) -> FailureCode {
        let by_class = || (self.class.as_deref() == Some(NO_HANDLER_CLASS)).then_some(FailureCode::NoHandler);
        let code = self.code.as_deref().and_then(FailureCode::from_name);
        code.or_else(by_class).unwrap_or_default()
    }
}

/// Bytes: room for most ids and names, and for every timeout.
const SHORT_HEAD: usize = 64;
const SHORT_TAIL: usize = 48;

fn write_string(json: &mut Vec<u8>, text: &str) {
    if unescaped_len(text.as_bytes()) < text.len() {
        return write_json(json, &text);
    }
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
}

/// Strings and numbers of our own: nothing that serialization refuses.
fn write_json(json: &mut Vec<u8>, value: &impl Serialize) {
    let written = serde_json::to_writer(json, value);
    debug_assert!(written.is_ok(), "strings and numbers can be written to memory");
}

#[cfg(test)]
mod tests;
