//! A server in a process that runs out of descriptors. Alone in its file, because the limit applies to the whole
//! process.
#![allow(unsafe_code, reason = "setrlimit has no safe interface among our dependencies")]

mod support;

use std::fs::File;
use std::net::TcpStream;

use support::peer::Peer;
use support::{PATIENCE, TestServer, echo, eventually};
use zen_ipc::NoHost;
use zen_ipc::protocol::handshake::{ClientHandshake, MAC_LENGTH};

#[test]
fn without_descriptors_accepting_pauses_and_resumes_while_connections_stay() {
    let server = TestServer::start(echo);
    let connected = server.client();
    connected.ping(PATIENCE, &NoHost).unwrap();
    allow_descriptors(64);
    let mut hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();

    // The freed descriptor is for this side of the connection; the server's side finds none.
    drop(hoard.pop());
    let stream = TcpStream::connect(server.server.address()).unwrap();
    eventually("a pause", || server.stat("accept_pauses") >= 2);
    assert_eq!(server.stat("accepted"), 1);
    connected.invoke("echo", b"[]", b"{}", PATIENCE, &NoHost).unwrap();

    drop(hoard);
    let mut peer = Peer::new(stream);
    let (proof, expected) = ClientHandshake::new().unwrap().answer(server.server.secret(), &peer.hello()).unwrap();
    peer.write(&proof);
    expected.verify(&peer.read::<MAC_LENGTH>()).unwrap();
    peer.send_frame(b"[\"1\",\"echo\",[1],{}]");
    assert_eq!(peer.receive_frame(), b"[\"1\",[1],null]");
    assert_eq!(server.stat("rejected_handshakes"), 0);
}

/// Lowers this process's limit of descriptors.
fn allow_descriptors(count: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: count, rlim_max: count };
    // SAFETY: the pointer is to a value on this stack, and the call keeps none.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
}
