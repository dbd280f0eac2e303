//! Whether a caller should keep the host's lock while it waits for an answer.
//!
//! A host with a global lock hands it over in slices (Ruby: 100 ms). A thread that gives it up for an answer that comes
//! within 50 µs may wait for hundreds of milliseconds to get it back while other threads compute. But where all threads
//! only call, keeping it makes them wait for each other. So a caller gives it up at once, unless one had to wait long for
//! it lately and others than callers had it meanwhile. During the spell that follows callers wait for their answers with
//! it, for [`PATIENCE`]; but for those who see that another caller waits for it because of that.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long to wait with the lock. 500 µs: nearly every answer has come by then, also on a busy machine, and it is little
/// against the slice that the caller would wait for otherwise.
pub const PATIENCE: Duration = Duration::from_micros(500);

/// A wait for the lock that is called long. 2 ms: far more than callers cost each other, far less than a slice.
const LONG_WAIT: Duration = Duration::from_millis(2);

/// How long a spell lasts after a long wait: 1 s, and twice as long each time that another follows, up to 64 s. Whenever
/// one ends while others still compute, one call pays for it.
const SHORTEST_SPELL: Duration = Duration::from_secs(1);
const LONGEST_SPELL: Duration = Duration::from_secs(64);

/// What the callers of one client have met with. Times are nanoseconds since it was made.
#[derive(Debug)]
pub struct Contention {
    made: Instant,
    habit: AtomicU8,
    /// When the spell ends, or zero where there is none; and how long the next one lasts.
    spell_end: AtomicU64,
    next_spell: AtomicU64,
    /// For how long callers have kept the lock in all.
    kept: AtomicU64,
    /// Since when a caller waits for the lock, or zero where none does; and what `kept` was then.
    awaited_since: AtomicU64,
    kept_before: AtomicU64,
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
#[derive(Debug, Clone, Copy)]
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
            awaited_since: AtomicU64::new(0),
            kept_before: AtomicU64::new(0),
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
            let since = self.awaited_since.load(Ordering::Relaxed);
            let kept_before = self.kept_before.load(Ordering::Relaxed);
            now < spell_end && (since == 0 || !self.is_due_to_callers(Returning { since, kept_before }, now))
        }
    }

    /// A caller has waited with the lock.
    pub fn note_kept(&self, duration: Duration) {
        self.kept.fetch_add(nanoseconds(duration), Ordering::Relaxed);
    }

    /// A caller has what it waited for without the lock, and waits for that from now on.
    pub fn begin_return(&self, now: Instant) -> Returning {
        let returning =
            Returning { since: self.since_made(now).max(1), kept_before: self.kept.load(Ordering::Relaxed) };
        if self.awaited_since.compare_exchange(0, returning.since, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.kept_before.store(returning.kept_before, Ordering::Relaxed);
        }
        returning
    }

    /// It has the lock.
    pub fn end_return(&self, returning: Returning, now: Instant) {
        let now = self.since_made(now);
        // It may have been another one that came first.
        let _ = self.awaited_since.compare_exchange(returning.since, 0, Ordering::Relaxed, Ordering::Relaxed);
        if now.saturating_sub(returning.since) > nanoseconds(LONG_WAIT) {
            if self.is_due_to_callers(returning, now) {
                self.spell_end.store(0, Ordering::Relaxed);
            } else {
                self.begin_spell(now);
            }
        } else if now >= self.spell_end.load(Ordering::Relaxed) {
            self.next_spell.store(nanoseconds(SHORTEST_SPELL), Ordering::Relaxed);
        }
    }

    fn begin_spell(&self, now: u64) {
        let spell = self.next_spell.load(Ordering::Relaxed);
        self.spell_end.store(now.saturating_add(spell), Ordering::Relaxed);
        self.next_spell.store(spell.saturating_mul(2).min(nanoseconds(LONGEST_SPELL)), Ordering::Relaxed);
    }

    /// Whether callers have kept the lock for more than half of a wait for it.
    fn is_due_to_callers(&self, returning: Returning, now: u64) -> bool {
        let kept = self.kept.load(Ordering::Relaxed).saturating_sub(returning.kept_before);
        kept.saturating_mul(2) > now.saturating_sub(returning.since)
    }

    fn since_made(&self, now: Instant) -> u64 {
        nanoseconds(now.saturating_duration_since(self.made))
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
    fn a_caller_gives_it_up_to_one_that_waits_because_callers_keep_it() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        let waiting = scene.contention.begin_return(scene.now);
        assert!(scene.keeps(), "nobody has kept it meanwhile");
        scene.keep(SHORT);
        assert!(!scene.keeps());
        scene.contention.end_return(waiting, scene.now);
        assert!(scene.keeps(), "nobody waits any more");
    }

    #[test]
    fn a_caller_keeps_it_while_another_waits_because_of_those_who_compute() {
        let mut scene = Scene::new();
        scene.give_up_and_wait(SLICE);
        let _waiting = scene.contention.begin_return(scene.now);
        scene.pass(SLICE);
        scene.keep(SHORT);
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
