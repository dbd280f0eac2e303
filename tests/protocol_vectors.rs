//! The test vectors of `docs/protocol.md`: the core writes and reads the same bytes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy does not take a test's support for a test")]

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use zen_ipc::error::{Cause, FailureCode};
use zen_ipc::protocol::frame::{FrameDecoder, header};
use zen_ipc::protocol::handshake::{ClientHandshake, ServerHandshake};
use zen_ipc::protocol::message::{
    Parsed, Request, RequestEnvelope, Response, ResultEnvelope, ResultText, failure_response, parse_document,
};
use zen_ipc::{Error, RemoteFailure, Secret};

#[test]
fn the_handshake_says_what_the_vectors_say() {
    let vectors = Vectors::read();
    let secret = Secret::from_bytes(vectors.bytes("secret")).unwrap();
    let server = ServerHandshake::with_nonce(vectors.array("server_nonce"));
    let client = ClientHandshake::with_nonce(vectors.array("client_nonce"));

    assert_eq!(server.hello().as_slice(), vectors.bytes("server_hello"));
    let (client_proof, expected) = client.answer(&secret, &vectors.array("server_hello")).unwrap();
    assert_eq!(client_proof.as_slice(), vectors.bytes("client_proof"));
    let server_proof = server.verify(&secret, &vectors.array("client_proof")).unwrap();
    assert_eq!(server_proof.as_slice(), vectors.bytes("server_proof"));
    assert_eq!(expected.verify(&vectors.array("server_proof")), Ok(()));
}

#[test]
fn requests_are_written_as_the_vectors_show() {
    let vectors = Vectors::read();
    let timeout = Some(Duration::from_millis(1500));
    for (name, request) in [
        ("request_frame", request(Some("7"), "add", "[1,2]", "{}", timeout)),
        ("notification_frame", request(None, "seen", r#"["user-17"]"#, r#"{"ip":"203.0.113.9"}"#, None)),
        ("ping_request_frame", request(Some("8"), "ping", "[]", "{}", timeout)),
        ("document_request_frame", request(Some("9"), "rpc.document", r#"["config",null]"#, "{}", timeout)),
    ] {
        assert_eq!(request, vectors.bytes(name), "{name}");
    }
}

#[test]
fn responses_are_written_as_the_vectors_show() {
    let vectors = Vectors::read();
    for (name, response) in [
        ("response_frame", result("7", "3")),
        ("ping_response_frame", result("8", r#""pong""#)),
        ("document_response_frame", result("9", r#"[1,{"blockedUserIds":["user-17"]}]"#)),
        ("document_unchanged_frame", result("9", "null")),
        ("error_response_frame", framed(&failure_response("7", &key_not_found()))),
        ("no_handler_response_frame", framed(&failure_response("7", &no_handler()))),
        ("invalid_params_response_frame", framed(&failure_response("9", &invalid_params()))),
        ("unavailable_response_frame", framed(&failure_response("7", &unavailable()))),
    ] {
        assert_eq!(response, vectors.bytes(name), "{name}");
    }
}

#[test]
fn requests_in_the_vectors_are_understood() {
    let vectors = Vectors::read();
    let call = vectors.request("request_frame");
    assert_eq!((call.id.as_deref(), call.name.as_str()), (Some("7"), "add"));
    assert_eq!((call.args(), call.kwargs()), (b"[1,2]".as_slice(), b"{}".as_slice()));
    assert_eq!(call.timeout, Some(Duration::from_millis(1500)));

    let notification = vectors.request("notification_frame");
    assert_eq!((notification.id.as_deref(), notification.name.as_str()), (None, "seen"));
    assert_eq!(notification.args(), br#"["user-17"]"#);
    assert_eq!(notification.kwargs(), br#"{"ip":"203.0.113.9"}"#);
    assert_eq!(notification.timeout, None);

    assert_eq!(vectors.request("ping_request_frame").name, "ping");
    let question = vectors.request("document_request_frame");
    assert_eq!(question.document_params(), Some(("config".to_owned(), None)));
}

#[test]
fn responses_in_the_vectors_are_understood() {
    let vectors = Vectors::read();
    assert_eq!(vectors.result("response_frame").unwrap().as_slice(), b"3");
    assert_eq!(vectors.result("ping_response_frame").unwrap().as_slice(), br#""pong""#);
    assert_eq!(vectors.result("error_response_frame"), Err(Error::Remote(key_not_found())));
    assert_eq!(vectors.result("no_handler_response_frame"), Err(Error::NoHandler(no_handler())));
    assert_eq!(vectors.result("invalid_params_response_frame"), Err(Error::Remote(invalid_params())));
    let reason = unavailable().message;
    assert_eq!(
        vectors.result("unavailable_response_frame"),
        Err(Error::ConnectionRefused { reason, cause: Cause::Unavailable })
    );

    let document = parse_document(vectors.result("document_response_frame").unwrap());
    assert_eq!(document, Ok(Some((1, br#"{"blockedUserIds":["user-17"]}"#.to_vec()))));
    assert_eq!(parse_document(vectors.result("document_unchanged_frame").unwrap()), Ok(None));
}

#[test]
fn the_texts_in_the_table_are_those_in_the_frames() {
    let vectors = Vectors::read();
    let document = protocol_document();
    let rows =
        document.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix("` |")?.split_once("_frame` | `"));
    let mut checked = 0;
    for (name, text) in rows {
        assert_eq!(String::from_utf8(vectors.body(&format!("{name}_frame"))).unwrap(), text);
        checked += 1;
    }
    assert_eq!(checked, vectors.0.keys().filter(|name| name.ends_with("_frame")).count());
}

/// The values in the document's blocks, by name.
struct Vectors(HashMap<String, Vec<u8>>);

impl Vectors {
    fn read() -> Self {
        let document = protocol_document();
        let blocks = document.split("```vectors\n").skip(1).map(|block| block.split_once("\n```").unwrap().0);
        let lines = blocks.flat_map(str::lines).map(|line| line.split_once(" = ").unwrap());
        Self(lines.map(|(name, digits)| (name.to_owned(), from_hexadecimal(digits))).collect())
    }

    fn bytes(&self, name: &str) -> &[u8] {
        self.0.get(name).unwrap_or_else(|| panic!("docs/protocol.md has no {name}"))
    }

    fn array<const LENGTH: usize>(&self, name: &str) -> [u8; LENGTH] {
        self.bytes(name).try_into().unwrap()
    }

    fn request(&self, name: &str) -> Request {
        message(Request::parse(self.body(name)), name)
    }

    fn result(&self, name: &str) -> Result<ResultText, Error> {
        message(Response::parse(self.body(name)), name).into_result()
    }

    /// The frame in the value, without its length.
    fn body(&self, name: &str) -> Vec<u8> {
        let mut decoder = FrameDecoder::new(1 << 20);
        decoder.read_buffer().unwrap().extend(self.bytes(name));
        let body = decoder.next_frame().unwrap().unwrap_or_else(|| panic!("{name} is no whole frame"));
        assert!(decoder.is_empty(), "{name} is more than a frame");
        body
    }
}

fn protocol_document() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md")).unwrap()
}

fn from_hexadecimal(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn message<T>(parsed: Result<Parsed<T>, Error>, name: &str) -> T {
    match parsed.unwrap() {
        Parsed::Message(message) => message,
        Parsed::Unusable { .. } | Parsed::Unrecognized => panic!("{name} is no message"),
    }
}

fn request(id: Option<&str>, name: &str, args: &str, kwargs: &str, timeout: Option<Duration>) -> Vec<u8> {
    let envelope = RequestEnvelope::new(id, name, timeout);
    framed(&[&envelope.head, args.as_bytes(), b",", kwargs.as_bytes(), &envelope.tail].concat())
}

fn result(id: &str, result: &str) -> Vec<u8> {
    let envelope = ResultEnvelope::new(id);
    framed(&[&envelope.head, result.as_bytes(), envelope.tail].concat())
}

fn framed(body: &[u8]) -> Vec<u8> {
    [header(body.len(), 1 << 20).unwrap().as_slice(), body].concat()
}

fn key_not_found() -> RemoteFailure {
    RemoteFailure {
        code: FailureCode::HandlerError,
        message: "key not found".to_owned(),
        class: Some("KeyError".to_owned()),
        backtrace: vec!["limiter.rb:7".to_owned()],
    }
}

fn no_handler() -> RemoteFailure {
    RemoteFailure::without_handler(FailureCode::NoHandler, "no handler for \"add\"")
}

fn unavailable() -> RemoteFailure {
    RemoteFailure::without_handler(FailureCode::Unavailable, "no thread of the parent is left")
}

fn invalid_params() -> RemoteFailure {
    RemoteFailure::without_handler(FailureCode::InvalidParams, "rpc.document takes [key, known_generation]")
}
