//! Passes over JSON values and builds nothing: splits an array into the texts of its elements, and checks documents.

use std::ops::Range;

use super::reader::{Reader, SyntaxError};
use super::{MAX_NESTING, TOO_DEEP, utf8};

/// The elements of an array, each without the white space around it; `None` for JSON that is no array, or one of more
/// than `N` elements. Values may nest as deep as they like, and strings may have halves of surrogate pairs: what reads
/// the elements refuses these.
///
/// # Errors
///
/// What is wrong and where, if `body` as a whole is not JSON.
pub(crate) fn elements<const N: usize>(body: &[u8]) -> Result<Option<Elements<'_, N>>, String> {
    scan(body, false, Scanner::elements)
}

/// Checks that `text` is JSON that every reader of a document accepts: it nests at most [`MAX_NESTING`] levels deep, and
/// its strings are Unicode.
///
/// # Errors
///
/// What is wrong and where.
pub(crate) fn check_document(text: &[u8]) -> Result<(), String> {
    scan(text, true, Scanner::skip_value)
}

/// What `pass` makes of the whole of a text.
fn scan<'a, T>(
    text: &'a [u8],
    is_document: bool,
    pass: impl FnOnce(&mut Scanner<'a>) -> Result<T, SyntaxError>,
) -> Result<T, String> {
    let text = utf8(text).map_err(|error| format!("not UTF-8: {error}"))?;
    let mut scanner = Scanner { reader: Reader::new(text), open: Vec::new(), is_document };
    let passed = pass(&mut scanner).and_then(|outcome| scanner.reader.end().map(|()| outcome));
    passed.map_err(|error| scanner.reader.describe(&error))
}

/// The elements of an array in `text`.
pub(crate) struct Elements<'a, const N: usize> {
    text: &'a str,
    places: [Range<usize>; N],
    count: usize,
}

impl<'a, const N: usize> Elements<'a, N> {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// One of them; empty if there are fewer.
    pub(crate) fn text(&self, index: usize) -> &'a str {
        self.places.get(index).and_then(|place| self.text.get(place.clone())).unwrap_or_default()
    }

    /// Where in the text it stands.
    pub(crate) fn place(&self, index: usize) -> Range<usize> {
        self.places.get(index).cloned().unwrap_or_default()
    }
}

/// Passes over values without recursion, since other processes decide how deep they nest.
struct Scanner<'a> {
    reader: Reader<'a>,
    /// The closing brackets of the arrays and objects that are open.
    open: Vec<u8>,
    /// The rules of [`check_document`] apply.
    is_document: bool,
}

impl<'a> Scanner<'a> {
    fn elements<const N: usize>(&mut self) -> Result<Option<Elements<'a, N>>, SyntaxError> {
        if self.reader.peek() != Some(b'[') {
            return self.skip_value().map(|()| None);
        }
        self.reader.advance(())?;
        let (mut places, mut count) = ([const { 0..0 }; N], 0usize);
        while self.reader.has_element(count == 0)? {
            self.reader.peek();
            let start = self.reader.position;
            self.skip_value()?;
            if let Some(place) = places.get_mut(count) {
                *place = start..self.reader.position;
            }
            count = count.saturating_add(1);
        }
        Ok((count <= N).then_some(Elements { text: self.reader.text, places, count }))
    }

    fn skip_value(&mut self) -> Result<(), SyntaxError> {
        loop {
            match self.reader.peek() {
                Some(b'"') => self.skip_string()?,
                Some(b'[') => {
                    self.push_open(b']')?;
                    if self.reader.has_element(true)? {
                        continue;
                    }
                    self.open.pop();
                }
                Some(b'{') => {
                    self.push_open(b'}')?;
                    if self.has_key(true)? {
                        continue;
                    }
                    self.open.pop();
                }
                Some(b't') => self.reader.literal("true")?,
                Some(b'f') => self.reader.literal("false")?,
                Some(b'n') => self.reader.literal("null")?,
                Some(b'-' | b'0'..=b'9') => drop(self.reader.number_text()?),
                _ => return Err(self.reader.error("expected a value")),
            }
            // A value has ended, and with it perhaps what it is in.
            loop {
                let goes_on = match self.open.last() {
                    None => return Ok(()),
                    Some(b']') => self.reader.has_element(false)?,
                    Some(_) => self.has_key(false)?,
                };
                if goes_on {
                    break;
                }
                self.open.pop();
            }
        }
    }

    /// Passes the bracket that opens an array or an object.
    fn push_open(&mut self, closing: u8) -> Result<(), SyntaxError> {
        if self.is_document && self.open.len() >= usize::from(MAX_NESTING) {
            return Err(self.reader.error(TOO_DEEP));
        }
        // Another process may open millions of brackets.
        self.open.try_reserve(1).map_err(|_| self.reader.error("no memory for its nesting"))?;
        self.open.push(closing);
        self.reader.advance(())
    }

    /// Passes the next key of the object that was begun, and its colon. False at the end of the object.
    fn has_key(&mut self, is_first: bool) -> Result<bool, SyntaxError> {
        if !self.reader.has_member(is_first)? {
            return Ok(false);
        }
        self.skip_string()?;
        self.reader.colon()?;
        Ok(true)
    }

    fn skip_string(&mut self) -> Result<(), SyntaxError> {
        self.reader.skip_string(!self.is_document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    fn texts(body: &str) -> Option<Vec<&str>> {
        let elements = elements::<3>(body.as_bytes()).unwrap()?;
        Some((0..elements.count()).map(|index| elements.text(index)).collect())
    }

    fn is_json(body: &[u8]) -> bool {
        elements::<3>(body).is_ok()
    }

    #[test]
    fn elements_come_without_the_white_space_around_them() {
        assert_eq!(texts(" [ 1 ,\t\"a\" , {\"b\" : [2]}\r\n] "), Some(vec!["1", "\"a\"", "{\"b\" : [2]}"]));
        assert_eq!(texts("[]"), Some(vec![]));
        assert_eq!(texts("[ ]"), Some(vec![]));
    }

    #[test]
    fn what_is_no_array_or_too_long_a_one_has_no_elements() {
        for body in ["1", "{}", "\"a\"", "null", "[1,2,3,4]"] {
            assert_eq!(texts(body), None, "{body}");
        }
    }

    #[test]
    fn numbers_are_those_of_json() {
        for number in ["0", "-0", "10", "1.5", "-1.50e+7", "1E-2", "123456789012345678901234567890", "1e999"] {
            assert!(is_json(number.as_bytes()), "{number}");
        }
        for number in ["01", "-", "+1", "1.", ".5", "1e", "1e+", "0x1", "--1", "Infinity", "NaN"] {
            assert!(!is_json(number.as_bytes()), "{number}");
        }
    }

    #[test]
    fn strings_are_those_of_json_wherever_the_odd_byte_stands() {
        for length in 0..40 {
            let plain = "a".repeat(length);
            for tail in ["", "\\n", "\\u00e9", "é", "\u{7f}", "\\ud800"] {
                assert!(is_json(format!("\"{plain}{tail}{plain}\"").as_bytes()), "{plain}{tail}");
            }
            for tail in ["\n", "\u{0}", "\\x", "\\u12g4", "\""] {
                assert!(!is_json(format!("\"{plain}{tail}{plain}\"").as_bytes()), "{plain}{tail}");
            }
            assert!(!is_json(format!("\"{plain}").as_bytes()));
            assert!(!is_json(format!("\"{plain}\\").as_bytes()));
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_not_json() {
        assert!(!is_json(b"[\"\xff\"]"));
    }

    proptest! {
        #[test]
        fn it_takes_what_serde_json_takes(body in r#"[\[\]{}",:0-2eE.\\utrfalsn /+-]{0,24}"#) {
            let theirs = serde_json::from_str::<&RawValue>(&body).is_ok();
            prop_assert_eq!(is_json(body.as_bytes()), theirs, "{}", body);
        }

        #[test]
        fn one_wrong_byte_is_found_where_serde_json_finds_it(place in 0usize..90, byte in any::<u8>()) {
            let mut body = br#"["17","check",[{"a":"b\n","c":[1.5e3,-2,true]},null,"\u00e9"],{"k":false},{"t":100}]"#.to_vec();
            if let Some(old) = body.get_mut(place) {
                *old = byte;
            }
            prop_assert_eq!(is_json(&body), serde_json::from_slice::<&RawValue>(&body).is_ok());
        }
    }
}
