//! Fallible allocation for sizes that a peer or a value determines. Running out of memory is then an error; with the
//! standard library's own allocation it would abort the process.

use std::borrow::Cow;

use rustix::io::Errno;

use crate::error::{Error, Result};

/// Reserves room for `count` more bytes: as much as `Vec` would, so that bytes appended one by one are not moved each
/// time, or exactly `count` if memory is short.
///
/// # Errors
///
/// [`Error::System`] with `ENOMEM`.
#[inline]
pub fn try_reserve(bytes: &mut Vec<u8>, count: usize) -> Result<()> {
    if bytes.capacity().wrapping_sub(bytes.len()) >= count {
        return Ok(());
    }
    let made = bytes.try_reserve(count).or_else(|_| bytes.try_reserve_exact(count));
    made.map_err(|_| out_of_memory(bytes.len().saturating_add(count)))
}

/// Copies `bytes`.
///
/// # Errors
///
/// As [`try_reserve`].
pub fn try_to_vec(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| out_of_memory(bytes.len()))?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// Copies a borrowed text; returns an owned one as it is.
///
/// # Errors
///
/// As [`try_reserve`].
pub fn try_to_string(text: Cow<'_, str>) -> Result<String> {
    let text = match text {
        Cow::Owned(text) => return Ok(text),
        Cow::Borrowed(text) => text,
    };
    let mut owned = String::new();
    owned.try_reserve_exact(text.len()).map_err(|_| out_of_memory(text.len()))?;
    owned.push_str(text);
    Ok(owned)
}

/// Probes for `count` bytes before calling code that aborts on allocation failure. Sizes below 128 KiB are not probed.
///
/// # Errors
///
/// As [`try_reserve`].
pub fn probe(count: usize) -> Result<()> {
    if count < MMAP_THRESHOLD {
        return Ok(());
    }
    let mut probe = Vec::<u8>::new();
    let outcome = probe.try_reserve_exact(count).map_err(|_| out_of_memory(count));
    // Keeps the compiler from removing the unused allocation.
    std::hint::black_box(&probe);
    outcome
}

/// Allocations of at least this many bytes come from the operating system directly and not from freed blocks
/// (`M_MMAP_THRESHOLD` of the GNU C library). 128 KiB.
const MMAP_THRESHOLD: usize = 128 << 10;

fn out_of_memory(count: usize) -> Error {
    Error::system(format!("could not make room for {count} bytes"), Errno::NOMEM)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Larger than any address space.
    const TOO_MUCH: usize = isize::MAX as usize;

    #[test]
    fn what_no_memory_can_hold_is_an_error_that_says_how_much_it_was() {
        let mut bytes = vec![1, 2];
        let error = try_reserve(&mut bytes, TOO_MUCH - 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("could not make room for {TOO_MUCH} bytes: Cannot allocate memory (os error 12)")
        );
        assert_eq!(bytes, [1, 2]);
        assert!(probe(TOO_MUCH).is_err());
    }

    #[test]
    fn room_is_made_for_as_much_as_was_asked_for() {
        let mut bytes = vec![1];
        try_reserve(&mut bytes, 1000).unwrap();
        assert!(bytes.capacity() >= 1001);
        assert_eq!(probe(1 << 20), Ok(()));
    }

    #[test]
    fn a_copy_has_the_same_bytes() {
        assert_eq!(try_to_vec(b"abc"), Ok(b"abc".to_vec()));
        assert_eq!(try_to_string(Cow::Borrowed("abc")), Ok("abc".to_owned()));
        assert_eq!(try_to_string(Cow::Owned("abc".to_owned())), Ok("abc".to_owned()));
    }
}
