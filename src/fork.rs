//! Descriptors that do not cross a fork.
//!
//! Every descriptor of this crate is opened and closed through [`ProcessLocal`]. At a fork the child closes its copies
//! before it runs anything else, and the fork generation tells every owner that it is now a copy.
//!
//! Other code of the process may have closed a descriptor of ours (a loop that closes all numbers from 3 on), and its
//! number may be somebody else's since. So the registry keeps what each number stood for, and nothing is closed that is
//! something else.
//!
//! The gate is closed while a descriptor is opened or closed and while the process forks, so that a fork never falls
//! between a descriptor's birth and its entry in the registry. It is a flag and not a mutex: a child can open it
//! although the thread that closed it does not exist there.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Once, OnceLock};

use rustix::io::Errno;

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
    identity: u64,
    generation: u32,
}

impl<T: AsRawFd> ProcessLocal<T> {
    /// Opens something with `open`, which must not block, and enters its descriptor in the registry.
    ///
    /// # Errors
    ///
    /// What `open` answers, "too many open files" for a number beyond what the registry holds, or that memory is short.
    pub fn open(open: impl FnOnce() -> rustix::io::Result<T>) -> rustix::io::Result<Self> {
        let _lock = ForkLock::acquire();
        let resource = open()?;
        let entry = Entry::of(&resource)?;
        Ok(Self::register(resource, entry))
    }

    /// As [`ProcessLocal::open`], for two that are born together.
    ///
    /// # Errors
    ///
    /// As for it.
    pub fn open_pair(open: impl FnOnce() -> rustix::io::Result<(T, T)>) -> rustix::io::Result<(Self, Self)> {
        let _lock = ForkLock::acquire();
        let (first, second) = open()?;
        // Both before either is entered, for to leave the registry takes the gate.
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

    /// As [`ProcessLocal::get`], unless other code has closed the descriptor. That takes a system call, and is worth it
    /// before writing to what may be somebody else's file.
    ///
    /// # Errors
    ///
    /// Also [`Error::System`] with `EBADF`.
    pub(crate) fn verified(&self) -> Result<&T> {
        let resource = self.get()?;
        if os::identity(self.descriptor) == Some(self.identity) {
            return Ok(resource);
        }
        Err(closed_by_others())
    }

    /// As [`ProcessLocal::get`], for changes.
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
        if is_owner && os::identity(self.descriptor) == Some(self.identity) {
            drop(resource);
        } else {
            std::mem::forget(resource);
        }
    }
}

/// The error for using what another process owns.
pub fn wrong_process_error() -> Error {
    Error::Closed { reason: "it belongs to the process that this one was forked from".to_owned() }
}

/// The error for using what other code has closed.
pub(crate) fn closed_by_others() -> Error {
    Error::system("other code of this process has closed a descriptor of this gem", Errno::BADF)
}

static INSTALLED: Once = Once::new();
static GENERATION: AtomicU32 = AtomicU32::new(0);
static FORKS_LOCKED: AtomicBool = AtomicBool::new(false);

/// Descriptors in a part of the registry: 8 KiB of memory, which few processes need twice.
const PART_LENGTH: usize = 1024;

/// Descriptors: 1,048,576, the most that Linux allows a process by default (`fs.nr_open`).
const PARTS: usize = (1 << 20) / PART_LENGTH;

/// What each descriptor number stands for ([`os::identity`]), or 0 if it is not ours. A part is made when one of its
/// numbers is first needed, and never goes away.
static REGISTRY: [OnceLock<Box<[AtomicU64]>>; PARTS] = [const { OnceLock::new() }; PARTS];

/// How many parts of the registry were ever used, so that a fork looks at no more.
static USED_PARTS: AtomicUsize = AtomicUsize::new(0);

/// What the registry will say of a descriptor, and where.
struct Entry {
    slot: &'static AtomicU64,
    identity: u64,
}

impl Entry {
    fn of(resource: &impl AsRawFd) -> rustix::io::Result<Self> {
        let descriptor = resource.as_raw_fd();
        Ok(Self { slot: slot_of(descriptor)?, identity: os::identity(descriptor).ok_or(Errno::BADF)? })
    }
}

/// The slot of a descriptor in the registry, behind the closed gate.
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

/// Forgets a descriptor, unless its number is another of ours by now.
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

/// Waits only for other threads of this process, each for the length of one system call that does not block.
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
                && os::identity(descriptor) == Some(identity)
            {
                os::close_inherited(descriptor);
            }
        }
    }
    GENERATION.fetch_add(1, Ordering::Relaxed);
    unlock_forks();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd::pipe;

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
        // Numbers that no test of this process has open.
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
        os::close_inherited(number);
    }

    #[test]
    fn a_number_beyond_the_registry_has_no_place() {
        assert_eq!(slot_of(-1).err(), Some(Errno::BADF));
        assert_eq!(slot_of(1 << 20).err(), Some(Errno::MFILE));
        assert!(slot_of((1 << 20) - 1).is_ok());
    }
}
