//! Reads the tokens of a JSON text. It knows no Ruby; the caller builds values and limits nesting.

mod text;

use std::borrow::Cow;

/// A reader of a text.
pub(crate) struct Reader<'a> {
    text: &'a str,
    /// The index of the next byte.
    position: usize,
}

/// A value, or the start of an array or object.
pub(crate) enum Token<'a> {
    Null,
    Boolean(bool),
    Integer(i64),
    /// The digits of an integer that is longer than 64 bits.
    BigInteger(&'a str),
    Float(f64),
    String(Cow<'a, str>),
    /// The elements follow: see [`Reader::has_element`].
    Array,
    /// The entries follow: see [`Reader::key`].
    Object,
}

/// An error and its position in bytes.
pub(crate) struct SyntaxError {
    what: &'static str,
    position: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    /// Reads the next value or its start.
    pub(crate) fn token(&mut self) -> Result<Token<'a>, SyntaxError> {
        match self.peek() {
            Some(b'"') => self.string().map(Token::String),
            Some(b'{') => self.advance(Token::Object),
            Some(b'[') => self.advance(Token::Array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Token::Boolean(true)),
            Some(b'f') => self.literal("false", Token::Boolean(false)),
            Some(b'n') => self.literal("null", Token::Null),
            _ => Err(self.syntax_error("expected a value")),
        }
    }

    /// Returns whether the current array has another element; otherwise ends the array.
    pub(crate) fn has_element(&mut self, is_first: bool) -> Result<bool, SyntaxError> {
        match self.peek() {
            Some(b']') => self.advance(false),
            Some(b',') if !is_first => self.advance(true),
            _ if is_first => Ok(true),
            _ => Err(self.syntax_error("expected `,` or `]`")),
        }
    }

    /// Reads the next key of the current object, or its end.
    pub(crate) fn key(&mut self, is_first: bool) -> Result<Option<Cow<'a, str>>, SyntaxError> {
        match self.peek() {
            Some(b'}') => return self.advance(None),
            Some(b',') if !is_first => self.position += 1,
            _ if is_first => {}
            _ => return Err(self.syntax_error("expected `,` or `}`")),
        }
        if self.peek() != Some(b'"') {
            return Err(self.syntax_error("expected a key"));
        }
        let key = self.string()?;
        match self.peek() {
            Some(b':') => self.advance(Some(key)),
            _ => Err(self.syntax_error("expected `:`")),
        }
    }

    /// Checks that nothing more follows.
    pub(crate) fn end(&mut self) -> Result<(), SyntaxError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.syntax_error("expected the end of the text")),
        }
    }

    /// An error at the current position.
    pub(crate) fn syntax_error(&self, what: &'static str) -> SyntaxError {
        SyntaxError { what, position: self.position }
    }

    /// The error in words, with its line and column.
    pub(crate) fn describe(&self, error: &SyntaxError) -> String {
        let before = self.text.as_bytes().get(..error.position).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!("{} at line {line} column {column}", error.what)
    }

    fn number(&mut self) -> Result<Token<'a>, SyntaxError> {
        let start = self.position;
        if self.next() == Some(b'-') {
            self.position += 1;
        }
        if self.next() == Some(b'0') {
            self.position += 1;
        } else {
            self.digits()?;
        }
        let is_integer = !matches!(self.next(), Some(b'.' | b'e' | b'E'));
        if self.next() == Some(b'.') {
            self.position += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.next() {
            self.position += 1;
            if let Some(b'+' | b'-') = self.next() {
                self.position += 1;
            }
            self.digits()?;
        }
        let digits = self.since(start);
        if is_integer {
            Ok(digits.parse().map_or(Token::BigInteger(digits), Token::Integer))
        } else {
            digits.parse().map(Token::Float).map_err(|_| self.syntax_error("an invalid number"))
        }
    }

    /// Reads one or more digits.
    fn digits(&mut self) -> Result<(), SyntaxError> {
        let start = self.position;
        while let Some(b'0'..=b'9') = self.next() {
            self.position += 1;
        }
        if self.position > start { Ok(()) } else { Err(self.syntax_error("expected a digit")) }
    }

    fn literal(&mut self, literal: &str, token: Token<'a>) -> Result<Token<'a>, SyntaxError> {
        if !self.rest().starts_with(literal.as_bytes()) {
            return Err(self.syntax_error("expected a value"));
        }
        self.position += literal.len();
        Ok(token)
    }

    /// Skips white space and returns the next byte without reading it.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.next() {
            self.position += 1;
        }
        self.next()
    }

    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.position..).unwrap_or_default()
    }

    /// The text from `start` to the current position; both are next to ASCII characters.
    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.position).unwrap_or_default()
    }

    fn advance<T>(&mut self, outcome: T) -> Result<T, SyntaxError> {
        self.position += 1;
        Ok(outcome)
    }
}
