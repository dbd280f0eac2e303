//! Writes requests and responses: everything around the arguments and results, which are JSON text already.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::error::{FailureCode, RemoteFailure};
use crate::json::unescaped_len;

/// The parts of a request around its arguments: `head args "," kwargs tail`.
#[derive(Debug)]
pub struct RequestEnvelope {
    /// The part before the arguments.
    pub head: Vec<u8>,
    /// The part after the keyword arguments.
    pub tail: Vec<u8>,
}

impl RequestEnvelope {
    /// The parts of a call, or of a notification if there is no `id`.
    pub fn new(id: Option<&str>, name: &str, timeout: Option<Duration>) -> Self {
        let mut head = Vec::with_capacity(HEAD_CAPACITY);
        head.push(b'[');
        match id {
            Some(id) => write_string(&mut head, id),
            None => head.extend_from_slice(b"null"),
        }
        head.push(b',');
        write_string(&mut head, name);
        head.push(b',');
        let mut tail = Vec::with_capacity(TAIL_CAPACITY);
        if let Some(timeout) = timeout {
            tail.extend_from_slice(b",{\"timeout_ms\":");
            // Round up, so that the server does not drop a call before its caller gives up. The server accepts 64 bits.
            let timeout_ms = u64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            write_json(&mut tail, &timeout_ms);
            tail.push(b'}');
        }
        tail.push(b']');
        Self { head, tail }
    }
}

/// The parts of a response around its result: `head result tail`.
#[derive(Debug)]
pub struct ResultEnvelope {
    /// The part before the result.
    pub head: Vec<u8>,
    /// The part after the result.
    pub tail: &'static [u8],
}

impl ResultEnvelope {
    /// The parts of the response to the call `id`.
    pub fn new(id: &str) -> Self {
        let mut head = Vec::with_capacity(HEAD_CAPACITY);
        head.push(b'[');
        write_string(&mut head, id);
        head.push(b',');
        Self { head, tail: b",null]" }
    }
}

/// The body of a response with a failure.
pub fn failure_response(id: &str, failure: &RemoteFailure) -> Vec<u8> {
    failure_response_with(id, failure, &failure.backtrace)
}

/// Shortens the backtrace of a failure, from its end, until the response fits into `max_length` bytes. The other parts
/// are not shortened.
pub fn fit_backtrace<'a>(id: &str, failure: &'a RemoteFailure, max_length: usize) -> Cow<'a, RemoteFailure> {
    let mut length = failure_response_with(id, failure, &[]).len();
    let mut line_json = Vec::new();
    let fits = |line: &&String| {
        line_json.clear();
        write_string(&mut line_json, line);
        // Each line but the last is followed by a comma.
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
        #[serde(skip_serializing_if = "Option::is_none")]
        class: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        backtrace: Option<&'a [String]>,
    }
    let is_raised = failure.code == FailureCode::HandlerError;
    let class = failure.class.as_deref().filter(|_| is_raised);
    let detail = Detail { code: failure.code.name(), class, backtrace: is_raised.then_some(backtrace) };
    let mut body = Vec::new();
    write_json(&mut body, &(id, (), &failure.message, detail));
    body
}

/// Bytes reserved before and after the arguments: enough for most ids and names, and for every timeout.
const HEAD_CAPACITY: usize = 64;
const TAIL_CAPACITY: usize = 48;

fn write_string(json: &mut Vec<u8>, text: &str) {
    if unescaped_len(text.as_bytes()) < text.len() {
        return write_json(json, &text);
    }
    json.push(b'"');
    json.extend_from_slice(text.as_bytes());
    json.push(b'"');
}

/// Writes a value of our own types, which serialization never refuses.
fn write_json(json: &mut Vec<u8>, value: &impl Serialize) {
    let written = serde_json::to_writer(json, value);
    debug_assert!(written.is_ok(), "strings and numbers can be written to memory");
}
