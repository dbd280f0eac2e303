//! Finds where JSON values begin and end, and checks that a text is JSON, in one pass that builds nothing.
//!
//! It accepts the same texts as `serde_json` does for a `RawValue`, in a fraction of the time and at any depth of
//! nesting.

use std::ops::Range;

/// The elements of an array, without the white space around them; `None` for JSON that is no array, or one with more
/// than `N` elements.
///
/// # Errors
///
/// [`InvalidJson`] if `body` as a whole is not JSON.
pub(super) fn elements<const N: usize>(body: &[u8]) -> Result<Option<Elements<'_, N>>, InvalidJson> {
    let text = std::str::from_utf8(body).map_err(|_| InvalidJson)?;
    let mut scanner = Scanner { rest: body, open: Vec::new() };
    let found = scanner.elements(body.len()).ok_or(InvalidJson)?;
    scanner.skip_space();
    if !scanner.rest.is_empty() {
        return Err(InvalidJson);
    }
    Ok(found.map(|(places, count)| Elements { text, places, count }))
}

/// The bytes are not JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidJson;

/// The elements of an array in `text`.
pub(super) struct Elements<'a, const N: usize> {
    text: &'a str,
    places: [Range<usize>; N],
    count: usize,
}

impl<'a, const N: usize> Elements<'a, N> {
    /// The number of elements.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The text of an element; empty if there are fewer.
    pub(super) fn text(&self, index: usize) -> &'a str {
        self.places.get(index).and_then(|place| self.text.get(place.clone())).unwrap_or_default()
    }

    /// The range of an element.
    pub(super) fn place(&self, index: usize) -> Range<usize> {
        self.places.get(index).cloned().unwrap_or_default()
    }
}

/// The unread rest of a text. Every method returns `None` if the text is not JSON.
struct Scanner<'a> {
    rest: &'a [u8],
    /// The closing brackets of the open arrays and objects.
    open: Vec<u8>,
}

impl Scanner<'_> {
    /// The ranges of up to `N` elements of an array in a text of `length` bytes, and their number.
    fn elements<const N: usize>(&mut self, length: usize) -> Option<Option<([Range<usize>; N], usize)>> {
        self.skip_space();
        if !self.eat(b'[') {
            return self.skip_value().map(|()| None);
        }
        let (mut places, mut count) = ([const { 0..0 }; N], 0usize);
        self.skip_space();
        if self.eat(b']') {
            return Some(Some((places, count)));
        }
        loop {
            self.skip_space();
            let start = length.saturating_sub(self.rest.len());
            self.skip_value()?;
            if let Some(place) = places.get_mut(count) {
                *place = start..length.saturating_sub(self.rest.len());
            }
            count = count.saturating_add(1);
            self.skip_space();
            match self.next()? {
                b',' => {}
                b']' => return Some((count <= N).then_some((places, count))),
                _ => return None,
            }
        }
    }

    fn skip_value(&mut self) -> Option<()> {
        loop {
            self.skip_space();
            match self.next()? {
                b'"' => self.skip_string()?,
                b'[' => {
                    if !self.eat_after_space(b']') {
                        self.push_open(b']')?;
                        continue;
                    }
                }
                b'{' => {
                    if !self.eat_after_space(b'}') {
                        self.push_open(b'}')?;
                        self.skip_name()?;
                        continue;
                    }
                }
                b't' => self.skip_literal(b"rue")?,
                b'f' => self.skip_literal(b"alse")?,
                b'n' => self.skip_literal(b"ull")?,
                b'-' => {
                    let first = self.next()?;
                    self.skip_number(first)?;
                }
                first => self.skip_number(first)?,
            }
            // A value has ended, and perhaps the arrays and objects around it as well.
            loop {
                let Some(closing) = self.open.last().copied() else { return Some(()) };
                self.skip_space();
                match self.next()? {
                    b',' if closing == b'}' => break self.skip_name()?,
                    b',' => break,
                    byte if byte == closing => self.open.pop(),
                    _ => return None,
                };
            }
        }
    }

    /// Records an open bracket. Allocates fallibly, because a peer can open millions of them.
    fn push_open(&mut self, closing: u8) -> Option<()> {
        self.open.try_reserve(1).ok()?;
        self.open.push(closing);
        Some(())
    }

    /// Skips the name of an object's member, and the colon.
    fn skip_name(&mut self) -> Option<()> {
        if !self.eat_after_space(b'"') {
            return None;
        }
        self.skip_string()?;
        self.eat_after_space(b':').then_some(())
    }

    /// Skips the rest of a string after its opening quotation mark.
    fn skip_string(&mut self) -> Option<()> {
        loop {
            self.skip_unescaped()?;
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => self.skip_escape()?,
                _ => return None,
            }
        }
    }

    /// Skips the bytes of a string up to the next one that needs an escape.
    fn skip_unescaped(&mut self) -> Option<()> {
        // Most strings are only a few words of eight bytes long.
        for _ in 0..4 {
            let Some(word) = self.rest.first_chunk() else { break };
            let length = unescaped_len(*word);
            self.rest = self.rest.get(length..)?;
            if length < word.len() {
                return Some(());
            }
        }
        // Long strings are searched in blocks, for which the compiler uses vector instructions.
        while let Some((block, rest)) = self.rest.split_first_chunk::<16>()
            && !block.iter().fold(false, |found, byte| found | needs_escape(*byte))
        {
            self.rest = rest;
        }
        let length = self.rest.iter().position(|byte| needs_escape(*byte))?;
        self.rest = self.rest.get(length..)?;
        Some(())
    }

    fn skip_escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let (digits, rest) = self.rest.split_first_chunk::<4>()?;
                self.rest = rest;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    /// Skips the rest of a number whose first digit is `first`.
    fn skip_number(&mut self, first: u8) -> Option<()> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        if self.eat(b'.') {
            self.skip_one_or_more_digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _sign = self.eat(b'+') || self.eat(b'-');
            self.skip_one_or_more_digits()?;
        }
        Some(())
    }

    fn skip_one_or_more_digits(&mut self) -> Option<()> {
        if !self.next()?.is_ascii_digit() {
            return None;
        }
        self.skip_digits();
        Some(())
    }

    fn skip_digits(&mut self) {
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn skip_literal(&mut self, literal: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(literal)?;
        Some(())
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn eat_after_space(&mut self, byte: u8) -> bool {
        self.skip_space();
        self.eat(byte)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
        found
    }

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }
}

/// Returns whether a byte ends a run of unescaped ones in a string.
pub(super) fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The number of the eight bytes before the first that needs an escape. Compares all at once: a subtraction borrows
/// from the highest bit of each byte that is smaller.
fn unescaped_len(word: [u8; 8]) -> usize {
    const EACH: u64 = u64::MAX / 0xff;
    let bytes = u64::from_le_bytes(word);
    let smaller = |bytes: u64, limit: u8| bytes.wrapping_sub(EACH * u64::from(limit)) & !bytes & (EACH * 0x80);
    let equal = |byte: u8| smaller(bytes ^ (EACH * u64::from(byte)), 1);
    let special = smaller(bytes, 0x20) | equal(b'"') | equal(b'\\');
    special.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests;
