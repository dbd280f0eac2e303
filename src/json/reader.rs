//! Reads the tokens of a JSON text, one after the other. The caller builds values of them, and limits how deep they nest.

use std::borrow::Cow;

/// Reads a text from its start.
#[derive(Debug)]
pub struct Reader<'a> {
    pub(super) text: &'a str,
    /// In bytes, of the next that is read.
    pub(super) position: usize,
}

/// The start of a value, which for all but arrays and objects is the value.
#[derive(Debug)]
pub enum Token<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// An integer of at most 64 bits.
    Integer(i64),
    /// The digits of an integer that is longer than 64 bits.
    BigInteger(&'a str),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A string without its escapes, borrowed where it has none.
    String(Cow<'a, str>),
    /// Its elements follow: see [`Reader::has_element`].
    Array,
    /// Its entries follow: see [`Reader::key`].
    Object,
}

/// An error in the text, and the byte at which it is.
#[derive(Debug)]
pub struct SyntaxError {
    what: &'static str,
    position: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    /// The next value, or its start.
    ///
    /// # Errors
    ///
    /// [`SyntaxError`] if there is no value.
    pub fn token(&mut self) -> Result<Token<'a>, SyntaxError> {
        match self.peek() {
            Some(b'"') => self.string().map(Token::String),
            Some(b'{') => self.advance(Token::Object),
            Some(b'[') => self.advance(Token::Array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true").map(|()| Token::Boolean(true)),
            Some(b'f') => self.literal("false").map(|()| Token::Boolean(false)),
            Some(b'n') => self.literal("null").map(|()| Token::Null),
            _ => Err(self.error("expected a value")),
        }
    }

    /// Goes on to the next element of the array that was begun. False at the end of the array.
    ///
    /// # Errors
    ///
    /// [`SyntaxError`] if there is neither.
    pub fn has_element(&mut self, is_first: bool) -> Result<bool, SyntaxError> {
        match self.peek() {
            Some(b']') => self.advance(false),
            Some(b',') if !is_first => self.advance(true),
            _ if is_first => Ok(true),
            _ => Err(self.error("expected `,` or `]`")),
        }
    }

    /// The next key of the object that was begun; `None` at the end of the object.
    ///
    /// # Errors
    ///
    /// [`SyntaxError`] if there is neither.
    pub fn key(&mut self, is_first: bool) -> Result<Option<Cow<'a, str>>, SyntaxError> {
        if !self.has_member(is_first)? {
            return Ok(None);
        }
        let key = self.string()?;
        self.colon()?;
        Ok(Some(key))
    }

    /// Goes on to the opening quotation mark of the next key of the object that was begun. False at its end.
    #[inline]
    pub(super) fn has_member(&mut self, is_first: bool) -> Result<bool, SyntaxError> {
        match self.peek() {
            Some(b'}') => return self.advance(false),
            Some(b',') if !is_first => self.position += 1,
            _ if is_first => {}
            _ => return Err(self.error("expected `,` or `}`")),
        }
        if self.peek() == Some(b'"') { Ok(true) } else { Err(self.error("expected a key")) }
    }

    #[inline]
    pub(super) fn colon(&mut self) -> Result<(), SyntaxError> {
        match self.peek() {
            Some(b':') => self.advance(()),
            _ => Err(self.error("expected `:`")),
        }
    }

    /// Checks that nothing more follows.
    ///
    /// # Errors
    ///
    /// [`SyntaxError`] if something does.
    pub fn end(&mut self) -> Result<(), SyntaxError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("expected the end of the text")),
        }
    }

    /// The error `what` at the next byte.
    pub fn error(&self, what: &'static str) -> SyntaxError {
        SyntaxError { what, position: self.position }
    }

    /// An error in words, with its line and column.
    pub fn describe(&self, error: &SyntaxError) -> String {
        let before = self.text.as_bytes().get(..error.position).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        format!("{} at line {line} column {column}", error.what)
    }

    fn number(&mut self) -> Result<Token<'a>, SyntaxError> {
        let (digits, is_integer) = self.number_text()?;
        if is_integer {
            Ok(digits.parse().map_or(Token::BigInteger(digits), Token::Integer))
        } else {
            digits.parse().map(Token::Float).map_err(|_| self.error("an invalid number"))
        }
    }

    /// Passes a number: its text, and whether it has neither a fraction nor an exponent.
    pub(super) fn number_text(&mut self) -> Result<(&'a str, bool), SyntaxError> {
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
        Ok((self.since(start), is_integer))
    }

    /// Passes at least one digit.
    fn digits(&mut self) -> Result<(), SyntaxError> {
        let start = self.position;
        while let Some(b'0'..=b'9') = self.next() {
            self.position += 1;
        }
        if self.position > start { Ok(()) } else { Err(self.error("expected a digit")) }
    }

    pub(super) fn literal(&mut self, literal: &str) -> Result<(), SyntaxError> {
        if !self.rest().starts_with(literal.as_bytes()) {
            return Err(self.error("expected a value"));
        }
        self.position += literal.len();
        Ok(())
    }

    /// The next byte that is not white space, which is left to be read.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.next() {
            self.position += 1;
        }
        self.next()
    }

    /// The next byte, which is left to be read.
    #[inline]
    pub(super) fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.position).copied()
    }

    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.position..).unwrap_or_default()
    }

    /// The text from `start`, which like the position is beside an ASCII character.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.position).unwrap_or_default()
    }

    #[inline]
    pub(super) fn advance<T>(&mut self, outcome: T) -> Result<T, SyntaxError> {
        self.position += 1;
        Ok(outcome)
    }
}
