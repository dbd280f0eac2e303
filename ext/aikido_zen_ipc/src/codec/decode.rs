//! JSON to Ruby values.

mod key;

use magnus::{Error, IntoValue, RArray, RHash, Ruby, Value, prelude::*};
use zen_ipc::json::{MAX_NESTING, Reader, SyntaxError, TOO_DEEP, Token, utf8};

use self::key::key;
pub(crate) use self::key::{cached as name_string, prepare_key_cache};
use crate::ruby_bytes::{
    BATCH_LENGTH, ENTRY_BATCH_LENGTH, Element, allocate, append, big_integer, integer, store, symbol, value_of,
};

/// Why a text was not turned into a value.
pub(crate) enum DecodeError {
    /// It is not JSON, or not JSON of the wanted form; says what is wrong, and where.
    Invalid(String),
    /// Ruby raised while the value was built: `NoMemoryError`.
    Raised(Error),
}

/// The value of a JSON text; the keys of its Hashes are Strings.
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

/// The arguments of a call from the text of an Array, which does not count as a level.
///
/// # Errors
///
/// See [`DecodeError`].
pub(crate) fn decode_arguments(ruby: &Ruby, json: &[u8]) -> Result<RArray, DecodeError> {
    let arguments = decode_with(ruby, json, |decoder| decoder.value(MAX_NESTING + 1))?;
    RArray::from_value(arguments).ok_or_else(|| DecodeError::Invalid("the arguments are not an Array".to_owned()))
}

/// The keyword arguments of a call from the text of an object, which does not count as a level. Its
/// keys become Symbols that the GC can collect again, those further down Strings.
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
    build: impl FnOnce(&mut Decoder<'a>) -> Result<T, Obstacle>,
) -> Result<T, DecodeError> {
    let text = utf8(json).map_err(|error| DecodeError::Invalid(format!("not UTF-8: {error}")))?;
    let mut decoder = Decoder { ruby, reader: Reader::new(text), is_freezing: false };
    let built = build(&mut decoder).and_then(|value| Ok(decoder.reader.end().map(|()| value)?));
    built.map_err(|obstacle| match obstacle {
        Obstacle::Syntax(error) => DecodeError::Invalid(decoder.reader.describe(&error)),
        Obstacle::Raised(error) => DecodeError::Raised(error),
    })
}

/// Builds the values that it reads.
struct Decoder<'a> {
    ruby: &'a Ruby,
    reader: Reader<'a>,
    is_freezing: bool,
}

/// What ends the building of a value.
enum Obstacle {
    Syntax(SyntaxError),
    /// Ruby raised.
    Raised(Error),
}

impl From<SyntaxError> for Obstacle {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

impl From<Error> for Obstacle {
    fn from(error: Error) -> Self {
        Self::Raised(error)
    }
}

impl<'a> Decoder<'a> {
    fn value(&mut self, levels_left: u8) -> Result<Value, Obstacle> {
        let element = self.element(levels_left)?;
        Ok(value_of(element, self.is_freezing)?)
    }

    fn keyword_arguments(&mut self) -> Result<RHash, Obstacle> {
        let Token::Object = self.reader.token()? else {
            return Err(self.reader.error("the keyword arguments are not an object").into());
        };
        let hash = store(None, &[], false)?;
        let mut is_first = true;
        while let Some(name) = self.reader.key(is_first)? {
            let symbol = symbol(&name)?;
            let value = self.value(MAX_NESTING)?;
            hash.aset(symbol, value)?;
            is_first = false;
        }
        Ok(hash)
    }

    /// The next value. `levels_left` is how many containers may still be opened.
    #[inline]
    fn element(&mut self, levels_left: u8) -> Result<Element<'a>, Obstacle> {
        match self.reader.unescaped_string() {
            Some(text) => Ok(Element::Text(text)),
            None => self.made(levels_left).map(Element::Value),
        }
    }

    /// The next value where it is not a String without escapes. Apart from the above, so that Arrays of Strings, which
    /// the largest documents are made of, are read by a short loop.
    #[inline(never)]
    fn made(&mut self, levels_left: u8) -> Result<Value, Obstacle> {
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

    fn array(&mut self, levels_left: u8) -> Result<Value, Obstacle> {
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
            array = Some(append(array, batch.get(..filled).unwrap_or_default(), self.is_freezing)?);
        }
        Ok(self.finished(array))
    }

    fn hash(&mut self, levels_left: u8) -> Result<Value, Obstacle> {
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
            hash = Some(store(hash, batch.get(..filled).unwrap_or_default(), self.is_freezing)?);
        }
        Ok(self.finished(hash))
    }

    fn level_below(&self, levels_left: u8) -> Result<u8, SyntaxError> {
        levels_left.checked_sub(1).ok_or_else(|| self.reader.error(TOO_DEEP))
    }

    fn nil(&self) -> Element<'a> {
        Element::Value(self.ruby.qnil().as_value())
    }

    fn finished(&self, container: impl IntoValue) -> Value {
        let value = container.into_value_with(self.ruby);
        if self.is_freezing {
            value.freeze();
        }
        value
    }
}
