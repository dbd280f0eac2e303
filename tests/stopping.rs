//! Stopping, closing, restarting, and the number of threads that a server keeps.

mod support;

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use support::gate::gated_server;
use support::peer::Peer;
use support::{PATIENCE, TestServer, echo, eventually, serve, stat_of};
use zen_ipc::{ClientOptions, Error, NoHost, ServerOptions};

#[test]
fn stopping_ends_idle_connections_and_every_thread() {
    let server = TestServer::start(echo);
    let client = server.client();
    client.ping(PATIENCE, &NoHost).unwrap();
    assert!(server.server.stop_accepting());
    eventually("the end of the connection", || !client.is_connected() && server.stat("connections") == 0);
    eventually("the end of the threads", || server.threads.load(Ordering::SeqCst) == 0);
    server.server.close_connections(Duration::ZERO, &NoHost).unwrap();
    assert!(!server.server.is_started() && !server.server.stop_accepting());
}

#[test]
fn a_handler_at_work_may_answer_after_stopping_began() {
    let (server, gate) = gated_server(false);
    let client = server.client();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.invoke("slow", b"[]", b"{}", PATIENCE, &NoHost));
        gate.wait_for_handler();
        server.server.stop_accepting();
        gate.open();
        assert_eq!(call.join().unwrap().unwrap().as_slice(), b"\"expired: false\"");
    });
    eventually("the end of the connection", || server.stat("connections") == 0);
}

#[test]
fn a_handler_at_work_when_stopping_ends_is_not_waited_for() {
    let (server, gate) = gated_server(false);
    let client = server.client();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.invoke("slow", b"[]", b"{}", PATIENCE, &NoHost));
        gate.wait_for_handler();
        server.server.stop_accepting();
        server.server.close_connections(Duration::ZERO, &NoHost).unwrap();
        let outcome = call.join().unwrap();
        assert!(matches!(outcome, Err(Error::Disconnected { .. })), "{outcome:?}");
        gate.open();
    });
    eventually("the end of the threads", || server.threads.load(Ordering::SeqCst) == 0);
}

#[test]
fn a_connection_whose_handler_answered_and_goes_on_ends_when_stopping_begins() {
    let (server, gate) = gated_server(true);
    let client = server.client();
    client.invoke("slow", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
    gate.wait_for_handler();
    server.server.stop_accepting();
    eventually("the end of the connection", || !client.is_connected() && server.stat("connections") == 0);
    gate.open();
    eventually("the end of the threads", || server.threads.load(Ordering::SeqCst) == 0);
}

#[test]
fn stopping_ends_connections_in_the_middle_of_a_handshake() {
    let server = TestServer::start(echo);
    let mut peer = Peer::silent(server.server.address());
    peer.hello();
    server.server.stop_accepting();
    assert_eq!(peer.rest(), b"");
}

#[test]
fn a_stopped_server_starts_again_on_its_port_and_the_same_client_comes_back() {
    let server = TestServer::start(echo);
    let client = server.client_with(ClientOptions { reconnect_delay: Duration::ZERO, ..ClientOptions::default() });
    for round in 1..=3 {
        client.ping(PATIENCE, &NoHost).unwrap();
        assert_eq!(server.stat("admitted"), round);
        server.server.stop_accepting();
        server.server.close_connections(Duration::ZERO, &NoHost).unwrap();
        eventually("the end of the connection", || !client.is_connected());
        let outcome = client.ping(PATIENCE, &NoHost);
        assert!(matches!(outcome, Err(Error::ConnectionRefused { .. })), "{outcome:?}");
        serve(&server.server, Arc::new(echo));
    }
    client.ping(PATIENCE, &NoHost).unwrap();
    assert_eq!(stat_of(&client, "disconnects"), 0);
}

#[test]
fn a_started_server_is_not_started_twice() {
    let server = TestServer::start(echo);
    assert!(server.server.start().unwrap().is_none());
    server.client().ping(PATIENCE, &NoHost).unwrap();
}

#[test]
fn closing_keeps_connected_workers_and_accepts_no_others() {
    let server = TestServer::start(echo);
    let connected = server.client();
    connected.ping(PATIENCE, &NoHost).unwrap();
    assert!(server.server.stop_listening() && !server.server.stop_listening());
    let outcome = server.client().ping(PATIENCE, &NoHost);
    assert!(matches!(outcome, Err(Error::ConnectionRefused { .. })), "{outcome:?}");
    connected.invoke("echo", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
    assert!(server.server.is_started());
}

#[test]
fn dropping_a_server_frees_its_port_and_ends_its_threads() {
    let TestServer { server, threads, .. } = TestServer::start(echo);
    let address = server.address();
    let client = zen_ipc::Client::new(address, server.secret().clone(), ClientOptions::default()).unwrap();
    client.ping(PATIENCE, &NoHost).unwrap();
    drop(server);
    assert!(TcpStream::connect(address).is_err());
    TcpListener::bind(address).unwrap();
    eventually("the end of the threads", || threads.load(Ordering::SeqCst) == 0);
}

#[test]
fn spare_threads_are_as_many_as_wanted_while_connections_come_and_go() {
    let server = TestServer::start_with(ServerOptions { spare_threads: 3, ..ServerOptions::default() }, echo);
    for round in 1..=3 {
        let clients: Vec<_> = (0..20).map(|_| server.client()).collect();
        std::thread::scope(|scope| {
            for client in &clients {
                scope.spawn(|| client.ping(PATIENCE, &NoHost).unwrap());
            }
        });
        assert_eq!(server.stat("admitted"), round * 20);
        assert_threads(&server, 20, 3);
        drop(clients);
        assert_threads(&server, 0, 3);
    }
}

#[test]
fn spare_threads_are_as_many_as_wanted_after_handlers_answered_early_and_after_they_ended() {
    let (server, gate) = gated_server(true);
    let client = server.client_with(ClientOptions { max_connections: 1, ..ClientOptions::default() });
    for _ in 0..10 {
        client.invoke("slow", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
        gate.wait_for_handler();
    }
    // Ten handlers run, and their only connection is parked.
    assert_threads(&server, 10, 4);
    (0..10).for_each(|_| gate.open());
    // One of them may have reclaimed it.
    eventually("the end of the handlers", || server.threads.load(Ordering::SeqCst) <= 5);
    client.close();
    assert_threads(&server, 0, 4);
}

#[test]
fn a_handler_thread_that_dies_is_replaced_and_its_caller_told() {
    let server = TestServer::start(|call| match call.name() {
        "fatal" => panic!("a thread dies, on purpose"),
        _ => Ok(None),
    });
    let client = server.client();
    for _ in 0..6 {
        let outcome = client.invoke("fatal", b"[]", b"{}", PATIENCE, &NoHost);
        assert!(matches!(&outcome, Err(Error::Remote(failure)) if failure.message.contains("ended")), "{outcome:?}");
    }
    client.invoke("harmless", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
    assert_eq!(server.stat("admitted"), 1);
    assert_threads(&server, 1, 4);
}

/// Waits until the server has `busy` threads with a connection or a handler, and `spare` idle ones.
fn assert_threads(server: &TestServer, busy: usize, spare: usize) {
    eventually("the right number of threads", || {
        server.threads.load(Ordering::SeqCst) == busy + spare && server.stat("spare_threads") == spare as u64
    });
}
