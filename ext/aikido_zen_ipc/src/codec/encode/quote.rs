//! Writes JSON strings.

use zen_ipc::Error;
use zen_ipc::json::{unescaped_len, utf8};
use zen_ipc::sys::alloc;

/// Writes the bytes as a JSON string in UTF-8, with U+FFFD for invalid bytes. Escapes only quotes, backslashes and
/// control characters.
///
/// # Errors
///
/// `ENOMEM`.
pub(super) fn write_quoted(bytes: &[u8], json: &mut Vec<u8>) -> Result<(), Error> {
    alloc::try_reserve(json, bytes.len().saturating_add(2))?;
    json.push(b'"');
    if bytes.is_ascii() && unescaped_len(bytes) == bytes.len() {
        // Fast path: most texts are short and need no escape.
        json.extend_from_slice(bytes);
    } else if let Ok(text) = utf8(bytes) {
        write_escaped(text, json)?;
    } else {
        for chunk in bytes.utf8_chunks() {
            write_escaped(chunk.valid(), json)?;
            if !chunk.invalid().is_empty() {
                write_escaped("\u{FFFD}", json)?;
            }
        }
    }
    alloc::try_reserve(json, 1)?;
    json.push(b'"');
    Ok(())
}

fn write_escaped(text: &str, json: &mut Vec<u8>) -> Result<(), Error> {
    let mut rest = text.as_bytes();
    while let Some((plain, [special, after @ ..])) = rest.split_at_checked(unescaped_len(rest)) {
        alloc::try_reserve(json, plain.len().saturating_add(MAX_ESCAPE_LENGTH))?;
        json.extend_from_slice(plain);
        write_escape(*special, json);
        rest = after;
    }
    alloc::try_reserve(json, rest.len())?;
    json.extend_from_slice(rest);
    Ok(())
}

/// Bytes of the longest escape, `\u001f`.
const MAX_ESCAPE_LENGTH: usize = 6;

fn write_escape(byte: u8, json: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0C => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => return json.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
    };
    json.extend_from_slice(&[b'\\', letter]);
}
