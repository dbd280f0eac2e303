//! Safe wrappers of Ruby functions that magnus offers only as `unsafe`: the bytes of Strings, names, and allocations
//! that report a lack of memory as an error.
#![allow(unsafe_code, reason = "borrowing a String's bytes and calling Ruby's C API directly")]

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_long};

use magnus::{
    Error, RArray, RHash, RString, Symbol, TryConvert, Value,
    rb_sys::{AsRawValue, FromRawValue, protect},
    value::ReprValue,
};
use rb_sys::{
    VALUE,
    ruby_coderange_type::{RUBY_ENC_CODERANGE_7BIT, RUBY_ENC_CODERANGE_VALID},
    ruby_encoding_consts::RUBY_ENCODING_SHIFT,
    ruby_fl_type::RUBY_FL_FREEZE,
};
use zen_ipc::sys::alloc;

/// Appends the String's bytes to `output` by calling `append`, a plain function without access to Ruby, so that nothing
/// can change or free the String meanwhile.
pub(crate) fn append_bytes<T>(string: RString, output: &mut Vec<u8>, append: fn(&[u8], &mut Vec<u8>) -> T) -> T {
    // SAFETY: Ruby does not run before `append` has returned, and the slice cannot outlive that.
    append(unsafe { string.as_slice() }, output)
}

/// Looks up the String's bytes in `map`.
pub(crate) fn find_by_bytes<T>(map: &BTreeMap<Box<[u8]>, T>, string: RString) -> Option<&T> {
    // SAFETY: comparing bytes runs nothing of Ruby's, and the slice does not outlive that.
    map.get(unsafe { string.as_slice() })
}

/// Copies the String's bytes, so that nothing is borrowed that Ruby may change.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn copy_bytes(string: RString) -> Result<Vec<u8>, zen_ipc::Error> {
    // SAFETY: Ruby does not run while they are copied, and the slice does not outlive that.
    alloc::try_to_vec(unsafe { string.as_slice() })
}

/// Calls `read` with the String's bytes. A frozen String is read in place, because nothing can change it.
///
/// # Errors
///
/// As [`copy_bytes`].
pub(crate) fn read_bytes<T>(string: RString, read: impl FnOnce(&[u8]) -> T) -> Result<T, zen_ipc::Error> {
    if !string.is_frozen() {
        return Ok(read(&copy_bytes(string)?));
    }
    // SAFETY: nothing changes a frozen String, and the GC neither frees nor moves one that is on the stack.
    let outcome = read(unsafe { string.as_slice() });
    // Keeps the String on the stack until here.
    std::hint::black_box(&string);
    Ok(outcome)
}

/// Returns whether the String is in UTF-8, binary or ASCII, so that its bytes can be taken as UTF-8.
pub(crate) fn is_utf8_compatible(string: RString) -> bool {
    // SAFETY: the argument is a String.
    unsafe {
        let encoding = rb_sys::ENCODING_GET(string.as_raw());
        encoding == rb_sys::rb_utf8_encindex()
            || encoding == rb_sys::rb_ascii8bit_encindex()
            || encoding == rb_sys::rb_usascii_encindex()
    }
}

/// Returns whether the running Ruby method was called with keywords, which are then the last argument. Cheaper than
/// letting Ruby scan the arguments.
pub(crate) fn keyword_given() -> bool {
    // SAFETY: it only reads how the current method was called.
    unsafe { rb_sys::rb_keyword_given_p() != 0 }
}

/// The Symbol's name, without a new String.
pub(crate) fn symbol_name(symbol: Symbol) -> RString {
    // SAFETY: the argument is a Symbol, and `rb_sym2str` returns the String that the Symbol keeps.
    unsafe { RString::from_value(Value::from_raw(rb_sys::rb_sym2str(symbol.as_raw()))).unwrap_unchecked() }
}

/// The name of the value's class, also for a `BasicObject`, which has no methods.
pub(crate) fn class_name(value: Value) -> String {
    // SAFETY: the borrowed name is copied before Ruby runs again.
    unsafe { value.classname() }.into_owned()
}

/// The arity of the value's method, as `Method#arity` returns it; `None` if it has no such method but responds to it.
pub(crate) fn method_arity(value: Value, name: &'static str) -> Option<c_int> {
    let mut arity = None;
    // SAFETY: this is under protection, and the name's bytes live for ever.
    let asked = protect(|| unsafe {
        let id = rb_sys::rb_intern2(name.as_ptr().cast::<c_char>(), name.len() as c_long);
        arity = Some(rb_sys::rb_obj_method_arity(value.as_raw(), id));
        rb_sys::Qnil as VALUE
    });
    asked.ok().and(arity)
}

/// Returns whether `$VERBOSE` is true.
pub(crate) fn is_verbose() -> bool {
    // SAFETY: Ruby keeps the variable's value there.
    unsafe { *rb_sys::rb_ruby_verbose_ptr() == rb_sys::Qtrue as VALUE }
}

/// Runs `make`, which allocates a Ruby object. A lack of memory is returned as an error instead of a jump over the
/// caller's frames.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn allocate<T: ReprValue + TryConvert>(make: impl FnOnce() -> T) -> Result<T, Error> {
    let value = protect(|| make().as_raw())?;
    // SAFETY: `value` is what Ruby just made.
    T::try_convert(unsafe { Value::from_raw(value) })
}

/// Returns whether the String's bytes are those of `text`.
pub(crate) fn has_text(string: RString, text: &str) -> bool {
    // SAFETY: Ruby does not run before the comparison has ended.
    unsafe { string.as_slice() == text.as_bytes() }
}

/// The Symbol of this name, which the GC can collect.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn symbol(name: &str) -> Result<Value, Error> {
    // SAFETY: this is under protection. The String is live while it is interned: it is on the stack.
    let symbol = protect(|| unsafe { rb_sys::rb_str_intern(new_string(name, false)) })?;
    // SAFETY: `symbol` is what Ruby just returned.
    Ok(unsafe { Value::from_raw(symbol) })
}

/// Converts an integer.
///
/// # Errors
///
/// Ruby's `NoMemoryError`, for integers of more than 62 bits; others need no memory.
pub(crate) fn integer(integer: i64) -> Result<Value, Error> {
    let make = || rb_sys::LONG2NUM(integer);
    let value = if rb_sys::FIXABLE(integer) { make() } else { protect(make)? };
    // SAFETY: `value` is an Integer.
    Ok(unsafe { Value::from_raw(value) })
}

/// Converts decimal digits to an Integer of any size.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn big_integer(digits: &str) -> Result<Value, Error> {
    // SAFETY: this is under protection. The String is live while it is read: it is on the stack.
    let integer = protect(|| unsafe { rb_sys::rb_str_to_inum(new_string(digits, false), 10, 0) })?;
    // SAFETY: `integer` is what Ruby just returned.
    Ok(unsafe { Value::from_raw(integer) })
}

/// An element of a container: a value, or the text of a String that is not created yet. Creating many in one call of
/// Ruby costs much less than one each.
#[derive(Clone, Copy)]
pub(crate) enum Element<'a> {
    Value(Value),
    Text(&'a str),
}

/// The most elements of one [`push_batch`]. 32: Ruby appends more than 16 as one block of memory.
pub(crate) const BATCH_LENGTH: usize = 32;

/// The most entries of one [`insert_batch`]. 8: Ruby stores so many without an index.
pub(crate) const ENTRY_BATCH_LENGTH: usize = 8;

/// Converts an element to a value; a new String is frozen if `is_frozen`.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn value_of(element: Element<'_>, is_frozen: bool) -> Result<Value, Error> {
    match element {
        Element::Value(value) => Ok(value),
        // SAFETY: this is under protection.
        Element::Text(text) => allocate(|| unsafe { Value::from_raw(new_string(text, is_frozen)) }),
    }
}

/// Appends elements to the Array, or to a new one. New Strings are frozen if `is_frozen`.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn push_batch(array: Option<RArray>, elements: &[Element<'_>], is_frozen: bool) -> Result<RArray, Error> {
    let array = protect(|| {
        let mut values = [rb_sys::Qnil as VALUE; BATCH_LENGTH];
        let mut length = 0;
        for (value, element) in values.iter_mut().zip(elements) {
            // SAFETY: this is under protection. The GC sees what was made: it is on the stack.
            *value = unsafe { raw_value_of(*element, is_frozen) };
            length += 1;
        }
        // SAFETY: `values` has `length` values.
        unsafe {
            match array {
                None => rb_sys::rb_ary_new_from_values(length, values.as_ptr()),
                Some(array) => rb_sys::rb_ary_cat(array.as_raw(), values.as_ptr(), length),
            }
        }
    })?;
    // SAFETY: `array` is what Ruby just returned.
    RArray::try_convert(unsafe { Value::from_raw(array) })
}

/// Inserts entries into the Hash, or into a new one. Keys are frozen, and new Strings in values if `is_frozen`.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn insert_batch(
    hash: Option<RHash>,
    entries: &[(Element<'_>, Element<'_>)],
    is_frozen: bool,
) -> Result<RHash, Error> {
    // SAFETY: this is under protection. All that is stored is live: it is on the stack.
    let hash = protect(|| unsafe {
        let mut pairs = [[rb_sys::Qnil as VALUE; 2]; ENTRY_BATCH_LENGTH];
        let mut length = 0;
        for (pair, (key, value)) in pairs.iter_mut().zip(entries) {
            *pair = [raw_value_of(*key, true), raw_value_of(*value, is_frozen)];
            length += 1;
        }
        match hash {
            None => {
                let hash = rb_sys::rb_hash_new();
                rb_sys::rb_hash_bulk_insert(2 * length, pairs.as_ptr().cast::<VALUE>(), hash);
                hash
            }
            // A bulk insert would rebuild the index of a large Hash.
            Some(hash) => {
                for [key, value] in pairs.iter().take(length as usize) {
                    rb_sys::rb_hash_aset(hash.as_raw(), *key, *value);
                }
                hash.as_raw()
            }
        }
    })?;
    // SAFETY: `hash` is what Ruby just returned.
    RHash::try_convert(unsafe { Value::from_raw(hash) })
}

/// # Safety
///
/// To be called under protection: out of memory is a jump.
unsafe fn raw_value_of(element: Element<'_>, is_frozen: bool) -> VALUE {
    match element {
        Element::Value(value) => value.as_raw(),
        // SAFETY: the caller's promise.
        Element::Text(text) => unsafe { new_string(text, is_frozen) },
    }
}

/// A new String in UTF-8. Its flags are set directly, as the macros `RB_ENCODING_SET_INLINED`, `RB_ENC_CODERANGE_SET`
/// and `RB_OBJ_FREEZE_RAW` do: `rb_utf8_str_new` and `rb_obj_freeze` take as long as the allocation.
///
/// # Safety
///
/// To be called under protection: out of memory is a jump.
unsafe fn new_string(text: &str, is_frozen: bool) -> VALUE {
    let code_range = if text.is_ascii() { RUBY_ENC_CODERANGE_7BIT } else { RUBY_ENC_CODERANGE_VALID };
    let freeze = if is_frozen { RUBY_FL_FREEZE as VALUE } else { 0 };
    // SAFETY: Ruby copies the text. Nothing else refers to the String yet, and none of these flags is set in a new one.
    unsafe {
        let string = rb_sys::rb_str_new(text.as_ptr().cast::<c_char>(), text.len() as c_long);
        let encoding = (rb_sys::rb_utf8_encindex() as VALUE) << (RUBY_ENCODING_SHIFT as VALUE);
        (*(string as *mut rb_sys::RBasic)).flags |= encoding | code_range as VALUE | freeze;
        string
    }
}

/// The interned frozen String of this text, as for the keys of a literal Hash.
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
