//! Requests and responses as JSON.
//!
//! A frame's body is parsed in one pass into a [`Request`] or [`Response`], which is valid from then on. Arguments and
//! results stay JSON text, which the binding turns into values.

mod envelope;
mod parse;

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use crate::error::{Cause, Error, FailureCode, RemoteFailure, Result, excerpt};
use crate::protocol::frame;
use crate::sys::alloc;
pub use envelope::{RequestEnvelope, ResultEnvelope, failure_response, fit_backtrace};
use parse::ParsedRequest;

/// The prefix of the core's own method names.
pub const RESERVED_PREFIX: &str = "rpc.";

/// A method that answers at once, without a handler.
pub const PING: &str = "ping";

/// The method that reads a document: `[key, known_generation]` returns `null` or `[generation, document]`, and `[0,
/// null]` if a generation is known of a document that is not published.
pub const READ_DOCUMENT: &str = "rpc.document";

/// The method that turns a connection into one for notifications: `[sender]` returns `true`, or `false` if too many
/// connections of this sender wait for their turn.
pub const CARRY_NOTIFICATIONS: &str = "rpc.notifications";

/// The result of parsing a frame's body.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    /// A valid message.
    Message(T),
    /// A call with invalid parts, which is answered with an error. Never a response.
    Unusable {
        /// The call's id.
        id: String,
        /// The error message: what is wrong, and what is allowed.
        reason: String,
    },
    /// Well-formed JSON that is no such message; it is skipped and counted.
    Unrecognized,
}

/// A call, or a notification if it has no id.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    /// The id; `None` for a notification.
    pub id: Option<String>,
    /// The name of the method.
    pub name: String,
    /// The time that the caller still waits, counted from when it sent this.
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
    /// [`Error::Protocol`] if the bytes are not JSON, [`Error::System`] without memory.
    pub fn parse(body: Vec<u8>) -> Result<Parsed<Self>> {
        let parts = match parse::request(&body)? {
            Some(ParsedRequest::Request(parts)) => parts,
            Some(ParsedRequest::Unusable { id, meta }) => {
                let reason = format!(
                    "meta is {}; an Object is allowed, whose timeout_ms is an Integer from 0 to {}",
                    excerpt(meta),
                    u64::MAX
                );
                return Ok(Parsed::Unusable { id: alloc::try_to_string(id)?, reason });
            }
            None => return Ok(Parsed::Unrecognized),
        };
        let (id, name, timeout) =
            (parts.id.map(alloc::try_to_string).transpose()?, alloc::try_to_string(parts.name)?, parts.timeout);
        let (args, kwargs) = (parts.args, parts.kwargs);
        Ok(Parsed::Message(Self { id, name, timeout, args, kwargs, body }))
    }

    /// A request that is not sent over a socket. `args` is the text of a JSON array and `kwargs` that of a JSON object;
    /// neither is checked.
    ///
    /// # Errors
    ///
    /// [`Error::FrameTooLarge`] if its body is longer than `max_frame_size`, [`Error::System`] without memory.
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

    /// The key and the known generation of a [`READ_DOCUMENT`] request; `None` for other arguments.
    pub fn document_params(&self) -> Option<(String, Option<u64>)> {
        serde_json::from_slice(self.args()).ok()
    }

    /// The sender of a [`CARRY_NOTIFICATIONS`] request; `None` for other arguments.
    pub fn sender(&self) -> Option<Sender> {
        let [digits]: [String; 1] = serde_json::from_slice(self.args()).ok()?;
        Sender::parse(&digits)
    }
}

/// Identifies a client, so that the connections for its notifications are served one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sender(u128);

impl Sender {
    /// A sender named by 16 random bytes.
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

/// The response to a call.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The id of the call.
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
        let Some(parts) = parse::response(&body)? else { return Ok(Parsed::Unrecognized) };
        let id = alloc::try_to_string(parts.id)?;
        let outcome = match parts.failure {
            Some(failure) => Err(failure),
            None => Ok(parts.result),
        };
        Ok(Parsed::Message(Self { id, outcome, body }))
    }

    /// A result that is not sent over a socket.
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

    /// A failure that is not sent over a socket.
    ///
    /// # Errors
    ///
    /// As [`Request::local`].
    pub fn local_failure(id: &str, failure: &RemoteFailure, max_frame_size: usize) -> Result<Self> {
        let failure = fit_backtrace(id, failure, max_frame_size);
        let body = failure_response(id, &failure);
        frame::header(body.len(), max_frame_size)?;
        Ok(Self { id: id.to_owned(), outcome: Err(failure.into_owned()), body })
    }

    /// The length of its body in bytes.
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

/// The JSON text of a result, inside the received frame.
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

/// Parses the result of a [`READ_DOCUMENT`] call: `None`, or the generation and the document's text.
///
/// # Errors
///
/// [`Error::Protocol`] for another result.
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
    // The document may be large, so its text stays in the frame's memory.
    result.body.truncate(result.place.start.saturating_add(place.end));
    result.body.drain(..start.min(result.body.len()));
    Ok(Some((generation, result.body)))
}

/// The range between the comma and the closing bracket of `[generation,document]`. White space around the document is
/// part of its text.
fn place_of_document(pair: &[u8]) -> Range<usize> {
    let pair = pair.trim_ascii_end();
    let end = pair.len().saturating_sub(1);
    let comma = pair.iter().position(|byte| *byte == b',').unwrap_or(end);
    comma.saturating_add(1).min(end)..end
}

/// The `detail` object of a response.
#[derive(Debug, Default)]
struct Detail {
    code: Option<Cow<'static, str>>,
    class: Option<String>,
    backtrace: Vec<String>,
}

impl Detail {
    /// The failure's code: that of a handler's error if it is missing or unknown.
    fn code(&self) -> FailureCode {
        self.code.as_deref().and_then(FailureCode::from_name).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
