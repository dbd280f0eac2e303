//! The only `unsafe` code of the core: memory mappings, signal masks, the clock, and fork handlers.
#![allow(
    unsafe_code,
    reason = "mmap, madvise, pthread_atfork, pthread_sigmask, clock_gettime as libc has it, fstat and close of a number have no safe interface"
)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rustix::fs::fstat;
use rustix::io::Errno;
#[cfg(target_os = "linux")]
use rustix::mm::{Advice, madvise};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Runs `prepare` before every fork of this process, then `parent` in it and `child` in the new one.
///
/// `child` runs where only async-signal-safe calls are allowed.
///
/// # Errors
///
/// The errno of `pthread_atfork`: `ENOMEM`.
pub(crate) fn at_fork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) -> Result<(), Errno> {
    // SAFETY: the three functions live as long as the program: Ruby never unloads an extension.
    match unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) } {
        0 => Ok(()),
        code => Err(Errno::from_raw_os_error(code)),
    }
}

/// Closes a descriptor that the registry of [`crate::sys::fork`] says was inherited, in the child, during the fork.
pub(crate) fn close_inherited(descriptor: RawFd) {
    // SAFETY: nothing uses the number afterwards: its owner compares the fork generation before every use and
    // before it would close it, and the child runs nothing else yet. `close` is async-signal-safe.
    unsafe { libc::close(descriptor) };
}

/// A hash of the device and inode that a descriptor refers to; `None` if it is closed. All `epoll` descriptors share
/// one inode. Async-signal-safe, so that the child can use it during a fork.
pub(crate) fn identity(descriptor: RawFd) -> Option<u64> {
    // `BorrowedFd` does not allow negative numbers.
    let descriptor = (descriptor >= 0).then_some(descriptor)?;
    // SAFETY: the number is only passed to `fstat`, which changes nothing and is async-signal-safe.
    let stat = fstat(unsafe { BorrowedFd::borrow_raw(descriptor) }).ok()?;
    let mut hasher = DefaultHasher::new();
    (stat.st_dev, stat.st_ino).hash(&mut hasher);
    // 0 stands for an unused number in the registry.
    Some(hasher.finish() | 1)
}

/// Blocks all signals in the calling native thread, because the host's signal handlers may expect one of its own
/// threads.
pub(crate) fn block_all_signals() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: `sigfillset` initializes the set before `pthread_sigmask` reads it; nothing is written back.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
}

/// The time on the monotonic clock, whose start is the same for every process, such as the boot of the machine.
pub(crate) fn monotonic_clock() -> Duration {
    let mut now = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: `now` is a valid timespec to write to, also if the call fails: it is zeroed.
    let now = unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, now.as_mut_ptr());
        now.assume_init()
    };
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Counters in memory that is shared with every process forked after it was made.
pub(crate) struct SharedCounters {
    counters: &'static [AtomicU64],
}

impl SharedCounters {
    /// `count` counters at zero.
    ///
    /// # Errors
    ///
    /// The errno of `mmap`.
    pub(crate) fn new(count: usize) -> Result<Self, Errno> {
        let length = count.saturating_mul(size_of::<AtomicU64>());
        // SAFETY: a fresh mapping that overlaps nothing.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED)? };
        // SAFETY: the mapping is `length` bytes long, zeroed, aligned to a page, never unmapped, and only ever
        // accessed as atomics, also by other processes.
        let counters = unsafe { std::slice::from_raw_parts(start.cast::<AtomicU64>().cast_const(), count) };
        Ok(Self { counters })
    }

    /// The counters.
    pub(crate) fn as_slice(&self) -> &'static [AtomicU64] {
        self.counters
    }
}

/// Bytes on pages of their own that are excluded from core dumps. A fork inherits them.
pub(crate) struct NoDumpBytes {
    start: ptr::NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone and is not written after it was made.
unsafe impl Send for NoDumpBytes {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for NoDumpBytes {}

impl NoDumpBytes {
    /// `length` bytes (at least one), filled by `fill`.
    ///
    /// # Errors
    ///
    /// The errno of `mmap` or `madvise`, or the error of `fill`.
    pub(crate) fn new(length: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), Errno>) -> Result<Self, Errno> {
        // SAFETY: a fresh mapping that overlaps nothing.
        let start =
            unsafe { mmap_anonymous(ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)? };
        let start = ptr::NonNull::new(start.cast::<u8>()).ok_or(Errno::NOMEM)?;
        let mut bytes = Self { start, length };
        bytes.keep_out_of_core_dumps()?;
        fill(bytes.as_mut_slice())?;
        Ok(bytes)
    }

    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: the mapping is `length` bytes long, initialized, and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `&mut self` makes it the only access.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }

    #[cfg(target_os = "linux")]
    fn keep_out_of_core_dumps(&self) -> Result<(), Errno> {
        // SAFETY: this advice changes what a core dump holds and nothing that the program can see.
        unsafe { madvise(self.start.as_ptr().cast(), self.length, Advice::LinuxDontDump) }
    }

    #[cfg(not(target_os = "linux"))]
    fn keep_out_of_core_dumps(&self) -> Result<(), Errno> {
        Ok(())
    }
}

impl Drop for NoDumpBytes {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.as_mut_slice());
        // SAFETY: the mapping belongs to `self`, and no borrow of it outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}
