//! Writes Hashes as JSON objects.

use std::sync::atomic::{AtomicBool, Ordering};

use magnus::{Error, RHash, RString, Symbol, Value, prelude::*, r_hash::ForEach, value::Fixnum};
use zen_ipc::error::excerpt;

use super::{EncodeError, Encoder};
use crate::failure::quoted;
use crate::ruby_ffi::{Element, is_verbose, symbol_name, value_of};

/// How Hashes are iterated. If no Ruby code runs meanwhile, a Hash can be iterated in place. Otherwise it is copied
/// first, because another thread could not insert into a Hash that is being iterated.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Hashes {
    /// In place; none is being iterated.
    InPlace,
    /// In place; one is being iterated.
    Walking,
    /// By copies.
    Copied,
}

/// True once a duplicate key was reported.
static WARNED_OF_DUPLICATE: AtomicBool = AtomicBool::new(false);

/// Returns whether to look for duplicate keys.
pub(super) fn looks_for_duplicates() -> bool {
    is_verbose() && !WARNED_OF_DUPLICATE.load(Ordering::Relaxed)
}

impl Encoder<'_> {
    /// Writes a Hash; its values may open `levels_left` containers.
    pub(super) fn write_hash(&mut self, hash: RHash, levels_left: u8) -> Result<(), EncodeError> {
        self.look_for_duplicates(hash)?;
        match self.hashes {
            Hashes::Copied => self.write_copy(hash, levels_left),
            Hashes::Walking => self.write_in_place(hash, levels_left),
            Hashes::InPlace => {
                let start = self.json.len();
                self.hashes = Hashes::Walking;
                let outcome = self.write_in_place(hash, levels_left);
                self.hashes = Hashes::InPlace;
                if !matches!(outcome, Err(EncodeError::NeedsCopy)) {
                    return outcome;
                }
                self.json.truncate(start);
                self.hashes = Hashes::Copied;
                self.write_copy(hash, levels_left)
            }
        }
    }

    fn write_copy(&mut self, hash: RHash, levels_left: u8) -> Result<(), EncodeError> {
        let entries = self.ruby.ary_new_capa(hash.len().saturating_mul(2));
        let copied = hash.foreach(|key: Value, value: Value| {
            entries.push(key)?;
            entries.push(value)?;
            Ok(ForEach::Continue)
        });
        copied.map_err(EncodeError::Raised)?;
        self.push(b'{')?;
        let entry_at = |index: usize| {
            let index = isize::try_from(index).map_err(|error| EncodeError::new(error.to_string()))?;
            entries.entry::<Value>(index).map_err(EncodeError::Raised)
        };
        for index in (0..entries.len()).step_by(2) {
            self.write_entry(entry_at(index)?, entry_at(index + 1)?, index == 0, levels_left)?;
        }
        self.push(b'}')
    }

    fn write_in_place(&mut self, hash: RHash, levels_left: u8) -> Result<(), EncodeError> {
        let mut is_first = true;
        let mut failure = None;
        self.push(b'{')?;
        let walked = hash.foreach(|key: Value, value: Value| {
            failure = self.write_entry(key, value, is_first, levels_left).err();
            is_first = false;
            Ok(if failure.is_some() { ForEach::Stop } else { ForEach::Continue })
        });
        if let Some(error) = failure {
            return Err(error);
        }
        walked.map_err(EncodeError::Raised)?;
        self.push(b'}')
    }

    fn write_entry(&mut self, key: Value, value: Value, is_first: bool, levels_left: u8) -> Result<(), EncodeError> {
        if !is_first {
            self.push(b',')?;
        }
        // The range of the key excludes its quotes.
        let key_start = self.json.len() + 1;
        self.write_key(key)?;
        let key_end = self.json.len() - 1;
        self.push(b':')?;
        self.write(value, levels_left).map_err(|error| {
            let key = self.json.get(key_start..key_end).unwrap_or_default();
            error.inside(&format!("[\"{}\"]", excerpt(&String::from_utf8_lossy(key))))
        })
    }

    fn write_key(&mut self, key: Value) -> Result<(), EncodeError> {
        if let Some(name) = RString::from_value(key) {
            self.write_string(name)
        } else if let Some(symbol) = Symbol::from_value(key) {
            self.write_string(symbol_name(symbol))
        } else if let Some(fixnum) = Fixnum::from_value(key) {
            self.push(b'"')?;
            self.write_number(fixnum.to_i64())?;
            self.push(b'"')
        } else {
            let name = self.ask(key, "to_s", || key.to_r_string())?;
            self.write_string(name)
        }
    }

    /// Looks for a Symbol or Integer key with a String key of the same name, which would be sent twice.
    fn look_for_duplicates(&mut self, hash: RHash) -> Result<(), EncodeError> {
        if !self.looks_for_duplicates || self.duplicate.is_some() {
            return Ok(());
        }
        let walked = hash.foreach(|key: Value, _: Value| {
            let name = match (Symbol::from_value(key), Fixnum::from_value(key)) {
                (Some(symbol), _) => symbol_name(symbol).as_value(),
                (None, Some(fixnum)) => value_of(Element::Text(&fixnum.to_i64().to_string()), false)?,
                (None, None) => return Ok(ForEach::Continue),
            };
            self.duplicate = hash.get(name).map(|_: Value| quoted(name));
            Ok(if self.duplicate.is_some() { ForEach::Stop } else { ForEach::Continue })
        });
        walked.map_err(EncodeError::Raised)
    }

    /// Warns about duplicate keys, once for the process.
    pub(super) fn warn_of_duplicate(&self) -> Result<(), EncodeError> {
        let Some(duplicate) = &self.duplicate else { return Ok(()) };
        if WARNED_OF_DUPLICATE.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let message =
            format!("aikido-zen-ipc: a Hash has two keys that are sent as {duplicate}; the last one is received");
        let warned: Result<Value, Error> = self.ruby.module_kernel().funcall("warn", (message,));
        warned.map(drop).map_err(EncodeError::Raised)
    }
}
