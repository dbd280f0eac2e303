//! A client whose parent is gone, comes back, or was never there.

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::fake_server::{FakeServer, ReservedAddress};
use support::{PATIENCE, TestServer, echo, eventually, serve, stat_of};
use zen_ipc::{Client, ClientOptions, Error, NoHost, Phase, Secret};

/// Longer than a connection takes on a busy machine, short enough to wait for.
const SHORT: Duration = Duration::from_millis(200);

/// Longer than any test takes.
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn where_nothing_listens_a_connection_is_refused() {
    let nowhere = ReservedAddress::new();
    let client = Client::new(nowhere.address, Secret::generate().unwrap(), ClientOptions::default()).unwrap();
    for outcome in [client.ping(PATIENCE, &NoHost), client.start(&NoHost)] {
        assert!(matches!(outcome, Err(Error::ConnectionRefused { .. })), "{outcome:?}");
    }
    assert!(!client.is_connected());
}

#[test]
fn within_reconnect_delay_the_first_cause_is_repeated_and_nothing_tried() {
    let nowhere = ReservedAddress::new();
    let options = ClientOptions { reconnect_delay: HOUR, ..ClientOptions::default() };
    let client = Client::new(nowhere.address, Secret::generate().unwrap(), options).unwrap();
    let first = client.ping(PATIENCE, &NoHost).unwrap_err().to_string();
    let server = nowhere.listen();
    for _ in 0..3 {
        match client.ping(PATIENCE, &NoHost) {
            Err(Error::ConnectionRefused { reason, .. }) => {
                assert_eq!(reason, format!("{first} (no new attempt within reconnect_delay, 3600 s)"));
            }
            outcome => panic!("{outcome:?}"),
        }
    }
    assert!(!server.has_visitor());
    assert_eq!(stat_of(&client, "failed_connects"), 1);
}

#[test]
fn after_reconnect_delay_the_parent_is_found_again() {
    let server = TestServer::start(echo);
    let options = ClientOptions { reconnect_delay: Duration::from_millis(20), ..ClientOptions::default() };
    let client = server.client_with(options);
    server.server.stop_accepting();
    server.server.close_connections(Duration::ZERO, &NoHost).unwrap();
    assert!(client.ping(PATIENCE, &NoHost).is_err());
    serve(&server.server, Arc::new(echo));
    eventually("a new connection", || client.ping(PATIENCE, &NoHost).is_ok());
}

#[test]
fn a_failed_handshake_starts_the_delay_as_well() {
    let server = TestServer::start(echo);
    let options = ClientOptions { reconnect_delay: HOUR, ..ClientOptions::default() };
    let client = Client::new(server.server.address(), Secret::generate().unwrap(), options).unwrap();
    let first = client.ping(PATIENCE, &NoHost).unwrap_err();
    assert!(matches!(first, Error::Handshake { .. }), "{first:?}");
    let second = client.ping(PATIENCE, &NoHost).unwrap_err();
    assert!(matches!(second, Error::ConnectionRefused { .. }), "{second:?}");
    assert!(second.to_string().starts_with(&first.to_string()), "{second}");
    assert_eq!(server.stat("accepted"), 1);
}

#[test]
fn a_caller_that_had_no_time_left_does_not_start_the_delay() {
    let server = FakeServer::bind();
    let client = server.client_with(ClientOptions { reconnect_delay: HOUR, ..ClientOptions::default() });
    let outcome = client.ping(SHORT, &NoHost);
    assert!(matches!(outcome, Err(Error::Timeout { phase: Phase::Handshake, .. })), "{outcome:?}");
    assert_eq!(stat_of(&client, "failed_connects"), 0);
    drop(server.accept());
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.ping(PATIENCE, &NoHost));
        let mut peer = server.accept_authenticated();
        peer.receive_frame();
        peer.send_frame(b"[\"1\",\"pong\",null]");
        call.join().unwrap().unwrap();
    });
}

#[test]
fn a_server_that_makes_room_for_others_is_asked_again() {
    let server = FakeServer::bind();
    let client = server.client_with(ClientOptions { reconnect_delay: HOUR, ..ClientOptions::default() });
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.ping(PATIENCE, &NoHost));
        server.displace(false);
        server.displace(true);
        let mut peer = server.accept_authenticated();
        peer.receive_frame();
        peer.send_frame(b"[\"1\",\"pong\",null]");
        assert_eq!(call.join().unwrap(), Ok(()));
    });
    assert_eq!((stat_of(&client, "connects"), stat_of(&client, "failed_connects")), (1, 0));
}

#[test]
fn a_server_that_always_makes_room_for_others_is_left_alone_after_ten_attempts() {
    let server = FakeServer::bind();
    let client = server.client_with(ClientOptions { reconnect_delay: HOUR, ..ClientOptions::default() });
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.ping(PATIENCE, &NoHost));
        for _ in 0..10 {
            server.displace(true);
        }
        match call.join().unwrap() {
            Err(Error::ConnectionRefused { reason, .. }) => assert!(reason.contains("max_handshakes"), "{reason}"),
            outcome => panic!("{outcome:?}"),
        }
    });
    assert!(!server.has_visitor());
    assert_eq!(stat_of(&client, "failed_connects"), 1);
}

#[test]
fn a_success_ends_the_delay() {
    let server = TestServer::start(echo);
    let client = server.client_with(ClientOptions { reconnect_delay: Duration::ZERO, ..ClientOptions::default() });
    server.server.stop_accepting();
    server.server.close_connections(Duration::ZERO, &NoHost).unwrap();
    assert!(client.ping(PATIENCE, &NoHost).is_err());
    serve(&server.server, Arc::new(echo));
    client.ping(PATIENCE, &NoHost).unwrap();
    assert_eq!((stat_of(&client, "failed_connects"), stat_of(&client, "connects")), (1, 1));
}

#[test]
fn idle_connections_of_a_restarted_parent_are_noticed_and_not_used() {
    let server = TestServer::start(echo);
    let client = server.client();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| client.ping(PATIENCE, &NoHost).unwrap());
        }
    });
    server.server.stop_accepting();
    server.server.close_connections(Duration::ZERO, &NoHost).unwrap();
    serve(&server.server, Arc::new(echo));
    eventually("the end of the old connections", || !client.is_connected());
    let before = stat_of(&client, "connects");
    client.ping(PATIENCE, &NoHost).unwrap();
    assert_eq!(stat_of(&client, "connects"), before + 1);
    assert_eq!((stat_of(&client, "disconnects"), stat_of(&client, "connections")), (0, 1));
}

#[test]
fn a_connection_that_was_idle_for_too_long_is_closed_and_replaced() {
    let server = TestServer::start(echo);
    let options = ClientOptions { idle_timeout: Duration::from_nanos(1), ..ClientOptions::default() };
    let client = server.client_with(options);
    for connects in 1..=3 {
        client.ping(PATIENCE, &NoHost).unwrap();
        assert_eq!(stat_of(&client, "connects"), connects);
    }
    eventually("the end of the others", || server.stat("connections") == 1);
    assert_eq!(stat_of(&client, "connections"), 1);
}

#[test]
fn a_call_that_was_sent_is_never_sent_again() {
    let server = FakeServer::bind();
    let client = server.client_with(ClientOptions { reconnect_delay: Duration::ZERO, ..ClientOptions::default() });
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.invoke("charge", b"[]", b"{}", PATIENCE, &NoHost));
        let mut peer = server.accept_authenticated();
        assert!(peer.receive_frame().starts_with(b"[\"1\",\"charge\""));
        drop(peer);
        assert_eq!(call.join().unwrap(), Err(Error::Disconnected { phase: Phase::Response }));
    });
    assert!(!server.has_visitor());
    assert_eq!((stat_of(&client, "connects"), stat_of(&client, "disconnects")), (1, 1));
}

#[test]
fn closing_ends_callers_that_wait_for_a_free_connection_and_one_in_a_handshake() {
    let server = FakeServer::bind();
    let client = server.client_with(ClientOptions { max_connections: 1, ..ClientOptions::default() });
    std::thread::scope(|scope| {
        let calls = [(); 3].map(|()| scope.spawn(|| client.ping(PATIENCE, &NoHost)));
        let peer = server.accept();
        eventually("all three", || stat_of(&client, "calls") == 3);
        client.close();
        drop(peer);
        for call in calls {
            let outcome = call.join().unwrap();
            assert!(matches!(outcome, Err(Error::Closed { .. })), "{outcome:?}");
        }
    });
    assert!(!server.has_visitor());
}
