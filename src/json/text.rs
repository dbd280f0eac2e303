//! Strings, and the escapes in them: reads them, or passes over them.

use std::borrow::Cow;

use super::reader::{Reader, SyntaxError};
use super::unescaped::unescaped_len;

impl<'a> Reader<'a> {
    /// The string that is next, if one is and has no escape: most are so, and are borrowed.
    #[inline]
    pub fn unescaped_string(&mut self) -> Option<&'a str> {
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

    /// The string whose opening quotation mark is next.
    ///
    /// # Errors
    ///
    /// [`SyntaxError`] if it does not end, or has what no string may have.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, SyntaxError> {
        if let Some(text) = self.unescaped_string() {
            return Ok(Cow::Borrowed(text));
        }
        self.position += 1;
        let mut string = String::new();
        self.append_unescaped(&mut string)?;
        loop {
            match self.next() {
                Some(b'"') => break self.position += 1,
                Some(b'\\') => string.push(self.escape()?),
                _ => return Err(self.no_string()),
            }
            self.append_unescaped(&mut string)?;
        }
        Ok(Cow::Owned(string))
    }

    /// Leaves room for the character of an escape as well.
    fn append_unescaped(&mut self, string: &mut String) -> Result<(), SyntaxError> {
        let text = self.unescaped();
        if string.try_reserve(text.len() + MAX_CHARACTER_LENGTH).is_err() {
            return Err(self.error("no memory for a string"));
        }
        string.push_str(text);
        Ok(())
    }

    /// What stands for itself, up to a quote, a backslash or a control character.
    fn unescaped(&mut self) -> &'a str {
        let start = self.position;
        self.position += unescaped_len(self.rest());
        self.since(start)
    }

    /// Passes the string whose opening quotation mark is next. Where `any_unit` is set, `\u` may name half a surrogate pair.
    pub(super) fn skip_string(&mut self, any_unit: bool) -> Result<(), SyntaxError> {
        self.position += 1;
        loop {
            self.position += unescaped_len(self.rest());
            match self.next() {
                Some(b'"') => return self.advance(()),
                Some(b'\\') if any_unit && self.utf16_unit().is_some() => {}
                Some(b'\\') => drop(self.escape()?),
                _ => return Err(self.no_string()),
            }
        }
    }

    /// The error of a string at the byte that it may not have.
    fn no_string(&self) -> SyntaxError {
        self.error(match self.next() {
            Some(_) => "an unescaped control character in a string",
            None => "a string without an end",
        })
    }

    /// The character that the escape at the position stands for.
    fn escape(&mut self) -> Result<char, SyntaxError> {
        let character = match self.rest().get(1) {
            Some(character @ (b'"' | b'\\' | b'/')) => char::from(*character),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.error("an invalid escape")),
        };
        self.position += 2;
        Ok(character)
    }

    /// `\u` and four digits, or two of these for a character beyond U+FFFF.
    fn unicode_escape(&mut self) -> Result<char, SyntaxError> {
        let start = self.position;
        let units = [self.utf16_unit(), self.utf16_unit()];
        let mut characters = char::decode_utf16(units.into_iter().flatten());
        let Some(Ok(character)) = characters.next() else {
            self.position = start;
            return Err(self.error("an invalid escape"));
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

/// In bytes, in UTF-8.
const MAX_CHARACTER_LENGTH: usize = 4;

/// In bytes: `\u00e9`.
const UNICODE_ESCAPE_LENGTH: usize = 6;
