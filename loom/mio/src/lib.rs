//! A poll over the descriptors of [`fake_kernel`], with the interface of mio that the core uses.
//!
//! It promises as little as real kernels: one event when a descriptor becomes readable, or is readable when it is
//! registered, and none for what arrives while it is readable.

pub mod fake_kernel;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use event::Event;
use fake_kernel::Ready;

/// Identifies a registered descriptor in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub usize);

/// The kind of readiness to wait for.
#[derive(Debug, Clone, Copy)]
pub struct Interest;

impl Interest {
    /// Readability, the only kind here.
    pub const READABLE: Self = Self;
}

/// Waits for events.
#[derive(Debug)]
pub struct Poll {
    registry: Registry,
}

/// Registers descriptors with a poll.
#[derive(Debug)]
pub struct Registry {
    ready: Arc<Ready>,
}

/// The events of one wait.
#[derive(Debug)]
pub struct Events {
    events: Vec<Event>,
}

/// A single event.
pub mod event {
    use super::Token;

    /// A descriptor that became readable.
    #[derive(Debug)]
    pub struct Event {
        pub(crate) token: Token,
    }

    impl Event {
        /// The token that it was registered with.
        pub fn token(&self) -> Token {
            self.token
        }
    }
}

/// Sources of events.
pub mod unix {
    /// A descriptor, by its number.
    #[derive(Debug)]
    pub struct SourceFd<'number>(pub &'number std::os::fd::RawFd);
}

impl Poll {
    /// A poll without descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self { registry: Registry { ready: Arc::new(Ready::default()) } })
    }

    /// The registry of this poll.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes all events. Blocks until there is one, unless the timeout is shorter than a second. A short timeout can
    /// pass at any moment, so it does not block at all: that it passes later is an order in which this thread runs
    /// later. A longer one never passes, so that no model depends on it.
    pub fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let is_short = timeout.is_some_and(|timeout| timeout < Duration::from_secs(1));
        let tokens = if is_short { self.registry.ready.take() } else { self.registry.ready.wait() };
        events.events = tokens.into_iter().map(|token| Event { token }).collect();
        Ok(())
    }
}

impl Registry {
    /// A handle for another thread.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { ready: self.ready.clone() })
    }

    /// Adds a descriptor.
    pub fn register(&self, source: &mut unix::SourceFd<'_>, token: Token, _interest: Interest) -> io::Result<()> {
        fake_kernel::find(*source.0).ok_or(io::ErrorKind::NotFound)?.watch(token, &self.ready)
    }

    /// Removes a descriptor.
    pub fn deregister(&self, source: &mut unix::SourceFd<'_>) -> io::Result<()> {
        fake_kernel::find(*source.0).ok_or(io::ErrorKind::NotFound)?.unwatch()
    }
}

impl Events {
    /// An empty list.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { events: Vec::with_capacity(capacity) }
    }

    /// The events, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Event> {
        self.events.iter()
    }
}

/// The core records the number of each descriptor, to close it in forked children. These have none.
impl AsRawFd for Poll {
    fn as_raw_fd(&self) -> RawFd {
        -1
    }
}

impl AsRawFd for Registry {
    fn as_raw_fd(&self) -> RawFd {
        -1
    }
}
