//! Descriptors that a forked child does not keep, and the fork generation.
//!
//! Every descriptor of this crate is opened and closed through [`ProcessLocal`]. At a fork the child closes its copies
//! before it runs anything else, and the fork generation tells each owner that it is a copy.
//!
//! Other code of the process may close a descriptor of ours (a loop over all numbers from 3 on), and the number may
//! then refer to another file. So the registry keeps the identity of each file, and a number that refers to another one
//! is not closed.
//!
//! The fork lock is held while a descriptor is opened or closed and while the process forks, so that no fork happens
//! between the opening of a descriptor and its registration. It is a flag and not a mutex: a child can unlock it
//! although the thread that locked it does not exist there.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::sys::unsafe_os;

/// The number of forks between the process that loaded this crate and this one. One atomic load.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Installs the fork handlers when the library is loaded; later calls do nothing.
///
/// # Errors
///
/// [`Error::System`] without memory.
pub fn install() -> Result<()> {
    let mut outcome = Ok(());
    INSTALLED.call_once(|| {
        outcome = unsafe_os::at_fork(before_fork, after_fork_in_parent, after_fork_in_child)
            .map_err(|errno| Error::system("could not prepare for forks", errno));
    });
    outcome
}

/// A resource with one descriptor that belongs to the process that opened it.
///
/// In a forked copy the descriptor is closed already and its number may refer to another file, so nothing here uses it.
#[derive(Debug)]
pub struct ProcessLocal<T: AsRawFd> {
    /// `None` only while being dropped.
    resource: Option<T>,
    descriptor: RawFd,
    identity: u64,
    generation: u32,
}

impl<T: AsRawFd> ProcessLocal<T> {
    /// Opens a resource with `open`, which must not block, and registers its descriptor.
    ///
    /// # Errors
    ///
    /// The error of `open`, `EMFILE` for a number beyond the registry, or `ENOMEM`.
    pub fn open(open: impl FnOnce() -> rustix::io::Result<T>) -> rustix::io::Result<Self> {
        let _lock = ForkLock::acquire();
        let resource = open()?;
        let entry = Entry::of(&resource)?;
        Ok(Self::register(resource, entry))
    }

    /// As [`ProcessLocal::open`], for two resources that are opened together.
    ///
    /// # Errors
    ///
    /// As [`ProcessLocal::open`].
    pub fn open_pair(open: impl FnOnce() -> rustix::io::Result<(T, T)>) -> rustix::io::Result<(Self, Self)> {
        let _lock = ForkLock::acquire();
        let (first, second) = open()?;
        // Make both entries before either is registered: unregistering takes the fork lock, which is held here.
        let entries = (Entry::of(&first)?, Entry::of(&second)?);
        Ok((Self::register(first, entries.0), Self::register(second, entries.1)))
    }

    fn register(resource: T, Entry { slot, identity }: Entry) -> Self {
        slot.store(identity, Ordering::Relaxed);
        Self { descriptor: resource.as_raw_fd(), resource: Some(resource), identity, generation: generation() }
    }

    /// The resource, in the process that opened it.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] in a forked copy.
    pub fn get(&self) -> Result<&T> {
        match &self.resource {
            Some(resource) if self.generation == generation() => Ok(resource),
            _ => Err(wrong_process_error()),
        }
    }

    /// As [`ProcessLocal::get`], after checking with a system call that other code has not closed the descriptor. Worth
    /// it before writing, because the number may refer to another file.
    ///
    /// # Errors
    ///
    /// Also [`Error::System`] with `EBADF`.
    pub(crate) fn verified(&self) -> Result<&T> {
        let resource = self.get()?;
        if unsafe_os::identity(self.descriptor) == Some(self.identity) {
            return Ok(resource);
        }
        Err(closed_by_others())
    }

    /// As [`ProcessLocal::get`], mutably.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] in a forked copy.
    pub fn get_mut(&mut self) -> Result<&mut T> {
        match &mut self.resource {
            Some(resource) if self.generation == generation() => Ok(resource),
            _ => Err(wrong_process_error()),
        }
    }
}

impl<T: AsRawFd> Drop for ProcessLocal<T> {
    fn drop(&mut self) {
        let resource = self.resource.take();
        let _lock = ForkLock::acquire();
        let is_owner = self.generation == generation();
        if is_owner {
            unregister(self.descriptor, self.identity);
        }
        if is_owner && unsafe_os::identity(self.descriptor) == Some(self.identity) {
            drop(resource);
        } else {
            std::mem::forget(resource);
        }
    }
}

/// The error for a resource of another process.
pub fn wrong_process_error() -> Error {
    Error::Closed { reason: "it belongs to the process that this one was forked from".to_owned() }
}

/// The error for a resource that other code has closed.
pub(crate) fn closed_by_others() -> Error {
    Error::system("other code of this process has closed a descriptor of this gem", Errno::BADF)
}

static INSTALLED: Once = Once::new();
static GENERATION: AtomicU32 = AtomicU32::new(0);
static FORKS_LOCKED: AtomicBool = AtomicBool::new(false);

/// Descriptors in a part of the registry. 1,024: 8 KiB of memory, and few processes need a second part.
const PART_LENGTH: usize = 1024;

/// Parts of the registry, for 1,048,576 descriptors: the most that Linux allows a process by default (`fs.nr_open`).
const PARTS: usize = (1 << 20) / PART_LENGTH;

/// The identity of each descriptor ([`unsafe_os::identity`]), or 0 if the number is not ours. A part is allocated at its first
/// use and never freed.
static REGISTRY: [OnceLock<Box<[AtomicU64]>>; PARTS] = [const { OnceLock::new() }; PARTS];

/// The number of parts that were ever used, so that a fork looks at no others.
static USED_PARTS: AtomicUsize = AtomicUsize::new(0);

/// A descriptor's slot in the registry, and its identity.
struct Entry {
    slot: &'static AtomicU64,
    identity: u64,
}

impl Entry {
    fn of(resource: &impl AsRawFd) -> rustix::io::Result<Self> {
        let descriptor = resource.as_raw_fd();
        Ok(Self { slot: slot_of(descriptor)?, identity: unsafe_os::identity(descriptor).ok_or(Errno::BADF)? })
    }
}

/// The slot of a descriptor. The caller holds the fork lock.
fn slot_of(descriptor: RawFd) -> rustix::io::Result<&'static AtomicU64> {
    let number = usize::try_from(descriptor).map_err(|_| Errno::BADF)?;
    let (index, offset) = (number / PART_LENGTH, number % PART_LENGTH);
    let part = REGISTRY.get(index).ok_or(Errno::MFILE)?;
    if part.get().is_none() {
        let mut slots = Vec::new();
        slots.try_reserve_exact(PART_LENGTH).map_err(|_| Errno::NOMEM)?;
        slots.resize_with(PART_LENGTH, AtomicU64::default);
        let _ = part.set(slots.into_boxed_slice());
        USED_PARTS.fetch_max(index.saturating_add(1), Ordering::Relaxed);
    }
    part.get().and_then(|slots| slots.get(offset)).ok_or(Errno::MFILE)
}

/// Clears the slot of a descriptor, unless the number is another one of ours by now.
fn unregister(descriptor: RawFd, identity: u64) {
    if let Ok(slot) = slot_of(descriptor) {
        let _ = slot.compare_exchange(identity, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

struct ForkLock;

impl ForkLock {
    fn acquire() -> Self {
        lock_forks();
        Self
    }
}

impl Drop for ForkLock {
    fn drop(&mut self) {
        unlock_forks();
    }
}

/// Waits only for other threads of this process, for one non-blocking system call of each.
fn lock_forks() {
    while FORKS_LOCKED.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
        std::thread::yield_now();
    }
}

fn unlock_forks() {
    FORKS_LOCKED.store(false, Ordering::Release);
}

extern "C" fn before_fork() {
    lock_forks();
}

extern "C" fn after_fork_in_parent() {
    unlock_forks();
}

extern "C" fn after_fork_in_child() {
    for (index, part) in REGISTRY.iter().enumerate().take(USED_PARTS.load(Ordering::Relaxed)) {
        for (offset, slot) in part.get().into_iter().flatten().enumerate() {
            let identity = slot.swap(0, Ordering::Relaxed);
            if identity != 0
                && let Ok(descriptor) = RawFd::try_from(index * PART_LENGTH + offset)
                && unsafe_os::identity(descriptor) == Some(identity)
            {
                unsafe_os::close_inherited(descriptor);
            }
        }
    }
    GENERATION.fetch_add(1, Ordering::Relaxed);
    unlock_forks();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::pipe;

    fn is_registered(descriptor: RawFd) -> bool {
        slot_of(descriptor).is_ok_and(|slot| slot.load(Ordering::Relaxed) != 0)
    }

    #[test]
    fn a_descriptor_is_in_the_registry_while_it_is_open() {
        let (reader, _writer) = pipe().unwrap();
        let reader = ProcessLocal::open(|| Ok(reader)).unwrap();
        assert!(is_registered(reader.get().unwrap().as_raw_fd()));
    }

    #[test]
    fn a_number_leaves_the_registry_alone() {
        // No test of this process has these numbers open.
        for (number, identity) in [(1_000_000, 1), (1_000_001, 2)] {
            slot_of(number).unwrap().store(identity, Ordering::Relaxed);
        }
        unregister(1_000_000, 1);
        assert!(!is_registered(1_000_000));
        assert!(is_registered(1_000_001));
        unregister(1_000_001, 1);
        assert!(is_registered(1_000_001), "that was the number's last owner");
        unregister(1_000_001, 2);
        assert!(!is_registered(1_000_001));
    }

    #[test]
    fn what_another_generation_opened_is_refused() {
        let (reader, _writer) = pipe().unwrap();
        let mut reader = ProcessLocal::open(|| Ok(reader)).unwrap();
        reader.generation = reader.generation.wrapping_add(1);
        assert_eq!(reader.get().err(), Some(wrong_process_error()));
        assert_eq!(reader.get_mut().err(), Some(wrong_process_error()));
    }

    #[test]
    fn what_is_something_else_by_now_is_refused_and_not_closed() {
        let (reader, writer) = pipe().unwrap();
        let number = reader.as_raw_fd();
        let mut reader = ProcessLocal::open(|| Ok(reader)).unwrap();
        assert!(reader.verified().is_ok());
        reader.identity ^= 2;
        let message = reader.verified().unwrap_err().to_string();
        assert!(message.starts_with("other code of this process has closed a descriptor of this gem: "), "{message}");
        drop(reader);
        assert_eq!(rustix::io::write(writer, &[1]), Ok(1));
        unsafe_os::close_inherited(number);
    }

    #[test]
    fn a_number_beyond_the_registry_has_no_place() {
        assert_eq!(slot_of(-1).err(), Some(Errno::BADF));
        assert_eq!(slot_of(1 << 20).err(), Some(Errno::MFILE));
        assert!(slot_of((1 << 20) - 1).is_ok());
    }
}
