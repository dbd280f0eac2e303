//! Deadlines on the monotonic clock. Nothing else in the crate reads the clock.

use std::time::{Duration, Instant};

use crate::error::{Error, Phase, Result};
use crate::sys::unsafe_os;

/// A moment by which something must have happened.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    started: Instant,
    /// `None` if there is no deadline.
    expires: Option<Instant>,
}

impl Deadline {
    /// The moment `allowed` from now. There is no deadline if that exceeds the clock's range.
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

    /// The remaining time: zero once the deadline has passed, [`Duration::MAX`] if there is none.
    pub fn remaining(&self) -> Duration {
        self.expires.map_or(Duration::MAX, |expires| expires.saturating_duration_since(Instant::now()))
    }

    /// The deadline on the clock of [`monotonic_seconds`]; `None` if there is none. The result can be too early by the
    /// time between two readings of the clock, and never too late.
    pub fn monotonic_seconds(&self) -> Option<f64> {
        let expires = self.expires?;
        let clock = monotonic_seconds();
        let now = Instant::now();
        let passed = now.saturating_duration_since(expires).as_secs_f64();
        Some(clock + expires.saturating_duration_since(now).as_secs_f64() - passed)
    }

    /// Returns whether the deadline has passed.
    pub fn has_passed(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Returns whether there is a deadline.
    pub fn is_bounded(&self) -> bool {
        self.expires.is_some()
    }

    /// The time since this deadline was set.
    pub fn waited(&self) -> Duration {
        self.started.elapsed()
    }

    /// The error for work that did not end in time.
    pub fn timeout(&self, phase: Phase) -> Error {
        Error::Timeout { phase, waited: self.waited() }
    }

    /// The remaining time.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] once it has passed.
    pub fn check(&self, phase: Phase) -> Result<Duration> {
        let remaining = self.remaining();
        if remaining.is_zero() { Err(self.timeout(phase)) } else { Ok(remaining) }
    }
}

/// Seconds on the operating system's monotonic clock, which is the same in every process. For hosts whose own clock
/// methods tests may replace.
pub fn monotonic_seconds() -> f64 {
    unsafe_os::monotonic_clock().as_secs_f64()
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
