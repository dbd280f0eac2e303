//! `SerdeMagnusCodec`: JSON to Ruby values and back, from crates alone and without a tree in between.

use magnus::{Error, Object, RString, Ruby, Value, function};
use serde::{Deserialize, Deserializer, de};

#[magnus::init]
fn init(ruby: &Ruby) -> Result<(), Error> {
    let codec = ruby.define_module("SerdeMagnusCodec")?;
    codec.define_singleton_method("dump", function!(dump, 1))?;
    codec.define_singleton_method("load", function!(load, 1))
}

fn dump(ruby: &Ruby, value: Value) -> Result<RString, Error> {
    let Json(json) = serde_magnus::deserialize(ruby, value)?;
    Ok(ruby.enc_str_new(json, ruby.utf8_encoding()))
}

fn load(ruby: &Ruby, text: RString) -> Result<Value, Error> {
    let json = text.to_string()?;
    let mut parser = serde_json::Deserializer::from_str(&json);
    serde_magnus::serialize(ruby, &serde_transcode::Transcoder::new(&mut parser))
}

/// A text that is written while a value is read.
struct Json(Vec<u8>);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        let mut json = Vec::new();
        serde_transcode::transcode(value, &mut serde_json::Serializer::new(&mut json)).map_err(de::Error::custom)?;
        Ok(Self(json))
    }
}
