//! Decides whether a caller holds or releases the host's lock while it waits for a response.
//!
//! A host with a global lock hands it over in slices (Ruby: 100 ms). A thread that releases it for a response that
//! comes within 50 µs may wait hundreds of milliseconds to reacquire it while other threads compute. But if all threads
//! only call, holding it makes them wait for each other. So callers release it at once, unless one had to wait long for
//! it lately because of other threads than callers. During the hold window that follows, callers wait for their
//! responses with the lock, for up to [`MAX_HOLD`]. The window ends early when a caller has to wait long because of
//! other callers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::sys::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::sys::sync::{Mutex, lock};

/// The longest wait with the lock held. 500 µs: nearly every response has come by then, also on a busy machine, and it
/// is little compared with a slice of 100 ms.
pub const MAX_HOLD: Duration = Duration::from_micros(500);

/// The shortest wait for the lock that counts as long. 2 ms: far more than callers cost each other, far less than a
/// slice.
const LONG_WAIT: Duration = Duration::from_millis(2);

/// The length of a hold window: 1 s after a long wait, and twice as long after each further one, up to 64 s. Whenever a
/// window ends while other threads still compute, one call waits for the lock again.
const MIN_WINDOW: Duration = Duration::from_secs(1);
const MAX_WINDOW: Duration = Duration::from_secs(64);

/// A wait for the lock is caused by callers if they held it, during calls, for more than one part in this many of it.
/// 2: if all threads only call, they hold it for four fifths of the time; if each also works for 1 ms, for a thirtieth.
const CALLER_SHARE: u64 = 2;

/// The policy of one client. Times are nanoseconds since its creation.
#[derive(Debug)]
pub struct GvlPolicy {
    created_at: Instant,
    mode: AtomicU8,
    /// The end of the current hold window, or 0 without one; and the length of the next.
    window_end: AtomicU64,
    next_window: AtomicU64,
    /// The total time for which callers held the lock during calls; counted only in hold windows.
    held: AtomicU64,
    /// The callers that wait for the lock, oldest first.
    reacquire: Mutex<VecDeque<Reacquire>>,
}

/// How the policy decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By how long callers had to wait for the lock.
    Adaptive,
    /// Always hold the lock. For benchmarks.
    Hold,
    /// Always release the lock. For benchmarks.
    Release,
}

/// A caller that has its response and waits for the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reacquire {
    since: u64,
    held_before: u64,
}

impl GvlPolicy {
    /// A policy without history.
    pub fn new(now: Instant) -> Self {
        Self {
            created_at: now,
            mode: AtomicU8::new(Mode::Adaptive as u8),
            window_end: AtomicU64::new(0),
            next_window: AtomicU64::new(nanoseconds(MIN_WINDOW)),
            held: AtomicU64::new(0),
            reacquire: Mutex::default(),
        }
    }

    /// Sets the mode.
    pub fn set_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// Returns whether a caller should wait for its response with the lock, for [`MAX_HOLD`]. Reads `clock` only if it
    /// matters.
    pub fn should_hold(&self, clock: impl Fn() -> Instant) -> bool {
        let mode = self.mode.load(Ordering::Relaxed);
        if mode != Mode::Adaptive as u8 {
            return mode == Mode::Hold as u8;
        }
        let window_end = self.window_end.load(Ordering::Relaxed);
        window_end != 0 && {
            let now = self.since_creation(clock());
            let oldest = lock(&self.reacquire).front().copied();
            let is_over = now >= window_end
                || oldest.is_some_and(|oldest| oldest.is_long(now) && self.caused_by_callers(oldest, now));
            if is_over {
                self.end_window(window_end);
            }
            !is_over
        }
    }

    /// Returns whether this is a hold window, in which [`GvlPolicy::record_held`] counts.
    pub fn is_hold_window(&self) -> bool {
        self.window_end.load(Ordering::Relaxed) != 0
    }

    /// Records that a caller held the lock during a call.
    pub fn record_held(&self, duration: Duration) {
        self.held.fetch_add(nanoseconds(duration), Ordering::Relaxed);
    }

    /// A caller has its response and starts to wait for the lock.
    pub fn reacquire_started(&self, now: Instant) -> Reacquire {
        let reacquire = Reacquire { since: self.since_creation(now), held_before: self.held.load(Ordering::Relaxed) };
        lock(&self.reacquire).push_back(reacquire);
        reacquire
    }

    /// The caller has reacquired the lock.
    pub fn reacquire_finished(&self, reacquire: Reacquire, now: Instant) {
        let now = self.since_creation(now);
        self.forget(reacquire);
        if reacquire.is_long(now) {
            if self.caused_by_callers(reacquire, now) {
                self.end_window(self.window_end.load(Ordering::Relaxed));
            } else {
                self.begin_window(now);
            }
        } else if now >= self.window_end.load(Ordering::Relaxed) {
            self.next_window.store(nanoseconds(MIN_WINDOW), Ordering::Relaxed);
        }
    }

    fn forget(&self, reacquire: Reacquire) {
        let mut all = lock(&self.reacquire);
        // Nearly always the first entry. Equal entries are interchangeable.
        if let Some(place) = all.iter().position(|one| *one == reacquire) {
            all.remove(place);
        }
    }

    fn begin_window(&self, now: u64) {
        let window = self.next_window.load(Ordering::Relaxed);
        self.window_end.store(now.saturating_add(window), Ordering::Relaxed);
        self.next_window.store(window.saturating_mul(2).min(nanoseconds(MAX_WINDOW)), Ordering::Relaxed);
    }

    /// Ends the window that was to end at `window_end`, unless another one has started.
    fn end_window(&self, window_end: u64) {
        let _ = self.window_end.compare_exchange(window_end, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn caused_by_callers(&self, reacquire: Reacquire, now: u64) -> bool {
        let held = self.held.load(Ordering::Relaxed).saturating_sub(reacquire.held_before);
        held.saturating_mul(CALLER_SHARE) > now.saturating_sub(reacquire.since)
    }

    fn since_creation(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.created_at))
    }
}

impl Reacquire {
    fn is_long(&self, now: u64) -> bool {
        now.saturating_sub(self.since) > nanoseconds(LONG_WAIT)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy whose clock the test sets.
    struct Fixture {
        policy: GvlPolicy,
        now: Instant,
    }

    impl Fixture {
        fn new() -> Self {
            let now = Instant::now();
            Self { policy: GvlPolicy::new(now), now }
        }

        fn pass(&mut self, duration: Duration) {
            self.now += duration;
        }

        fn holds(&self) -> bool {
            self.policy.should_hold(|| self.now)
        }

        fn hold(&mut self, duration: Duration) {
            self.policy.record_held(duration);
            self.pass(duration);
        }

        fn release_and_wait(&mut self, duration: Duration) {
            let reacquire = self.policy.reacquire_started(self.now);
            self.pass(duration);
            self.policy.reacquire_finished(reacquire, self.now);
        }
    }

    const SHORT: Duration = Duration::from_micros(100);
    const SLICE: Duration = Duration::from_millis(100);

    #[test]
    fn the_lock_is_released_until_a_caller_waited_long_for_it() {
        let mut fixture = Fixture::new();
        assert!(!fixture.holds());
        fixture.release_and_wait(SHORT);
        assert!(!fixture.holds());
    }

    #[test]
    fn after_a_long_wait_it_is_held_for_a_window() {
        let mut fixture = Fixture::new();
        fixture.release_and_wait(SLICE);
        assert!(fixture.holds());
        fixture.pass(MIN_WINDOW - SHORT);
        assert!(fixture.holds());
        fixture.pass(SHORT);
        assert!(!fixture.holds());
    }

    #[test]
    fn a_window_that_ended_too_early_is_followed_by_one_that_is_twice_as_long() {
        let mut fixture = Fixture::new();
        fixture.release_and_wait(SLICE);
        fixture.pass(MIN_WINDOW);
        fixture.release_and_wait(SLICE);
        fixture.pass(2 * MIN_WINDOW - SHORT);
        assert!(fixture.holds());
        fixture.pass(SHORT);
        assert!(!fixture.holds());
    }

    #[test]
    fn a_window_is_never_longer_than_the_longest() {
        let mut fixture = Fixture::new();
        for _ in 0..100 {
            fixture.release_and_wait(SLICE);
        }
        fixture.pass(MAX_WINDOW);
        assert!(!fixture.holds());
    }

    #[test]
    fn a_short_wait_after_a_window_makes_the_next_one_the_shortest_again() {
        let mut fixture = Fixture::new();
        fixture.release_and_wait(SLICE);
        fixture.pass(MIN_WINDOW);
        fixture.release_and_wait(SHORT);
        fixture.release_and_wait(SLICE);
        fixture.pass(MIN_WINDOW);
        assert!(!fixture.holds());
    }

    #[test]
    fn the_window_ends_when_a_caller_waits_long_because_of_callers() {
        let mut fixture = Fixture::new();
        fixture.release_and_wait(SLICE);
        let _waiting = fixture.policy.reacquire_started(fixture.now);
        fixture.hold(SHORT);
        assert!(fixture.holds(), "it is not long yet");
        fixture.hold(LONG_WAIT);
        assert!(!fixture.holds());
        assert!(!fixture.policy.is_hold_window());
    }

    #[test]
    fn the_one_that_has_waited_longest_counts() {
        let mut fixture = Fixture::new();
        fixture.release_and_wait(SLICE);
        let first = fixture.policy.reacquire_started(fixture.now);
        let _second = fixture.policy.reacquire_started(fixture.now);
        fixture.policy.reacquire_finished(first, fixture.now);
        fixture.hold(LONG_WAIT + SHORT);
        let _third = fixture.policy.reacquire_started(fixture.now);
        assert!(!fixture.holds());
    }

    #[test]
    fn the_window_goes_on_while_callers_wait_because_of_threads_that_compute() {
        let mut fixture = Fixture::new();
        fixture.release_and_wait(SLICE);
        let _waiting = fixture.policy.reacquire_started(fixture.now);
        fixture.pass(SLICE);
        fixture.hold(SLICE - SHORT);
        assert!(fixture.holds());
    }

    #[test]
    fn a_long_wait_that_is_due_to_callers_ends_the_window() {
        let mut fixture = Fixture::new();
        fixture.release_and_wait(SLICE);
        let waiting = fixture.policy.reacquire_started(fixture.now);
        fixture.hold(SLICE);
        fixture.policy.reacquire_finished(waiting, fixture.now);
        assert!(!fixture.holds());
    }

    #[test]
    fn a_mode_decides_whatever_was_met_with() {
        let mut fixture = Fixture::new();
        fixture.policy.set_mode(Mode::Hold);
        assert!(fixture.holds());
        fixture.policy.set_mode(Mode::Release);
        fixture.release_and_wait(SLICE);
        assert!(!fixture.holds());
    }
}
