//! Calls that a server's own process makes to it: the same as a worker's, without a socket.
#![allow(clippy::unwrap_used, reason = "clippy does not take a test's support for a test")]

use std::time::Duration;

use zen_ipc::error::FailureCode;
use zen_ipc::server::LocalCall;
use zen_ipc::{Error, NoHost, RemoteFailure, Secret, Server, ServerOptions};

const LIMIT: usize = 1000;
const PATIENCE: Option<Duration> = Some(Duration::from_secs(10));

#[test]
fn a_handler_is_given_the_call_and_its_caller_the_answer() {
    let server = server();
    let mut local = server.call_locally("add".to_owned(), b"[1,2]", br#"{"base":10}"#, PATIENCE, LIMIT).unwrap();
    let call = local.call().unwrap();
    assert_eq!((call.name(), call.args(), call.kwargs()), ("add", b"[1,2]".as_slice(), br#"{"base":10}"#.as_slice()));
    assert!(!call.is_notification() && !call.is_answered() && !call.is_expired());
    assert!(call.deadline().is_bounded());

    assert_eq!(call.respond(b"3", &NoHost), Ok(true));
    assert_eq!(call.respond(b"4", &NoHost), Ok(false));
    assert!(call.is_answered());
    local.finish(None).unwrap();
    assert_eq!(local.take_result().unwrap().as_slice(), b"3");
}

#[test]
fn a_handler_that_does_not_answer_answers_null_and_one_that_fails_its_failure() {
    let server = server();
    let mut silent = call(&server, "[]");
    silent.finish(None).unwrap();
    assert_eq!(silent.take_result().unwrap().as_slice(), b"null");

    let failure =
        RemoteFailure { message: "boom".to_owned(), class: Some("KeyError".to_owned()), ..Default::default() };
    let mut failing = call(&server, "[]");
    failing.finish(Some(&failure)).unwrap();
    assert_eq!(failing.take_result(), Err(Error::Remote(failure)));
}

#[test]
fn a_failure_after_the_answer_changes_nothing() {
    let server = server();
    let mut local = call(&server, "[]");
    local.call().unwrap().respond(b"1", &NoHost).unwrap();
    local.finish(Some(&RemoteFailure::default())).unwrap();
    assert_eq!(local.take_result().unwrap().as_slice(), b"1");
}

#[test]
fn a_notification_has_no_deadline_and_is_not_answered() {
    let server = server();
    let local = server.call_locally("seen".to_owned(), b"[]", b"{}", None, LIMIT).unwrap();
    let call = local.call().unwrap();
    assert!(call.is_notification() && call.is_answered() && !call.deadline().is_bounded());
    assert_eq!(local.call().unwrap().respond(b"1", &NoHost), Ok(false));
    assert_eq!(local.finish(Some(&RemoteFailure::default())), Ok(()));
}

#[test]
fn a_builtin_method_needs_no_handler() {
    let server = server();
    server.publish("config", b"{}".to_vec()).unwrap();
    for (name, args, result) in [
        ("ping", "[]", "\"pong\""),
        ("rpc.document", r#"["config",null]"#, "[1,{}]"),
        ("rpc.document", r#"["config",1]"#, "null"),
    ] {
        let mut local = server.call_locally(name.to_owned(), args.as_bytes(), b"{}", PATIENCE, LIMIT).unwrap();
        assert!(local.call().is_none());
        assert_eq!(local.take_result().unwrap().as_slice(), result.as_bytes());
    }
    let mut unknown = server.call_locally("rpc.unknown".to_owned(), b"[]", b"{}", PATIENCE, LIMIT).unwrap();
    assert!(matches!(unknown.take_result(), Err(Error::NoHandler(_))));
    let mut wrong = server.call_locally("rpc.document".to_owned(), b"[]", b"{}", PATIENCE, LIMIT).unwrap();
    assert!(matches!(wrong.take_result(), Err(Error::Remote(failure)) if failure.code == FailureCode::InvalidParams));
    assert!(server.call_locally("ping".to_owned(), b"[]", b"{}", None, LIMIT).unwrap().call().is_none());
}

#[test]
fn a_request_has_the_lower_limit_of_client_and_server() {
    let server = server();
    let args = format!("[\"{}\"]", "x".repeat(LIMIT));
    for limit in [LIMIT - 1, 2 * LIMIT] {
        let outcome = server.call_locally("any".to_owned(), args.as_bytes(), b"{}", PATIENCE, limit);
        let expected = limit.min(LIMIT) as u64;
        assert!(matches!(outcome, Err(Error::FrameTooLarge { limit, .. }) if limit == expected), "{outcome:?}");
    }
}

#[test]
fn a_result_over_the_servers_limit_is_the_handlers_error_and_its_callers() {
    let server = server();
    let mut local = call(&server, "[]");
    let large = format!("\"{}\"", "x".repeat(LIMIT));
    let refused = local.call().unwrap().respond(large.as_bytes(), &NoHost);
    assert!(matches!(refused, Err(Error::FrameTooLarge { limit: 1000, .. })), "{refused:?}");
    local.finish(None).unwrap();
    let outcome = local.take_result();
    assert!(matches!(outcome, Err(Error::Remote(failure)) if failure.code == FailureCode::FrameTooLarge));
}

#[test]
fn a_result_over_the_clients_limit_is_the_callers_error() {
    let server = server();
    let mut local = server.call_locally("any".to_owned(), b"[]", b"{}", PATIENCE, 100).unwrap();
    local.call().unwrap().respond(format!("\"{}\"", "x".repeat(100)).as_bytes(), &NoHost).unwrap();
    local.finish(None).unwrap();
    let outcome = local.take_result();
    assert!(matches!(outcome, Err(Error::FrameTooLarge { limit: 100, .. })), "{outcome:?}");
}

#[test]
fn an_answer_for_which_there_is_no_room_at_all_ends_the_call() {
    let server = server_with(60);
    let mut local = call(&server, "[]");
    assert_eq!(local.call().unwrap().respond(&[b'1'; 60], &NoHost), Ok(false));
    local.finish(None).unwrap();
    assert!(matches!(local.take_result(), Err(Error::Disconnected { .. })));
}

fn server() -> Server {
    server_with(LIMIT)
}

fn server_with(max_frame_size: usize) -> Server {
    let secret = Secret::generate().unwrap();
    Server::bind(ServerOptions { max_frame_size, ..ServerOptions::default() }, secret).unwrap()
}

fn call(server: &Server, args: &str) -> LocalCall {
    server.call_locally("any".to_owned(), args.as_bytes(), b"{}", PATIENCE, LIMIT).unwrap()
}
