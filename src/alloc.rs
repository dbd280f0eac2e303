//! Memory for what may be large. Where there is none, that is an error and not the end of the process, as it is where the
//! standard library allocates.

use std::borrow::Cow;

use rustix::io::Errno;

use crate::error::{Error, Result};

/// Makes room for `count` more bytes: as much as the standard library would, so that bytes that come one by one are not
/// moved again and again, or no more than that if memory is short.
///
/// # Errors
///
/// [`Error::System`] if there is none.
#[inline]
pub fn try_reserve(bytes: &mut Vec<u8>, count: usize) -> Result<()> {
    if bytes.capacity().wrapping_sub(bytes.len()) >= count {
        return Ok(());
    }
    let made = bytes.try_reserve(count).or_else(|_| bytes.try_reserve_exact(count));
    made.map_err(|_| out_of_memory(bytes.len().saturating_add(count)))
}

/// A copy.
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

/// A text of one's own.
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

/// Asks whether there is memory for so many bytes, before others are called who would not say.
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
    // Otherwise the compiler would see that nobody needs it.
    std::hint::black_box(&probe);
    outcome
}

/// Bytes: from here on an allocation is a matter of the operating system's (`M_MMAP_THRESHOLD` in the GNU C library), and
/// not of what was freed before.
const MMAP_THRESHOLD: usize = 128 << 10;

fn out_of_memory(count: usize) -> Error {
    Error::system(format!("could not make room for {count} bytes"), Errno::NOMEM)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than any address space has.
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
