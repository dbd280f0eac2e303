//! What the log says of connections that were turned away: the first few in full, the rest as one line every so often.
//! Whoever reaches the port can make as many of them as it likes, and must not fill a disk by it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::deadline::Deadline;

/// Lines in full within a [`PERIOD`]. 10: all that a mistake makes, such as a worker of an earlier parent; an attack is
/// understood from fewer.
const LINES: u64 = 10;

/// From the first rejection to the line that counts the rest. 10 s: soon enough for somebody who watches the log, and
/// at most 8,640 lines a day.
const PERIOD: Duration = Duration::from_secs(10);

/// Reasons that are counted one by one in a line. 8: more than there are but for protocol versions, of which a stranger
/// may claim 255.
const MOST_REASONS: usize = 8;

/// Decides which rejections get a line of their own, and counts the others.
#[derive(Debug)]
pub(super) struct Rejections {
    advice: String,
    /// Set by the first rejection after a quiet period.
    period: Option<Deadline>,
    /// In full, that this period still allows.
    lines_left: u64,
    seen: u64,
    untold: Untold,
}

#[derive(Debug, Default)]
struct Untold {
    by_reason: BTreeMap<String, u64>,
    /// Those of a reason for which there was no place.
    other: u64,
}

impl Rejections {
    /// No rejections yet, of connections to this address.
    pub(super) fn new(address: SocketAddr) -> Self {
        // What shows the program at the other end while the connection is open.
        let advice = format!("`ss -tnp 'dport = :{}'` shows who connects", address.port());
        Self { advice, period: None, lines_left: LINES, seen: 0, untold: Untold::default() }
    }

    /// Takes note of a rejection.
    ///
    /// # Returns
    ///
    /// The line to log, if it gets one of its own. `peer` is asked only then.
    pub(super) fn note(&mut self, reason: &str, peer: impl FnOnce() -> Option<SocketAddr>) -> Option<String> {
        self.period.get_or_insert_with(|| Deadline::after(PERIOD));
        self.seen = self.seen.saturating_add(1);
        if self.lines_left == 0 {
            self.untold.add(reason);
            return None;
        }
        self.lines_left = self.lines_left.saturating_sub(1);
        let peer = peer().map_or_else(|| "a peer that is gone".to_owned(), |peer| peer.to_string());
        Some(format!("a connection from {peer} was rejected: {reason} ({})", self.advice))
    }

    /// When [`Rejections::end_period`] is to be called.
    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        self.period
    }

    /// Ends the period, if its time is up or `now`. After one with few rejections the next ones get lines of their own.
    ///
    /// # Returns
    ///
    /// The line that counts those that got none.
    pub(super) fn end_period(&mut self, now: bool) -> Option<String> {
        let period = self.period.filter(|period| now || period.has_passed())?;
        let was_quiet = self.seen <= LINES;
        self.lines_left = if was_quiet { LINES } else { 0 };
        self.period = if was_quiet { None } else { Some(Deadline::after(PERIOD)) };
        self.seen = 0;
        let text = std::mem::take(&mut self.untold).describe(period.waited())?;
        Some(format!("{text} ({})", self.advice))
    }
}

impl Untold {
    fn add(&mut self, reason: &str) {
        if let Some(count) = self.by_reason.get_mut(reason) {
            *count = count.saturating_add(1);
        } else if self.by_reason.len() < MOST_REASONS {
            self.by_reason.insert(reason.to_owned(), 1);
        } else {
            self.other = self.other.saturating_add(1);
        }
    }

    /// `None` if there are none.
    fn describe(self, waited: Duration) -> Option<String> {
        let mut reasons: Vec<(u64, String)> =
            self.by_reason.into_iter().map(|(reason, count)| (count, reason)).collect();
        // The most frequent first.
        reasons.sort_by(|one, other| other.cmp(one));
        if self.other > 0 {
            reasons.push((self.other, "other reasons".to_owned()));
        }
        let total = reasons.iter().fold(0u64, |total, (count, _)| total.saturating_add(*count));
        let reasons: Vec<String> = reasons.into_iter().map(|(count, reason)| format!("{count} x {reason}")).collect();
        let seconds = waited.as_secs_f64();
        (total > 0).then(|| {
            format!("more connections were rejected within {seconds:.1} s, {total} in all: {}", reasons.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADVICE: &str = "(`ss -tnp 'dport = :4000'` shows who connects)";

    fn rejections() -> Rejections {
        Rejections::new(SocketAddr::from(([127, 0, 0, 1], 4000)))
    }

    fn peer() -> Option<SocketAddr> {
        Some(SocketAddr::from(([127, 0, 0, 1], 5000)))
    }

    /// How many of so many rejections got a line of their own.
    fn told(rejections: &mut Rejections, reason: &str, count: u64) -> usize {
        (0..count).filter_map(|_| rejections.note(reason, peer)).count()
    }

    /// The line of a period that ends, without how long it took.
    fn counted(rejections: &mut Rejections) -> Option<String> {
        rejections.end_period(true).map(|line| {
            let (head, rest) = line.split_once(" within ").unwrap();
            format!("{head}{}", rest.split_once(" s").unwrap().1)
        })
    }

    #[test]
    fn the_first_rejections_are_told_with_peer_reason_and_what_to_do() {
        let mut rejections = rejections();
        let first = rejections.note("it was late", peer).unwrap();
        assert_eq!(first, format!("a connection from 127.0.0.1:5000 was rejected: it was late {ADVICE}"));
        let second = rejections.note("it was late", || None).unwrap();
        assert_eq!(second, format!("a connection from a peer that is gone was rejected: it was late {ADVICE}"));
    }

    #[test]
    fn the_others_are_counted_by_reason_the_most_frequent_first() {
        let mut rejections = rejections();
        assert_eq!(told(&mut rejections, "it was late", LINES + 2), LINES as usize);
        assert_eq!(told(&mut rejections, "it was wrong", 30), 0);
        let line = format!("more connections were rejected, 32 in all: 30 x it was wrong, 2 x it was late {ADVICE}");
        assert_eq!(counted(&mut rejections), Some(line));
        assert_eq!(counted(&mut rejections), None);
    }

    #[test]
    fn while_there_are_many_no_line_is_given_to_a_single_one() {
        let mut rejections = rejections();
        for _ in 0..3 {
            told(&mut rejections, "it was late", LINES + 1);
            assert!(counted(&mut rejections).is_some());
        }
        assert_eq!(told(&mut rejections, "it was late", 1), 0);
        assert_eq!(
            counted(&mut rejections),
            Some(format!("more connections were rejected, 1 in all: 1 x it was late {ADVICE}"))
        );
        assert_eq!(told(&mut rejections, "it was late", LINES), LINES as usize);
    }

    #[test]
    fn few_rejections_are_told_in_full_period_after_period() {
        let mut rejections = rejections();
        for _ in 0..3 {
            assert_eq!(told(&mut rejections, "it was late", LINES), LINES as usize);
            assert_eq!(rejections.end_period(true), None);
            assert!(rejections.next_deadline().is_none());
        }
    }

    #[test]
    fn a_period_lasts_until_its_deadline() {
        let mut rejections = rejections();
        assert!(rejections.next_deadline().is_none());
        told(&mut rejections, "it was late", LINES + 1);
        assert!(rejections.next_deadline().is_some_and(|deadline| deadline.remaining() <= PERIOD));
        assert_eq!(rejections.end_period(false), None);
        assert!(rejections.end_period(true).is_some());
    }

    #[test]
    fn reasons_that_strangers_make_up_are_counted_together_beyond_a_number() {
        let mut rejections = rejections();
        told(&mut rejections, "it was late", LINES);
        for version in 0..255 {
            told(&mut rejections, &format!("version {version}"), 1);
        }
        let line = counted(&mut rejections).unwrap();
        assert!(line.starts_with("more connections were rejected, 255 in all: 1 x version 7, "), "{line}");
        assert!(line.ends_with(&format!(", 247 x other reasons {ADVICE}")), "{line}");
    }
}
