//! Named places in the code where a test build can be made to panic, to show what a bug there would cost.
//!
//! With the feature `failpoints`, which only stress tests build, a failpoint panics once for every file that is put
//! into the directory in `AIKIDO_ZEN_IPC_FAILPOINTS` and is named after the process and the failpoint: `4711.acceptor`.
//! Without the feature, as in the gem, the failpoints are empty.

/// Panics if this failpoint is armed in this process.
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

    /// Removes the file that arms `place`, and returns whether there was one. Removing it is one system call, so only
    /// one thread panics.
    pub(super) fn disarm(place: &str) -> bool {
        let directory = DIRECTORY.get_or_init(|| std::env::var_os("AIKIDO_ZEN_IPC_FAILPOINTS").map(PathBuf::from));
        let file = directory.as_ref().map(|directory| directory.join(format!("{}.{place}", std::process::id())));
        file.is_some_and(|file| std::fs::remove_file(file).is_ok())
    }
}
