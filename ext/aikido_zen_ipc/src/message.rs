//! The name and arguments of a call, converted to JSON; used for remote and local calls.

use std::borrow::Cow;
use std::time::Duration;

use magnus::r_hash::ForEach;
use magnus::{Error, RHash, RString, Ruby, Symbol, TryConvert, Value, prelude::*};

use crate::codec::api::{arguments_to_json, copy_bytes, to_json};
use crate::failure::quoted;
use crate::gvl::rescue_panic;
use crate::options::duration;
use crate::ruby_ffi::{is_utf8_compatible, keyword_given, symbol_name};

/// The longest method name in bytes. 1,024: longer than any real name, and short enough for every log and error.
const MAX_NAME_LENGTH: usize = 1024;

/// The most bytes of a character in any encoding that Ruby knows.
const MAX_CHARACTER_LENGTH: usize = 4;

/// The arguments of `invoke`.
pub(crate) struct Invocation {
    /// The name of the method.
    pub(crate) name: String,
    /// The timeout of the call.
    pub(crate) timeout: Duration,
    /// The arguments.
    pub(crate) message: Message,
}

impl Invocation {
    /// `(name, timeout, *args, **kwargs)`.
    ///
    /// # Errors
    ///
    /// `ArgumentError`, `SerializationError`.
    pub(crate) fn new(ruby: &Ruby, positional: &[Value], keywords: Option<RHash>) -> Result<Self, Error> {
        let [name, timeout, args @ ..] = positional else { return Err(too_few(ruby, positional, 2)) };
        let name = method_name(ruby, *name)?;
        let timeout = duration(ruby, "timeout", *timeout)?;
        Ok(Self { name, timeout, message: Message::new(ruby, args, keywords)? })
    }
}

/// The arguments of `notify`.
pub(crate) struct Notification {
    /// The name of the method.
    pub(crate) name: String,
    /// The arguments.
    pub(crate) message: Message,
}

impl Notification {
    /// `(name, *args, **kwargs)`.
    ///
    /// # Errors
    ///
    /// As [`Invocation::new`].
    pub(crate) fn new(ruby: &Ruby, positional: &[Value], keywords: Option<RHash>) -> Result<Self, Error> {
        let [name, args @ ..] = positional else { return Err(too_few(ruby, positional, 1)) };
        Ok(Self { name: method_name(ruby, *name)?, message: Message::new(ruby, args, keywords)? })
    }
}

/// Splits arguments into the positional ones and the keywords, if any.
pub(crate) fn split_kwargs(arguments: &[Value]) -> (&[Value], Option<RHash>) {
    match arguments.split_last() {
        Some((last, positional)) if keyword_given() => (positional, RHash::from_value(*last)),
        _ => (arguments, None),
    }
}

/// The arguments of a call as JSON. They are copied, so that no Ruby memory is borrowed without the GVL.
pub(crate) struct Message {
    /// The text of an array.
    pub(crate) args: Vec<u8>,
    /// The text of an object.
    pub(crate) kwargs: Cow<'static, [u8]>,
}

impl Message {
    fn new(ruby: &Ruby, args: &[Value], keywords: Option<RHash>) -> Result<Self, Error> {
        rescue_panic(ruby, || {
            let (keywords, last) = match keywords {
                // Ruby treats `"id" => 7` without braces as keywords, but no handler could name such a keyword.
                Some(hash) if !has_only_symbols(hash)? => (None, Some(hash.as_value())),
                keywords => (keywords, None),
            };
            let args = arguments_to_json(ruby, args.iter().copied().chain(last))?;
            let kwargs = match keywords {
                Some(keywords) => Cow::Owned(to_json(ruby, keywords.as_value(), "kwargs")?),
                None => Cow::Borrowed(b"{}".as_slice()),
            };
            Ok(Self { args, kwargs })
        })
    }
}

/// Converts the name of a method.
///
/// # Errors
///
/// `ArgumentError` for an invalid name, with what is allowed.
pub(crate) fn method_name(ruby: &Ruby, name: Value) -> Result<String, Error> {
    let refused =
        |allowed: &str| Error::new(ruby.exception_arg_error(), format!("name is {}; {allowed} allowed", quoted(name)));
    let text = match Symbol::from_value(name) {
        Some(symbol) => symbol_name(symbol),
        None => RString::try_convert(name).map_err(|_| refused("a String or a Symbol is"))?,
    };
    text_of_name(ruby, text)?.ok_or_else(|| refused("1 to 1,024 bytes of valid UTF-8 are"))
}

fn too_few(ruby: &Ruby, positional: &[Value], expected: usize) -> Error {
    let message = format!("wrong number of arguments (given {}, expected {expected}+)", positional.len());
    Error::new(ruby.exception_arg_error(), message)
}

fn text_of_name(ruby: &Ruby, text: RString) -> Result<Option<String>, Error> {
    if text.len() > MAX_CHARACTER_LENGTH.saturating_mul(MAX_NAME_LENGTH) {
        return Ok(None);
    }
    let text = if is_utf8_compatible(text) {
        text
    } else {
        match text.funcall("encode", (ruby.utf8_encoding().name(),)) {
            Err(error) if error.is_kind_of(ruby.exception_encoding_error()) => return Ok(None),
            encoded => encoded?,
        }
    };
    let text = String::from_utf8(copy_bytes(ruby, text)?).ok();
    Ok(text.filter(|text| (1..=MAX_NAME_LENGTH).contains(&text.len())))
}

fn has_only_symbols(hash: RHash) -> Result<bool, Error> {
    let mut has_only_symbols = true;
    hash.foreach(|key: Value, _: Value| {
        has_only_symbols = Symbol::from_value(key).is_some();
        Ok(if has_only_symbols { ForEach::Continue } else { ForEach::Stop })
    })?;
    Ok(has_only_symbols)
}
