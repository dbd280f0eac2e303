//! Finds the part of a text that needs no escape in a JSON string.

/// Bytes of a register.
const WORD_LENGTH: usize = 8;

/// After this many bytes without an escape the search continues in blocks of this length, for which the compiler uses
/// vector instructions. 64: most texts are shorter.
const BLOCK_LENGTH: usize = 64;

/// The number of bytes at the start that JSON writes unchanged: no quotes, backslashes or control characters.
pub(crate) fn unescaped_len(bytes: &[u8]) -> usize {
    let start = bytes.get(..BLOCK_LENGTH).unwrap_or(bytes);
    match unescaped_words(start) {
        BLOCK_LENGTH => BLOCK_LENGTH + unescaped_blocks(bytes.get(BLOCK_LENGTH..).unwrap_or_default()),
        length => length,
    }
}

fn unescaped_blocks(bytes: &[u8]) -> usize {
    let is_unescaped = |block: &&[u8]| !block.iter().fold(false, |found, byte| found | needs_escape(*byte));
    let length = bytes.chunks_exact(BLOCK_LENGTH).take_while(is_unescaped).count() * BLOCK_LENGTH;
    length + unescaped_words(bytes.get(length..).unwrap_or_default())
}

#[inline]
fn unescaped_words(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<WORD_LENGTH>() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return bytes.len() - rest.len() + special.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    bytes.len() - rest.len() + rest.iter().take_while(|byte| !needs_escape(**byte)).count()
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Sets the highest bit of the first byte of the word that needs an escape, and of none before it.
fn special_bytes(word: u64) -> u64 {
    let below = |word: u64, limit: u8| word.wrapping_sub(repeated(limit)) & !word;
    let quotes = below(word ^ repeated(b'"'), 1);
    let backslashes = below(word ^ repeated(b'\\'), 1);
    (below(word, 0x20) | quotes | backslashes) & repeated(0x80)
}

fn repeated(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; WORD_LENGTH])
}
