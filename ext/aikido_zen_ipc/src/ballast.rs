//! Memory that is kept to be given up. Ruby needs some to raise `NoMemoryError`, and to collect garbage; where it finds none
//! it ends the process.

use std::sync::{Mutex, TryLockError};

use magnus::{Error, Ruby};

/// Bytes: a garbage collection takes tens of kilobytes. So large a block goes back to the operating system at once, and
/// as nothing is ever written to it, it is no memory but a part of the address space.
const LENGTH: usize = 512 << 10;

static BALLAST: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Keeps the memory, if it is to be had.
pub(crate) fn take_on() {
    with_ballast(|ballast| {
        // Without it a shortage is what it would be anyway.
        let _ = ballast.try_reserve_exact(LENGTH);
    });
}

/// If an error is Ruby's `NoMemoryError`, frees what was built until then, so that it can be raised.
pub(crate) fn drop_for(ruby: &Ruby, error: &Error) {
    if error.is_kind_of(ruby.exception_no_mem_error()) {
        with_ballast(|ballast| *ballast = Vec::new());
        ruby.gc_start();
        take_on();
    }
}

/// Never waits: after a fork nobody may be left to give the lock back.
fn with_ballast(change: impl FnOnce(&mut Vec<u8>)) {
    match BALLAST.try_lock() {
        Ok(mut ballast) => change(&mut ballast),
        Err(TryLockError::Poisoned(poisoned)) => change(&mut poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {}
    }
}
