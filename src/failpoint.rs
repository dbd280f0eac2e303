//! Places where a test build can be made to panic, to see what a bug there would cost.
//!
//! With the feature `failpoints`, which only the suite of faults builds, a place panics once for every file that is
//! put into the directory named by `AIKIDO_ZEN_IPC_FAILPOINTS` and is called as the process and the place:
//! `4711.doorkeeper`. Without it, as in the gem, nothing of this exists.

/// Panics if this place is armed in this process.
#[cfg(feature = "failpoints")]
pub fn failpoint(place: &str) {
    assert!(!armed::disarm(place), "forced at {place}");
}

/// Does nothing.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn failpoint(_place: &str) {}

#[cfg(feature = "failpoints")]
mod armed {
    use std::path::PathBuf;
    use std::sync::OnceLock;

    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();

    /// Whether there was a file for the place. Removing it is one system call, so no second thread finds it.
    pub(super) fn disarm(place: &str) -> bool {
        let directory = DIRECTORY.get_or_init(|| std::env::var_os("AIKIDO_ZEN_IPC_FAILPOINTS").map(PathBuf::from));
        let file = directory.as_ref().map(|directory| directory.join(format!("{}.{place}", std::process::id())));
        file.is_some_and(|file| std::fs::remove_file(file).is_ok())
    }
}
