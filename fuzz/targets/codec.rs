//! Fuzzes the codec in an embedded Ruby: it accepts what serde_json accepts and what can be published, and builds the
//! values that Ruby's own parser builds.
#![no_main]

use std::mem::ManuallyDrop;

use libfuzzer_sys::fuzz_target;
use magnus::block::Proc;
use magnus::{Error, IntoValue, RArray, RHash, RModule, Ruby, Value, prelude::*};
use zen_ipc::documents::DocumentStore;

use binding::codec::{DecodeError, decode, decode_arguments, decode_frozen, decode_keyword_arguments, encode};
// The binding's modules refer to each other by these paths.
use binding::{codec, failure, ruby_ffi};

/// The binding's modules; the crate cannot be linked.
#[path = "../../ext/aikido_zen_ipc/src"]
mod binding {
    pub(crate) mod codec;
    pub(crate) mod failure;
    pub(crate) mod ruby_ffi;
}

fuzz_target!(init: start_ruby(), |text: &[u8]| compare(&Ruby::get().unwrap(), text));

fn start_ruby() {
    // SAFETY: libFuzzer's main thread starts it, as the first thing it does, and uses it alone and until the end.
    let ruby = ManuallyDrop::new(unsafe { magnus::embed::init() });
    codec::prepare_key_cache(&ruby);
    ruby.require("json").unwrap();
    // Restore the default handlers of the signals that libFuzzer uses for timeouts and for stopping: it installs its
    // own only over those.
    ruby.eval::<Value>("%w[ALRM INT TERM].each { |name| trap(name, 'SYSTEM_DEFAULT') }").unwrap();
}

fn compare(ruby: &Ruby, text: &[u8]) {
    let is_json = serde_json_takes(text);
    let decoded = accepted(decode(ruby, text));
    assert_eq!(DocumentStore::new(text.len()).publish("key", text.to_vec()).is_ok(), decoded.is_some());
    let Some(value) = decoded else {
        // serde_json allows deeper nesting.
        return assert!(!is_json || nests_too_deep(decode(ruby, text)));
    };
    assert!(is_json);
    assert_same(value, json(ruby, "parse", ruby.str_from_slice(text)).unwrap());
    assert_same(value, accepted(decode_frozen(ruby, text)).unwrap());
    decode_in_other_forms(ruby, text, value);
    encode_again(ruby, value);
}

/// Not parsed to a `serde_json::Value`, which reserves some keys of objects.
fn serde_json_takes(text: &[u8]) -> bool {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let mut serializer = serde_json::Serializer::new(std::io::sink());
    serde_transcode::transcode(&mut deserializer, &mut serializer).and_then(|()| deserializer.end()).is_ok()
}

/// An Array or a Hash can also be the arguments of a call.
fn decode_in_other_forms(ruby: &Ruby, text: &[u8], value: Value) {
    let arguments = accepted(decode_arguments(ruby, text));
    assert_eq!(arguments.is_some(), RArray::from_value(value).is_some());
    let keywords = accepted(decode_keyword_arguments(ruby, text));
    assert_eq!(keywords.is_some(), RHash::from_value(value).is_some());
    if let Some(arguments) = arguments {
        assert_same(value, arguments.as_value());
    }
    if let Some(keywords) = keywords {
        let name: Proc = ruby.to_symbol("name").funcall("to_proc", ()).unwrap();
        assert_same(value, keywords.funcall_with_block("transform_keys", (), name).unwrap());
    }
}

/// Only a number that is too large for a Float cannot be encoded.
fn encode_again(ruby: &Ruby, value: Value) {
    let mut text = Vec::new();
    if encode(ruby, value, "value", &mut text).is_ok() {
        assert_same(value, accepted(decode(ruby, &text)).unwrap());
        assert_same(value, json(ruby, "parse", ruby.str_from_slice(&text)).unwrap());
    } else {
        assert!(json(ruby, "generate", value).is_err());
    }
}

fn accepted<T>(decoded: Result<T, DecodeError>) -> Option<T> {
    match decoded {
        Ok(value) => Some(value),
        Err(DecodeError::Invalid(_)) => None,
        Err(DecodeError::Raised(error)) => panic!("{error}"),
    }
}

fn nests_too_deep(decoded: Result<Value, DecodeError>) -> bool {
    matches!(decoded, Err(DecodeError::Invalid(reason)) if reason.starts_with("nesting deeper than 100 levels"))
}

fn json(ruby: &Ruby, method: &str, argument: impl IntoValue) -> Result<Value, Error> {
    let json: RModule = ruby.class_object().const_get("JSON")?;
    json.funcall(method, (argument.into_value_with(ruby),))
}

fn assert_same(left: Value, right: Value) {
    assert!(left.eql(right).unwrap(), "{left:?} is not {right:?}");
}
