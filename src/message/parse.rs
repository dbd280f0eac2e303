//! One pass over a frame's body, borrowing from it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Detail;
use crate::error::{Error, RemoteFailure, Result};

/// The parts of a request; `args` is an array and `kwargs` an object.
pub(super) struct RequestParts<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Cow<'a, str>,
    pub(super) args: &'a str,
    pub(super) kwargs: &'a str,
    pub(super) timeout: Option<Duration>,
}

/// The parts of a response.
pub(super) struct ResponseParts<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) result: &'a str,
    pub(super) failure: Option<RemoteFailure>,
}

/// The request in `body`, or `None` if it is some other JSON.
pub(super) fn request(body: &[u8]) -> Result<Option<RequestParts<'_>>> {
    message(body)
}

/// The response in `body`, or `None` if it is some other JSON.
pub(super) fn response(body: &[u8]) -> Result<Option<ResponseParts<'_>>> {
    message(body)
}

/// Only what is no message is looked at twice: to tell other JSON from bytes that are not JSON at all.
fn message<'a, T: Message<'a>>(body: &'a [u8]) -> Result<Option<T>> {
    if let Ok(InArray(parts, _)) = serde_json::from_slice::<InArray<'a, T>>(body) {
        return Ok(Some(parts));
    }
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(_) => Ok(None),
        Err(error) => Err(Error::protocol(format!("a frame of {} bytes is not JSON: {error}", body.len()))),
    }
}

/// A message whose elements stand in an array.
trait Message<'a>: Sized {
    fn from_elements<A: SeqAccess<'a>>(elements: A) -> Result<Self, A::Error>;
}

impl<'a> Message<'a> for RequestParts<'a> {
    fn from_elements<A: SeqAccess<'a>>(mut elements: A) -> Result<Self, A::Error> {
        let id = required::<Option<Text<'a>>, _>(&mut elements)?.map(|text| text.0);
        let name = required::<Text<'a>, _>(&mut elements)?.0;
        let args = raw(&mut elements, '[')?;
        let kwargs = raw(&mut elements, '{')?;
        let meta = optional_object::<Meta, _>(&mut elements)?;
        Ok(Self { id, name, args, kwargs, timeout: meta.timeout_ms.map(Duration::from_millis) })
    }
}

impl<'a> Message<'a> for ResponseParts<'a> {
    fn from_elements<A: SeqAccess<'a>>(mut elements: A) -> Result<Self, A::Error> {
        let id = required::<Text<'a>, _>(&mut elements)?.0;
        let result = required::<&RawValue, _>(&mut elements)?.get();
        let error = required::<Option<String>, _>(&mut elements)?;
        let detail = optional_object::<Detail, _>(&mut elements)?;
        let failure = error.map(|message| RemoteFailure { message, class: detail.class, backtrace: detail.backtrace });
        Ok(Self { id, result, failure })
    }
}

#[derive(Default, serde::Deserialize)]
struct Meta {
    #[serde(default)]
    timeout_ms: Option<u64>,
}

/// A string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn required<'a, T: Deserialize<'a>, A: SeqAccess<'a>>(elements: &mut A) -> Result<T, A::Error> {
    elements.next_element()?.ok_or_else(|| serde::de::Error::custom("too few elements"))
}

/// The text of an element that begins with `opening`.
fn raw<'a, A: SeqAccess<'a>>(elements: &mut A, opening: char) -> Result<&'a str, A::Error> {
    begins_with(required::<&RawValue, A>(elements)?, opening)
}

/// An object at the end, where there is one. Derived types would take an array for an object as well.
fn optional_object<'a, T: Default + Deserialize<'a>, A: SeqAccess<'a>>(elements: &mut A) -> Result<T, A::Error> {
    let Some(text) = elements.next_element::<&RawValue>()? else { return Ok(T::default()) };
    serde_json::from_str(begins_with(text, '{')?).map_err(serde::de::Error::custom)
}

fn begins_with<E: serde::de::Error>(text: &RawValue, opening: char) -> Result<&str, E> {
    let text = text.get();
    if text.starts_with(opening) { Ok(text) } else { Err(E::custom("another kind of value")) }
}

struct InArray<'a, T>(T, PhantomData<&'a ()>);

impl<'a, T: Message<'a>> Deserialize<'a> for InArray<'a, T> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ArrayVisitor(PhantomData))
    }
}

struct ArrayVisitor<T>(PhantomData<T>);

impl<'a, T: Message<'a>> Visitor<'a> for ArrayVisitor<T> {
    type Value = InArray<'a, T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a message")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let message = T::from_elements(&mut elements)?;
        match elements.next_element::<IgnoredAny>()? {
            None => Ok(InArray(message, PhantomData)),
            Some(_) => Err(serde::de::Error::custom("too many elements")),
        }
    }
}
