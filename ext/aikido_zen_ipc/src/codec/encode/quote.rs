//! JSON strings.

use crate::codec::{plain::plain_length, utf8};

/// Writes the bytes as a JSON string: as UTF-8, with U+FFFD for what is not. Only quotes, backslashes
/// and control characters are escaped.
pub(super) fn write_quoted(bytes: &[u8], json: &mut Vec<u8>) {
    json.reserve(bytes.len() + 2);
    json.push(b'"');
    if bytes.is_ascii() && plain_length(bytes) == bytes.len() {
        // Most are so, and short: to look for more would take as long again.
        json.extend_from_slice(bytes);
    } else {
        match utf8(bytes) {
            Ok(text) => write_escaped(text, json),
            Err(_) => write_escaped(&String::from_utf8_lossy(bytes), json),
        }
    }
    json.push(b'"');
}

fn write_escaped(text: &str, json: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some((plain, [special, after @ ..])) = rest.split_at_checked(plain_length(rest)) {
        json.extend_from_slice(plain);
        write_escape(*special, json);
        rest = after;
    }
    json.extend_from_slice(rest);
}

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
