//! Counters on a page of memory that the parent shares with every process forked later. A counter grows when a document
//! changes, so a worker learns with one atomic load whether its copy is still current.
//!
//! A key hashes to one of the counters. If two keys share one, a change of one causes an unnecessary request for the
//! other, nothing else.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::sys::unsafe_os::SharedCounters;

/// 512 counters fill one page of 4,096 bytes. A host publishes only a few documents.
const COUNTERS: usize = 512;

/// The page of this process, possibly inherited.
static PAGE: OnceLock<&'static [AtomicU64]> = OnceLock::new();

/// The counters of one server's documents.
#[derive(Debug, Clone, Copy)]
pub struct SharedGenerations {
    counters: &'static [AtomicU64],
    port: u16,
}

impl SharedGenerations {
    /// Maps the page when the library is loaded; later calls do nothing. Every process forked afterwards shares it.
    ///
    /// # Errors
    ///
    /// [`Error::System`] without memory.
    pub fn install() -> Result<()> {
        if PAGE.get().is_none() {
            let counters =
                SharedCounters::new(COUNTERS).map_err(|errno| Error::system("could not map a page", errno))?;
            let _ = PAGE.set(counters.as_slice());
        }
        Ok(())
    }

    /// The counters for the server on this port, if this process or an ancestor has mapped the page. Never blocks.
    pub fn for_port(port: u16) -> Option<Self> {
        PAGE.get().map(|counters| Self { counters, port })
    }

    /// The current value of a document's counter. It differs from an earlier value if the document has changed since.
    ///
    /// Read it before fetching the document, never after, so that a change in between is noticed the next time.
    pub fn current(&self, key: &str) -> u64 {
        self.counter(key).map_or(0, |counter| counter.load(Ordering::Acquire))
    }

    /// A watch on the document's counter that compares it with `seen`.
    pub fn watch(&self, key: &str, seen: u64) -> Option<Watch> {
        self.counter(key).map(|counter| Watch { counter, seen })
    }

    /// Tells every process that a document has changed. Call it after the new version can be fetched.
    pub fn bump(&self, key: &str) {
        if let Some(counter) = self.counter(key) {
            counter.fetch_add(1, Ordering::Release);
        }
    }

    fn counter(&self, key: &str) -> Option<&'static AtomicU64> {
        // This hash is the same in every process, because all of them run the same library.
        let mut hasher = DefaultHasher::new();
        (self.port, key).hash(&mut hasher);
        let place = hasher.finish() % COUNTERS as u64;
        self.counters.get(usize::try_from(place).ok()?)
    }
}

/// A counter and an earlier value of it. Comparing them takes one atomic load.
#[derive(Debug, Clone, Copy)]
pub struct Watch {
    counter: &'static AtomicU64,
    seen: u64,
}

impl Watch {
    /// Returns whether the document cannot have changed since.
    pub fn is_unchanged(&self) -> bool {
        self.counter.load(Ordering::Acquire) == self.seen
    }

    /// Returns whether this watch of a document is older than `other`, which has seen a later change.
    pub fn is_before(&self, other: &Self) -> bool {
        self.seen < other.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(port: u16) -> SharedGenerations {
        SharedGenerations::install().unwrap();
        SharedGenerations::for_port(port).unwrap()
    }

    #[test]
    fn a_reading_changes_when_the_document_does() {
        let page = page(1);
        let before = page.current("config");
        assert_eq!(page.current("config"), before);
        page.bump("config");
        assert_eq!(page.current("config"), before + 1);
    }

    #[test]
    fn a_watch_tells_of_a_change_since_its_reading_and_of_none_before() {
        let page = page(3);
        page.bump("config");
        let watch = page.watch("config", page.current("config")).unwrap();
        assert!(watch.is_unchanged());
        page.bump("config");
        assert!(!watch.is_unchanged());
        let later = page.watch("config", page.current("config")).unwrap();
        assert!(watch.is_before(&later) && !later.is_before(&watch) && !watch.is_before(&watch));
    }

    #[test]
    fn every_handle_of_a_process_sees_the_same_page() {
        let page = page(2);
        let before = page.current("lists");
        SharedGenerations::for_port(2).unwrap().bump("lists");
        assert_eq!(page.current("lists"), before + 1);
    }
}
