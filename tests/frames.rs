//! A server with authenticated workers that send broken frames, or do not read.

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size;
use support::peer::{Peer, frame};
use support::{PATIENCE, TestServer, echo, eventually};
use zen_ipc::{NoHost, ServerOptions};

/// Longer than a request takes to arrive on a busy machine, short enough to wait for.
const SHORT: Duration = Duration::from_millis(200);

const REQUEST: &[u8] = b"[\"7\",\"echo\",[1,\"\\u00e9\"],{}]";
const ANSWER: &[u8] = b"[\"7\",[1,\"\\u00e9\"],null]";

#[test]
fn a_request_cut_at_any_byte_is_answered() {
    let server = TestServer::start(echo);
    let framed = frame(REQUEST);
    let mut peers: Vec<(Peer, &[u8])> = (1..framed.len())
        .map(|cut| {
            let mut peer = authenticated(&server);
            peer.write(&framed[..cut]);
            (peer, &framed[cut..])
        })
        .collect();
    for (peer, rest) in &mut peers {
        peer.write(rest);
        assert_eq!(peer.receive_frame(), ANSWER);
    }
    assert_eq!(server.stat("protocol_errors"), 0);
}

#[test]
fn several_requests_in_one_segment_are_answered_each_rightly() {
    let server = TestServer::start(echo);
    let mut peer = authenticated(&server);
    let requests = (0..50).flat_map(|id| frame(format!("[\"{id}\",\"echo\",[{id}],{{}}]").as_bytes()));
    peer.write(&requests.collect::<Vec<u8>>());
    let answers: BTreeMap<String, Vec<u32>> = (0..50)
        .map(|_| serde_json::from_slice(&peer.receive_frame()).unwrap())
        .map(|(id, result, _): (String, Vec<u32>, ())| (id, result))
        .collect();
    assert_eq!(answers, (0..50).map(|id| (id.to_string(), vec![id])).collect());
}

#[test]
fn a_request_that_was_read_with_one_whose_handler_answered_and_goes_on_is_not_forgotten() {
    let (first, second) = (frame(b"[\"1\",\"work\",[],{}]"), frame(b"[\"2\",\"work\",[],{}]"));
    for cut in [7, second.len()] {
        let both_there = Barrier::new(2);
        let server = TestServer::start(move |call| {
            call.respond(b"1", &NoHost).unwrap();
            // The barrier opens only if the second request reaches its handler before the first handler has ended.
            both_there.wait();
            Ok(None)
        });
        let mut peer = authenticated(&server);
        peer.write(&[first.as_slice(), &second[..cut]].concat());
        assert_eq!(peer.receive_frame(), b"[\"1\",1,null]");
        peer.write(&second[cut..]);
        assert_eq!(peer.receive_frame(), b"[\"2\",1,null]");
    }
}

#[test]
fn a_frame_at_the_limit_passes() {
    let server = TestServer::start_with(ServerOptions { max_frame_size: 100, ..ServerOptions::default() }, echo);
    let mut peer = authenticated(&server);
    peer.send_frame(&padded_request(100));
    assert_eq!(peer.receive_frame(), ANSWER);
}

#[test]
fn a_length_that_no_message_may_have_ends_its_connection_and_no_other() {
    let server = TestServer::start_with(ServerOptions { max_frame_size: 100, ..ServerOptions::default() }, echo);
    let mut other = authenticated(&server);
    let refused = [frame(b""), frame(&padded_request(101)), 0xffff_ffffu32.to_be_bytes().to_vec()];
    for bytes in &refused {
        assert_ends(&server, bytes);
    }
    other.send_frame(REQUEST);
    assert_eq!(other.receive_frame(), ANSWER);
    assert_eq!(server.stat("protocol_errors"), refused.len() as u64);
    assert_eq!(server.stat("requests"), 1);
}

#[test]
fn bytes_that_are_not_json_end_their_connection_and_no_other() {
    let server = TestServer::start(echo);
    let mut other = authenticated(&server);
    let refused: [&[u8]; 6] = [b"hello", b"[\"1\",\"echo\",[],{}", b"[] []", b"\0", b"[\"\xff\"]", b"\x04\x08[\x00"];
    for body in refused {
        assert_ends(&server, &frame(body));
    }
    other.send_frame(REQUEST);
    assert_eq!(other.receive_frame(), ANSWER);
    assert_eq!(server.stat("protocol_errors"), refused.len() as u64);
}

#[test]
fn a_call_whose_meta_cannot_be_used_is_answered_with_an_error_and_the_connection_goes_on() {
    let server = TestServer::start(|_| panic!("it reached a handler"));
    let mut peer = authenticated(&server);
    peer.send_frame(b"[\"7\",\"echo\",[],{},{\"timeout_ms\":1e30}]");
    let (id, result, message, detail): (String, Option<u32>, String, BTreeMap<String, serde_json::Value>) =
        serde_json::from_slice(&peer.receive_frame()).unwrap();
    assert_eq!((id.as_str(), result), ("7", None));
    assert!(message.starts_with("meta is {\"timeout_ms\":1e30}; "), "{message}");
    assert_eq!(detail["code"], "invalid_params");
    peer.send_frame(b"[\"8\",\"ping\",[],{}]");
    assert_eq!(peer.receive_frame(), b"[\"8\",\"pong\",null]");
    assert_eq!((server.stat("skipped_messages"), server.stat("requests")), (0, 2));
}

#[test]
fn json_that_is_no_request_is_skipped_and_counted_and_the_connection_goes_on() {
    let server = TestServer::start(echo);
    let mut peer = authenticated(&server);
    let others: [&[u8]; 7] =
        [b"null", b"[]", b"{}", b"[1,\"echo\",[],{}]", b"[\"1\",\"echo\",{},[]]", b"[\"1\",\"echo\"]", ANSWER];
    for body in others {
        peer.send_frame(body);
    }
    peer.send_frame(REQUEST);
    assert_eq!(peer.receive_frame(), ANSWER);
    assert_eq!(server.stat("skipped_messages"), others.len() as u64);
    assert_eq!((server.stat("protocol_errors"), server.stat("requests")), (0, 1));
}

#[test]
fn an_unfinished_frame_ends_its_connection_after_read_timeout_and_an_idle_one_waits_on() {
    let server = TestServer::start_with(ServerOptions { read_timeout: SHORT, ..ServerOptions::default() }, echo);
    let mut idle = authenticated(&server);
    let framed = frame(REQUEST);
    let mut unfinished = [2, 4, framed.len() - 1].map(|cut| {
        let mut peer = authenticated(&server);
        peer.write(&framed[..cut]);
        peer
    });
    for peer in &mut unfinished {
        assert_eq!(peer.rest(), b"");
    }
    idle.send_frame(REQUEST);
    assert_eq!(idle.receive_frame(), ANSWER);
    assert_eq!(server.stat("protocol_errors"), unfinished.len() as u64);
}

#[test]
fn bytes_that_trickle_in_do_not_move_the_read_timeout() {
    let server = TestServer::start_with(ServerOptions { read_timeout: SHORT, ..ServerOptions::default() }, echo);
    let mut peer = authenticated(&server);
    let framed = frame(&padded_request(100));
    let sent = framed.iter().take_while(|byte| {
        // Fails once the other side has ended the connection.
        let _ = std::io::Write::write(&mut peer.stream, &[**byte]);
        !peer.ends_within(SHORT / 10)
    });
    assert!(sent.count() < framed.len());
    assert_eq!((server.stat("protocol_errors"), server.stat("requests")), (1, 0));
}

#[test]
fn half_a_request_reaches_no_handler() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    let server = TestServer::start(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
        Ok(None)
    });
    let framed = frame(REQUEST);
    for cut in 1..framed.len() {
        authenticated(&server).write(&framed[..cut]);
    }
    eventually("the end of the last connection", || {
        server.stat("admitted") == framed.len() as u64 - 1 && server.stat("connections") == 0
    });
    assert_eq!((calls.load(Ordering::SeqCst), server.stat("requests")), (0, 0));
}

#[test]
fn a_peer_that_never_reads_its_answer_is_ended_by_write_timeout_and_delays_no_other() {
    let server = large_answers();
    let mut deaf = inattentive(&server);
    deaf.send_frame(b"[\"1\",\"large\",[],{}]");
    // A document is not read either, and the core answers that itself.
    let mut deaf_to_documents = inattentive(&server);
    deaf_to_documents.send_frame(b"[\"1\",\"rpc.document\",[\"large\",null],{}]");
    let client = server.client();
    eventually("both requests", || server.stat("requests") >= 2);
    client.ping(PATIENCE, &NoHost).unwrap();
    eventually("the end of both", || server.stat("connections") == 1);
    client.ping(PATIENCE, &NoHost).unwrap();
    assert_eq!(stat_pair(&server), (3, 4));
}

#[test]
fn a_peer_that_reads_its_answer_in_drops_does_not_move_the_write_timeout() {
    let server = large_answers();
    let mut slow = inattentive(&server);
    slow.send_frame(b"[\"1\",\"large\",[],{}]");
    let (mut piece, mut taken) = (vec![0; 128 << 10], 0);
    eventually("the end of the connection", || {
        // Reading more slowly would make the kernel stop the sender altogether.
        std::thread::park_timeout(SHORT / 50);
        taken += slow.stream.read(&mut piece).unwrap();
        server.stat("connections") == 0
    });
    taken += slow.rest().len();
    assert!(taken < LARGE, "{taken} bytes");
}

/// Bytes. 32 MiB: more than the kernel buffers for a sender and an [`inattentive`] receiver.
const LARGE: usize = 32 << 20;

fn large_answers() -> TestServer {
    let text = format!("\"{}\"", "x".repeat(LARGE));
    let options = ServerOptions { write_timeout: SHORT, ..ServerOptions::default() };
    let answer = text.clone();
    let server = TestServer::start_with(options, move |_| Ok(Some(answer.clone())));
    assert_eq!(server.server.publish("large", text.into_bytes()), Ok(1));
    server
}

fn stat_pair(server: &TestServer) -> (u64, u64) {
    (server.stat("admitted"), server.stat("requests"))
}

fn authenticated(server: &TestServer) -> Peer {
    Peer::authenticated(server.server.address(), server.server.secret())
}

/// A peer for which the kernel buffers little.
fn inattentive(server: &TestServer) -> Peer {
    let peer = authenticated(server);
    assert_eq!(set_socket_recv_buffer_size(&peer.stream, 64 << 10), Ok(()));
    peer
}

/// Checks that these bytes are not answered and end their connection.
fn assert_ends(server: &TestServer, bytes: &[u8]) {
    let mut peer = authenticated(server);
    peer.write(bytes);
    assert_eq!(peer.rest(), b"", "{bytes:?}");
}

/// A request of exactly `length` bytes.
fn padded_request(length: usize) -> Vec<u8> {
    let mut request = REQUEST.to_vec();
    request.resize(length, b' ');
    request
}
