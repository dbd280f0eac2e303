//! Builds Ruby values from JSON.

mod key;

use magnus::{Error, IntoValue, RArray, RHash, Ruby, Value, prelude::*};
use zen_ipc::json::{MAX_NESTING, Reader, SyntaxError, TOO_DEEP, Token, utf8};

use self::key::key;
pub(crate) use self::key::{interned as name_string, prepare_key_cache};
use crate::ruby_ffi::{
    BATCH_LENGTH, ENTRY_BATCH_LENGTH, Element, allocate, big_integer, insert_batch, integer, push_batch, symbol,
    value_of,
};

/// The error of decoding a text.
pub(crate) enum DecodeError {
    /// The text is not JSON, or not of the wanted form. Says what is wrong, and where.
    Invalid(String),
    /// Ruby raised an exception while the value was built: `NoMemoryError`.
    Raised(Error),
}

/// Builds the value of a JSON text; the keys of Hashes are Strings.
///
/// # Errors
///
/// See [`DecodeError`].
pub(crate) fn decode(ruby: &Ruby, json: &[u8]) -> Result<Value, DecodeError> {
    decode_with(ruby, json, |decoder| decoder.value(MAX_NESTING))
}

/// As [`decode`], with every Hash, Array and String frozen.
///
/// # Errors
///
/// See [`DecodeError`].
pub(crate) fn decode_frozen(ruby: &Ruby, json: &[u8]) -> Result<Value, DecodeError> {
    decode_with(ruby, json, |decoder| {
        decoder.is_freezing = true;
        decoder.value(MAX_NESTING)
    })
}

/// Builds the arguments of a call from an array, which does not count as a level.
///
/// # Errors
///
/// See [`DecodeError`].
pub(crate) fn decode_arguments(ruby: &Ruby, json: &[u8]) -> Result<RArray, DecodeError> {
    let arguments = decode_with(ruby, json, |decoder| decoder.value(MAX_NESTING + 1))?;
    RArray::from_value(arguments).ok_or_else(|| DecodeError::Invalid("the arguments are not an Array".to_owned()))
}

/// Builds the keyword arguments of a call from an object, which does not count as a level. Its keys become Symbols that
/// the GC can collect, those further down Strings.
///
/// # Errors
///
/// See [`DecodeError`].
pub(crate) fn decode_keyword_arguments(ruby: &Ruby, json: &[u8]) -> Result<RHash, DecodeError> {
    decode_with(ruby, json, Decoder::keyword_arguments)
}

fn decode_with<'a, T>(
    ruby: &'a Ruby,
    json: &'a [u8],
    build: impl FnOnce(&mut Decoder<'a>) -> Result<T, BuildError>,
) -> Result<T, DecodeError> {
    let text = utf8(json).map_err(|error| DecodeError::Invalid(format!("not UTF-8: {error}")))?;
    let mut decoder = Decoder { ruby, reader: Reader::new(text), is_freezing: false };
    let built = build(&mut decoder).and_then(|value| Ok(decoder.reader.end().map(|()| value)?));
    built.map_err(|error| match error {
        BuildError::Syntax(error) => DecodeError::Invalid(decoder.reader.describe(&error)),
        BuildError::Raised(error) => DecodeError::Raised(error),
    })
}

/// Reads tokens and builds their values.
struct Decoder<'a> {
    ruby: &'a Ruby,
    reader: Reader<'a>,
    is_freezing: bool,
}

/// The error of building a value.
enum BuildError {
    Syntax(SyntaxError),
    /// Ruby raised an exception.
    Raised(Error),
}

impl From<SyntaxError> for BuildError {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

impl From<Error> for BuildError {
    fn from(error: Error) -> Self {
        Self::Raised(error)
    }
}

impl<'a> Decoder<'a> {
    fn value(&mut self, levels_left: u8) -> Result<Value, BuildError> {
        let element = self.element(levels_left)?;
        Ok(value_of(element, self.is_freezing)?)
    }

    fn keyword_arguments(&mut self) -> Result<RHash, BuildError> {
        let Token::Object = self.reader.token()? else {
            return Err(self.reader.error("the keyword arguments are not an object").into());
        };
        let hash = insert_batch(None, &[], false)?;
        let mut is_first = true;
        while let Some(name) = self.reader.key(is_first)? {
            let symbol = symbol(&name)?;
            let value = self.value(MAX_NESTING)?;
            hash.aset(symbol, value)?;
            is_first = false;
        }
        Ok(hash)
    }

    /// The next value. `levels_left` is the number of containers that may still be opened.
    #[inline]
    fn element(&mut self, levels_left: u8) -> Result<Element<'a>, BuildError> {
        match self.reader.unescaped_string() {
            Some(text) => Ok(Element::Text(text)),
            None => self.non_string(levels_left).map(Element::Value),
        }
    }

    /// The next value, if it is not a String without escapes. Kept apart so that Arrays of Strings, the bulk of large
    /// documents, are read in a short loop.
    #[inline(never)]
    fn non_string(&mut self, levels_left: u8) -> Result<Value, BuildError> {
        Ok(match self.reader.token()? {
            Token::Null => self.ruby.qnil().as_value(),
            Token::Boolean(boolean) => boolean.into_value_with(self.ruby),
            Token::Integer(value) => integer(value)?,
            Token::BigInteger(digits) => big_integer(digits)?,
            Token::Float(float) => allocate(|| self.ruby.float_from_f64(float).as_value())?,
            Token::String(text) => value_of(Element::Text(&text), self.is_freezing)?,
            Token::Array => self.array(levels_left)?,
            Token::Object => self.hash(levels_left)?,
        })
    }

    fn array(&mut self, levels_left: u8) -> Result<Value, BuildError> {
        let below = self.level_below(levels_left)?;
        let mut array = None;
        let mut is_first = true;
        let mut has_ended = false;
        while !has_ended {
            let mut batch = [self.nil(); BATCH_LENGTH];
            let mut filled = 0;
            for place in &mut batch {
                if !self.reader.has_element(is_first)? {
                    has_ended = true;
                    break;
                }
                *place = self.element(below)?;
                filled += 1;
                is_first = false;
            }
            array = Some(push_batch(array, batch.get(..filled).unwrap_or_default(), self.is_freezing)?);
        }
        Ok(self.freeze_if_needed(array))
    }

    fn hash(&mut self, levels_left: u8) -> Result<Value, BuildError> {
        let below = self.level_below(levels_left)?;
        let mut hash = None;
        let mut length = 0;
        let mut has_ended = false;
        while !has_ended {
            let mut batch = [(self.nil(), self.nil()); ENTRY_BATCH_LENGTH];
            let mut filled = 0;
            for entry in &mut batch {
                let Some(name) = self.reader.key(length == 0)? else {
                    has_ended = true;
                    break;
                };
                *entry = (key(self.ruby, name, length)?, self.element(below)?);
                filled += 1;
                length += 1;
            }
            hash = Some(insert_batch(hash, batch.get(..filled).unwrap_or_default(), self.is_freezing)?);
        }
        Ok(self.freeze_if_needed(hash))
    }

    fn level_below(&self, levels_left: u8) -> Result<u8, SyntaxError> {
        levels_left.checked_sub(1).ok_or_else(|| self.reader.error(TOO_DEEP))
    }

    fn nil(&self) -> Element<'a> {
        Element::Value(self.ruby.qnil().as_value())
    }

    fn freeze_if_needed(&self, container: impl IntoValue) -> Value {
        let value = container.into_value_with(self.ruby);
        if self.is_freezing {
            value.freeze();
        }
        value
    }
}
