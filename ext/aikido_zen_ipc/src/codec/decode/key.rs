//! The keys of Hashes.

use std::borrow::Cow;

use magnus::{Error, RArray, RString, Ruby, prelude::*, value::Lazy};

use crate::ruby_ffi::{Element, has_text, interned_string, value_of};

/// In entries: a Hash with more is taken for a dictionary, whose keys are not repeated elsewhere. To
/// look each up among all interned Strings is then slower than to make a new one.
const DICT_THRESHOLD: usize = 64;

/// In keys: more than one application's calls have, and 30 kB at the most.
const CACHE_LENGTH: usize = 256;

/// In bytes: longer ones are not looked for in the cache.
const MAX_CACHED_BYTES: usize = 64;

/// Keys of late, each at the place that its text says. They are the same in every call, and to find one
/// here is several times as fast as to find it among Ruby's interned Strings.
static CACHE: Lazy<RArray> = Lazy::new(|ruby| ruby.ary_new_capa(CACHE_LENGTH));

/// Makes the cache: the first use of a `Lazy` is behind a lock.
pub(crate) fn prepare_key_cache(ruby: &Ruby) {
    ruby.get_inner(&CACHE);
}

/// The frozen String for the key of the entry at `index` of its Hash: the one that Ruby keeps for all
/// equal texts, as for the keys of a literal Hash, unless the Hash is a large one.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(super) fn key<'a>(ruby: &Ruby, name: Cow<'a, str>, index: usize) -> Result<Element<'a>, Error> {
    if index < DICT_THRESHOLD {
        return Ok(Element::Value(interned(ruby, &name)?.as_value()));
    }
    match name {
        Cow::Borrowed(name) => Ok(Element::Text(name)),
        Cow::Owned(name) => value_of(Element::Text(&name), true).map(Element::Value),
    }
}

/// The frozen String that Ruby keeps for a name.
///
/// # Errors
///
/// Ruby's `NoMemoryError`.
pub(crate) fn interned(ruby: &Ruby, name: &str) -> Result<RString, Error> {
    if name.len() > MAX_CACHED_BYTES {
        return interned_string(name);
    }
    let cache = ruby.get_inner(&CACHE);
    let place = slot_of(name.as_bytes());
    if let Some(key) = RString::from_value(cache.entry(place)?).filter(|key| has_text(*key, name)) {
        return Ok(key);
    }
    let key = interned_string(name)?;
    cache.store(place, key)?;
    Ok(key)
}

/// Length, ends and middle tell the keys of one object apart well enough.
fn slot_of(name: &[u8]) -> isize {
    let byte_at = |index: usize| name.get(index).copied().map_or(0, usize::from);
    let last = name.len().saturating_sub(1);
    let sum = name.len() + 7 * byte_at(0) + 31 * byte_at(name.len() / 2) + 61 * byte_at(last);
    isize::try_from(sum % CACHE_LENGTH).unwrap_or_default()
}
