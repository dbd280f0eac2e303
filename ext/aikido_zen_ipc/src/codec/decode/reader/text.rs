//! Reads strings and their escapes.

use std::borrow::Cow;

use super::{Reader, SyntaxError};
use crate::codec::unescaped::unescaped_len;

impl<'a> Reader<'a> {
    /// Reads the next value if it is a string without escapes, as most are, and borrows it.
    #[inline]
    pub(crate) fn plain_string(&mut self) -> Option<&'a str> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.position + 1;
        let end = start + unescaped_len(self.rest().get(1..)?);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        self.position = end + 1;
        self.text.get(start..end)
    }

    /// Reads a string at its opening quote.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, SyntaxError> {
        if let Some(text) = self.plain_string() {
            return Ok(Cow::Borrowed(text));
        }
        self.position += 1;
        let mut unescaped = String::new();
        self.append_plain(&mut unescaped)?;
        loop {
            match self.next() {
                Some(b'"') => break self.position += 1,
                Some(b'\\') => unescaped.push(self.escape()?),
                Some(_) => return Err(self.syntax_error("an unescaped control character in a string")),
                None => return Err(self.syntax_error("a string without an end")),
            }
            self.append_plain(&mut unescaped)?;
        }
        Ok(Cow::Owned(unescaped))
    }

    /// Appends bytes without escapes, and reserves room for the character of an escape as well.
    fn append_plain(&mut self, unescaped: &mut String) -> Result<(), SyntaxError> {
        let plain = self.plain();
        if unescaped.try_reserve(plain.len() + MAX_CHARACTER_LENGTH).is_err() {
            return Err(self.syntax_error("no memory for a string"));
        }
        unescaped.push_str(plain);
        Ok(())
    }

    /// Reads up to the next quote, backslash or control character.
    fn plain(&mut self) -> &'a str {
        let start = self.position;
        self.position += unescaped_len(self.rest());
        self.since(start)
    }

    /// Reads an escape.
    fn escape(&mut self) -> Result<char, SyntaxError> {
        let character = match self.rest().get(1) {
            Some(character @ (b'"' | b'\\' | b'/')) => char::from(*character),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.syntax_error("an invalid escape")),
        };
        self.position += 2;
        Ok(character)
    }

    /// Reads `\u` and four digits, or two of these for a character beyond U+FFFF.
    fn unicode_escape(&mut self) -> Result<char, SyntaxError> {
        let start = self.position;
        let units = [self.utf16_unit(), self.utf16_unit()];
        let mut characters = char::decode_utf16(units.into_iter().flatten());
        let Some(Ok(character)) = characters.next() else {
            self.position = start;
            return Err(self.syntax_error("an invalid escape"));
        };
        self.position = start + character.len_utf16() * UNICODE_ESCAPE_LENGTH;
        Ok(character)
    }

    fn utf16_unit(&mut self) -> Option<u16> {
        let (escape, _) = self.rest().split_first_chunk::<UNICODE_ESCAPE_LENGTH>()?;
        let [b'\\', b'u', digits @ ..] = escape else {
            return None;
        };
        let mut unit = 0;
        for digit in digits {
            unit = unit * 16 + char::from(*digit).to_digit(16)?;
        }
        self.position += UNICODE_ESCAPE_LENGTH;
        u16::try_from(unit).ok()
    }
}

/// The most bytes of a character in UTF-8.
const MAX_CHARACTER_LENGTH: usize = 4;

/// Bytes of `\u00e9`.
const UNICODE_ESCAPE_LENGTH: usize = 6;
