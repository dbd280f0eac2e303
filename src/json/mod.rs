//! The JSON lexer: the only one of the gem. It splits messages, checks documents, and reads values for the binding to
//! build. It knows neither messages nor Ruby.

mod reader;
mod scan;
mod text;
mod unescaped;

use std::borrow::Cow;
use std::str::Utf8Error;

pub use reader::{Reader, SyntaxError, Token};
pub use unescaped::unescaped_len;

pub(crate) use scan::{Elements, check_document, elements};

/// How deep a value may nest, in levels: what `JSON.generate` and `JSON.parse` allow by default, and little enough for the
/// 512 KiB machine stack of a Fiber.
pub const MAX_NESTING: u8 = 100;

/// The error for a text that nests deeper than [`MAX_NESTING`].
pub const TOO_DEEP: &str = "nesting deeper than 100 levels";

/// The value of the text of a string, borrowed where it has no escapes; `None` if it is some other value, or no Unicode.
pub(crate) fn string(json: &str) -> Option<Cow<'_, str>> {
    if json.starts_with('"') { Reader::new(json).string().ok() } else { None }
}

/// The bytes as text.
///
/// # Errors
///
/// The place where they stop being UTF-8.
pub fn utf8(bytes: &[u8]) -> Result<&str, Utf8Error> {
    // The faster one does not tell the place.
    simdutf8::basic::from_utf8(bytes).or_else(|_| std::str::from_utf8(bytes))
}
