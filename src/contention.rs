//! Whether a caller should keep the host's lock while it waits for an answer.
//!
//! A host with a global lock hands it over in slices (Ruby: 100 ms). A thread that gives it up for an answer that comes
//! within 50 µs may wait for hundreds of milliseconds to get it back while other threads compute. But where all threads
//! only call, keeping it makes them wait for each other. So a caller gives it up at once, unless one had to wait long for
//! it lately and others than callers had it meanwhile. During the spell that follows callers wait for their answers with
//! it, for [`PATIENCE`]. The spell ends early when a caller has to wait long because of other callers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use crate::sync::{Mutex, lock};

/// How long to wait with the lock. 500 µs: nearly every answer has come by then, also on a busy machine, and it is little
/// against the slice that the caller would wait for otherwise.
pub const PATIENCE: Duration = Duration::from_micros(500);

/// A wait for the lock that is called long. 2 ms: far more than callers cost each other, far less than a slice.
const LONG_WAIT: Duration = Duration::from_millis(2);

/// How long a spell lasts after a long wait: 1 s, and twice as long each time that another follows, up to 64 s. Whenever
/// one ends while others still compute, one call pays for it.
const SHORTEST_SPELL: Duration = Duration::from_secs(1);
const LONGEST_SPELL: Duration = Duration::from_secs(64);

/// A wait for the lock is due to callers if they had it during calls for half of it. Where all threads only call they
/// have it for four fifths; where each also does 1 ms of work, for a thirtieth.
const CALLERS_PART: u64 = 2;

/// What the callers of one client have met with. Times are nanoseconds since it was made.
#[derive(Debug)]
pub struct Contention {
    made: Instant,
    habit: AtomicU8,
    /// When the spell ends, or zero where there is none; and how long the next one lasts.
    spell_end: AtomicU64,
    next_spell: AtomicU64,
    /// For how long callers have had the lock during calls, in all; counted during spells only.
    kept: AtomicU64,
    /// The callers that wait for the lock, those that have waited longest first.
    returning: Mutex<VecDeque<Returning>>,
}

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// What callers have met with.
    Adaptive,
    /// Nothing: the lock is always kept. For comparison.
    Keep,
    /// Nothing: the lock is always given up. For comparison.
    GiveUp,
}

/// A caller that has what it waited for, and waits for the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returning {
    since: u64,
    kept_before: u64,
}

impl Contention {
    /// Nothing met with yet.
    pub fn new(now: Instant) -> Self {
        Self {
            made: now,
            habit: AtomicU8::new(Habit::Adaptive as u8),
            spell_end: AtomicU64::new(0),
            next_spell: AtomicU64::new(nanoseconds(SHORTEST_SPELL)),
            kept: AtomicU64::new(0),
            returning: Mutex::default(),
        }
    }

    /// Changes what decides.
    pub fn set_habit(&self, habit: Habit) {
        self.habit.store(habit as u8, Ordering::Relaxed);
    }

    /// Whether a caller should wait for its answer with the lock, for [`PATIENCE`]. `clock` is read only where it matters.
    pub fn is_worth_keeping(&self, clock: impl Fn() -> Instant) -> bool {
        let habit = self.habit.load(Ordering::Relaxed);
        if habit != Habit::Adaptive as u8 {
            return habit == Habit::Keep as u8;
        }
        let spell_end = self.spell_end.load(Ordering::Relaxed);
        spell_end != 0 && {
            let now = self.since_made(clock());
            let oldest = lock(&self.returning).front().copied();
            let is_over = now >= spell_end
                || oldest.is_some_and(|oldest| oldest.is_long(now) && self.is_due_to_callers(oldest, now));
            if is_over {
                self.end_spell(spell_end);
            }
            !is_over
        }
    }

    /// Whether what callers do with the lock is to be counted.
    pub fn is_spell(&self) -> bool {
        self.spell_end.load(Ordering::Relaxed) != 0
    }

    /// A caller has had the lock, in the middle of a call.
    pub fn note_kept(&self, duration: Duration) {
        self.kept.fetch_add(nanoseconds(duration), Ordering::Relaxed);
    }

    /// A caller has what it waited for without the lock, and waits for that from now on.
    pub fn begin_return(&self, now: Instant) -> Returning {
        let returning = Returning { since: self.since_made(now), kept_before: self.kept.load(Ordering::Relaxed) };
        lock(&self.returning).push_back(returning);
        returning
    }

    /// It has the lock.
    pub fn end_return(&self, returning: Returning, now: Instant) {
        let now = self.since_made(now);
        self.forget(returning);
        if returning.is_long(now) {
            if self.is_due_to_callers(returning, now) {
                self.end_spell(self.spell_end.load(Ordering::Relaxed));
            } else {
                self.begin_spell(now);
            }
        } else if now >= self.spell_end.load(Ordering::Relaxed) {
            self.next_spell.store(nanoseconds(SHORTEST_SPELL), Ordering::Relaxed);
        }
    }

    fn forget(&self, returning: Returning) {
        let mut all = lock(&self.returning);
        // Nearly always the first. Two that are equal are as good as each other.
        if let Some(place) = all.iter().position(|one| *one == returning) {
            all.remove(place);
        }
    }

    fn begin_spell(&self, now: u64) {
        let spell = self.next_spell.load(Ordering::Relaxed);
        self.spell_end.store(now.saturating_add(spell), Ordering::Relaxed);
        self.next_spell.store(spell.saturating_mul(2).min(nanoseconds(LONGEST_SPELL)), Ordering::Relaxed);
    }

    /// Ends the spell that was to end then, unless another one has begun.
    fn end_spell(&self, spell_end: u64) {
        let _ = self.spell_end.compare_exchange(spell_end, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn is_due_to_callers(&self, returning: Returning, now: u64) -> bool {
        let kept = self.kept.load(Ordering::Relaxed).saturating_sub(returning.kept_before);
        kept.saturating_mul(CALLERS_PART) > now.saturating_sub(returning.since)
    }

    fn since_made(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.made))
    }
}

impl Returning {
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

    /// Contention whose clock the test moves by hand.
    struct Scene {
        contention: Contention,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let now = Instant::now();
            Self { contention: Contention::new(now), now }
        }

        fn pass(&mut self, duration: Duration) {
            self.now += duration;
        }

        fn keeps(&self) -> bool {
            self.contention.is_worth_keeping(|| self.now)
        }

        fn keep(&mut self, duration: Duration) {
            self.contention.note_kept(duration);
            self.pass(duration);
        }

        fn give_up_and_wait(&mut self, duration: Duration) {
            let returning = self.contention.begin_return(self.now);
            self.pass(duration);
            self.contention.end_return(returning, self.now);
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
        scene.pass(SHORTEST_SPELL - SHORT);
        assert!(scene.keeps());
        scene.pass(SHORT);
        assert!(!scene.keeps());
    }

    #[test]
    fn a_spell_that_ended_too_early_is_followed_by_one_that_is_twice_as_long() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        scene.pass(SHORTEST_SPELL);
        scene.give_up_and_wait(SLICE);
        scene.pass(2 * SHORTEST_SPELL - SHORT);
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
        scene.pass(LONGEST_SPELL);
        assert!(!scene.keeps());
    }

    #[test]
    fn a_short_wait_after_a_spell_makes_the_next_one_the_shortest_again() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        scene.pass(SHORTEST_SPELL);
        scene.give_up_and_wait(SHORT);
        scene.give_up_and_wait(SLICE);
        scene.pass(SHORTEST_SPELL);
        assert!(!scene.keeps());
    }

    #[test]
    fn the_spell_ends_when_a_caller_waits_long_because_of_callers() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        let _waiting = scene.contention.begin_return(scene.now);
        scene.keep(SHORT);
        assert!(scene.keeps(), "it is not long yet");
        scene.keep(LONG_WAIT);
        assert!(!scene.keeps());
        assert!(!scene.contention.is_spell());
    }

    #[test]
    fn the_one_that_has_waited_longest_counts() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        let first = scene.contention.begin_return(scene.now);
        let _second = scene.contention.begin_return(scene.now);
        scene.contention.end_return(first, scene.now);
        scene.keep(LONG_WAIT + SHORT);
        let _third = scene.contention.begin_return(scene.now);
        assert!(!scene.keeps());
    }

    #[test]
    fn the_spell_goes_on_while_callers_wait_because_of_those_who_compute() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        let _waiting = scene.contention.begin_return(scene.now);
        scene.pass(SLICE);
        scene.keep(SLICE - SHORT);
        assert!(scene.keeps());
    }

    #[test]
    fn a_long_wait_that_is_due_to_callers_ends_the_spell() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        let waiting = scene.contention.begin_return(scene.now);
        scene.keep(SLICE);
        scene.contention.end_return(waiting, scene.now);
        assert!(!scene.keeps());
    }

    #[test]
    fn a_habit_decides_whatever_was_met_with() {
        let mut scene = Scene::new();
        scene.contention.set_habit(Habit::Keep);
        assert!(scene.keeps());
        scene.contention.set_habit(Habit::GiveUp);
        scene.give_up_and_wait(SLICE);
        assert!(!scene.keeps());
    }
}
