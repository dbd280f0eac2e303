//! A forked child that runs a closure and reports its panic.
#![allow(unsafe_code, reason = "fork, alarm, _exit and waitpid have no safe interface among our dependencies")]

use std::fs::File;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::pipe::pipe;

/// A child process.
pub struct Child {
    process: libc::pid_t,
    report: File,
}

impl Child {
    /// Forks a child that runs `work`, reports the panic that ends it, if any, and exits.
    pub fn fork(work: impl FnOnce()) -> Self {
        let (reader, writer) = pipe().unwrap();
        // SAFETY: the child has one thread; it allocates, which glibc allows after a fork, waits for no lock of this
        // process, and leaves by `_exit`.
        match unsafe { libc::fork() } {
            0 => {
                drop(reader);
                // SAFETY: as above; a child that hangs is killed.
                unsafe { libc::alarm(20) };
                if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
                    let text = panic.downcast_ref::<String>().map_or("panicked with a text of its own", String::as_str);
                    let _ = File::from(writer).write_all(text.as_bytes());
                }
                // SAFETY: it ends this process.
                unsafe { libc::_exit(0) }
            }
            process => {
                assert!(process > 0, "fork failed");
                Self { process, report: File::from(reader) }
            }
        }
    }

    /// Waits for the end of the child, and panics with its report.
    pub fn join(mut self) {
        let mut report = String::new();
        self.report.read_to_string(&mut report).unwrap();
        let mut status = 0;
        // SAFETY: the pointer is to a value on this stack, and only this code waits for the child.
        let waited = unsafe { libc::waitpid(self.process, &raw mut status, 0) };
        assert_eq!((waited, status, report.as_str()), (self.process, 0, ""));
    }
}

/// Number and identity of this process's sockets, pipes and polls. A number is taken again soon, an identity is not, but
/// that all polls have the same.
pub fn open_descriptors() -> Vec<(i32, String)> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    entries
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            // Other threads close some of them meanwhile.
            let identity = std::fs::read_link(&path).ok()?.to_str()?.to_owned();
            let number = path.file_name()?.to_str()?.parse().ok()?;
            Some((number, identity)).filter(|(_, identity)| identity.contains(":["))
        })
        .collect()
}

/// Returns whether a descriptor would survive `exec`.
pub fn survives_exec(number: i32) -> bool {
    // SAFETY: it only asks.
    unsafe { libc::fcntl(number, libc::F_GETFD) & libc::FD_CLOEXEC == 0 }
}
