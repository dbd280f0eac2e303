//! Fuzzes a frame's body as a request and as a response: the parser refuses what serde_json refuses, and reads the same
//! from the rest.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use zen_ipc::Result;
use zen_ipc::protocol::message::{Parsed, Request, RequestEnvelope, Response, ResultEnvelope, parse_document};

fuzz_target!(|body: &[u8]| {
    request(body);
    response(body);
});

fn request(body: &[u8]) {
    let Some(request) = understood(body, Request::parse(body.to_vec())) else { return };
    let parts: Vec<&RawValue> = serde_json::from_slice(body).unwrap();
    let (id, name): (Option<String>, String) = (value(parts[0]), value(parts[1]));
    assert_eq!((&request.id, &request.name), (&id, &name));
    assert_eq!(request.args(), parts[2].get().as_bytes());
    assert_eq!(request.kwargs(), parts[3].get().as_bytes());
    assert!(request.args().starts_with(b"[") && request.kwargs().starts_with(b"{"));
    request.document_params();

    let envelope = RequestEnvelope::new(id.as_deref(), &name, request.timeout);
    let again = [&envelope.head, request.args(), b",", request.kwargs(), &envelope.tail].concat();
    let again = understood(&again, Request::parse(again.clone())).unwrap();
    assert_eq!((&again.id, &again.name), (&request.id, &request.name));
    assert_eq!((again.args(), again.kwargs()), (request.args(), request.kwargs()));
    assert_eq!(again.timeout.map(|timeout| Duration::from_millis(timeout.as_millis() as u64)), request.timeout);
}

fn response(body: &[u8]) {
    let Some(response) = understood(body, Response::parse(body.to_vec())) else { return };
    let parts: Vec<&RawValue> = serde_json::from_slice(body).unwrap();
    let (id, error): (String, Option<String>) = (value(parts[0]), value(parts[2]));
    assert_eq!(response.id, id);
    let Ok(result) = response.into_result() else { return assert!(error.is_some()) };
    assert_eq!((result.as_slice(), error), (parts[1].get().as_bytes(), None));

    let envelope = ResultEnvelope::new(&id);
    let again = [&envelope.head, result.as_slice(), envelope.tail].concat();
    let again = understood(&again, Response::parse(again.clone())).unwrap();
    assert_eq!(again.id, id);
    assert_eq!(again.into_result().unwrap().as_slice(), result.as_slice());
    if let Ok(Some((_, document))) = parse_document(result) {
        assert!(is_json(&document));
    }
}

/// The message, if it is one.
fn understood<T>(body: &[u8], parsed: Result<Parsed<T>>) -> Option<T> {
    assert_eq!(parsed.is_ok(), is_json(body));
    match parsed {
        Ok(Parsed::Message(message)) => Some(message),
        Ok(Parsed::Unusable { .. } | Parsed::Unrecognized) | Err(_) => None,
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

fn value<T: serde::de::DeserializeOwned>(part: &RawValue) -> T {
    serde_json::from_str(part.get()).unwrap()
}
