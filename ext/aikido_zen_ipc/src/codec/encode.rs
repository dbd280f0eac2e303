//! Writes Ruby values as JSON.

mod hash;
mod quote;

use magnus::{
    Error, Exception, Float, Integer, RArray, RHash, RString, Ruby, Symbol, Value,
    prelude::*,
    value::{Fixnum, Qfalse, Qtrue},
};

use zen_ipc::json::MAX_NESTING;
use zen_ipc::sys::alloc;

use self::hash::{Hashes, looks_for_duplicates};
use self::quote::write_quoted;
use crate::failure::{described, failure_in};
use crate::ruby_ffi::{append_bytes, class_name, is_utf8_compatible, method_arity, symbol_name};

/// The error of encoding a value.
pub(crate) enum EncodeError {
    /// The value has no JSON form.
    Unserializable {
        /// Its place: `args[0]["actor"]`.
        place: String,
        /// The reason: `an Object is neither a JSON value nor responds to as_json`.
        reason: String,
        /// The exception of a method of the value: `as_json`, or the `to_s` of a Hash key.
        cause: Option<Exception>,
    },
    /// What ended such a method, or Ruby itself, without being a failure of the value: `exit`, `throw`, the end of the
    /// thread, `NoMemoryError`.
    Raised(Error),
    /// Ruby code would have to run while a Hash is iterated. [`encode`] never returns this.
    NeedsCopy,
    /// There is no memory for the JSON.
    OutOfMemory(zen_ipc::Error),
}

impl From<zen_ipc::Error> for EncodeError {
    fn from(error: zen_ipc::Error) -> Self {
        Self::OutOfMemory(error)
    }
}

/// Appends `value` as JSON to `json`. `root` is its name in an [`EncodeError`]: `args`, `kwargs`, `result`, `document`.
/// The outermost level of the first two does not count.
///
/// # Errors
///
/// See [`EncodeError`]; `json` then holds the part that was written.
pub(crate) fn encode(ruby: &Ruby, value: Value, root: &str, json: &mut Vec<u8>) -> Result<(), EncodeError> {
    let envelope_levels = u8::from(matches!(root, "args" | "kwargs"));
    let mut encoder = Encoder::new(ruby, json);
    encoder.write(value, MAX_NESTING + envelope_levels).map_err(|error| error.inside(root))?;
    encoder.warn_of_duplicate()
}

/// As [`encode`], for an Array `args` of these elements.
///
/// # Errors
///
/// As [`encode`].
pub(crate) fn encode_arguments(
    ruby: &Ruby,
    arguments: impl Iterator<Item = Value>,
    json: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut encoder = Encoder::new(ruby, json);
    encoder.push(b'[')?;
    for (index, argument) in arguments.enumerate() {
        if index > 0 {
            encoder.push(b',')?;
        }
        encoder.write(argument, MAX_NESTING).map_err(|error| error.inside(&format!("args[{index}]")))?;
    }
    encoder.push(b']')?;
    encoder.warn_of_duplicate()
}

impl EncodeError {
    fn new(reason: String) -> Self {
        Self::Unserializable { place: String::new(), reason, cause: None }
    }

    /// Prefixes the place with the step from the container around it.
    fn inside(self, step: &str) -> Self {
        match self {
            Self::Unserializable { place, reason, cause } => {
                Self::Unserializable { place: format!("{step}{place}"), reason, cause }
            }
            Self::Raised(_) | Self::NeedsCopy | Self::OutOfMemory(_) => self,
        }
    }
}

struct Encoder<'a> {
    ruby: &'a Ruby,
    json: &'a mut Vec<u8>,
    hashes: Hashes,
    /// A key that a Hash has twice, if there was one and it is to be reported.
    duplicate: Option<String>,
    looks_for_duplicates: bool,
}

impl<'a> Encoder<'a> {
    fn new(ruby: &'a Ruby, json: &'a mut Vec<u8>) -> Self {
        Self { ruby, json, hashes: Hashes::InPlace, duplicate: None, looks_for_duplicates: looks_for_duplicates() }
    }

    /// Writes any value. `levels_left` is the number of containers that may still be opened.
    fn write(&mut self, value: Value, levels_left: u8) -> Result<(), EncodeError> {
        if let Some(string) = RString::from_value(value) {
            self.write_string(string)
        } else if let Some(fixnum) = Fixnum::from_value(value) {
            self.write_number(fixnum.to_i64())
        } else if value.is_nil() {
            self.write_literal("null")
        } else if Qtrue::from_value(value).is_some() {
            self.write_literal("true")
        } else if Qfalse::from_value(value).is_some() {
            self.write_literal("false")
        } else if let Some(hash) = RHash::from_value(value) {
            self.write_hash(hash, level_below(value, levels_left)?)
        } else if let Some(array) = RArray::from_value(value) {
            self.write_array(array, level_below(value, levels_left)?)
        } else if let Some(symbol) = Symbol::from_value(value) {
            self.write_string(symbol_name(symbol))
        } else if let Some(float) = Float::from_value(value) {
            self.write_float(float.to_f64())
        } else if let Some(bignum) = Integer::from_value(value) {
            let digits: RString = self.ask(value, "to_s", || bignum.funcall("to_s", ()))?;
            Ok(append_bytes(digits, self.json, write_plain)?)
        } else {
            self.write_object(value, levels_left)
        }
    }

    /// Looks up each element anew, because an `as_json` may change the Array. Elements that are added meanwhile are
    /// left out: an Array that grows with each element would never end.
    fn write_array(&mut self, array: RArray, levels_left: u8) -> Result<(), EncodeError> {
        self.push(b'[')?;
        for index in 0..array.len() {
            if index >= array.len() {
                break;
            }
            if index > 0 {
                self.push(b',')?;
            }
            let element = isize::try_from(index)
                .map_err(|error| EncodeError::new(error.to_string()))
                .and_then(|index| array.entry::<Value>(index).map_err(EncodeError::Raised))?;
            self.write(element, levels_left).map_err(|error| error.inside(&format!("[{index}]")))?;
        }
        self.push(b']')
    }

    fn write_float(&mut self, float: f64) -> Result<(), EncodeError> {
        if !float.is_finite() {
            return Err(EncodeError::new(format!("the Float {} has no form in JSON", ruby_float_name(float))));
        }
        self.write_number(float)
    }

    /// Calls `as_json` and writes its result. Counts as a level, so that an `as_json` that returns `self` comes to an
    /// end.
    fn write_object(&mut self, object: Value, levels_left: u8) -> Result<(), EncodeError> {
        if !self.ask(object, "respond_to?", || object.respond_to("as_json", false))? {
            let class = with_article(&class_name(object));
            return Err(EncodeError::new(format!("{class} is neither a JSON value nor responds to as_json")));
        }
        let levels_left = level_below(object, levels_left)?;
        let replacement: Value = self.ask(object, "as_json", || match method_arity(object, "as_json") {
            // It takes the options that ActiveSupport would pass.
            Some(1 | -2) => object.funcall_public("as_json", (self.ruby.hash_new(),)),
            _ => object.funcall_public("as_json", ()),
        })?;
        self.write(replacement, levels_left)
    }

    /// Calls a method of the value.
    fn ask<T>(&self, value: Value, method: &str, call: impl FnOnce() -> Result<T, Error>) -> Result<T, EncodeError> {
        if self.hashes == Hashes::Walking {
            return Err(EncodeError::NeedsCopy);
        }
        call().map_err(|error| match failure_in(self.ruby, &error) {
            Some(cause) => {
                let class = with_article(&class_name(value));
                let reason = format!("{method} of {class} raised {}", described(cause));
                EncodeError::Unserializable { place: String::new(), reason, cause: Some(cause) }
            }
            None => EncodeError::Raised(error),
        })
    }

    fn write_string(&mut self, string: RString) -> Result<(), EncodeError> {
        let string = if is_utf8_compatible(string) { string } else { self.transcode(string)? };
        Ok(append_bytes(string, self.json, write_quoted)?)
    }

    /// Transcodes a String to UTF-8, with U+FFFD for invalid or unmappable characters. Returns it unchanged if Ruby has
    /// no converter.
    fn transcode(&self, string: RString) -> Result<RString, EncodeError> {
        self.ask(string.as_value(), "encode", || {
            let replace = self.ruby.to_symbol("replace");
            let options = magnus::kwargs!(self.ruby, "invalid" => replace, "undef" => replace);
            match string.funcall("encode", (self.ruby.utf8_encoding().name(), options)) {
                Err(error) if error.is_kind_of(self.ruby.exception_encoding_error()) => Ok(string),
                transcoded => transcoded,
            }
        })
    }

    fn write_number(&mut self, number: impl serde::Serialize) -> Result<(), EncodeError> {
        alloc::try_reserve(self.json, MAX_NUMBER_LENGTH)?;
        serde_json::to_writer(&mut *self.json, &number).map_err(|error| EncodeError::new(error.to_string()))
    }

    fn write_literal(&mut self, literal: &str) -> Result<(), EncodeError> {
        Ok(write_plain(literal.as_bytes(), self.json)?)
    }

    #[inline]
    fn push(&mut self, byte: u8) -> Result<(), EncodeError> {
        alloc::try_reserve(self.json, 1)?;
        self.json.push(byte);
        Ok(())
    }
}

/// The most bytes of a 64-bit Integer or a Float.
const MAX_NUMBER_LENGTH: usize = 32;

fn write_plain(bytes: &[u8], json: &mut Vec<u8>) -> Result<(), zen_ipc::Error> {
    alloc::try_reserve(json, bytes.len())?;
    json.extend_from_slice(bytes);
    Ok(())
}

fn level_below(value: Value, levels_left: u8) -> Result<u8, EncodeError> {
    levels_left.checked_sub(1).ok_or_else(|| {
        let class = with_article(&class_name(value));
        EncodeError::new(format!("{class} is nested deeper than {MAX_NESTING} levels"))
    })
}

fn with_article(class: &str) -> String {
    let article = if class.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
    format!("{article} {class}")
}

fn ruby_float_name(float: f64) -> &'static str {
    if float.is_nan() {
        "NaN"
    } else if float.is_sign_positive() {
        "Infinity"
    } else {
        "-Infinity"
    }
}
