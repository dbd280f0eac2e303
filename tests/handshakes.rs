//! Handshakes: a server among workers and unauthenticated clients.

mod support;

use std::net::Shutdown;
use std::time::Duration;

use support::peer::Peer;
use support::{PATIENCE, TestServer, echo, eventually, log_of};
use zen_ipc::protocol::handshake::{CLIENT_PROOF_LENGTH, HELLO_LENGTH, MAC_LENGTH};
use zen_ipc::{ClientOptions, Error, NoHost, Secret, Server, ServerOptions};

/// Long enough for a client on a busy machine to complete its handshake, short enough to wait for.
const SHORT: Duration = Duration::from_millis(150);

#[test]
fn a_client_with_another_secret_is_told_and_counted() {
    let server = TestServer::start(echo);
    let client =
        zen_ipc::Client::new(server.server.address(), Secret::generate().unwrap(), ClientOptions::default()).unwrap();
    let outcome = client.ping(PATIENCE, &NoHost);
    assert!(matches!(outcome, Err(Error::Handshake { .. })), "{outcome:?}");
    assert_rejected(&server, 1);
}

#[test]
fn bytes_that_are_not_the_protocol_are_rejected_without_a_response() {
    let server = TestServer::start(echo);
    let tls_hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3], [7; 200].as_slice()].concat();
    let random: Vec<u8> = (0..1000u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let http = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", "x".repeat(100));
    let garbage = [http.into_bytes(), tls_hello, random, vec![0; 102]];
    for bytes in &garbage {
        let mut peer = Peer::silent(server.server.address());
        peer.write(bytes);
        assert!(peer.rest().len() <= HELLO_LENGTH);
    }
    assert_rejected(&server, garbage.len());
}

#[test]
fn a_proof_cut_at_any_byte_is_rejected_when_the_connection_ends() {
    let server = TestServer::start(echo);
    for length in 0..CLIENT_PROOF_LENGTH {
        let mut peer = Peer::silent(server.server.address());
        let proof = peer.proof(server.server.secret());
        peer.write(&proof[..length]);
        peer.stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(peer.rest(), b"", "{length} bytes of a proof");
    }
    // A client that sends nothing may be a worker, which then makes another attempt.
    assert_rejected(&server, CLIENT_PROOF_LENGTH - 1);
    assert_eq!(server.stat("abandoned_handshakes"), 1);
}

#[test]
fn a_proof_with_a_flipped_bit_in_any_byte_is_rejected() {
    let server = TestServer::start(echo);
    for place in 0..CLIENT_PROOF_LENGTH {
        let mut peer = Peer::silent(server.server.address());
        let mut proof = peer.proof(server.server.secret());
        proof[place] ^= 1 << (place % 8);
        peer.write(&proof);
        assert_eq!(peer.rest(), b"", "byte {place}");
    }
    assert_rejected(&server, CLIENT_PROOF_LENGTH);
}

#[test]
fn a_recorded_proof_opens_no_second_connection() {
    let server = TestServer::start(echo);
    let mut first = Peer::silent(server.server.address());
    let proof = first.proof(server.server.secret());
    first.write(&proof);
    first.read::<MAC_LENGTH>();
    let mut second = Peer::silent(server.server.address());
    second.hello();
    second.write(&proof);
    assert_eq!(second.rest(), b"");
    assert_rejected_among(&server, 1, 1);
}

#[test]
fn the_servers_own_messages_are_no_proof() {
    let server = TestServer::start(echo);
    let mut peer = Peer::silent(server.server.address());
    let hello = peer.hello();
    peer.write(&[hello.as_slice(), &hello[HELLO_LENGTH - MAC_LENGTH..]].concat());
    assert_eq!(peer.rest(), b"");
    assert_rejected(&server, 1);
}

#[test]
fn another_version_of_the_protocol_is_rejected() {
    let server = TestServer::start(echo);
    let mut peer = Peer::silent(server.server.address());
    let mut proof = peer.proof(server.server.secret());
    proof[5] = 2;
    peer.write(&proof);
    assert_eq!(peer.rest(), b"");
    assert_rejected(&server, 1);
}

#[test]
fn a_silent_connection_and_an_unfinished_proof_end_at_the_handshake_timeout() {
    let server = TestServer::start_with(hurried(), echo);
    let mut silent = Peer::silent(server.server.address());
    let mut unfinished = Peer::silent(server.server.address());
    let proof = unfinished.proof(server.server.secret());
    unfinished.write(&proof[..CLIENT_PROOF_LENGTH - 1]);
    assert_eq!(silent.rest().len(), HELLO_LENGTH);
    assert_eq!(unfinished.rest(), b"");
    assert_rejected(&server, 2);
}

#[test]
fn a_proof_that_comes_byte_by_byte_within_the_timeout_is_admitted() {
    let server = TestServer::start(echo);
    let mut peer = Peer::silent(server.server.address());
    for byte in peer.proof(server.server.secret()) {
        peer.write(&[byte]);
    }
    peer.read::<MAC_LENGTH>();
    peer.send_frame(b"[\"1\",\"ping\",[],{}]");
    assert_eq!(peer.receive_frame(), b"[\"1\",\"pong\",null]");
}

#[test]
fn bytes_that_trickle_in_do_not_move_the_handshake_timeout() {
    let server = TestServer::start_with(hurried(), echo);
    let mut peer = Peer::silent(server.server.address());
    let proof = peer.proof(server.server.secret());
    let pause = SHORT / 10;
    let sent = proof.iter().take_while(|byte| {
        // Fails once the other side has ended the connection.
        let _ = std::io::Write::write(&mut peer.stream, &[**byte]);
        !peer.ends_within(pause)
    });
    assert!(sent.count() < CLIENT_PROOF_LENGTH);
    assert_rejected(&server, 1);
}

#[test]
fn beyond_max_handshakes_the_oldest_goes_first() {
    let server = TestServer::start_with(ServerOptions { max_handshakes: 3, ..ServerOptions::default() }, echo);
    let mut peers: Vec<Peer> = (0..5).map(|_| Peer::silent(server.server.address())).collect();
    let mut late = peers.split_off(2);
    for displaced in &mut peers {
        assert_eq!(displaced.rest().len(), HELLO_LENGTH);
    }
    for remaining in &mut late {
        let proof = remaining.proof(server.server.secret());
        remaining.write(&proof);
        remaining.read::<MAC_LENGTH>();
    }
    assert_rejected_among(&server, 2, 3);
}

#[test]
fn beyond_max_connections_a_worker_is_refused_until_another_leaves() {
    let options = ServerOptions { max_connections: 1, ..ServerOptions::default() };
    let server = TestServer::start_with(options, echo);
    let first = server.client();
    first.ping(PATIENCE, &NoHost).unwrap();
    let second = server.client_with(ClientOptions { reconnect_delay: Duration::ZERO, ..ClientOptions::default() });
    let outcome = second.ping(PATIENCE, &NoHost);
    assert!(matches!(outcome, Err(Error::Handshake { .. })), "{outcome:?}");
    assert_eq!((server.stat("refused_connections"), server.stat("rejected_handshakes")), (1, 0));
    first.close();
    eventually("the second client's turn", || second.ping(PATIENCE, &NoHost).is_ok());
}

#[test]
fn of_many_rejections_the_first_are_told_one_by_one_and_the_others_counted_at_the_latest_when_the_server_stops() {
    let server = Server::bind(ServerOptions::default(), Secret::generate().unwrap()).unwrap();
    let supervisor = server.start().unwrap().unwrap();
    std::thread::scope(|scope| {
        let log = scope.spawn(|| log_of(&supervisor));
        for _ in 0..150 {
            let mut peer = Peer::silent(server.address());
            peer.write(&[0; CLIENT_PROOF_LENGTH]);
            assert!(peer.rest().len() <= HELLO_LENGTH);
        }
        server.stop_accepting();
        let lines = log.join().unwrap();
        let one_by_one = lines.iter().filter(|line| line.contains("was rejected: the client does not speak")).count();
        let counted: usize = lines.iter().filter_map(|line| count_in(line)).sum();
        assert_eq!(one_by_one + counted, 150, "{lines:?}");
        assert!(lines.len() < 100, "{lines:?}");
        assert!(server.stats().contains(&("rejected_handshakes", 150)));
    });
}

fn hurried() -> ServerOptions {
    ServerOptions { handshake_timeout: SHORT, ..ServerOptions::default() }
}

/// The number of rejections that a log line counts, if it is such a line.
fn count_in(line: &str) -> Option<usize> {
    line.split_once(" in all: ")?.0.rsplit_once(' ')?.1.parse().ok()
}

/// Checks that `count` connections were rejected, none was admitted, and workers still are.
fn assert_rejected(server: &TestServer, count: usize) {
    assert_rejected_among(server, count, 0);
}

fn assert_rejected_among(server: &TestServer, count: usize, admitted: u64) {
    let seen = || (server.stat("rejected_handshakes"), server.stat("admitted"));
    let expected = (count as u64, admitted);
    eventually("the last handshake's end", || seen() >= expected && server.stat("pending_handshakes") == 0);
    assert_eq!(seen(), expected);
    assert_eq!(server.client().ping(PATIENCE, &NoHost), Ok(()));
}
