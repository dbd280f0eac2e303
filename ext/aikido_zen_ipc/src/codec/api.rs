//! `Aikido::Zen::IPC::Codec`: the codec for values that are not sent, and conversions for the other files of the
//! binding.

use magnus::{Error, Module, Object, RModule, RString, Ruby, Value, function};
use zen_ipc::sys::alloc;

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

/// Copies the bytes of a String.
pub(crate) fn copy_bytes(ruby: &Ruby, text: RString) -> Result<Vec<u8>, Error> {
    ruby_ffi::copy_bytes(text).map_err(|error| to_ruby(ruby, error))
}

/// Creates a String in UTF-8.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn utf8_string(ruby: &Ruby, json: &[u8]) -> Result<RString, Error> {
    allocate(|| ruby.enc_str_new(json, ruby.utf8_encoding()))
}

/// Converts a value to JSON; `root` is its name in errors.
pub(crate) fn to_json(ruby: &Ruby, value: Value, root: &str) -> Result<Vec<u8>, Error> {
    let mut json = Vec::with_capacity(SHORT_JSON);
    encode(ruby, value, root, &mut json).map_err(|error| unserializable(ruby, error))?;
    Ok(json)
}

/// Converts the arguments of a call to JSON.
pub(crate) fn arguments_to_json(ruby: &Ruby, arguments: impl Iterator<Item = Value>) -> Result<Vec<u8>, Error> {
    let mut json = Vec::with_capacity(SHORT_JSON);
    encode_arguments(ruby, arguments, &mut json).map_err(|error| unserializable(ruby, error))?;
    Ok(json)
}

/// The initial capacity in bytes: enough for most arguments and results.
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

/// Documents of at least this many bytes are built with GC disabled: they create only live objects, and a GC in a fresh
/// fork takes longer than the build. 64 KiB.
const LARGE_DOCUMENT: usize = 64 * 1024;

/// The most bytes of Ruby values for a byte of JSON. 16: `{},` becomes an object of 40 bytes and a reference.
const GROWTH: usize = 16;

fn load_frozen(ruby: &Ruby, text: RString) -> Result<Value, Error> {
    rescue_panic(ruby, || {
        let decoded = read_bytes(text, |json| {
            // If memory is short the GC must stay enabled, because Ruby ends the process otherwise.
            if json.len() < LARGE_DOCUMENT || alloc::probe(json.len().saturating_mul(GROWTH)).is_err() {
                decode_frozen(ruby, json)
            } else {
                without_gc(ruby, || decode_frozen(ruby, json))
            }
        });
        decoded.map_err(|error| to_ruby(ruby, error))?.map_err(|error| undecodable(ruby, error))
    })
}

/// Runs `build` with GC disabled, and restores the previous state, also after a panic. `build` keeps the GVL, so no
/// other thread is affected.
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
