//! A reserve of small blocks of memory, for when the operating system has no more: which of them are taken.
//!
//! What is large is allocated by those who can say that there is no memory ([`crate::alloc`]). Whatever else Rust code
//! allocates, down to the text of an error, ends the process where that fails; such blocks are small, few and soon given
//! back, and while memory is short they come from here. No lock: a fork may happen at any moment.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of all blocks.
pub(crate) const LENGTH: usize = end_of(SHELVES.len());

/// The blocks by their length: as many of each as some hundred calls at the same time need.
const SHELVES: [Shelf; 4] = [
    Shelf { block: 64, words: 16 },
    Shelf { block: 512, words: 8 },
    Shelf { block: 4096, words: 2 },
    Shelf { block: 16_384, words: 1 },
];

/// Blocks of one length.
struct Shelf {
    /// Bytes, a power of two.
    block: usize,
    /// How many words of [`Reserve`] say which of them are taken.
    words: usize,
}

/// Blocks that one word knows.
const BLOCKS_OF_WORD: usize = u64::BITS as usize;

/// Where the first of so many shelves end.
const fn end_of(mut count: usize) -> usize {
    let (mut end, mut rest) = (0, SHELVES.as_slice());
    while count > 0 {
        let [shelf, others @ ..] = rest else { break };
        end += shelf.block * shelf.words * BLOCKS_OF_WORD;
        rest = others;
        count -= 1;
    }
    end
}

/// One bit for each block that is taken.
pub(crate) struct Reserve {
    shelves: [[AtomicU64; MOST_WORDS]; SHELVES.len()],
}

const MOST_WORDS: usize = 16;

impl Reserve {
    /// All of it is there.
    pub(crate) const fn new() -> Self {
        Self { shelves: [const { [const { AtomicU64::new(0) }; MOST_WORDS] }; SHELVES.len()] }
    }

    /// Takes a block.
    ///
    /// # Returns
    ///
    /// Where it begins, which is a multiple of its length; `None` if there is none of `length` bytes.
    pub(crate) fn take(&self, length: usize) -> Option<usize> {
        let mut fitting = SHELVES.iter().zip(&self.shelves).enumerate().filter(|(_, (shelf, _))| shelf.block >= length);
        fitting.find_map(|(index, (shelf, words))| {
            let taken =
                words.iter().take(shelf.words).enumerate().find_map(|(word, bits)| Some((word, set_one(bits)?)));
            taken.map(|(word, bit)| end_of(index) + (word * BLOCKS_OF_WORD + bit) * shelf.block)
        })
    }

    /// Gives back the block that begins there.
    pub(crate) fn give_back(&self, start: usize) {
        for (index, (shelf, words)) in SHELVES.iter().zip(&self.shelves).enumerate() {
            if (end_of(index)..end_of(index + 1)).contains(&start) {
                let block = (start - end_of(index)) / shelf.block;
                if let Some(bits) = words.get(block / BLOCKS_OF_WORD) {
                    bits.fetch_and(!(1 << (block % BLOCKS_OF_WORD)), Ordering::Release);
                }
            }
        }
    }
}

/// Sets a bit that is not set, and tells which.
fn set_one(bits: &AtomicU64) -> Option<usize> {
    let mut bit = 0;
    let set = bits.fetch_update(Ordering::Acquire, Ordering::Relaxed, |taken| {
        bit = taken.trailing_ones();
        (bit < u64::BITS).then(|| taken | (1 << bit))
    });
    set.is_ok().then_some(bit as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_do_not_overlap_and_are_aligned_until_none_is_left() {
        let reserve = Reserve::new();
        let mut starts: Vec<usize> = std::iter::from_fn(|| reserve.take(500)).collect();
        assert_eq!(starts.len(), (8 + 2 + 1) * BLOCKS_OF_WORD);
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= 512));
        assert!(starts.iter().all(|start| start % 512 == 0 && start + 512 <= LENGTH));
        assert!(reserve.take(64).is_some());
    }

    #[test]
    fn a_block_that_was_given_back_can_be_taken_again() {
        let reserve = Reserve::new();
        let starts: Vec<usize> = std::iter::from_fn(|| reserve.take(16_384)).collect();
        assert_eq!(starts.len(), BLOCKS_OF_WORD);
        reserve.give_back(starts[17]);
        assert_eq!(reserve.take(5000), Some(starts[17]));
        assert_eq!(reserve.take(5000), None);
    }

    #[test]
    fn there_is_none_for_what_is_large() {
        assert_eq!(Reserve::new().take(16_385), None);
    }
}
