//! How much of the acceptor's time strangers get. Those that are let in cost nothing here.

use std::time::Duration;

use crate::deadline::Deadline;

/// What a connection that is turned away counts for. 250 us: at most 4,000 of them are accepted in a second. On the
/// machine where this was measured each takes the acceptor 12 to 23 us, so that is a tenth of a core at most; without a
/// limit a process that only connects takes most of two cores, its own included, from the workers that are in. At this
/// rate the kernel's backlog of 256 is gone through in 64 ms, for which a worker that comes meanwhile has to wait.
const COST: Duration = Duration::from_micros(250);

/// What may be owed before accepting pauses. 10 ms, or 40 connections: workers that come at the wrong moment, such as
/// those of an earlier parent, do not make it pause, and a pause is long enough to be worth going to sleep for.
const BURST: Duration = Duration::from_millis(10);

/// What may be owed at most. 100 ms: where a great `max_handshakes` lets a crowd in and all of it is late at once, the
/// work has been done already and nobody is to wait for it.
const MAX_DEBT: Duration = Duration::from_millis(100);

/// What strangers have cost and time has not yet paid.
#[derive(Debug)]
pub(super) struct AcceptThrottle {
    /// When it will have.
    drained_at: Deadline,
}

impl AcceptThrottle {
    /// Nothing owed.
    pub(super) fn new() -> Self {
        Self { drained_at: Deadline::after(Duration::ZERO) }
    }

    /// A connection was turned away.
    pub(super) fn record_rejection(&mut self) {
        self.drained_at = Deadline::after(self.drained_at.remaining().saturating_add(COST).min(MAX_DEBT));
    }

    /// Until when nobody is to be accepted, if too much is owed: until all is paid.
    pub(super) fn throttled_until(&self) -> Option<Deadline> {
        (self.drained_at.remaining() > BURST).then_some(self.drained_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_rejections_make_nobody_wait() {
        let mut accept_throttle = AcceptThrottle::new();
        assert!(accept_throttle.throttled_until().is_none());
        for _ in 0..40 {
            accept_throttle.record_rejection();
        }
        assert!(accept_throttle.throttled_until().is_none());
    }

    #[test]
    fn after_many_nobody_is_accepted_until_time_has_paid() {
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
