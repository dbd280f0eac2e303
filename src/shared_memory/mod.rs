//! Memory that the parent shares with every process forked from it.

pub mod generations;
