//! After a failed connect, attempts are refused for a while and fail at once with the first cause.
//!
//! The delay has random jitter, so that the workers of a lost parent do not all reconnect at the same moment.

use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::deadline::Deadline;
use crate::error::{Cause, Error, Result};
use crate::sys::sync::{Mutex, lock};

/// The shortest delay as a part of `reconnect_delay`; the rest is random. A half: 64 workers then reconnect 8 ms apart
/// on average after a delay of 1 s, many times what it takes to admit one.
const MIN_DELAY_RATIO: f64 = 0.5;

/// The last failed connect, until its delay has passed.
#[derive(Debug)]
pub(super) struct Backoff {
    delay: Duration,
    failure: Mutex<Option<Failure>>,
}

#[derive(Debug)]
struct Failure {
    reason: String,
    cause: Cause,
    retry: Deadline,
}

impl Backoff {
    /// A backoff without a failure. After one, attempts are refused for at least half of `delay`, measured from the
    /// start of the failed attempt.
    pub(super) fn new(delay: Duration) -> Self {
        Self { delay, failure: Mutex::new(None) }
    }

    /// Checks whether an attempt to connect may start now.
    ///
    /// # Returns
    ///
    /// The earliest time of the next attempt, should this one fail. It is measured from the start of this attempt: one
    /// that times out has waited already, and a parent that comes back then is to be found within the delay.
    ///
    /// # Errors
    ///
    /// [`Error::ConnectionRefused`] with the first cause while the delay lasts.
    pub(super) fn check(&self) -> Result<Deadline> {
        match &*lock(&self.failure) {
            Some(Failure { reason, cause, retry }) if !retry.has_passed() => {
                let delay = self.delay.as_secs_f64();
                Err(Error::ConnectionRefused {
                    reason: format!("{reason} (no new attempt within reconnect_delay, {delay} s)"),
                    cause: *cause,
                })
            }
            _ => Ok(Deadline::after(self.next_delay())),
        }
    }

    /// Records a failed attempt; further ones are refused until `retry`.
    pub(super) fn record_failure(&self, error: &Error, retry: Deadline) {
        *lock(&self.failure) = Some(Failure { reason: error.to_string(), cause: Cause::of(error), retry });
    }

    /// Forgets the failure, because a connection was made.
    pub(super) fn reset(&self) {
        *lock(&self.failure) = None;
    }

    fn next_delay(&self) -> Duration {
        self.delay.mul_f64(MIN_DELAY_RATIO + (1.0 - MIN_DELAY_RATIO) * jitter())
    }
}

/// A random number from 0 to 1, or 1 (the whole delay) if the operating system has no generator.
fn jitter() -> f64 {
    SysRng.try_next_u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_is_told_until_the_delay_is_over_or_a_connection_was_made() {
        let backoff = Backoff::new(Duration::from_secs(60));
        let retry = backoff.check().unwrap();
        backoff.record_failure(&Error::Handshake { reason: "wrong secret".to_owned() }, retry);
        let reason = "wrong secret (no new attempt within reconnect_delay, 60 s)".to_owned();
        assert_eq!(backoff.check().unwrap_err(), Error::ConnectionRefused { reason, cause: Cause::Handshake });
        backoff.reset();
        assert!(backoff.check().is_ok());
    }

    #[test]
    fn the_delay_counts_from_the_beginning_of_the_attempt() {
        let backoff = Backoff::new(Duration::from_millis(1));
        let retry = backoff.check().unwrap();
        while !retry.has_passed() {}
        backoff.record_failure(&Error::Interrupted, retry);
        assert!(backoff.check().is_ok());
    }

    #[test]
    fn what_is_waited_differs_and_is_at_least_half_of_the_delay_and_at_most_all_of_it() {
        let delay = Duration::from_secs(60);
        let backoff = Backoff::new(delay);
        let mut delays: Vec<_> = (0..1000).map(|_| backoff.next_delay()).collect();
        delays.sort();
        let (shortest, longest) = (delays[0], delays[999]);
        assert!(shortest >= delay / 2 && longest <= delay, "{shortest:?} to {longest:?}");
        // With an even distribution, at least one of a thousand delays is in each tenth of the range.
        assert!(shortest < delay * 11 / 20 && longest > delay * 19 / 20, "{shortest:?} to {longest:?}");
    }

    #[test]
    fn without_a_delay_every_attempt_is_allowed() {
        let backoff = Backoff::new(Duration::ZERO);
        let retry = backoff.check().unwrap();
        backoff.record_failure(&Error::Interrupted, retry);
        assert!(backoff.check().is_ok());
    }
}
