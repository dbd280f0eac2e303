//! JSON to Ruby values.

mod key;

use std::{cell::Cell, fmt};

use magnus::{Error, IntoValue, RArray, RHash, RString, Ruby, Value, prelude::*};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use self::key::{Key, KeySeed, NameSeed};
use super::MAX_NESTING;
use crate::ruby_bytes::{BATCH_LENGTH, Element, allocate, append, store, value_of};

/// In entries: so many are collected on the stack before they are stored together. Most objects have
/// no more keys than these.
const ENTRY_BATCH_LENGTH: usize = 8;

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
    decoder.value(json, MAX_NESTING)
}

/// As [`decode`], with every Hash, Array and String frozen.
///
/// # Errors
///
/// See [`DecodeError`].
pub(crate) fn decode_frozen(ruby: &Ruby, json: &[u8]) -> Result<Value, DecodeError> {
    let decoder = Decoder { is_freezing: true, ..Decoder::new(ruby) };
    decoder.value(json, MAX_NESTING)
}

/// The arguments of a call from the text of an Array, which does not count as a level.
///
/// # Errors
///
/// See [`DecodeError`].
pub(crate) fn decode_arguments(ruby: &Ruby, json: &[u8]) -> Result<RArray, DecodeError> {
    let decoder = Decoder::new(ruby);
    let arguments = decoder.value(json, MAX_NESTING + 1)?;
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

    fn value(&self, json: &[u8], levels_left: u8) -> Result<Value, DecodeError> {
        let element = self.parse(json, ValueSeed { decoder: self, levels_left })?;
        value_of(element, self.is_freezing).map_err(DecodeError::Raised)
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

    fn hash<'de, A: MapAccess<'de>>(self, first_key: Option<Key<'de>>, mut entries: A) -> Result<Value, A::Error> {
        let decoder = self.decoder;
        let below = self.level_below()?;
        let nil = Element::Value(decoder.ruby.qnil().as_value());
        let mut hash = None;
        let mut next_key = first_key;
        loop {
            let mut batch = [(nil, nil); ENTRY_BATCH_LENGTH];
            let mut filled = 0;
            for entry in &mut batch {
                let Some(Key::Name(name)) = next_key else {
                    break;
                };
                *entry = (name, entries.next_value_seed(below)?);
                filled += 1;
                next_key = entries.next_key_seed(KeySeed(decoder))?;
            }
            let stored = store(hash, batch.get(..filled).unwrap_or_default(), decoder.is_freezing);
            hash = Some(decoder.ruby_result(stored)?);
            if next_key.is_none() {
                break;
            }
        }
        Ok(decoder.finished(hash))
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Element<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Element<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Element<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Element<'de>, E> {
        Ok(Element::Value(self.decoder.ruby.qnil().as_value()))
    }

    fn visit_bool<E: de::Error>(self, boolean: bool) -> Result<Element<'de>, E> {
        Ok(Element::Value(boolean.into_value_with(self.decoder.ruby)))
    }

    fn visit_i64<E: de::Error>(self, integer: i64) -> Result<Element<'de>, E> {
        self.decoder
            .ruby_result(allocate(|| self.decoder.ruby.integer_from_i64(integer).as_value()))
            .map(Element::Value)
    }

    fn visit_u64<E: de::Error>(self, integer: u64) -> Result<Element<'de>, E> {
        self.decoder
            .ruby_result(allocate(|| self.decoder.ruby.integer_from_u64(integer).as_value()))
            .map(Element::Value)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Element<'de>, E> {
        let string = value_of(Element::Text(text), self.decoder.is_freezing);
        self.decoder.ruby_result(string).map(Element::Value)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Element<'de>, E> {
        Ok(Element::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Element<'de>, A::Error> {
        let decoder = self.decoder;
        let below = self.level_below()?;
        let mut array = None;
        let mut has_ended = false;
        while !has_ended {
            let mut batch = [Element::Value(decoder.ruby.qnil().as_value()); BATCH_LENGTH];
            let mut filled = 0;
            for place in &mut batch {
                let Some(element) = elements.next_element_seed(below)? else {
                    has_ended = true;
                    break;
                };
                *place = element;
                filled += 1;
            }
            let appended = append(array, batch.get(..filled).unwrap_or_default(), decoder.is_freezing);
            array = Some(decoder.ruby_result(appended)?);
        }
        Ok(Element::Value(decoder.finished(array)))
    }

    /// An object, or a number with more digits than 64 bits hold.
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Element<'de>, A::Error> {
        match entries.next_key_seed(KeySeed(self.decoder))? {
            Some(Key::NumberToken) => self.decoder.number(&entries.next_value::<String>()?).map(Element::Value),
            first_key => self.hash(first_key, entries).map(Element::Value),
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
            let value = decoder.ruby_result(value_of(entries.next_value_seed(self.0)?, false))?;
            decoder.ruby_result(hash.aset(symbol, value))?;
        }
        Ok(hash)
    }
}
