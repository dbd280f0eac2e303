//! Limits the CPU time spent on unauthenticated connections: a leaky bucket, filled by each connection that is rejected
//! or abandoned.

use std::time::Duration;

use crate::deadline::Deadline;

/// The cost of a rejected connection. 250 us: at most 4,000 of them are accepted in a second. Each takes the acceptor
/// 12 to 23 us (measured), so a tenth of a core at most; without a limit a process that only connects takes most of two
/// cores, its own included, from the workers. The kernel's backlog of 256 is accepted within 64 ms at this rate, for
/// which a new worker may have to wait.
const COST: Duration = Duration::from_micros(250);

/// The debt above which accepting pauses. 10 ms, or 40 connections: workers of an earlier parent do not cause a pause,
/// and a pause is long enough to be worth a sleep.
const BURST: Duration = Duration::from_millis(10);

/// The debt is capped at this. 100 ms: with a large `max_handshakes` many handshakes can time out at once; that work is
/// done already, and nothing should wait for it.
const MAX_DEBT: Duration = Duration::from_millis(100);

/// Outstanding cost, drained at one second per second.
#[derive(Debug)]
pub(super) struct AcceptThrottle {
    /// When the debt is zero again.
    drained_at: Deadline,
}

impl AcceptThrottle {
    /// A throttle without debt.
    pub(super) fn new() -> Self {
        Self { drained_at: Deadline::after(Duration::ZERO) }
    }

    /// Adds the cost of a rejected connection.
    pub(super) fn record_rejection(&mut self) {
        self.drained_at = Deadline::after(self.drained_at.remaining().saturating_add(COST).min(MAX_DEBT));
    }

    /// When accepting may resume, if the debt is above [`BURST`]: when all of it is drained.
    pub(super) fn throttled_until(&self) -> Option<Deadline> {
        (self.drained_at.remaining() > BURST).then_some(self.drained_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_rejections_cause_no_pause() {
        let mut accept_throttle = AcceptThrottle::new();
        assert!(accept_throttle.throttled_until().is_none());
        for _ in 0..40 {
            accept_throttle.record_rejection();
        }
        assert!(accept_throttle.throttled_until().is_none());
    }

    #[test]
    fn after_many_rejections_accepting_pauses_until_the_debt_is_drained() {
        let mut accept_throttle = AcceptThrottle::new();
        for _ in 0..100_000 {
            accept_throttle.record_rejection();
        }
        let pause = accept_throttle.throttled_until().unwrap();
        assert!(pause.remaining() <= MAX_DEBT);
        while !pause.has_passed() {
            std::thread::yield_now();
        }
        assert!(accept_throttle.throttled_until().is_none());
    }
}
