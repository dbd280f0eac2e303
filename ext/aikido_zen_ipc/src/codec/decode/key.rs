//! The keys of objects.

use std::fmt;

use magnus::{RString, prelude::*};
use serde::de::{self, DeserializeSeed, Deserializer, Visitor};

use super::Decoder;
use crate::ruby_bytes::{Element, interned_string};

/// What comes before a value.
#[derive(Clone, Copy)]
pub(super) enum Key<'de> {
    /// The key of an object.
    Name(Element<'de>),
    /// Nothing that is in the text: the digits of a number follow.
    NumberToken,
}

/// Reads the next key of an object, and tells it from the token that serde_json passes off as a key
/// in front of a number's digits. Comparing texts would let a peer write that token into an object.
/// But where a newtype is asked for, a key from the text comes wrapped in one, and the token comes
/// as a bare string.
pub(super) struct KeySeed<'a>(pub(super) &'a Decoder<'a>);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_newtype_struct("Key", self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'_> {
    type Value = Key<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, key: D) -> Result<Key<'de>, D::Error> {
        NameSeed(self.0).deserialize(key).map(|name| Key::Name(Element::Value(name.as_value())))
    }

    fn visit_borrowed_str<E: de::Error>(self, _token: &'de str) -> Result<Key<'de>, E> {
        Ok(Key::NumberToken)
    }
}

/// Reads a key as the one frozen String that Ruby keeps for all equal keys.
pub(super) struct NameSeed<'a>(pub(super) &'a Decoder<'a>);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = RString;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RString, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = RString;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<RString, E> {
        self.0.ruby_result(interned_string(name))
    }
}
