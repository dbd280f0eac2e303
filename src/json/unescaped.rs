//! The search for the end of a string, or for what a string must escape.

/// In bytes: what a register holds.
const WORD_LENGTH: usize = 8;

/// In bytes: a text without special bytes in its first block is searched in blocks of this length, for which the compiler
/// uses vector instructions. Most texts are shorter.
const BLOCK_LENGTH: usize = 64;

/// The number of bytes before the first one that a JSON string ends with, escapes or must not have: a quotation mark, a
/// backslash or a control character.
pub fn unescaped_len(bytes: &[u8]) -> usize {
    let start = bytes.get(..BLOCK_LENGTH).unwrap_or(bytes);
    match unescaped_in_words(start) {
        BLOCK_LENGTH => BLOCK_LENGTH + unescaped_in_blocks(bytes.get(BLOCK_LENGTH..).unwrap_or_default()),
        length => length,
    }
}

fn unescaped_in_blocks(bytes: &[u8]) -> usize {
    let is_unescaped = |block: &&[u8]| !block.iter().fold(false, |found, byte| found | needs_escape(*byte));
    let length = bytes.chunks_exact(BLOCK_LENGTH).take_while(is_unescaped).count() * BLOCK_LENGTH;
    length + unescaped_in_words(bytes.get(length..).unwrap_or_default())
}

#[inline]
fn unescaped_in_words(bytes: &[u8]) -> usize {
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

/// A word in which the lowest bit that is set is the highest bit of the first special byte: a subtraction borrows from
/// the highest bit of a byte that is smaller than what is subtracted.
fn special_bytes(word: u64) -> u64 {
    let below = |word: u64, limit: u8| word.wrapping_sub(repeated(limit)) & !word;
    let quotes = below(word ^ repeated(b'"'), 1);
    let backslashes = below(word ^ repeated(b'\\'), 1);
    (below(word, 0x20) | quotes | backslashes) & repeated(0x80)
}

fn repeated(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; WORD_LENGTH])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_unescaped_bytes_are_those_before_the_first_special_one(
            mut bytes in proptest::collection::vec(0x20u8..=0xff, 0..200), place in 0usize..200, special in 0u8..0x23
        ) {
            if let Some(byte) = bytes.get_mut(place) {
                *byte = special;
            }
            let first = bytes.iter().position(|byte| needs_escape(*byte)).unwrap_or(bytes.len());
            prop_assert_eq!(unescaped_len(&bytes), first);
        }
    }
}
