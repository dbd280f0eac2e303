//! No-op stand-ins for `unsafe_os`.

pub(crate) fn block_all_signals() {}
