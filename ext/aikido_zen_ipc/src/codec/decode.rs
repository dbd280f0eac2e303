//! JSON to Ruby values.

mod key;

use std::{cell::Cell, fmt};

use magnus::{Error, IntoValue, RArray, RHash, RString, Ruby, Value, prelude::*};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use self::key::{Key, KeySeed, NameSeed};
use super::MAX_NESTING;
use crate::ruby_bytes::{allocate, insert_pairs};

/// In values: so many are collected on the stack before they are stored together, because entering
/// Ruby costs more than storing a value. Most objects have no more than 8 keys; 128 bytes a level.
const BATCH_LENGTH: usize = 16;

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
    let decoder = Decoder::new(ruby);
    decoder.parse(json, ValueSeed { decoder: &decoder, levels_left: MAX_NESTING })
}

/// As [`decode`], with every Hash, Array and String frozen.
///
/// # Errors
///
/// See [`DecodeError`].
pub(crate) fn decode_frozen(ruby: &Ruby, json: &[u8]) -> Result<Value, DecodeError> {
    let decoder = Decoder { is_freezing: true, ..Decoder::new(ruby) };
    decoder.parse(json, ValueSeed { decoder: &decoder, levels_left: MAX_NESTING })
}

/// The arguments of a call from the text of an Array, which does not count as a level.
///
/// # Errors
///
/// See [`DecodeError`].
pub(crate) fn decode_arguments(ruby: &Ruby, json: &[u8]) -> Result<RArray, DecodeError> {
    let decoder = Decoder::new(ruby);
    let arguments = decoder.parse(json, ValueSeed { decoder: &decoder, levels_left: MAX_NESTING + 1 })?;
    RArray::from_value(arguments).ok_or_else(|| DecodeError::Invalid("the arguments are not an Array".to_owned()))
}

/// The keyword arguments of a call from the text of an object, which does not count as a level. Its
/// keys become Symbols that the GC can collect again, those further down Strings.
///
/// # Errors
///
/// See [`DecodeError`].
pub(crate) fn decode_keyword_arguments(ruby: &Ruby, json: &[u8]) -> Result<RHash, DecodeError> {
    let decoder = Decoder::new(ruby);
    decoder.parse(json, KeywordArgumentsSeed(ValueSeed { decoder: &decoder, levels_left: MAX_NESTING }))
}

struct Decoder<'a> {
    ruby: &'a Ruby,
    is_freezing: bool,
    /// What Ruby raised, on its way around serde's own error.
    raised: Cell<Option<Error>>,
}

impl<'a> Decoder<'a> {
    fn new(ruby: &'a Ruby) -> Self {
        Self { ruby, is_freezing: false, raised: Cell::new(None) }
    }

    fn parse<'de, S: DeserializeSeed<'de>>(&self, json: &'de [u8], seed: S) -> Result<S::Value, DecodeError> {
        let text = std::str::from_utf8(json).map_err(|error| DecodeError::Invalid(format!("not UTF-8: {error}")))?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let parsed = seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
        parsed.map_err(|error| match self.raised.take() {
            Some(raised) => DecodeError::Raised(raised),
            None => DecodeError::Invalid(error.to_string()),
        })
    }

    fn ruby_result<T, E: de::Error>(&self, result: Result<T, Error>) -> Result<T, E> {
        result.map_err(|error| {
            self.raised.set(Some(error));
            E::custom("Ruby raised")
        })
    }

    /// A number that is more than a 64-bit integer: its digits are all there is to go by.
    fn number<E: de::Error>(&self, digits: &str) -> Result<Value, E> {
        self.ruby_result(if digits.contains(['.', 'e', 'E']) {
            let float = digits.parse().map_err(E::custom)?;
            allocate(|| self.ruby.float_from_f64(float).as_value())
        } else {
            allocate(|| self.ruby.str_new(digits)).and_then(|digits: RString| digits.funcall("to_i", ()))
        })
    }

    fn finished(&self, value: impl IntoValue) -> Value {
        let value = value.into_value_with(self.ruby);
        if self.is_freezing {
            value.freeze();
        }
        value
    }
}

/// Builds the next value. `levels_left` is how many containers may still be opened.
#[derive(Clone, Copy)]
struct ValueSeed<'a> {
    decoder: &'a Decoder<'a>,
    levels_left: u8,
}

impl ValueSeed<'_> {
    fn level_below<E: de::Error>(self) -> Result<Self, E> {
        match self.levels_left.checked_sub(1) {
            Some(levels_left) => Ok(Self { levels_left, ..self }),
            None => Err(E::custom(format_args!("nesting deeper than {MAX_NESTING} levels"))),
        }
    }

    fn hash<'de, A: MapAccess<'de>>(self, first_key: Option<Key>, mut entries: A) -> Result<Value, A::Error> {
        let decoder = self.decoder;
        let below = self.level_below()?;
        let hash: RHash = decoder.ruby_result(allocate(|| decoder.ruby.hash_new()))?;
        let mut next_key = first_key;
        while let Some(Key::Name(_)) = next_key {
            let mut batch = [decoder.ruby.qnil().as_value(); BATCH_LENGTH];
            let mut filled = 0;
            for pair in batch.chunks_exact_mut(2) {
                let (Some(Key::Name(name)), [key, value]) = (next_key, pair) else {
                    break;
                };
                *key = name.as_value();
                *value = entries.next_value_seed(below)?;
                filled += 2;
                next_key = entries.next_key_seed(KeySeed(decoder))?;
            }
            decoder.ruby_result(insert_pairs(hash, batch.get(..filled).unwrap_or_default()))?;
        }
        Ok(decoder.finished(hash))
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(self.decoder.ruby.qnil().as_value())
    }

    fn visit_bool<E: de::Error>(self, boolean: bool) -> Result<Value, E> {
        Ok(boolean.into_value_with(self.decoder.ruby))
    }

    fn visit_i64<E: de::Error>(self, integer: i64) -> Result<Value, E> {
        self.decoder.ruby_result(allocate(|| self.decoder.ruby.integer_from_i64(integer).as_value()))
    }

    fn visit_u64<E: de::Error>(self, integer: u64) -> Result<Value, E> {
        self.decoder.ruby_result(allocate(|| self.decoder.ruby.integer_from_u64(integer).as_value()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        let string = self.decoder.ruby_result(allocate(|| self.decoder.ruby.str_new(text).as_value()))?;
        Ok(self.decoder.finished(string))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let decoder = self.decoder;
        let below = self.level_below()?;
        let array: RArray = decoder.ruby_result(allocate(|| decoder.ruby.ary_new()))?;
        let mut has_ended = false;
        while !has_ended {
            let mut batch = [decoder.ruby.qnil().as_value(); BATCH_LENGTH];
            let mut filled = 0;
            for place in &mut batch {
                let Some(element) = elements.next_element_seed(below)? else {
                    has_ended = true;
                    break;
                };
                *place = element;
                filled += 1;
            }
            decoder.ruby_result(array.cat(batch.get(..filled).unwrap_or_default()))?;
        }
        Ok(decoder.finished(array))
    }

    /// An object, or a number with more digits than 64 bits hold.
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        match entries.next_key_seed(KeySeed(self.decoder))? {
            Some(Key::NumberToken) => self.decoder.number(&entries.next_value::<String>()?),
            first_key => self.hash(first_key, entries),
        }
    }
}

struct KeywordArgumentsSeed<'a>(ValueSeed<'a>);

impl<'de> DeserializeSeed<'de> for KeywordArgumentsSeed<'_> {
    type Value = RHash;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RHash, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for KeywordArgumentsSeed<'_> {
    type Value = RHash;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of keyword arguments")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<RHash, A::Error> {
        let decoder = self.0.decoder;
        let hash: RHash = decoder.ruby_result(allocate(|| decoder.ruby.hash_new()))?;
        while let Some(name) = entries.next_key_seed(NameSeed(decoder))? {
            let symbol: Value = decoder.ruby_result(name.funcall("to_sym", ()))?;
            let value = entries.next_value_seed(self.0)?;
            decoder.ruby_result(hash.aset(symbol, value))?;
        }
        Ok(hash)
    }
}
