//! Small things that magnus offers only as `unsafe`, behind safe functions: the bytes of a String,
//! names, and allocations that report out of memory as an error.
#![allow(unsafe_code, reason = "borrowing a String's bytes and calling Ruby's C API directly")]

use std::collections::BTreeMap;
use std::ffi::{c_char, c_long};

use magnus::{
    Error, RHash, RString, Symbol, TryConvert, Value,
    rb_sys::{AsRawValue, FromRawValue, protect},
    value::ReprValue,
};

/// Appends the String's bytes to `output` by way of `append`. That is a plain function without a
/// handle to Ruby, so that nothing can change or free the String meanwhile.
pub(crate) fn append_bytes(string: RString, output: &mut Vec<u8>, append: fn(&[u8], &mut Vec<u8>)) {
    // SAFETY: Ruby does not run before `append` has returned, and the slice cannot outlive that.
    append(unsafe { string.as_slice() }, output);
}

/// What is under the String's bytes.
pub(crate) fn find_by_bytes<T>(map: &BTreeMap<Box<[u8]>, T>, string: RString) -> Option<&T> {
    // SAFETY: comparing bytes runs nothing of Ruby's, and the slice does not outlive that.
    map.get(unsafe { string.as_slice() })
}

/// The Symbol's name, without making a new String.
pub(crate) fn symbol_name(symbol: Symbol) -> RString {
    // SAFETY: the argument is a Symbol, and `rb_sym2str` returns the String that the Symbol keeps.
    unsafe { RString::from_value(Value::from_raw(rb_sys::rb_sym2str(symbol.as_raw()))).unwrap_unchecked() }
}

/// The name of the value's class, also of one that has no methods (`BasicObject`).
pub(crate) fn class_name(value: Value) -> String {
    // SAFETY: the borrowed name is copied before Ruby runs again.
    unsafe { value.classname() }.into_owned()
}

/// What `make` makes; out of memory is an error, and not a jump over the caller's frames.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn allocate<T: ReprValue + TryConvert>(make: impl FnOnce() -> T) -> Result<T, Error> {
    let value = protect(|| make().as_raw())?;
    // SAFETY: `value` is what Ruby just made.
    T::try_convert(unsafe { Value::from_raw(value) })
}

/// The one frozen String that Ruby keeps for this text, as it does for the keys of a literal Hash.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn interned_string(text: &str) -> Result<RString, Error> {
    let (start, length) = (text.as_ptr().cast::<c_char>(), text.len() as c_long);
    // SAFETY: `start` and `length` are those of `text`, which outlives the call; Ruby copies it.
    let string = protect(|| unsafe { rb_sys::rb_enc_interned_str(start, length, rb_sys::rb_utf8_encoding()) })?;
    // SAFETY: `string` is what Ruby just returned.
    RString::try_convert(unsafe { Value::from_raw(string) })
}

/// Stores keys and values, which alternate in `pairs`. One protected call for all is much cheaper
/// than one for each; `rb_hash_bulk_insert` would build the index of a large Hash anew each time.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn insert_pairs(hash: RHash, pairs: &[Value]) -> Result<(), Error> {
    protect(|| {
        for pair in pairs.chunks_exact(2) {
            if let [key, value] = pair {
                // SAFETY: all three are live: they are on the stack of this call and of its caller.
                unsafe { rb_sys::rb_hash_aset(hash.as_raw(), key.as_raw(), value.as_raw()) };
            }
        }
        hash.as_raw()
    })?;
    Ok(())
}
