//! The descriptors, clients and servers of forked children. The tests run one after another, because a fork copies the
//! whole process.

mod support;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use support::child::{Child, open_descriptors, survives_exec};
use support::{PATIENCE, TestServer, client_of, echo, eventually, serve, stat_of};
use zen_ipc::{ClientOptions, Error, NoHost, ServerOptions};

#[test]
fn a_child_has_none_of_the_parents_descriptors() {
    let _turn = turn();
    let before = open_descriptors();
    let server = TestServer::start(echo);
    let client = server.client();
    client.ping(PATIENCE, &NoHost).unwrap();
    let ours = opened_since(&before);
    let identities: HashSet<&String> = ours.iter().map(|(_, identity)| identity).collect();
    // A listening socket, both ends of the connection, three pipes.
    assert!(identities.len() >= 6, "{ours:?}");
    assert!(!ours.iter().any(|(number, _)| survives_exec(*number)), "{ours:?}");
    Child::fork(|| {
        let here = open_descriptors();
        assert!(!here.iter().any(|(_, identity)| identities.contains(identity)), "{here:?} of {ours:?}");
        assert!(!here.iter().any(|(_, identity)| identity == "anon_inode:[eventpoll]"), "a poll in {here:?}");
        // The same at any depth.
        let own = client.for_forked_child();
        own.ping(PATIENCE, &NoHost).unwrap();
        let own = opened_since(&here);
        assert!(!own.is_empty(), "it has no socket of its own in {own:?}");
        Child::fork(|| {
            let here = open_descriptors();
            assert!(!own.iter().any(|descriptor| here.contains(descriptor)), "{here:?} of {own:?}");
        })
        .join();
    })
    .join();
    let still_open = open_descriptors();
    assert!(ours.iter().all(|descriptor| still_open.contains(descriptor)), "{still_open:?} of {ours:?}");
    client.ping(PATIENCE, &NoHost).unwrap();
}

#[test]
fn a_child_uses_connections_of_its_own() {
    let _turn = turn();
    let server = TestServer::start(echo);
    let client = server.client();
    client.ping(PATIENCE, &NoHost).unwrap();
    Child::fork(|| {
        assert!(!client.is_owner() && !client.is_connected(), "it takes itself for the original");
        let refused = client.ping(PATIENCE, &NoHost);
        assert!(matches!(refused, Err(Error::Closed { .. })), "{refused:?}");
        let own = client.for_forked_child();
        for number in 0..10 {
            let args = format!("[{number}]");
            let result = own.invoke("echo", args.as_bytes(), b"{}", PATIENCE, &NoHost).unwrap();
            assert_eq!(result.as_slice(), args.as_bytes(), "another answer");
        }
        assert_eq!(stat_of(&own, "connects"), 1, "connections");
        Child::fork(|| own.for_forked_child().ping(PATIENCE, &NoHost).unwrap()).join();
        own.ping(PATIENCE, &NoHost).unwrap();
    })
    .join();
    client.ping(PATIENCE, &NoHost).unwrap();
    assert_eq!((stat_of(&client, "connects"), stat_of(&client, "disconnects")), (1, 0));
    assert_eq!(server.stat("admitted"), 3);
}

#[test]
fn an_inherited_server_knows_its_address_and_secret_and_does_nothing() {
    let _turn = turn();
    let server = TestServer::start(echo);
    let client = server.client();
    client.ping(PATIENCE, &NoHost).unwrap();
    let address = server.server.address();
    Child::fork(|| {
        let inherited = &server.server;
        assert!(matches!(inherited.check_process(), Err(Error::Closed { .. })), "check_process");
        assert!(
            !inherited.is_started() && !inherited.stop_accepting() && !inherited.stop_listening(),
            "it did something"
        );
        inherited.close_connections(Duration::ZERO, &NoHost).unwrap();
        assert!(inherited.start().is_err() && inherited.publish("key", b"1".to_vec()).is_err(), "it did something");
        assert_eq!((inherited.address(), inherited.stats()), (address, Vec::new()), "what it knows");
        let secret = inherited.secret().clone();
        let own = zen_ipc::Client::new(address, secret, ClientOptions::default()).unwrap();
        own.ping(PATIENCE, &NoHost).unwrap();
    })
    .join();
    client.ping(PATIENCE, &NoHost).unwrap();
    assert_eq!((stat_of(&client, "connects"), server.server.is_started()), (1, true));
}

#[test]
fn a_successor_has_the_options_documents_secret_and_counters_of_the_original_at_a_new_port() {
    let _turn = turn();
    let options = ServerOptions { max_connections: 2, ..ServerOptions::default() };
    let original = TestServer::start_with(options, echo);
    original.server.publish("key", b"1".to_vec()).unwrap();
    original.client().ping(PATIENCE, &NoHost).unwrap();
    let snapshot = original.server.snapshot().unwrap();
    Child::fork(|| {
        let successor = original.server.successor(&snapshot, true).unwrap();
        assert_ne!(successor.address(), original.server.address());
        assert!(!successor.is_started() && snapshot.is_started(), "it was started already");
        let _threads = serve(&successor, std::sync::Arc::new(echo));
        let client = client_of(&successor);
        assert_eq!(client.fetch("key", None, PATIENCE, &NoHost).unwrap(), Some((1, b"1".to_vec())));
        assert_eq!(successor.publish("key", b"2".to_vec()), Ok(2));
        let count = |name| successor.stats().iter().find(|(known, _)| *known == name).unwrap().1;
        assert_eq!((count("admitted"), count("connections"), count("documents")), (2, 1, 1), "stats");
        Child::fork(|| {
            let own = client.for_forked_child();
            let document = own.fetch("key", Some(1), PATIENCE, &NoHost).unwrap();
            assert_eq!(document, Some((2, b"2".to_vec())));
            assert!(client_of(&successor).ping(PATIENCE, &NoHost).is_err(), "there was room for a third one");
            assert!(successor.snapshot().is_err(), "the copy takes itself for the original");
        })
        .join();
    })
    .join();
    original.client().ping(PATIENCE, &NoHost).unwrap();
}

#[test]
fn a_successor_listens_at_a_fixed_port_as_soon_as_the_original_does_not() {
    let _turn = turn();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let original = TestServer::start_with(ServerOptions { port, ..ServerOptions::default() }, echo);
    let worker = original.client();
    let snapshot = original.server.snapshot().unwrap();
    let (mut here, mut there) = UnixStream::pair().unwrap();
    let daemon = Child::fork(|| {
        let refused = original.server.successor(&snapshot, true).unwrap_err();
        assert!(matches!(refused, Error::System { code: libc::EADDRINUSE, .. }), "{refused}");
        there.write_all(b"!").unwrap();
        there.read_exact(&mut [0]).unwrap();
        let successor = original.server.successor(&snapshot, true).unwrap();
        let _threads = serve(&successor, std::sync::Arc::new(echo));
        there.write_all(b"!").unwrap();
        there.read_exact(&mut [0]).unwrap();
    });
    here.read_exact(&mut [0]).unwrap();
    original.server.stop_accepting();
    original.server.close_connections(Duration::ZERO, &NoHost).unwrap();
    here.write_all(b"!").unwrap();
    here.read_exact(&mut [0]).unwrap();
    worker.ping(PATIENCE, &NoHost).unwrap();
    here.write_all(b"!").unwrap();
    daemon.join();
}

#[test]
fn a_successor_listens_no_more_than_the_original_did_and_no_more_than_it_may() {
    let _turn = turn();
    let original = TestServer::start(echo);
    let listening = original.server.snapshot().unwrap();
    original.server.stop_listening();
    let closed = original.server.snapshot().unwrap();
    Child::fork(|| {
        for (snapshot, may_listen) in [(&listening, false), (&closed, true)] {
            let successor = original.server.successor(snapshot, may_listen).unwrap();
            assert_eq!(successor.address(), original.server.address());
            assert!(successor.start_without_rebinding().unwrap().is_some(), "it was started already");
            assert!(successor.start_without_rebinding().unwrap().is_none(), "it was not started");
            assert!(successor.is_started() && !successor.stop_listening(), "it listens");
            let refused = client_of(&successor).ping(PATIENCE, &NoHost);
            assert!(matches!(refused, Err(Error::ConnectionRefused { .. })), "{refused:?}");
            assert!(successor.stop_accepting(), "it was not started");
        }
    })
    .join();
}

#[test]
fn a_child_that_drops_what_it_inherited_takes_nothing_from_the_parent() {
    let _turn = turn();
    let mut server = Some(TestServer::start(echo));
    let mut client = server.as_ref().map(TestServer::client);
    client.as_ref().unwrap().ping(PATIENCE, &NoHost).unwrap();
    Child::fork(|| drop((server.take(), client.take()))).join();
    client.unwrap().ping(PATIENCE, &NoHost).unwrap();
    assert_eq!(server.unwrap().stat("admitted"), 1);
}

#[test]
fn a_child_waits_for_no_lock_that_a_thread_of_the_parent_held() {
    let _turn = turn();
    let server = TestServer::start(echo);
    let client = server.client();
    let mut inherited = Some(client.for_forked_child());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    client.ping(PATIENCE, &NoHost).unwrap();
                    server.server.publish("key", b"1".to_vec()).unwrap();
                    // Opens and closes descriptors all the time.
                    server.client().ping(PATIENCE, &NoHost).unwrap();
                    inherited.as_ref().unwrap().ping(PATIENCE, &NoHost).unwrap();
                }
            });
        }
        for _ in 0..40 {
            Child::fork(|| {
                assert!(client.stats().is_empty() && server.server.stats().is_empty(), "stats of another process");
                assert!(client.close() && !server.server.stop_accepting(), "it did something");
                inherited.as_ref().unwrap().for_forked_child().ping(PATIENCE, &NoHost).unwrap();
            })
            .join();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(stat_of(&client, "disconnects"), 0);
    // A copied client that other threads were using at the fork.
    Child::fork(|| drop(inherited.take())).join();
}

#[test]
fn a_handler_that_forks_leaves_its_call_to_the_parent() {
    let _turn = turn();
    let server = TestServer::start(|call| {
        Child::fork(|| {
            let outcome = call.respond(b"\"child\"", &NoHost);
            assert_eq!(outcome, Ok(false), "the child answered");
            assert!(!call.is_expired(), "expired");
        })
        .join();
        Ok(Some("\"parent\"".to_owned()))
    });
    let client = server.client();
    let result = client.invoke("fork", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
    assert_eq!(result.as_slice(), b"\"parent\"");
}

#[test]
fn a_worker_learns_of_the_parents_end_although_a_child_of_the_parent_lives_on() {
    let _turn = turn();
    let server = TestServer::start(echo);
    let client = server.client();
    client.ping(PATIENCE, &NoHost).unwrap();
    let (mut here, mut there) = UnixStream::pair().unwrap();
    let sibling = Child::fork(|| {
        // The child stays until the parent has looked at it.
        there.write_all(b"!").unwrap();
        there.read_exact(&mut [0]).unwrap();
    });
    here.read_exact(&mut [0]).unwrap();
    server.server.stop_accepting();
    server.server.close_connections(Duration::ZERO, &NoHost).unwrap();
    eventually("the end of the connection", || !client.is_connected());
    let outcome = client.ping(PATIENCE, &NoHost);
    assert!(matches!(outcome, Err(Error::ConnectionRefused { .. })), "{outcome:?}");
    here.write_all(b"!").unwrap();
    sibling.join();
}

fn opened_since(before: &[(i32, String)]) -> Vec<(i32, String)> {
    open_descriptors().into_iter().filter(|(_, identity)| !before.iter().any(|(_, known)| known == identity)).collect()
}

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
