//! Descriptors that do not cross a fork.
//!
//! Every descriptor of this crate is opened and closed through [`ProcessLocal`]. At a fork the child closes its copies
//! before it runs anything else, and the fork generation tells every owner that it is now a copy.
//!
//! The gate is closed while a descriptor is opened or closed and while the process forks, so that a fork never falls
//! between a descriptor's birth and its entry in the registry. It is a flag and not a mutex: a child can open it
//! although the thread that closed it does not exist there.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use crate::error::{Error, Result};
use crate::os;

/// How many forks lie between the first process that loaded this crate and this one. One atomic load.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Sets up what must happen at every fork. Called once, when the library is loaded; later calls do nothing.
///
/// # Errors
///
/// [`Error::System`] if memory is short.
pub fn install() -> Result<()> {
    let mut outcome = Ok(());
    INSTALLED.call_once(|| {
        outcome = os::at_fork(before_fork, after_fork_in_parent, after_fork_in_child)
            .map_err(|errno| Error::system("could not prepare for forks", errno));
    });
    outcome
}

/// Something that owns one descriptor and belongs to the process that opened it.
///
/// In a forked copy the descriptor is closed already, its number may mean something else, and nothing here touches it.
#[derive(Debug)]
pub struct ProcessLocal<T: AsRawFd> {
    /// `None` only while it is dropped.
    resource: Option<T>,
    descriptor: RawFd,
    generation: u32,
}

impl<T: AsRawFd> ProcessLocal<T> {
    /// Opens something with `open`, which must not block, and enters its descriptor in the registry.
    ///
    /// # Errors
    ///
    /// What `open` answers, or "too many open files" for a number beyond what the registry holds.
    pub fn open(open: impl FnOnce() -> rustix::io::Result<T>) -> rustix::io::Result<Self> {
        let _gate = Gate::close();
        Self::enter(open()?)
    }

    /// As [`ProcessLocal::open`], for two that are born together.
    ///
    /// # Errors
    ///
    /// As for it.
    pub fn open_pair(open: impl FnOnce() -> rustix::io::Result<(T, T)>) -> rustix::io::Result<(Self, Self)> {
        let _gate = Gate::close();
        let (first, second) = open()?;
        if place(first.as_raw_fd()).is_none() || place(second.as_raw_fd()).is_none() {
            return Err(rustix::io::Errno::MFILE);
        }
        Ok((Self::enter(first)?, Self::enter(second)?))
    }

    /// Enters a descriptor in the registry, behind the closed gate.
    fn enter(resource: T) -> rustix::io::Result<Self> {
        let descriptor = resource.as_raw_fd();
        if !register(descriptor) {
            return Err(rustix::io::Errno::MFILE);
        }
        Ok(Self { resource: Some(resource), descriptor, generation: generation() })
    }

    /// The resource, in the process that opened it.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] in a forked copy.
    pub fn here(&self) -> Result<&T> {
        match &self.resource {
            Some(resource) if self.generation == generation() => Ok(resource),
            _ => Err(inherited()),
        }
    }

    /// As [`ProcessLocal::here`], for changes.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] in a forked copy.
    pub fn here_mut(&mut self) -> Result<&mut T> {
        match &mut self.resource {
            Some(resource) if self.generation == generation() => Ok(resource),
            _ => Err(inherited()),
        }
    }
}

impl<T: AsRawFd> Drop for ProcessLocal<T> {
    fn drop(&mut self) {
        let resource = self.resource.take();
        let _gate = Gate::close();
        if self.generation == generation() {
            unregister(self.descriptor);
            drop(resource);
        } else {
            std::mem::forget(resource);
        }
    }
}

/// The error for using what another process owns.
pub fn inherited() -> Error {
    Error::Closed { reason: "it belongs to the process that this one was forked from".to_owned() }
}

static INSTALLED: Once = Once::new();
static GENERATION: AtomicU32 = AtomicU32::new(0);
static GATE_IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Descriptors: 1,048,576, the most that Linux allows a process by default (`fs.nr_open`).
const REGISTRY_WORDS: usize = (1 << 20) / 64;

/// One bit for each descriptor number that is ours.
static REGISTRY: [AtomicU64; REGISTRY_WORDS] = [const { AtomicU64::new(0) }; REGISTRY_WORDS];

/// How many words of the registry were ever used, so that a fork looks at no more.
static USED_WORDS: AtomicUsize = AtomicUsize::new(0);

fn register(descriptor: RawFd) -> bool {
    let Some((index, word, bit)) = place(descriptor) else { return false };
    word.fetch_or(bit, Ordering::Relaxed);
    USED_WORDS.fetch_max(index.saturating_add(1), Ordering::Relaxed);
    true
}

fn unregister(descriptor: RawFd) {
    if let Some((_, word, bit)) = place(descriptor) {
        word.fetch_and(!bit, Ordering::Relaxed);
    }
}

fn place(descriptor: RawFd) -> Option<(usize, &'static AtomicU64, u64)> {
    let number = usize::try_from(descriptor).ok()?;
    let index = number / 64;
    Some((index, REGISTRY.get(index)?, 1 << (number % 64)))
}

struct Gate;

impl Gate {
    fn close() -> Self {
        close_gate();
        Self
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        open_gate();
    }
}

/// Waits only for other threads of this process, each for the length of one system call that does not block.
fn close_gate() {
    while GATE_IS_CLOSED.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        std::thread::yield_now();
    }
}

fn open_gate() {
    GATE_IS_CLOSED.store(false, Ordering::Release);
}

extern "C" fn before_fork() {
    close_gate();
}

extern "C" fn after_fork_in_parent() {
    open_gate();
}

extern "C" fn after_fork_in_child() {
    for (index, word) in REGISTRY.iter().enumerate().take(USED_WORDS.load(Ordering::Relaxed)) {
        let mut ours = word.swap(0, Ordering::Relaxed);
        while ours != 0 {
            let number = index * 64 + ours.trailing_zeros() as usize;
            if let Ok(descriptor) = RawFd::try_from(number) {
                os::close_inherited(descriptor);
            }
            ours &= ours - 1;
        }
    }
    GENERATION.fetch_add(1, Ordering::Relaxed);
    open_gate();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::pipe;

    fn is_registered(descriptor: RawFd) -> bool {
        place(descriptor).is_some_and(|(_, word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    #[test]
    fn a_descriptor_is_in_the_registry_while_it_is_open() {
        let (reader, _writer) = pipe().unwrap();
        let reader = ProcessLocal::open(|| Ok(reader)).unwrap();
        assert!(is_registered(reader.here().unwrap().as_raw_fd()));
    }

    #[test]
    fn a_number_leaves_the_registry_alone() {
        // Numbers that no test of this process has open.
        assert!(register(1_000_000) && register(1_000_001));
        unregister(1_000_000);
        assert!(!is_registered(1_000_000));
        assert!(is_registered(1_000_001));
        unregister(1_000_001);
    }

    #[test]
    fn what_another_generation_opened_is_refused() {
        let (reader, _writer) = pipe().unwrap();
        let mut reader = ProcessLocal::open(|| Ok(reader)).unwrap();
        reader.generation = reader.generation.wrapping_add(1);
        assert_eq!(reader.here().err(), Some(inherited()));
        assert_eq!(reader.here_mut().err(), Some(inherited()));
    }

    #[test]
    fn a_number_beyond_the_registry_has_no_place() {
        assert!(place(-1).is_none());
        assert!(place(1 << 20).is_none());
        assert!(place((1 << 20) - 1).is_some());
    }
}
