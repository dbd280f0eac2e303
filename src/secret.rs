//! The secret: the parent generates it, and its descendants inherit it in memory.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use rand::TryRng;
use rand::rngs::SysRng;
use rustix::io::Errno;
use subtle::ConstantTimeEq;
use zeroize::zeroize_stack;

use crate::error::{Error, Result};
use crate::sys::unsafe_os::NoDumpBytes;

/// The length of a generated secret, and the shortest allowed one. 32 bytes: as long as a SHA-256 MAC; a longer key
/// makes HMAC no stronger.
pub const SECRET_LENGTH: usize = 32;

/// The longest allowed secret. 4,096 bytes, one page: it is for keys, not for documents.
pub const MAX_SECRET_LENGTH: usize = 4096;

/// Bytes of the stack that are wiped after a computation. 16 KiB: an HMAC uses 1.2 KB, 12 KB in a debug build
/// (measured), and an interrupting signal stores some 3 KB of registers below it.
const WIPED_STACK: usize = 16 * 1024;

/// An HMAC key. It is never shown, compared in constant time, erased when dropped, and not part of core dumps.
///
/// All computations use [`Secret::with_key_scrubbed`], which leaves no traces of the key elsewhere.
#[derive(Clone)]
pub struct Secret {
    bytes: Arc<NoDumpBytes>,
}

impl Secret {
    /// Generates [`SECRET_LENGTH`] bytes with the operating system's generator.
    ///
    /// # Errors
    ///
    /// [`Error::System`] without memory or without a generator.
    pub fn generate() -> Result<Self> {
        Self::fill(SECRET_LENGTH, |bytes| SysRng.try_fill_bytes(bytes).map_err(|_| Errno::NOSYS))
    }

    /// A secret given by the caller: [`SECRET_LENGTH`] to [`MAX_SECRET_LENGTH`] bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for another length, [`Error::System`] without memory.
    pub fn from_bytes(given: &[u8]) -> Result<Self> {
        if !(SECRET_LENGTH..=MAX_SECRET_LENGTH).contains(&given.len()) {
            return Err(Error::invalid_argument(format!(
                "secret has {} bytes; {SECRET_LENGTH} to {MAX_SECRET_LENGTH} are allowed",
                given.len()
            )));
        }
        Self::fill(given.len(), |bytes| {
            bytes.copy_from_slice(given);
            Ok(())
        })
    }

    /// Returns whether both are equal, in time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.with_key_scrubbed(|bytes| other.with_key_scrubbed(|others| bytes.ct_eq(others).into()))
    }

    /// Calls `computation` with the key and returns its result. `computation` must run in constant time, whatever the
    /// key is.
    ///
    /// Afterwards its traces on the stack and in registers are overwritten, because core dumps contain both.
    pub(crate) fn with_key_scrubbed<R>(&self, computation: impl Fn(&[u8]) -> R) -> R {
        let bytes = self.bytes.as_slice();
        let result = in_own_frame(&computation, bytes);
        // Run it again with zeros, so that they replace the key in the same registers.
        black_box(in_own_frame(&computation, black_box(ZEROS.get(..bytes.len()).unwrap_or_default())));
        zeroize_stack::<WIPED_STACK>();
        result
    }

    fn fill(length: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), Errno>) -> Result<Self> {
        let bytes = NoDumpBytes::new(length, fill).map_err(|errno| Error::system("could not make a secret", errno))?;
        Ok(Self { bytes: Arc::new(bytes) })
    }
}

static ZEROS: [u8; MAX_SECRET_LENGTH] = [0; MAX_SECRET_LENGTH];

/// Calls `computation` in a stack frame of its own, which the second call reuses.
#[inline(never)]
fn in_own_frame<R>(computation: &impl Fn(&[u8]) -> R, bytes: &[u8]) -> R {
    computation(bytes)
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(redacted)")
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod scrub_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_generated_secrets_differ() {
        assert!(!Secret::generate().unwrap().matches(&Secret::generate().unwrap()));
    }

    #[test]
    fn secrets_of_the_same_bytes_match_and_of_others_do_not() {
        let secret = Secret::from_bytes(&[7; 32]).unwrap();
        assert!(secret.matches(&Secret::from_bytes(&[7; 32]).unwrap()));
        assert!(!secret.matches(&Secret::from_bytes(&[8; 32]).unwrap()));
        assert!(!secret.matches(&Secret::from_bytes(&[7; 33]).unwrap()));
    }

    #[test]
    fn a_secret_that_is_too_short_or_too_long_is_refused_with_both_limits() {
        for length in [0, 31, 4097] {
            let error = Secret::from_bytes(&vec![1; length]).unwrap_err();
            assert_eq!(error.to_string(), format!("secret has {length} bytes; 32 to 4096 are allowed"));
        }
    }

    #[test]
    fn its_debug_form_shows_nothing() {
        assert_eq!(format!("{:?}", Secret::from_bytes(&[65; 32]).unwrap()), "Secret(redacted)");
    }
}
