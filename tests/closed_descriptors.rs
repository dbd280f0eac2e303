//! Other code of the process closes the core's descriptors, as a loop over all numbers from 3 on does. Each test runs
//! in a process of its own.
#![allow(unsafe_code, reason = "nothing safe closes a descriptor that it does not own")]
#![allow(clippy::unwrap_used, reason = "clippy does not take what tests share for a test")]

mod support;

use std::fs::File;
use std::io::{Read, Seek};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use std::time::Duration;
use support::child::{Child, open_descriptors};
use support::{PATIENCE, TestServer, echo, eventually, serve};
use zen_ipc::NoHost;

#[test]
fn a_server_whose_descriptors_are_closed_ends_with_one_line_and_can_be_started_again() {
    for kind in ["", "pipe:", "anon_inode:[eventpoll]"] {
        Child::fork(|| {
            let (server, ours) = started_server();
            for number in numbers(&ours, kind) {
                // SAFETY: this is the fault under test: the owner still exists.
                unsafe { libc::close(number) };
            }
            assert_ended_and_restart(&server);
        })
        .join();
    }
}

#[test]
fn a_server_whose_descriptors_are_other_files_by_now_ends_and_leaves_them_alone() {
    for kind in ["", "pipe:", "anon_inode:[eventpoll]"] {
        Child::fork(|| {
            let (server, ours) = started_server();
            let mut file = tempfile();
            for number in numbers(&ours, kind) {
                // SAFETY: as above; from here on the number belongs to `file`.
                unsafe { libc::dup2(file.as_raw_fd(), number) };
            }
            assert_ended_and_restart(&server);
            drop(server);
            let mut content = String::new();
            file.rewind().unwrap();
            file.read_to_string(&mut content).unwrap();
            assert_eq!(content, "", "written to the file");
            for number in numbers(&ours, kind) {
                // SAFETY: it only reads a flag.
                assert!(unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0, "{number} was closed");
            }
        })
        .join();
    }
}

#[test]
fn a_child_closes_no_file_whose_number_was_ours() {
    Child::fork(|| {
        let (server, ours) = started_server();
        let file = tempfile();
        let taken = numbers(&ours, "socket:");
        assert!(!taken.is_empty(), "no socket in {ours:?}");
        for number in &taken {
            // SAFETY: as above.
            unsafe { libc::dup2(file.as_raw_fd(), *number) };
        }
        Child::fork(|| {
            for number in &taken {
                // SAFETY: it only reads a flag.
                assert!(unsafe { libc::fcntl(*number, libc::F_GETFD) } >= 0, "{number} was closed");
            }
            assert!(numbers(&open_descriptors(), "anon_inode:[eventpoll]").is_empty(), "a poll was not closed");
        })
        .join();
        drop(server);
    })
    .join();
}

/// A server that has answered a call, with the number and identity of each of its descriptors.
fn started_server() -> (TestServer, Vec<(i32, String)>) {
    let before = open_descriptors();
    let server = TestServer::start(echo);
    server.client().ping(PATIENCE, &NoHost).unwrap();
    let mut ours = Vec::new();
    eventually("the end of the client's connection", || {
        ours = open_descriptors().into_iter().filter(|descriptor| !before.contains(descriptor)).collect();
        numbers(&ours, "socket:").len() == 1
    });
    (server, ours)
}

fn assert_ended_and_restart(server: &TestServer) {
    eventually("the end of the server", || {
        // A server that waits for nothing else notices it at the next connection.
        drop(TcpStream::connect(server.server.address()));
        !server.server.is_started() && server.threads.load(Ordering::SeqCst) == 0
    });
    let lines = || server.log.lock().unwrap().iter().filter(|line| line.starts_with("the server ends: ")).count();
    eventually("a line in the log", || lines() > 0);
    assert_eq!(lines(), 1);
    serve(&server.server, Arc::new(echo));
    server.client().ping(PATIENCE, &NoHost).unwrap();
    assert!(server.server.stop_accepting(), "it was not started");
    server.server.close_connections(Duration::ZERO, &NoHost).unwrap();
}

fn numbers(descriptors: &[(i32, String)], kind: &str) -> Vec<i32> {
    descriptors.iter().filter(|(_, identity)| identity.starts_with(kind)).map(|(number, _)| *number).collect()
}

/// An empty file without a name.
fn tempfile() -> File {
    let path = std::env::temp_dir().join(format!("zen-ipc-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}
