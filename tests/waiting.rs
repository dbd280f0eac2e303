//! A host that holds its lock for a short wait for a response.

mod support;

use std::cell::Cell;
use std::time::Duration;

use support::gate::gated_server;
use support::{PATIENCE, TestServer, echo};
use zen_ipc::{Error, HostLock, NoHost, Phase, Result};

/// Holds its lock for `max_wait`, and runs an action whenever it has released it.
struct Host<F> {
    max_wait: Duration,
    times_left: Cell<usize>,
    once_left: F,
}

impl<F: Fn()> Host<F> {
    fn new(max_wait: Duration, once_left: F) -> Self {
        Self { max_wait, times_left: Cell::new(0), once_left }
    }
}

impl<F: Fn()> HostLock for Host<F> {
    fn without_lock<R>(&self, operation: impl FnOnce() -> R) -> Option<R> {
        self.times_left.set(self.times_left.get() + 1);
        (self.once_left)();
        Some(operation())
    }

    fn spin_with_lock<R>(&self, operation: impl FnOnce(Duration) -> R) -> Option<R> {
        Some(operation(self.max_wait))
    }

    fn check_interrupts(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn an_answer_that_comes_soon_is_waited_for_with_the_lock() {
    let server = TestServer::start(echo);
    let client = server.client();
    client.start(&NoHost).unwrap();
    let host = Host::new(PATIENCE, || {});
    let result = client.invoke("echo", b"[1]", b"{}", PATIENCE, &host).unwrap();
    assert_eq!(result.as_slice(), b"[1]");
    assert_eq!(host.times_left.get(), 0);
}

#[test]
fn an_answer_that_comes_in_pieces_is_whole() {
    let text = format!("[\"{}\"]", "a".repeat(8 << 20));
    let server = TestServer::start(echo);
    let host = Host::new(PATIENCE, || {});
    let result = server.client().invoke("echo", text.as_bytes(), b"{}", PATIENCE, &host).unwrap();
    assert!(result.as_slice() == text.as_bytes());
}

#[test]
fn an_answer_that_takes_longer_is_waited_for_without_it() {
    let (server, gate) = gated_server(false);
    let client = server.client();
    client.start(&NoHost).unwrap();
    let host = Host::new(Duration::from_millis(1), || {
        gate.wait_for_handler();
        gate.open();
    });
    let result = client.invoke("wait", b"[]", b"{}", PATIENCE, &host).unwrap();
    assert_eq!(result.as_slice(), b"\"expired: false\"");
    assert_eq!(host.times_left.get(), 1);
}

#[test]
fn a_deadline_that_passes_meanwhile_is_a_timeout() {
    let (server, gate) = gated_server(false);
    let client = server.client();
    client.start(&NoHost).unwrap();
    let timeout = Duration::from_millis(20);
    let outcome = client.invoke("wait", b"[]", b"{}", timeout, &Host::new(PATIENCE, || {}));
    assert!(matches!(outcome, Err(Error::Timeout { phase: Phase::Response, .. })), "{outcome:?}");
    gate.wait_for_handler();
    gate.open();
}
