//! The operating system: descriptors, forks, locks, memory and wake-ups. `unsafe_os` has the only `unsafe` code.

pub mod alloc;
pub mod failpoint;
pub(crate) mod fd;
pub mod fork;
pub(crate) mod notifier;
pub(crate) mod sync;
pub(crate) mod unsafe_os;
