//! Calls, notifications and documents between a client and a server.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use support::{PATIENCE, TestServer, echo, eventually};
use zen_ipc::error::FailureCode;
use zen_ipc::{ClientOptions, Error, NoHost, Phase, RemoteFailure, ServerOptions};

#[test]
fn a_call_returns_what_the_handler_answered() {
    let server = TestServer::start(echo);
    let result = server.client().invoke("echo", b"[1,\"two\",null]", b"{}", PATIENCE, &NoHost).unwrap();
    assert_eq!(result.as_slice(), b"[1,\"two\",null]");
}

#[test]
fn a_handler_that_does_not_answer_answers_null() {
    let server = TestServer::start(|_| Ok(None));
    let result = server.client().invoke("nothing", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
    assert_eq!(result.as_slice(), b"null");
}

#[test]
fn a_failure_comes_back_and_the_connection_serves_the_next_call() {
    let failure = RemoteFailure {
        code: FailureCode::HandlerError,
        message: "no such user".to_owned(),
        class: Some("KeyError".to_owned()),
        backtrace: vec!["app.rb:1".to_owned()],
    };
    let answer = failure.clone();
    let server = TestServer::start(move |_| Err(answer.clone()));
    let client = server.client();
    for _ in 0..2 {
        let outcome = client.invoke("find", b"[]", b"{}", PATIENCE, &NoHost);
        assert_eq!(outcome, Err(Error::Remote(failure.clone())));
    }
    assert_eq!(server.stat("admitted"), 1);
}

#[test]
fn a_name_of_the_cores_own_that_it_does_not_know_has_no_handler() {
    let server = TestServer::start(echo);
    let outcome = server.client().invoke("rpc.unknown", b"[]", b"{}", PATIENCE, &NoHost);
    assert!(matches!(outcome, Err(Error::NoHandler(failure)) if failure.message == "no handler for \"rpc.unknown\""));
}

#[test]
fn ping_needs_no_handler() {
    let server = TestServer::start(|_| panic!("ping reached a handler"));
    assert_eq!(server.client().ping(PATIENCE, &NoHost), Ok(()));
}

#[test]
fn a_handler_that_answered_and_goes_on_does_not_delay_the_next_call_over_its_connection() {
    let both_there = Arc::new(Barrier::new(2));
    let barrier = both_there.clone();
    let server = TestServer::start(move |call| {
        call.respond(b"true", &NoHost).unwrap();
        // The barrier opens only if both calls are in their handlers at once.
        barrier.wait();
        Ok(None)
    });
    let client = server.client_with(ClientOptions { max_connections: 1, ..ClientOptions::default() });
    for _ in 0..2 {
        client.invoke("work", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
    }
    assert_eq!(server.stat("admitted"), 1);
}

#[test]
fn many_threads_get_each_its_own_answer() {
    let server = TestServer::start(echo);
    let client = server.client();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let client = &client;
            scope.spawn(move || {
                for number in 0..500 {
                    let args = format!("[{thread},{number}]");
                    let result = client.invoke("echo", args.as_bytes(), b"{}", PATIENCE, &NoHost).unwrap();
                    assert_eq!(result.as_slice(), args.as_bytes());
                }
            });
        }
    });
}

#[test]
fn more_threads_than_connections_wait_for_their_turn() {
    let server = TestServer::start(echo);
    let client = server.client_with(ClientOptions { max_connections: 2, ..ClientOptions::default() });
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    client.invoke("echo", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
                }
            });
        }
    });
    assert!(server.stat("admitted") <= 2);
}

#[test]
fn a_caller_that_finds_no_free_connection_in_time_is_told_so() {
    let release = Arc::new(Barrier::new(2));
    let barrier = release.clone();
    let server = TestServer::start(move |_| {
        barrier.wait();
        Ok(None)
    });
    let client = server.client_with(ClientOptions { max_connections: 1, ..ClientOptions::default() });
    std::thread::scope(|scope| {
        scope.spawn(|| client.invoke("slow", b"[]", b"{}", PATIENCE, &NoHost).unwrap());
        eventually("the first call", || server.stat("requests") == 1);
        let outcome = client.invoke("quick", b"[]", b"{}", Duration::from_millis(20), &NoHost);
        assert!(matches!(outcome, Err(Error::Timeout { phase: Phase::FreeConnection, .. })), "{outcome:?}");
        release.wait();
    });
}

#[test]
fn an_expired_call_is_dropped_and_counted() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = calls.clone();
    let server = TestServer::start(move |call| {
        seen.fetch_add(1, Ordering::SeqCst);
        assert!(!call.deadline().has_passed());
        Ok(None)
    });
    let client = server.client();
    // Timeouts are sent as milliseconds, rounded up, so the server believes that this caller waits longer.
    let outcome = client.invoke("late", b"[]", b"{}", Duration::from_nanos(1), &NoHost);
    assert!(matches!(outcome, Err(Error::Timeout { .. })), "{outcome:?}");
    client.invoke("in time", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[test]
fn a_document_of_many_megabytes_arrives_byte_for_byte() {
    let server = TestServer::start(echo);
    let text = format!("[{}\"end\"]", "\"192.0.2.1\",".repeat(500_000));
    assert_eq!(server.server.publish("lists", text.clone().into_bytes()), Ok(1));
    let client = server.client();
    let fetched = client.fetch("lists", None, PATIENCE, &NoHost).unwrap();
    assert_eq!(fetched, Some((1, text.into_bytes())));
    assert_eq!(client.fetch("lists", Some(1), PATIENCE, &NoHost), Ok(None));
    assert_eq!(client.fetch("unknown", None, PATIENCE, &NoHost), Ok(None));
}

#[test]
fn a_call_larger_than_the_limit_is_refused_and_the_connection_goes_on() {
    let server = TestServer::start(echo);
    let client = server.client_with(ClientOptions { max_frame_size: 100, ..ClientOptions::default() });
    let large = format!("[\"{}\"]", "x".repeat(200));
    let outcome = client.invoke("echo", large.as_bytes(), b"{}", PATIENCE, &NoHost);
    assert!(matches!(outcome, Err(Error::FrameTooLarge { limit: 100, .. })), "{outcome:?}");
    client.invoke("echo", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
    assert_eq!(server.stat("admitted"), 1);
}

#[test]
fn an_answer_larger_than_the_limit_is_told_to_both_sides_and_the_connection_goes_on() {
    let options = ServerOptions { max_frame_size: 300, ..ServerOptions::default() };
    let server = TestServer::start_with(options, |call| {
        if call.name() == "small" {
            return Ok(None);
        }
        let large = format!("\"{}\"", "x".repeat(400));
        assert!(matches!(call.respond(large.as_bytes(), &NoHost), Err(Error::FrameTooLarge { limit: 300, .. })));
        Ok(None)
    });
    let client = server.client();
    let Err(Error::Remote(failure)) = client.invoke("large", b"[]", b"{}", PATIENCE, &NoHost) else {
        panic!("the caller was not told")
    };
    assert_eq!((failure.code, failure.class), (FailureCode::FrameTooLarge, None));
    client.invoke("small", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
    assert_eq!(server.stat("admitted"), 1);
}

#[test]
fn at_the_most_threads_requests_wait_and_none_is_lost() {
    let options = ServerOptions { max_connections: 1, spare_threads: 1, max_threads: 2, ..ServerOptions::default() };
    let handled = Arc::new(AtomicUsize::new(0));
    let count = handled.clone();
    let server = TestServer::start_with(options, move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(None)
    });
    let client = server.client_with(ClientOptions { max_connections: 1, ..ClientOptions::default() });
    for _ in 0..500 {
        client.notify("seen", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
    }
    eventually("every notification", || handled.load(Ordering::SeqCst) == 500);
    assert!(server.stat("threads") <= 2);
}

#[test]
fn closing_a_client_ends_its_calls_in_flight_and_later_ones() {
    let server = TestServer::start(|_| {
        std::thread::park_timeout(PATIENCE);
        Ok(None)
    });
    let client = server.client();
    std::thread::scope(|scope| {
        let in_flight = scope.spawn(|| client.invoke("slow", b"[]", b"{}", PATIENCE, &NoHost));
        eventually("the call", || server.stat("requests") == 1);
        assert!(client.close() && !client.close());
        assert!(matches!(in_flight.join().unwrap(), Err(Error::Closed { .. })));
    });
    assert!(matches!(client.ping(PATIENCE, &NoHost), Err(Error::Closed { .. })));
}
