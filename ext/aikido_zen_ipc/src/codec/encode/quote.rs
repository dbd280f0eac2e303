//! JSON strings.

/// In bytes: strings are searched for characters to escape in blocks of this length. Shorter than a
/// vector register, but most strings are short, and measured the fastest for long ones too.
const BLOCK_LENGTH: usize = 8;

/// Writes the bytes as a JSON string: as UTF-8, with U+FFFD for what is not. Only quotes, backslashes
/// and control characters are escaped.
pub(super) fn write_quoted(bytes: &[u8], json: &mut Vec<u8>) {
    json.reserve(bytes.len() + 2);
    json.push(b'"');
    match std::str::from_utf8(bytes) {
        Ok(text) => write_escaped(text, json),
        Err(_) => write_escaped(&String::from_utf8_lossy(bytes), json),
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

/// How many bytes from the start need no escape. A block is judged without a branch for each byte,
/// so that the compiler can use vector instructions.
fn plain_length(bytes: &[u8]) -> usize {
    let is_plain = |block: &&[u8]| !block.iter().fold(false, |found, byte| found | is_special(*byte));
    let plain_blocks = bytes.chunks_exact(BLOCK_LENGTH).take_while(is_plain);
    let scanned = plain_blocks.count() * BLOCK_LENGTH;
    let rest = bytes.get(scanned..).unwrap_or_default();
    scanned + rest.iter().take_while(|byte| !is_special(**byte)).count()
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
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
