//! Log lines of threads that cannot log themselves, such as the native thread. A Ruby thread drains them and writes
//! them to the logger.

use std::collections::VecDeque;

use crate::sys::sync::{Mutex, lock};

/// Entries kept until they are drained; later ones are only counted, so that a flood cannot fill memory. 64: far more
/// than one drain ever sees in normal use.
const CAPACITY: usize = 64;

/// The severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something unusual that an operator should know about.
    Warn,
    /// A bug of this crate.
    Error,
}

/// One line for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The severity of a log line.
    pub level: Level,
    /// The text. It never contains secret material.
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
    /// Adds an entry, or counts it if the queue is full.
    pub fn write(&self, level: Level, message: impl Into<String>) {
        let mut state = lock(&self.state);
        if state.entries.len() < CAPACITY {
            state.entries.push_back(LogEntry { level, message: message.into() });
        } else {
            state.dropped = state.dropped.saturating_add(1);
        }
    }

    /// Removes and returns all entries, oldest first. If some were dropped, a last entry says how many.
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
