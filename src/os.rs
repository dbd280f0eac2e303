//! The only `unsafe` code of the core: memory mappings, signal masks, and what must happen at a fork.
#![allow(unsafe_code, reason = "mmap, madvise, pthread_atfork, pthread_sigmask and close have no safe interface")]

use std::mem::MaybeUninit;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::AtomicU64;

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// Runs `prepare` before every fork of this process, then `parent` in it and `child` in the new one.
///
/// `child` runs where only async-signal-safe calls are allowed.
///
/// # Errors
///
/// What `pthread_atfork` answers: only that memory is short.
pub(crate) fn at_fork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) -> Result<(), Errno> {
    // SAFETY: the three functions live as long as the program: Ruby never unloads an extension.
    match unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) } {
        0 => Ok(()),
        code => Err(Errno::from_raw_os_error(code)),
    }
}

/// Closes a descriptor that the registry of [`crate::fork`] says was inherited, in the child, during the fork.
pub(crate) fn close_inherited(descriptor: RawFd) {
    // SAFETY: nothing uses the number afterwards: its owner compares the fork generation before every use and
    // before it would close it, and the child runs nothing else yet. `close` is async-signal-safe.
    unsafe { libc::close(descriptor) };
}

/// Leaves all signals to the other threads: the calling one is not the host's, whose handlers may expect one of theirs.
pub(crate) fn leave_signals_to_others() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: `sigfillset` initializes the set before `pthread_sigmask` reads it; nothing is written back.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
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
    /// That no memory can be mapped.
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

/// Bytes on pages of their own that core dumps leave out; a fork inherits them.
pub(crate) struct UndumpedBytes {
    start: ptr::NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone and is not written after it was made.
unsafe impl Send for UndumpedBytes {}
// SAFETY: as above: shared access only reads.
unsafe impl Sync for UndumpedBytes {}

impl UndumpedBytes {
    /// `length` bytes (at least one), filled by `fill`.
    ///
    /// # Errors
    ///
    /// That no memory can be mapped or kept out of core dumps, or what `fill` answers.
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

impl Drop for UndumpedBytes {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.as_mut_slice());
        // SAFETY: the mapping belongs to `self`, and no borrow of it outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}
