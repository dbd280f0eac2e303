//! A server whose threads in the host were all killed.

#![allow(clippy::unwrap_used, reason = "clippy does not take what tests share for a test")]

mod support;

use std::sync::Arc;

use support::peer::{Peer, frame};
use support::{Log, PATIENCE, client_of, echo, eventually, run_supervisor, stat_of};
use zen_ipc::error::Cause;
use zen_ipc::{Error, NoHost, Secret, Server, ServerOptions};

#[test]
fn calls_for_handlers_fail_at_once_and_builtin_methods_are_answered() {
    let server = server_without_threads();
    let client = client_of(&server);
    for number in 0..3 {
        let refused = client.invoke("echo", b"[1]", b"{}", PATIENCE, &NoHost).unwrap_err();
        let Error::ConnectionRefused { reason, cause: Cause::Unavailable } = refused else {
            panic!("call {number}: {refused}")
        };
        assert!(reason.starts_with("no thread of the parent is left to serve this call: "), "{reason}");
        client.ping(PATIENCE, &NoHost).unwrap();
        assert_eq!(client.fetch("key", None, PATIENCE, &NoHost).unwrap(), Some((1, b"1".to_vec())));
    }
    assert_eq!(stat_of(&client, "connects"), 1);
}

#[test]
fn threads_that_come_afterwards_serve_the_same_connections() {
    let server = server_without_threads();
    let client = client_of(&server);
    assert!(client.invoke("echo", b"[1]", b"{}", PATIENCE, &NoHost).is_err());
    let supervisor = server.replace_supervisor().unwrap();
    assert!(server.replace_supervisor().is_none(), "two supervisors");
    let _threads = run_supervisor(supervisor, Arc::new(echo), &Log::default());
    let result = client.invoke("echo", b"[1]", b"{}", PATIENCE, &NoHost).unwrap();
    assert_eq!(result.as_slice(), b"[1]");
    assert_eq!(stat_of(&client, "connects"), 1);
}

#[test]
fn requests_that_come_together_or_in_pieces_are_answered_as_well_and_a_notification_is_counted() {
    let server = server_without_threads();
    let mut peer = Peer::authenticated(server.address(), server.secret());
    let requests = [&b"[\"1\",\"ping\",[],{}]"[..], b"[null,\"see\",[],{}]", b"[\"2\",\"echo\",[],{}]"];
    let bytes: Vec<u8> = requests.iter().flat_map(|body| frame(body)).collect();
    let (together, piece) = bytes.split_at(bytes.len() - 3);
    peer.write(together);
    assert_eq!(peer.receive_frame(), b"[\"1\",\"pong\",null]");
    peer.write(piece);
    let answer = String::from_utf8(peer.receive_frame()).unwrap();
    assert!(answer.starts_with("[\"2\",null,\"no thread") && answer.contains("\"unavailable\""), "{answer}");
    assert_eq!(stat(&server, "dropped_notifications"), 1);
}

#[test]
fn a_worker_that_takes_no_answers_holds_up_no_other_for_long() {
    let server = server_without_threads();
    server.publish("large", format!("{:?}", "x".repeat(32 << 20)).into_bytes()).unwrap();
    let mut peer = Peer::authenticated(server.address(), server.secret());
    peer.send_frame(b"[\"1\",\"rpc.document\",[\"large\",null],{}]");
    let client = client_of(&server);
    client.ping(PATIENCE, &NoHost).unwrap();
    eventually("the end of its connection", || stat(&server, "connections") == 1);
}

#[test]
fn notifications_wait_for_threads_and_are_handled_in_order() {
    let server = server_without_threads();
    let client = client_of(&server);
    for number in 0..10 {
        let args = format!("[{number}]");
        client.notify("see", args.as_bytes(), b"{}", PATIENCE, &NoHost).unwrap();
    }
    assert!(client.invoke("echo", b"[]", b"{}", PATIENCE, &NoHost).is_err());
    let (seen, numbers) = std::sync::mpsc::channel();
    let _threads = run_supervisor(
        server.replace_supervisor().unwrap(),
        Arc::new(move |call| {
            seen.send(String::from_utf8(call.args().to_vec()).unwrap()).unwrap();
            Ok(None)
        }),
        &Log::default(),
    );
    let handled: Vec<String> = (0..10).map(|_| numbers.recv_timeout(PATIENCE).unwrap()).collect();
    assert_eq!(handled, (0..10).map(|number| format!("[{number}]")).collect::<Vec<_>>());
    assert_eq!(stat(&server, "dropped_notifications"), 0);
}

#[test]
fn it_can_be_stopped() {
    let server = server_without_threads();
    let client = client_of(&server);
    client.ping(PATIENCE, &NoHost).unwrap();
    assert!(server.stop_accepting());
    assert!(server.replace_supervisor().is_none(), "a supervisor of a server that stops");
    assert!(client.ping(PATIENCE, &NoHost).is_err());
}

fn server_without_threads() -> Server {
    let server = Server::bind(ServerOptions::default(), Secret::generate().unwrap()).unwrap();
    server.publish("key", b"1".to_vec()).unwrap();
    drop(server.start().unwrap());
    server
}

fn stat(server: &Server, name: &str) -> u64 {
    server.stats().into_iter().find(|(known, _)| *known == name).unwrap().1
}
