//! Ruby values to JSON bytes and back, without an intermediate tree.
//!
//! The other side receives what `JSON.generate` and then `JSON.parse` would make of a value, with these points fixed:
//! - Hash keys and Symbols become Strings;
//! - Integers of any size and finite Floats survive exactly;
//! - a String that is not valid UTF-8 is sent with U+FFFD in place of the bad bytes;
//! - an object of any other class is asked for `as_json`, and cannot be sent without one.
//!
//! A value may nest [`MAX_NESTING`](zen_ipc::json::MAX_NESTING) levels deep. The Array of all arguments and the Hash of
//! all keyword arguments do not count: each argument may nest that deep.
//!
//! A `VALUE` is only kept in local variables or Ruby Arrays, because the GC looks for references on the machine stack
//! and not in a `Vec`.

// The fuzz target compiles the codec without the rest of the binding.
#[cfg(not(fuzzing))]
pub(crate) mod api;
mod decode;
mod encode;

pub(crate) use decode::{
    DecodeError, decode, decode_arguments, decode_frozen, decode_keyword_arguments, name_string, prepare_key_cache,
};
pub(crate) use encode::{EncodeError, encode, encode_arguments};
