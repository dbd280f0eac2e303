//! What happened where nobody can log: the native thread and the natives write here, and whoever has a logger reads.

use std::collections::VecDeque;

use crate::sync::{Mutex, lock};

/// How many entries are kept until somebody reads them; later ones are counted. A flood must not fill memory.
const CAPACITY: usize = 64;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Somebody should know.
    Warn,
    /// A bug of this crate.
    Error,
}

/// One line for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// How bad it is.
    pub level: Level,
    /// What happened. Never holds secret material.
    pub message: String,
}

/// A bounded queue of entries.
#[derive(Debug, Default)]
pub struct LogBuffer {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<LogEntry>,
    dropped: u64,
}

impl LogBuffer {
    /// Writes an entry, or counts it if the queue is full.
    pub fn write(&self, level: Level, message: impl Into<String>) {
        let mut state = lock(&self.state);
        if state.entries.len() < CAPACITY {
            state.entries.push_back(LogEntry { level, message: message.into() });
        } else {
            state.dropped = state.dropped.saturating_add(1);
        }
    }

    /// Takes all entries, oldest first, and says how many more there were.
    pub fn drain(&self) -> Vec<LogEntry> {
        let State { entries, dropped } = std::mem::take(&mut *lock(&self.state));
        let omitted =
            (dropped > 0).then(|| LogEntry { level: Level::Warn, message: format!("and {dropped} more like these") });
        entries.into_iter().chain(omitted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_taken_once_oldest_first() {
        let log_buffer = LogBuffer::default();
        log_buffer.write(Level::Warn, "first");
        log_buffer.write(Level::Error, "second");
        let messages: Vec<_> = log_buffer.drain().into_iter().map(|entry| entry.message).collect();
        assert_eq!(messages, ["first", "second"]);
        assert!(log_buffer.drain().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let log_buffer = LogBuffer::default();
        for _ in 0..CAPACITY + 3 {
            log_buffer.write(Level::Warn, "again");
        }
        let entries = log_buffer.drain();
        assert_eq!(entries.len(), CAPACITY + 1);
        assert_eq!(entries.last().unwrap().message, "and 3 more like these");
    }
}
