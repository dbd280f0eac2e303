//! Splits a frame's body into the parts of a message, borrowed from it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::Detail;
use crate::error::{Error, RemoteFailure, Result};
use crate::json::{Elements, elements, string};
use crate::sys::alloc;

/// A parsed array of four or five elements.
pub(super) enum ParsedRequest<'a> {
    Request(RequestParts<'a>),
    /// A call with an invalid meta object.
    Unusable {
        id: Cow<'a, str>,
        meta: &'a str,
    },
}

/// The parts of a request; `args` is the range of an array, and `kwargs` that of an object.
pub(super) struct RequestParts<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Cow<'a, str>,
    pub(super) args: Range<usize>,
    pub(super) kwargs: Range<usize>,
    pub(super) timeout: Option<Duration>,
}

/// The parts of a response.
pub(super) struct ResponseParts<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) result: Range<usize>,
    pub(super) failure: Option<RemoteFailure>,
}

/// The request in `body`, or `None` for other JSON.
pub(super) fn request(body: &[u8]) -> Result<Option<ParsedRequest<'_>>> {
    Ok(array::<5>(body)?.filter(|parts| parts.count() >= 4).and_then(|parts| {
        let (id, name) = (parts.text(0), string(parts.text(1))?);
        let id = if id == "null" { None } else { Some(string(id)?) };
        if !parts.text(2).starts_with('[') || !parts.text(3).starts_with('{') {
            return None;
        }
        let meta = if parts.count() == 5 { parts.text(4) } else { "{}" };
        let Some(timeout) = timeout_in(meta) else { return Some(ParsedRequest::Unusable { id: id?, meta }) };
        Some(ParsedRequest::Request(RequestParts { id, name, args: parts.place(2), kwargs: parts.place(3), timeout }))
    }))
}

/// The response in `body`, or `None` for other JSON.
pub(super) fn response(body: &[u8]) -> Result<Option<ResponseParts<'_>>> {
    let Some(parts) = array::<4>(body)?.filter(|parts| parts.count() >= 3) else { return Ok(None) };
    if parts.text(2) != "null" {
        // The message and the backtrace are copied by code that cannot report a lack of memory.
        alloc::probe(body.len())?;
    }
    Ok(response_in(&parts))
}

fn response_in<'a>(parts: &Elements<'a, 4>) -> Option<ResponseParts<'a>> {
    let detail = if parts.count() == 4 { detail_in(parts.text(3))? } else { Detail::default() };
    let failure = match parts.text(2) {
        "null" => None,
        message => Some(RemoteFailure {
            code: detail.code(),
            message: string(message)?.into_owned(),
            class: detail.class,
            backtrace: detail.backtrace,
        }),
    };
    Some(ResponseParts { id: string(parts.text(0))?, result: parts.place(1), failure })
}

/// The elements of the array in `body`, or `None` for other JSON.
pub(super) fn array<const N: usize>(body: &[u8]) -> Result<Option<Elements<'_, N>>> {
    elements(body).map_err(|reason| Error::protocol(format!("a frame of {} bytes is not JSON: {reason}", body.len())))
}

/// The timeout in a request's meta object; `None` for an invalid one.
fn timeout_in(meta: &str) -> Option<Option<Duration>> {
    // Fast path for the form that our own clients write.
    let as_ours = meta.strip_prefix("{\"timeout_ms\":").and_then(|rest| rest.strip_suffix('}'));
    let timeout_ms = match as_ours.and_then(|digits| digits.parse().ok()) {
        Some(timeout_ms) => Some(timeout_ms),
        None => member(&members(meta)?, "timeout_ms")?,
    };
    Some(timeout_ms.map(Duration::from_millis))
}

/// The parsed `detail` object of a response; `None` for an invalid one.
fn detail_in(json: &str) -> Option<Detail> {
    let members = members(json)?;
    Some(Detail {
        code: member(&members, "code")?,
        class: member(&members, "class")?,
        backtrace: member(&members, "backtrace")?,
    })
}

/// The members of an object. The last of several with the same name counts, as everywhere in this protocol.
fn members(json: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(json).ok()
}

/// The value of a member, or its default if it is missing; `None` if it has another type.
fn member<T: Default + DeserializeOwned>(members: &BTreeMap<String, &RawValue>, name: &str) -> Option<T> {
    members.get(name).map_or_else(|| Some(T::default()), |json| serde_json::from_str(json.get()).ok())
}
