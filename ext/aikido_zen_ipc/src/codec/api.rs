//! `Aikido::Zen::IPC::Codec`: the codec by itself, for what never crosses a socket.

use magnus::{Error, Module, Object, RModule, RString, Ruby, Value, function};
use zen_ipc::alloc;

use crate::codec::{decode, decode_frozen, encode, encode_arguments, prepare_key_cache};
use crate::error::{to_ruby, undecodable, unserializable};
use crate::gvl::rescue_panic;
use crate::ruby_ffi::{self, allocate, read_bytes};

/// Defines the module.
pub(crate) fn define(ruby: &Ruby, ipc: RModule) -> Result<(), Error> {
    prepare_key_cache(ruby);
    let codec = ipc.define_module("Codec")?;
    codec.define_singleton_method("dump", function!(dump, 1))?;
    codec.define_singleton_method("load", function!(load, 1))?;
    codec.define_singleton_method("load_frozen", function!(load_frozen, 1))
}

/// The bytes of a String, copied.
pub(crate) fn copy_bytes(ruby: &Ruby, text: RString) -> Result<Vec<u8>, Error> {
    ruby_ffi::copy_bytes(text).map_err(|error| to_ruby(ruby, error))
}

/// A String in UTF-8.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn utf8_string(ruby: &Ruby, json: &[u8]) -> Result<RString, Error> {
    allocate(|| ruby.enc_str_new(json, ruby.utf8_encoding()))
}

/// The JSON text of a value; `root` is what it is called in errors.
pub(crate) fn to_json(ruby: &Ruby, value: Value, root: &str) -> Result<Vec<u8>, Error> {
    let mut json = Vec::with_capacity(SHORT_JSON);
    encode(ruby, value, root, &mut json).map_err(|error| unserializable(ruby, error))?;
    Ok(json)
}

/// The JSON text of a call's arguments.
pub(crate) fn arguments_to_json(ruby: &Ruby, arguments: impl Iterator<Item = Value>) -> Result<Vec<u8>, Error> {
    let mut json = Vec::with_capacity(SHORT_JSON);
    encode_arguments(ruby, arguments, &mut json).map_err(|error| unserializable(ruby, error))?;
    Ok(json)
}

/// Bytes: most arguments and results.
const SHORT_JSON: usize = 256;

fn dump(ruby: &Ruby, value: Value) -> Result<RString, Error> {
    rescue_panic(ruby, || {
        let json = to_json(ruby, value, "value")?;
        utf8_string(ruby, &json)
    })
}

fn load(ruby: &Ruby, text: RString) -> Result<Value, Error> {
    rescue_panic(ruby, || {
        let decoded = read_bytes(text, |json| decode(ruby, json)).map_err(|error| to_ruby(ruby, error))?;
        decoded.map_err(|error| undecodable(ruby, error))
    })
}

/// Bytes: from here on a document has so many values that Ruby would look for garbage while it is built. There is none
/// of it, and in a worker that has just been forked that takes longer than the building.
const LARGE_DOCUMENT: usize = 64 * 1024;

/// How many bytes of values a byte of JSON becomes at most: `{},` is an object of 40 bytes and a reference to it.
const GROWTH: usize = 16;

fn load_frozen(ruby: &Ruby, text: RString) -> Result<Value, Error> {
    rescue_panic(ruby, || {
        let decoded = read_bytes(text, |json| {
            // Where memory is short Ruby must be able to collect garbage: otherwise it ends the process.
            if json.len() < LARGE_DOCUMENT || alloc::probe(json.len().saturating_mul(GROWTH)).is_err() {
                decode_frozen(ruby, json)
            } else {
                without_gc(ruby, || decode_frozen(ruby, json))
            }
        });
        decoded.map_err(|error| to_ruby(ruby, error))?.map_err(|error| undecodable(ruby, error))
    })
}

/// Runs `build` while Ruby collects no garbage, and leaves that as it was before, also after a panic. No other thread
/// notices: `build` keeps the GVL.
fn without_gc<T>(ruby: &Ruby, build: impl FnOnce() -> T) -> T {
    let _pause = (!ruby.gc_disable()).then(|| GcPause(ruby));
    build()
}

struct GcPause<'a>(&'a Ruby);

impl Drop for GcPause<'_> {
    fn drop(&mut self) {
        self.0.gc_enable();
    }
}
