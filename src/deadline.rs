//! Time that remains. Nothing else in the crate reads the clock.

use std::time::{Duration, Instant};

use crate::error::{Error, Phase, Result};
use crate::os;

/// A moment by which something must have happened, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    /// `None`: never.
    expires: Option<Instant>,
}

impl Deadline {
    /// The moment `allowed` from now; one beyond what the clock can hold is never reached.
    pub fn after(allowed: Duration) -> Self {
        let started = Instant::now();
        Self { started, expires: started.checked_add(allowed) }
    }

    /// No deadline.
    pub fn never() -> Self {
        Self { started: Instant::now(), expires: None }
    }

    /// The earlier of this deadline and `allowed` from now.
    pub fn within(&self, allowed: Duration) -> Self {
        let phase = Self::after(allowed);
        let sooner = match (self.expires, phase.expires) {
            (Some(whole), Some(part)) => part < whole,
            (None, _) => true,
            (Some(_), None) => false,
        };
        if sooner { phase } else { *self }
    }

    /// What is left: zero once it has passed, [`Duration::MAX`] if there is no deadline.
    pub fn remaining(&self) -> Duration {
        self.expires.map_or(Duration::MAX, |expires| expires.saturating_duration_since(Instant::now()))
    }

    /// When it is, as [`monotonic_seconds`] counts; `None` if there is no deadline. Too early, if at all, by the time
    /// between two readings of the clock.
    pub fn monotonic_seconds(&self) -> Option<f64> {
        let expires = self.expires?;
        let clock = monotonic_seconds();
        let now = Instant::now();
        let passed = now.saturating_duration_since(expires).as_secs_f64();
        Some(clock + expires.saturating_duration_since(now).as_secs_f64() - passed)
    }

    /// Whether it has passed.
    pub fn has_passed(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Whether there is a deadline at all.
    pub fn is_bounded(&self) -> bool {
        self.expires.is_some()
    }

    /// Time since this deadline was set.
    pub fn waited(&self) -> Duration {
        self.started.elapsed()
    }

    /// The error for work that did not end in time.
    pub fn timeout(&self, phase: Phase) -> Error {
        Error::Timeout { phase, waited: self.waited() }
    }

    /// What is left.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] once it has passed.
    pub fn check(&self, phase: Phase) -> Result<Duration> {
        let remaining = self.remaining();
        if remaining.is_zero() { Err(self.timeout(phase)) } else { Ok(remaining) }
    }
}

/// Seconds on the operating system's monotonic clock, the same in every process: for a host whose own way to read the
/// clock may be replaced.
pub fn monotonic_seconds() -> f64 {
    os::monotonic_clock().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_of_zero_has_passed_at_once() {
        assert!(Deadline::after(Duration::ZERO).has_passed());
    }

    #[test]
    fn no_deadline_never_passes_and_says_that_it_is_not_bounded() {
        assert_eq!(Deadline::never().remaining(), Duration::MAX);
        assert!(!Deadline::never().is_bounded());
    }

    #[test]
    fn a_duration_that_the_clock_cannot_hold_is_no_deadline() {
        assert!(!Deadline::after(Duration::MAX).is_bounded());
    }

    #[test]
    fn a_deadline_stays_where_it_is_on_the_clock_also_once_it_has_passed() {
        let before = monotonic_seconds();
        let started = Instant::now();
        let deadline = Deadline { started, expires: Some(started) };
        let after = monotonic_seconds();
        while monotonic_seconds() <= after {}

        let seconds = deadline.monotonic_seconds().unwrap();
        assert!(seconds <= after, "{seconds} is later than {after}");
        assert!(Deadline::after(Duration::from_secs(10)).monotonic_seconds().unwrap() >= before + 9.0);
        assert_eq!(Deadline::never().monotonic_seconds(), None);
    }

    #[test]
    fn a_phase_never_outlives_the_whole() {
        let whole = Deadline::after(Duration::from_secs(1));
        assert!(whole.within(Duration::from_secs(60)).remaining() <= Duration::from_secs(1));
        assert!(whole.within(Duration::ZERO).has_passed());
        assert!(Deadline::never().within(Duration::ZERO).has_passed());
    }
}
