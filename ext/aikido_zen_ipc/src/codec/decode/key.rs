//! The keys of Hashes: interned Strings, found through a small cache.

use std::borrow::Cow;

use magnus::{Error, RArray, RString, Ruby, prelude::*, value::Lazy};

use crate::ruby_ffi::{Element, has_text, interned_string, value_of};

/// Hashes with more entries are treated as dictionaries, whose keys do not recur, so that creating each is faster than
/// looking it up among all interned Strings.
const DICT_THRESHOLD: usize = 64;

/// The number of cached keys. 256: more than the calls of one application have, and at most 30 kB.
const CACHE_LENGTH: usize = 256;

/// Longer keys, in bytes, are not cached.
const MAX_CACHED_BYTES: usize = 64;

/// Recently used keys, each at the index that [`slot_of`] computes. Calls repeat their keys, and finding one here is
/// several times as fast as among Ruby's interned Strings.
static CACHE: Lazy<RArray> = Lazy::new(|ruby| ruby.ary_new_capa(CACHE_LENGTH));

/// Creates the cache when the library is loaded, because the first use of a `Lazy` takes a lock.
pub(crate) fn prepare_key_cache(ruby: &Ruby) {
    ruby.get_inner(&CACHE);
}

/// The frozen String for the key of the entry at `index`: the interned one, as for the keys of a literal Hash, unless
/// the Hash is large.
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

/// The interned frozen String of a name.
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

/// The index of a name in the cache: a hash of its length, ends and middle, which tells the keys of one object apart
/// well enough.
fn slot_of(name: &[u8]) -> isize {
    let byte_at = |index: usize| name.get(index).copied().map_or(0, usize::from);
    let last = name.len().saturating_sub(1);
    let sum = name.len() + 7 * byte_at(0) + 31 * byte_at(name.len() / 2) + 61 * byte_at(last);
    isize::try_from(sum % CACHE_LENGTH).unwrap_or_default()
}
