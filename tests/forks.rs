//! What a forked child has and has not. The tests take turns, for a fork copies the whole process.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use support::child::{Child, is_open, open_descriptors, survives_exec};
use support::{PATIENCE, TestServer, echo, eventually, stat_of};
use zen_ipc::{ClientOptions, Error, Uninterrupted};

#[test]
fn a_child_has_none_of_the_parents_descriptors() {
    let _turn = turn();
    let before = open_descriptors();
    let server = TestServer::start(echo);
    let client = server.client();
    client.ping(PATIENCE, &Uninterrupted).unwrap();
    let ours: Vec<i32> = open_descriptors().into_iter().filter(|number| !before.contains(number)).collect();
    // Listening, both ends of the connection, two of the poll, three pipes.
    assert!(ours.len() >= 11, "{ours:?}");
    assert!(!ours.iter().any(|number| survives_exec(*number)), "{ours:?}");
    Child::fork(|| {
        let inherited: Vec<&i32> = ours.iter().filter(|number| is_open(**number)).collect();
        assert!(inherited.is_empty(), "{inherited:?} of {ours:?}");
        // And so at any depth.
        let before = open_descriptors();
        let own = client.afresh();
        own.ping(PATIENCE, &Uninterrupted).unwrap();
        let number = open_descriptors().into_iter().find(|number| !before.contains(number)).unwrap();
        Child::fork(|| assert!(!is_open(number), "a grandchild has {number}")).join();
        assert!(is_open(number), "{number} was closed");
    })
    .join();
    assert!(ours.iter().all(|number| is_open(*number)));
    client.ping(PATIENCE, &Uninterrupted).unwrap();
}

#[test]
fn a_child_uses_connections_of_its_own() {
    let _turn = turn();
    let server = TestServer::start(echo);
    let client = server.client();
    client.ping(PATIENCE, &Uninterrupted).unwrap();
    Child::fork(|| {
        assert!(!client.is_of_this_process() && !client.is_connected(), "it takes itself for the original");
        let refused = client.ping(PATIENCE, &Uninterrupted);
        assert!(matches!(refused, Err(Error::Closed { .. })), "{refused:?}");
        let own = client.afresh();
        for number in 0..10 {
            let args = format!("[{number}]");
            let result = own.invoke("echo", args.as_bytes(), b"{}", PATIENCE, &Uninterrupted).unwrap();
            assert_eq!(result.as_slice(), args.as_bytes(), "another answer");
        }
        assert_eq!(stat_of(&own, "connects"), 1, "connections");
        Child::fork(|| own.afresh().ping(PATIENCE, &Uninterrupted).unwrap()).join();
        own.ping(PATIENCE, &Uninterrupted).unwrap();
    })
    .join();
    client.ping(PATIENCE, &Uninterrupted).unwrap();
    assert_eq!((stat_of(&client, "connects"), stat_of(&client, "disconnects")), (1, 0));
    assert_eq!(server.stat("admitted"), 3);
}

#[test]
fn an_inherited_server_knows_its_address_and_secret_and_does_nothing() {
    let _turn = turn();
    let server = TestServer::start(echo);
    let client = server.client();
    client.ping(PATIENCE, &Uninterrupted).unwrap();
    let address = server.server.address();
    Child::fork(|| {
        let inherited = &server.server;
        assert!(matches!(inherited.check_process(), Err(Error::Closed { .. })), "check_process");
        assert!(!inherited.is_started() && !inherited.begin_stop() && !inherited.close(), "it did something");
        inherited.finish_stop();
        assert!(inherited.start().is_err() && inherited.publish("key", b"1".to_vec()).is_err(), "it did something");
        assert_eq!((inherited.address(), inherited.stats()), (address, Vec::new()), "what it knows");
        let secret = inherited.secret().clone();
        let own = zen_ipc::Client::new(address, secret, ClientOptions::default()).unwrap();
        own.ping(PATIENCE, &Uninterrupted).unwrap();
    })
    .join();
    client.ping(PATIENCE, &Uninterrupted).unwrap();
    assert_eq!((stat_of(&client, "connects"), server.server.is_started()), (1, true));
}

#[test]
fn a_child_that_drops_what_it_inherited_takes_nothing_from_the_parent() {
    let _turn = turn();
    let mut server = Some(TestServer::start(echo));
    let mut client = server.as_ref().map(TestServer::client);
    client.as_ref().unwrap().ping(PATIENCE, &Uninterrupted).unwrap();
    Child::fork(|| drop((server.take(), client.take()))).join();
    client.unwrap().ping(PATIENCE, &Uninterrupted).unwrap();
    assert_eq!(server.unwrap().stat("admitted"), 1);
}

#[test]
fn a_child_waits_for_no_lock_that_a_thread_of_the_parent_held() {
    let _turn = turn();
    let server = TestServer::start(echo);
    let client = server.client();
    let mut inherited = Some(client.afresh());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    client.ping(PATIENCE, &Uninterrupted).unwrap();
                    server.server.publish("key", b"1".to_vec()).unwrap();
                    // Opens and closes descriptors all the time.
                    server.client().ping(PATIENCE, &Uninterrupted).unwrap();
                    inherited.as_ref().unwrap().ping(PATIENCE, &Uninterrupted).unwrap();
                }
            });
        }
        for _ in 0..40 {
            Child::fork(|| {
                assert!(client.stats().is_empty() && server.server.stats().is_empty(), "figures of another process");
                assert!(client.close() && !server.server.begin_stop(), "it did something");
                inherited.as_ref().unwrap().afresh().ping(PATIENCE, &Uninterrupted).unwrap();
            })
            .join();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(stat_of(&client, "disconnects"), 0);
    // A copy of a client that other threads were using.
    Child::fork(|| drop(inherited.take())).join();
}

#[test]
fn a_handler_that_forks_leaves_its_call_to_the_parent() {
    let _turn = turn();
    let server = TestServer::start(|call| {
        Child::fork(|| {
            let outcome = call.respond(b"\"child\"", &Uninterrupted);
            assert_eq!(outcome, Ok(false), "the child answered");
            assert!(!call.is_expired(), "expired");
        })
        .join();
        Ok(Some("\"parent\"".to_owned()))
    });
    let client = server.client();
    let result = client.invoke("fork", b"[]", b"{}", PATIENCE, &Uninterrupted).unwrap();
    assert_eq!(result.as_slice(), b"\"parent\"");
}

#[test]
fn a_worker_learns_of_the_parents_end_although_a_child_of_the_parent_lives_on() {
    let _turn = turn();
    let server = TestServer::start(echo);
    let client = server.client();
    client.ping(PATIENCE, &Uninterrupted).unwrap();
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let sibling = Child::fork(|| {
        // Until the parent has seen what it wants.
        let _ = rustix::io::read(&reader, &mut [0u8; 1]);
    });
    server.server.begin_stop();
    server.server.finish_stop();
    eventually("the end of the connection", || !client.is_connected());
    let outcome = client.ping(PATIENCE, &Uninterrupted);
    assert!(matches!(outcome, Err(Error::ConnectionRefused { .. })), "{outcome:?}");
    rustix::io::write(&writer, &[1]).unwrap();
    sibling.join();
}

fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
