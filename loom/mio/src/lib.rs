//! A poll over the descriptors of [`fake_kernel`], as the core uses mio's.
//!
//! It promises as little as the kernels that the core runs on: an event when a descriptor that had nothing to read gets
//! something, or has something when it is registered; none for what comes on top of it.

pub mod fake_kernel;

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use event::Event;
use fake_kernel::Ready;

/// Whose event it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub usize);

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Interest;

impl Interest {
    /// Something to read, which is all that there is here.
    pub const READABLE: Self = Self;
}

/// Waits for events.
#[derive(Debug)]
pub struct Poll {
    registry: Registry,
}

/// Says what is waited for.
#[derive(Debug)]
pub struct Registry {
    ready: Arc<Ready>,
}

/// What a wait has found.
#[derive(Debug)]
pub struct Events {
    events: Vec<Event>,
}

/// What a wait can find.
pub mod event {
    use super::Token;

    /// One thing to read.
    #[derive(Debug)]
    pub struct Event {
        pub(crate) token: Token,
    }

    impl Event {
        /// Whose it is.
        pub fn token(&self) -> Token {
            self.token
        }
    }
}

/// Ways to name a source of events.
pub mod unix {
    /// A descriptor, by its number.
    #[derive(Debug)]
    pub struct SourceFd<'number>(pub &'number std::os::fd::RawFd);
}

impl Poll {
    /// A poll of nothing.
    pub fn new() -> io::Result<Self> {
        Ok(Self { registry: Registry { ready: Arc::new(Ready::default()) } })
    }

    /// For additions.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Takes what has come. Blocks until something does, also if it may for a second or more: nobody is to be helped by
    /// that time alone. With a shorter timeout it does not block at all, since such time passes at any moment: that it passes
    /// later is an order in which this thread comes later.
    pub fn poll(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let is_short = timeout.is_some_and(|timeout| timeout < Duration::from_secs(1));
        let tokens = if is_short { self.registry.ready.take() } else { self.registry.ready.wait() };
        events.events = tokens.into_iter().map(|token| Event { token }).collect();
        Ok(())
    }
}

impl Registry {
    /// For another thread.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { ready: self.ready.clone() })
    }

    /// Waits for something to read as well.
    pub fn register(&self, source: &mut unix::SourceFd<'_>, token: Token, _interest: Interest) -> io::Result<()> {
        fake_kernel::find(*source.0).ok_or(io::ErrorKind::NotFound)?.watch(token, &self.ready)
    }

    /// Waits for it no more.
    pub fn deregister(&self, source: &mut unix::SourceFd<'_>) -> io::Result<()> {
        fake_kernel::find(*source.0).ok_or(io::ErrorKind::NotFound)?.unwatch()
    }
}

impl Events {
    /// None yet.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { events: Vec::with_capacity(capacity) }
    }

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Event> {
        self.events.iter()
    }
}

/// The core keeps the number of each descriptor, to close it in forked children. Here there are none.
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
