//! Log lines about rejected connections: the first few in full, the rest as one line per window. Any local process can
//! cause any number of rejections, and must not fill a disk with them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::deadline::Deadline;

/// Full lines within a [`WINDOW`]. 10: more than a mistake causes, such as workers of an earlier parent, and enough to
/// understand an attack.
const BURST: u64 = 10;

/// The time from the first rejection to the line that counts the rest. 10 s: soon enough for a reader of the log, and
/// at most 8,640 lines a day.
const WINDOW: Duration = Duration::from_secs(10);

/// Reasons that are counted separately in a line. 8: more than there are, except protocol versions, of which a peer may
/// claim 255.
const MAX_REASONS: usize = 8;

/// Decides which rejections get a line of their own, and counts the others.
#[derive(Debug)]
pub(super) struct RejectionLog {
    advice: String,
    /// Set by the first rejection after a quiet window.
    window: Option<Deadline>,
    /// Full lines that this window still allows.
    burst_left: u64,
    seen: u64,
    suppressed: Suppressed,
}

#[derive(Debug, Default)]
struct Suppressed {
    by_reason: BTreeMap<String, u64>,
    /// Rejections for reasons beyond [`MAX_REASONS`].
    other: u64,
}

impl RejectionLog {
    /// An empty log about connections to `address`.
    pub(super) fn new(address: SocketAddr) -> Self {
        // This command shows the program at the other end while the connection is open.
        let advice = format!("`ss -tnp 'dport = :{}'` shows who connects", address.port());
        Self { advice, window: None, burst_left: BURST, seen: 0, suppressed: Suppressed::default() }
    }

    /// Records a rejection.
    ///
    /// # Returns
    ///
    /// The line to log, if this one gets a line of its own. `peer` is called only then.
    pub(super) fn record(&mut self, reason: &str, peer: impl FnOnce() -> Option<SocketAddr>) -> Option<String> {
        self.window.get_or_insert_with(|| Deadline::after(WINDOW));
        self.seen = self.seen.saturating_add(1);
        if self.burst_left == 0 {
            self.suppressed.add(reason);
            return None;
        }
        self.burst_left = self.burst_left.saturating_sub(1);
        let peer = peer().map_or_else(|| "a peer that is gone".to_owned(), |peer| peer.to_string());
        Some(format!("a connection from {peer} was rejected: {reason} ({})", self.advice))
    }

    /// When [`RejectionLog::flush`] must be called.
    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        self.window
    }

    /// Ends the window, if it is over or `now`. After a window with few rejections the next ones get full lines again.
    ///
    /// # Returns
    ///
    /// The line that counts the rejections without a full line.
    pub(super) fn flush(&mut self, now: bool) -> Option<String> {
        let window = self.window.filter(|window| now || window.has_passed())?;
        let was_quiet = self.seen <= BURST;
        self.burst_left = if was_quiet { BURST } else { 0 };
        self.window = if was_quiet { None } else { Some(Deadline::after(WINDOW)) };
        self.seen = 0;
        let text = std::mem::take(&mut self.suppressed).summary(window.waited())?;
        Some(format!("{text} ({})", self.advice))
    }
}

impl Suppressed {
    fn add(&mut self, reason: &str) {
        if let Some(count) = self.by_reason.get_mut(reason) {
            *count = count.saturating_add(1);
        } else if self.by_reason.len() < MAX_REASONS {
            self.by_reason.insert(reason.to_owned(), 1);
        } else {
            self.other = self.other.saturating_add(1);
        }
    }

    /// The text of the line, or `None` if nothing was suppressed.
    fn summary(self, waited: Duration) -> Option<String> {
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

    fn rejection_log() -> RejectionLog {
        RejectionLog::new(SocketAddr::from(([127, 0, 0, 1], 4000)))
    }

    fn peer() -> Option<SocketAddr> {
        Some(SocketAddr::from(([127, 0, 0, 1], 5000)))
    }

    /// Records `count` rejections and returns how many got a full line.
    fn logged(rejection_log: &mut RejectionLog, reason: &str, count: u64) -> usize {
        (0..count).filter_map(|_| rejection_log.record(reason, peer)).count()
    }

    /// Ends the window and returns its line without the time.
    fn counted(rejection_log: &mut RejectionLog) -> Option<String> {
        rejection_log.flush(true).map(|line| {
            let (head, rest) = line.split_once(" within ").unwrap();
            format!("{head}{}", rest.split_once(" s").unwrap().1)
        })
    }

    #[test]
    fn the_first_rejections_are_logged_with_peer_reason_and_advice() {
        let mut rejection_log = rejection_log();
        let first = rejection_log.record("it was late", peer).unwrap();
        assert_eq!(first, format!("a connection from 127.0.0.1:5000 was rejected: it was late {ADVICE}"));
        let second = rejection_log.record("it was late", || None).unwrap();
        assert_eq!(second, format!("a connection from a peer that is gone was rejected: it was late {ADVICE}"));
    }

    #[test]
    fn the_others_are_counted_by_reason_the_most_frequent_first() {
        let mut rejection_log = rejection_log();
        assert_eq!(logged(&mut rejection_log, "it was late", BURST + 2), BURST as usize);
        assert_eq!(logged(&mut rejection_log, "it was wrong", 30), 0);
        let line = format!("more connections were rejected, 32 in all: 30 x it was wrong, 2 x it was late {ADVICE}");
        assert_eq!(counted(&mut rejection_log), Some(line));
        assert_eq!(counted(&mut rejection_log), None);
    }

    #[test]
    fn while_there_are_many_none_gets_a_line_of_its_own() {
        let mut rejection_log = rejection_log();
        for _ in 0..3 {
            logged(&mut rejection_log, "it was late", BURST + 1);
            assert!(counted(&mut rejection_log).is_some());
        }
        assert_eq!(logged(&mut rejection_log, "it was late", 1), 0);
        assert_eq!(
            counted(&mut rejection_log),
            Some(format!("more connections were rejected, 1 in all: 1 x it was late {ADVICE}"))
        );
        assert_eq!(logged(&mut rejection_log, "it was late", BURST), BURST as usize);
    }

    #[test]
    fn few_rejections_are_logged_in_full_window_after_window() {
        let mut rejection_log = rejection_log();
        for _ in 0..3 {
            assert_eq!(logged(&mut rejection_log, "it was late", BURST), BURST as usize);
            assert_eq!(rejection_log.flush(true), None);
            assert!(rejection_log.next_deadline().is_none());
        }
    }

    #[test]
    fn a_window_lasts_until_its_deadline() {
        let mut rejection_log = rejection_log();
        assert!(rejection_log.next_deadline().is_none());
        logged(&mut rejection_log, "it was late", BURST + 1);
        assert!(rejection_log.next_deadline().is_some_and(|deadline| deadline.remaining() <= WINDOW));
        assert_eq!(rejection_log.flush(false), None);
        assert!(rejection_log.flush(true).is_some());
    }

    #[test]
    fn reasons_beyond_the_maximum_are_counted_together() {
        let mut rejection_log = rejection_log();
        logged(&mut rejection_log, "it was late", BURST);
        for version in 0..255 {
            logged(&mut rejection_log, &format!("version {version}"), 1);
        }
        let line = counted(&mut rejection_log).unwrap();
        assert!(line.starts_with("more connections were rejected, 255 in all: 1 x version 7, "), "{line}");
        assert!(line.ends_with(&format!(", 247 x other reasons {ADVICE}")), "{line}");
    }
}
