//! After a failure to connect nobody tries again for a while, and everybody is told the first cause at once.

use std::sync::Mutex;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::sync::lock;

/// The last failure to connect, while it is fresh.
#[derive(Debug)]
pub(super) struct Backoff {
    delay: Duration,
    failure: Mutex<Option<Failure>>,
}

#[derive(Debug)]
struct Failure {
    cause: String,
    retry: Deadline,
}

impl Backoff {
    /// No failure yet; after one, nobody tries again within `delay`.
    pub(super) fn new(delay: Duration) -> Self {
        Self { delay, failure: Mutex::new(None) }
    }

    /// Whether to try.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectionRefused`] with the first cause while the delay lasts.
    pub(super) fn check(&self) -> Result<()> {
        match &*lock(&self.failure) {
            Some(Failure { cause, retry }) if !retry.has_passed() => {
                let delay = self.delay.as_secs_f64();
                Err(Error::ConnectionRefused {
                    reason: format!("{cause} (no new attempt within reconnect_delay, {delay} s)"),
                })
            }
            _ => Ok(()),
        }
    }

    /// A connection could not be made.
    pub(super) fn begin(&self, cause: String) {
        *lock(&self.failure) = Some(Failure { cause, retry: Deadline::after(self.delay) });
    }

    /// A connection was made.
    pub(super) fn end(&self) {
        *lock(&self.failure) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_is_told_until_the_delay_is_over_or_a_connection_was_made() {
        let backoff = Backoff::new(Duration::from_secs(60));
        assert_eq!(backoff.check(), Ok(()));
        backoff.begin("nobody there".to_owned());
        let reason = "nobody there (no new attempt within reconnect_delay, 60 s)".to_owned();
        assert_eq!(backoff.check(), Err(Error::ConnectionRefused { reason }));
        backoff.end();
        assert_eq!(backoff.check(), Ok(()));
    }

    #[test]
    fn without_a_delay_everybody_tries() {
        let backoff = Backoff::new(Duration::ZERO);
        backoff.begin("nobody there".to_owned());
        assert_eq!(backoff.check(), Ok(()));
    }
}
