//! Whether a caller should keep the host's lock while it waits for an answer.
//!
//! A host with a global lock hands it over in slices (Ruby: 100 ms). A thread that gives it up for an answer that comes
//! within 50 µs may wait for hundreds of milliseconds to get it back while other threads compute. But where all threads
//! only call, keeping it makes them wait for each other. So a caller gives it up at once, unless one had to wait long for
//! it lately and others than callers had it meanwhile. During the window that follows callers wait for their answers with
//! it, for [`MAX_HOLD`]. The window ends early when a caller has to wait long because of other callers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::sync::{Mutex, lock};

/// How long to wait with the lock. 500 µs: nearly every answer has come by then, also on a busy machine, and it is little
/// against the slice that the caller would wait for otherwise.
pub const MAX_HOLD: Duration = Duration::from_micros(500);

/// A wait for the lock that is called long. 2 ms: far more than callers cost each other, far less than a slice.
const LONG_WAIT: Duration = Duration::from_millis(2);

/// How long a window lasts after a long wait: 1 s, and twice as long each time that another follows, up to 64 s. Whenever
/// one ends while others still compute, one call pays for it.
const MIN_WINDOW: Duration = Duration::from_secs(1);
const MAX_WINDOW: Duration = Duration::from_secs(64);

/// A wait for the lock is due to callers if they had it during calls for half of it. Where all threads only call they
/// have it for four fifths; where each also does 1 ms of work, for a thirtieth.
const CALLER_SHARE: u64 = 2;

/// What the callers of one client have met with. Times are nanoseconds since it was made.
#[derive(Debug)]
pub struct GvlPolicy {
    created_at: Instant,
    mode: AtomicU8,
    /// When the window ends, or zero where there is none; and how long the next one lasts.
    window_end: AtomicU64,
    next_window: AtomicU64,
    /// For how long callers have had the lock during calls, in all; counted during spells only.
    held: AtomicU64,
    /// The callers that wait for the lock, those that have waited longest first.
    reacquire: Mutex<VecDeque<Reacquire>>,
}

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What callers have met with.
    Adaptive,
    /// Nothing: the lock is always held. For comparison.
    Hold,
    /// Nothing: the lock is always given up. For comparison.
    Release,
}

/// A caller that has what it waited for, and waits for the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reacquire {
    since: u64,
    held_before: u64,
}

impl GvlPolicy {
    /// Nothing met with yet.
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

    /// Changes what decides.
    pub fn set_mode(&self, mode: Mode) {
        self.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// Whether a caller should wait for its answer with the lock, for [`MAX_HOLD`]. `clock` is read only where it matters.
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

    /// Whether what callers do with the lock is to be counted.
    pub fn is_hold_window(&self) -> bool {
        self.window_end.load(Ordering::Relaxed) != 0
    }

    /// A caller has had the lock, in the middle of a call.
    pub fn record_held(&self, duration: Duration) {
        self.held.fetch_add(nanoseconds(duration), Ordering::Relaxed);
    }

    /// A caller has what it waited for without the lock, and waits for that from now on.
    pub fn reacquire_started(&self, now: Instant) -> Reacquire {
        let reacquire = Reacquire { since: self.since_creation(now), held_before: self.held.load(Ordering::Relaxed) };
        lock(&self.reacquire).push_back(reacquire);
        reacquire
    }

    /// It has the lock.
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
        // Nearly always the first. Two that are equal are as good as each other.
        if let Some(place) = all.iter().position(|one| *one == reacquire) {
            all.remove(place);
        }
    }

    fn begin_window(&self, now: u64) {
        let window = self.next_window.load(Ordering::Relaxed);
        self.window_end.store(now.saturating_add(window), Ordering::Relaxed);
        self.next_window.store(window.saturating_mul(2).min(nanoseconds(MAX_WINDOW)), Ordering::Relaxed);
    }

    /// Ends the window that was to end then, unless another one has begun.
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

    /// GvlPolicy whose clock the test moves by hand.
    struct Scene {
        policy: GvlPolicy,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let now = Instant::now();
            Self { policy: GvlPolicy::new(now), now }
        }

        fn pass(&mut self, duration: Duration) {
            self.now += duration;
        }

        fn keeps(&self) -> bool {
            self.policy.should_hold(|| self.now)
        }

        fn keep(&mut self, duration: Duration) {
            self.policy.record_held(duration);
            self.pass(duration);
        }

        fn give_up_and_wait(&mut self, duration: Duration) {
            let reacquire = self.policy.reacquire_started(self.now);
            self.pass(duration);
            self.policy.reacquire_finished(reacquire, self.now);
        }
    }

    const SHORT: Duration = Duration::from_micros(100);
    const SLICE: Duration = Duration::from_millis(100);

    #[test]
    fn the_lock_is_given_up_as_long_as_nobody_waited_long_for_it() {
        let mut scene = Scene::new();
        assert!(!scene.keeps());
        scene.give_up_and_wait(SHORT);
        assert!(!scene.keeps());
    }

    #[test]
    fn after_a_long_wait_it_is_kept_for_a_spell() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        assert!(scene.keeps());
        scene.pass(MIN_WINDOW - SHORT);
        assert!(scene.keeps());
        scene.pass(SHORT);
        assert!(!scene.keeps());
    }

    #[test]
    fn a_spell_that_ended_too_early_is_followed_by_one_that_is_twice_as_long() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        scene.pass(MIN_WINDOW);
        scene.give_up_and_wait(SLICE);
        scene.pass(2 * MIN_WINDOW - SHORT);
        assert!(scene.keeps());
        scene.pass(SHORT);
        assert!(!scene.keeps());
    }

    #[test]
    fn a_spell_is_never_longer_than_the_longest() {
        let mut scene = Scene::new();
        for _ in 0..100 {
            scene.give_up_and_wait(SLICE);
        }
        scene.pass(MAX_WINDOW);
        assert!(!scene.keeps());
    }

    #[test]
    fn a_short_wait_after_a_spell_makes_the_next_one_the_shortest_again() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        scene.pass(MIN_WINDOW);
        scene.give_up_and_wait(SHORT);
        scene.give_up_and_wait(SLICE);
        scene.pass(MIN_WINDOW);
        assert!(!scene.keeps());
    }

    #[test]
    fn the_spell_ends_when_a_caller_waits_long_because_of_callers() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        let _waiting = scene.policy.reacquire_started(scene.now);
        scene.keep(SHORT);
        assert!(scene.keeps(), "it is not long yet");
        scene.keep(LONG_WAIT);
        assert!(!scene.keeps());
        assert!(!scene.policy.is_hold_window());
    }

    #[test]
    fn the_one_that_has_waited_longest_counts() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        let first = scene.policy.reacquire_started(scene.now);
        let _second = scene.policy.reacquire_started(scene.now);
        scene.policy.reacquire_finished(first, scene.now);
        scene.keep(LONG_WAIT + SHORT);
        let _third = scene.policy.reacquire_started(scene.now);
        assert!(!scene.keeps());
    }

    #[test]
    fn the_spell_goes_on_while_callers_wait_because_of_those_who_compute() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        let _waiting = scene.policy.reacquire_started(scene.now);
        scene.pass(SLICE);
        scene.keep(SLICE - SHORT);
        assert!(scene.keeps());
    }

    #[test]
    fn a_long_wait_that_is_due_to_callers_ends_the_spell() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        let waiting = scene.policy.reacquire_started(scene.now);
        scene.keep(SLICE);
        scene.policy.reacquire_finished(waiting, scene.now);
        assert!(!scene.keeps());
    }

    #[test]
    fn a_habit_decides_whatever_was_met_with() {
        let mut scene = Scene::new();
        scene.policy.set_mode(Mode::Hold);
        assert!(scene.keeps());
        scene.policy.set_mode(Mode::Release);
        scene.give_up_and_wait(SLICE);
        assert!(!scene.keeps());
    }
}
