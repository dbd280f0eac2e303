//! No-op stand-ins for `os`.

pub(crate) fn block_all_signals() {}
