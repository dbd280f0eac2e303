//! The only `unsafe` code of the core: memory, signal masks, the clock, and what must happen at a fork.
#![allow(
    unsafe_code,
    reason = "mmap, madvise, GlobalAlloc, pthread_atfork, pthread_sigmask, clock_gettime as libc has it, fstat and close of a number have no safe interface"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
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

use crate::reserve::{self, Reserve};

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

/// A number that stands for what a descriptor is open on, by its device and inode; `None` if it is not open. Polls all
/// have the same one. Also for use in the child, during a fork.
pub(crate) fn identity(descriptor: RawFd) -> Option<u64> {
    // Negative ones are no descriptors to the type.
    let descriptor = (descriptor >= 0).then_some(descriptor)?;
    // SAFETY: the number is only asked about, which does no harm to whoever has it; `fstat` is async-signal-safe.
    let stat = fstat(unsafe { BorrowedFd::borrow_raw(descriptor) }).ok()?;
    let mut hasher = DefaultHasher::new();
    (stat.st_dev, stat.st_ino).hash(&mut hasher);
    // Never 0.
    Some(hasher.finish() | 1)
}

/// Leaves all signals to the other threads: the calling one is not the host's, whose handlers may expect one of theirs.
pub(crate) fn block_all_signals() {
    let mut all = MaybeUninit::uninit();
    // SAFETY: `sigfillset` initializes the set before `pthread_sigmask` reads it; nothing is written back.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
}

/// Time since a moment that is the same for every process, such as the start of the machine.
pub(crate) fn monotonic_clock() -> Duration {
    let mut now = MaybeUninit::<libc::timespec>::zeroed();
    // SAFETY: `now` is a timespec to write to, and zeros are one, should the call fail.
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
pub(crate) struct NoDumpBytes {
    start: ptr::NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to this value alone and is not written after it was made.
unsafe impl Send for NoDumpBytes {}
// SAFETY: as above: shared access only reads.
unsafe impl Sync for NoDumpBytes {}

impl NoDumpBytes {
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

impl Drop for NoDumpBytes {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.as_mut_slice());
        // SAFETY: the mapping belongs to `self`, and no borrow of it outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}

/// The C library's allocator, with a reserve of small blocks for when that has no memory. Whoever allocates something small
/// and cannot do without it ends the process otherwise.
#[derive(Debug)]
pub struct Allocator;

/// The largest alignment of a block of the reserve: that of its smallest.
const RESERVE_ALIGNMENT: usize = 64;

#[repr(align(64))]
struct ReserveMemory(UnsafeCell<[u8; reserve::LENGTH]>);

// SAFETY: each byte is only ever accessed by who has taken its block, and by nobody through a reference.
unsafe impl Sync for ReserveMemory {}

static RESERVE_MEMORY: ReserveMemory = ReserveMemory(UnsafeCell::new([0; reserve::LENGTH]));
static RESERVE: Reserve = Reserve::new();

fn take_from_reserve(layout: Layout) -> *mut u8 {
    let start = if layout.align() <= RESERVE_ALIGNMENT { RESERVE.take(layout.size()) } else { None };
    start.map_or(ptr::null_mut(), |start| RESERVE_MEMORY.0.get().cast::<u8>().wrapping_add(start))
}

/// Where in the reserve a block begins; `None` if it is not of there.
fn place_in_reserve(block: *mut u8) -> Option<usize> {
    let place = block.addr().wrapping_sub(RESERVE_MEMORY.0.get().addr());
    (place < reserve::LENGTH).then_some(place)
}

// SAFETY: a block is either the C library's or one of the reserve's, which nobody else has until it is given back, and which
// is as long and as aligned as was asked for.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that it needs.
        let block = unsafe { System.alloc(layout) };
        if block.is_null() { take_from_reserve(layout) } else { block }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            return block;
        }
        let block = take_from_reserve(layout);
        if !block.is_null() {
            // SAFETY: the block is this long, and this caller's.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match place_in_reserve(block) {
            Some(place) => RESERVE.give_back(place),
            // SAFETY: the caller's promises, and it is the C library's.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if place_in_reserve(block).is_none() {
            // SAFETY: the caller's promises, and it is the C library's.
            let moved = unsafe { System.realloc(block, layout, new_size) };
            if !moved.is_null() {
                return moved;
            }
        }
        // SAFETY: the caller promises a size that is allowed with this alignment. Both blocks are as long as what is copied,
        // the new one is nobody else's, and the old one is given back with the layout that it was made with.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_from_the_reserve_can_grow_out_of_it_and_is_given_back() {
        let layout = Layout::from_size_align(48, 8).unwrap();
        let block = take_from_reserve(layout);
        let place = place_in_reserve(block);
        assert!(place.is_some());
        // SAFETY: each block is as long as its layout says, and given back once.
        unsafe {
            block.write_bytes(7, 48);
            let grown = Allocator.realloc(block, layout, 1000);
            assert_eq!(place_in_reserve(grown), None);
            assert_eq!(std::slice::from_raw_parts(grown, 48), [7; 48]);
            Allocator.dealloc(grown, Layout::from_size_align(1000, 8).unwrap());
        }
        assert_eq!(place_in_reserve(take_from_reserve(layout)), place);
    }

    #[test]
    fn there_is_no_reserve_for_what_is_large_or_oddly_aligned() {
        assert!(take_from_reserve(Layout::from_size_align(1 << 20, 8).unwrap()).is_null());
        assert!(take_from_reserve(Layout::from_size_align(64, 4096).unwrap()).is_null());
    }
}
