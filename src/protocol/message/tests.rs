//! Tests of requests and responses: what is written is read back, and what is invalid is refused.

use super::*;
use proptest::prelude::*;

fn request(body: &str) -> Parsed<Request> {
    Request::parse(body.as_bytes().to_vec()).unwrap()
}

fn response(body: &str) -> Parsed<Response> {
    Response::parse(body.as_bytes().to_vec()).unwrap()
}

fn message<T>(parsed: Parsed<T>) -> T {
    match parsed {
        Parsed::Message(message) => message,
        Parsed::Unusable { .. } | Parsed::Unrecognized => panic!("no message"),
    }
}

fn encoded(id: Option<&str>, name: &str, timeout: Option<Duration>, args: &str, kwargs: &str) -> Vec<u8> {
    let envelope = RequestEnvelope::new(id, name, timeout);
    [&envelope.head, args.as_bytes(), b",", kwargs.as_bytes(), &envelope.tail].concat()
}

#[test]
fn a_call_has_an_id_a_name_arguments_and_what_its_caller_will_wait() {
    let call = message(request(r#"[ "7" , "add" , [1, 2] , {"base":10} , {"timeout_ms":1500,"later":true} ]"#));
    assert_eq!(call.id.as_deref(), Some("7"));
    assert_eq!(call.name, "add");
    assert_eq!(call.args(), b"[1, 2]");
    assert_eq!(call.kwargs(), br#"{"base":10}"#);
    assert_eq!(call.timeout, Some(Duration::from_millis(1500)));
}

#[test]
fn a_notification_has_no_id_and_needs_no_meta() {
    let notification = message(request(r#"[null,"seen",[],{}]"#));
    assert_eq!(notification.id, None);
    assert_eq!(notification.timeout, None);
}

#[test]
fn json_that_is_no_request_is_something_else() {
    for body in [
        "{}",
        "1",
        "null",
        "\"text\"",
        "[]",
        r#"["1"]"#,
        r#"["1","add"]"#,
        r#"["1","add",[]]"#,
        r#"[1,"add",[],{}]"#,
        r#"["1",null,[],{}]"#,
        r#"["1","add",{},{}]"#,
        r#"["1","add",[],[]]"#,
        r#"[null,"add",[],{},[]]"#,
        r#"[null,"add",[],{},{"timeout_ms":-1}]"#,
        r#"["1","add",[],{},{},{}]"#,
        r#"["1",null,null]"#,
    ] {
        assert_eq!(request(body), Parsed::Unrecognized, "{body}");
    }
}

#[test]
fn a_call_whose_meta_cannot_be_used_says_so_with_its_id() {
    let most = u64::MAX;
    for meta in [
        "[]",
        "null",
        "1",
        r#"{"timeout_ms":-1}"#,
        r#"{"timeout_ms":1.5}"#,
        r#"{"timeout_ms":"1"}"#,
        r#"{"timeout_ms":18446744073709551616}"#,
    ] {
        let reason = format!("meta is {meta}; an Object is allowed, whose timeout_ms is an Integer from 0 to {most}");
        let expected = Parsed::Unusable { id: "1".to_owned(), reason };
        assert_eq!(request(&format!(r#"["1","add",[],{{}},{meta}]"#)), expected);
    }
}

#[test]
fn of_a_meta_that_cannot_be_used_only_the_beginning_is_repeated() {
    let Parsed::Unusable { reason, .. } = request(&format!(r#"["1","add",[],{{}},"{}"]"#, "x".repeat(1_000_000)))
    else {
        panic!("it was used");
    };
    assert!(reason.len() < 300, "{reason}");
}

#[test]
fn bytes_that_are_not_json_are_an_error_that_says_where() {
    for body in ["", "[", "[1,]", "[\"1\",\"add\",[],{}] x", "[\"1\",\"add\",[1 2],{}]", "nul"] {
        let error = Request::parse(body.as_bytes().to_vec()).unwrap_err();
        assert!(matches!(&error, Error::Protocol { reason } if reason.contains("column")), "{body}: {error}");
    }
    assert!(Request::parse(b"[\"1\",\"\xff\",[],{}]".to_vec()).is_err());
    assert!(Request::parse(b"[\"1\",\"add\",[\"\xff\"],{}]".to_vec()).is_err());
}

#[test]
fn a_million_brackets_are_an_error_and_no_overflow() {
    assert!(Request::parse(vec![b'['; 1_000_000]).is_err());
    let nested = [b"[\"1\",\"add\",".to_vec(), vec![b'['; 500_000], vec![b']'; 500_000], b",{}]".to_vec()].concat();
    assert_eq!(message(Request::parse(nested).unwrap()).args().len(), 1_000_000);
}

#[test]
fn a_result_comes_back_as_it_was_written() {
    let envelope = ResultEnvelope::new("9");
    let body = [&envelope.head, br#"{"big":123456789012345678901234567890}"#.as_slice(), envelope.tail].concat();
    let answer = message(Response::parse(body).unwrap());
    assert_eq!(answer.id, "9");
    assert_eq!(answer.into_result().unwrap().as_slice(), br#"{"big":123456789012345678901234567890}"#);
}

#[test]
fn a_failure_comes_back_with_code_message_class_and_backtrace() {
    let failure = RemoteFailure {
        code: FailureCode::HandlerError,
        message: "boom \"quoted\"\n".to_owned(),
        class: Some("KeyError".to_owned()),
        backtrace: vec!["a.rb:1".to_owned(), "b.rb:2".to_owned()],
    };
    let answer = message(Response::parse(failure_response("9", &failure)).unwrap());
    assert_eq!(answer.into_result(), Err(Error::Remote(failure)));
}

#[test]
fn a_failure_that_no_handler_raised_says_its_code_and_no_more() {
    let failure = RemoteFailure::without_handler(FailureCode::InvalidParams, "no key");
    assert_eq!(failure_response("9", &failure), br#"["9",null,"no key",{"code":"invalid_params"}]"#);
    let answer = message(Response::parse(failure_response("9", &failure)).unwrap());
    assert_eq!(answer.into_result(), Err(Error::Remote(failure)));
}

#[test]
fn a_backtrace_is_cut_to_what_fits_and_not_further() {
    let failure = RemoteFailure {
        message: "deep".to_owned(),
        backtrace: (0..1000).map(|line| format!("\"a\".rb:{line}")).collect(),
        ..RemoteFailure::default()
    };
    let whole = failure_response("9", &failure).len();
    assert_eq!(*fit_backtrace("9", &failure, whole), failure);
    for max_length in [whole - 1, 1000, 200] {
        let body = failure_response("9", &fit_backtrace("9", &failure, max_length));
        assert!((max_length - 20..=max_length).contains(&body.len()), "{max_length}: {}", body.len());
        let Err(Error::Remote(cut)) = message(Response::parse(body).unwrap()).into_result() else {
            panic!("no failure");
        };
        assert_eq!(
            (&cut.message, cut.backtrace.as_slice()),
            (&failure.message, &failure.backtrace[..cut.backtrace.len()])
        );
    }
}

#[test]
fn a_request_that_crosses_no_socket_is_what_its_frame_would_be_parsed_to() {
    let timeout = Some(Duration::from_millis(1500));
    let local =
        Request::local(Some("7".to_owned()), "add \"all\"".to_owned(), timeout, b"[1, 2]", br#"{"base":10}"#, 100)
            .unwrap();
    let body = encoded(Some("7"), "add \"all\"", timeout, "[1, 2]", r#"{"base":10}"#);
    assert_eq!(local, message(Request::parse(body.clone()).unwrap()));
    let limit = body.len() - 1;
    let refused =
        Request::local(Some("7".to_owned()), "add \"all\"".to_owned(), timeout, b"[1, 2]", br#"{"base":10}"#, limit);
    assert!(matches!(refused, Err(Error::FrameTooLarge { .. })));
}

#[test]
fn a_response_that_crosses_no_socket_is_what_its_frame_would_be_parsed_to() {
    let result = Response::local_result("9", b"[1, 2]", 100).unwrap();
    assert_eq!(result, message(response(r#"["9",[1, 2],null]"#)));
    assert!(Response::local_result("9", b"[1, 2]", result.length() - 1).is_err());

    let failure = RemoteFailure { message: "boom".to_owned(), ..RemoteFailure::default() };
    let local = Response::local_failure("9", &failure, 100).unwrap();
    assert_eq!(local, message(Response::parse(failure_response("9", &failure)).unwrap()));
    assert!(Response::local_failure("9", &failure, local.length() - 1).is_err());
}

#[test]
fn a_message_is_not_cut() {
    let failure = RemoteFailure { message: "x".repeat(100), ..RemoteFailure::default() };
    assert_eq!(*fit_backtrace("9", &failure, 50), failure);
}

#[test]
fn a_failure_needs_no_detail() {
    let answer = message(response(r#"["9",null,"boom"]"#));
    let failure = RemoteFailure { message: "boom".to_owned(), ..RemoteFailure::default() };
    assert_eq!(answer.into_result(), Err(Error::Remote(failure)));
}

#[test]
fn of_members_with_the_same_name_the_last_one_counts() {
    let call = message(request(r#"["1","add",[],{},{"timeout_ms":"no","timeout_ms":2,"later":1,"later":2}]"#));
    assert_eq!(call.timeout, Some(Duration::from_millis(2)));
    let answer = message(response(r#"["9",null,"boom",{"class":"First","class":"Last","backtrace":["a.rb:1"]}]"#));
    let failure = answer.into_result().unwrap_err();
    assert!(matches!(failure, Error::Remote(failure) if failure.class.as_deref() == Some("Last")));
}

#[test]
fn a_missing_method_is_an_error_of_its_own() {
    let answer = message(response(r#"["9",null,"gone",{"code":"no_handler"}]"#));
    assert!(matches!(answer.into_result(), Err(Error::NoHandler(failure)) if failure.message == "gone"));
}

#[test]
fn a_code_that_is_not_known_yet_is_as_if_there_were_none() {
    let answer = message(response(r#"["9",null,"full",{"code":"of a later version"}]"#));
    assert!(matches!(answer.into_result(), Err(Error::Remote(failure)) if failure.code == FailureCode::HandlerError));
}

#[test]
fn json_that_is_no_response_is_something_else() {
    for body in [
        "[]",
        r#"["9"]"#,
        r#"["9",1]"#,
        r#"[null,1,null]"#,
        r#"["9",1,2]"#,
        r#"["9",1,null,[]]"#,
        r#"["9",1,null,{"class":1}]"#,
        r#"["9",1,null,{"code":1}]"#,
        r#"["9",1,null,{"backtrace":null}]"#,
        r#"["9",1,null,{},1]"#,
    ] {
        assert_eq!(response(body), Parsed::Unrecognized, "{body}");
    }
}

#[test]
fn a_document_keeps_the_white_space_around_it() {
    let answer = message(response("[\"1\", [7, {\"a\" : [1,2]}\n] ,null]")).into_result().unwrap();
    assert_eq!(parse_document(answer), Ok(Some((7, b" {\"a\" : [1,2]}\n".to_vec()))));
}

#[test]
fn a_document_is_read_by_key_and_known_generation() {
    assert_eq!(
        message(request(r#"["1","rpc.document",["config",null],{}]"#)).document_params(),
        Some(("config".to_owned(), None))
    );
    assert_eq!(
        message(request(r#"["1","rpc.document",["config",3],{}]"#)).document_params(),
        Some(("config".to_owned(), Some(3)))
    );
    for args in ["[]", "[1,2]", r#"["config"]"#, r#"["config",-1]"#, r#"["config",1,2]"#] {
        assert_eq!(message(request(&format!(r#"["1","rpc.document",{args},{{}}]"#))).document_params(), None, "{args}");
    }
}

#[test]
fn a_timeout_is_rounded_up_to_milliseconds() {
    let body = encoded(Some("1"), "add", Some(Duration::from_micros(1_001)), "[]", "{}");
    assert_eq!(body, br#"["1","add",[],{},{"timeout_ms":2}]"#);
}

#[test]
fn a_timeout_beyond_what_a_server_takes_is_the_longest_that_it_takes() {
    let body = encoded(Some("1"), "add", Some(Duration::MAX), "[]", "{}");
    assert_eq!(message(Request::parse(body).unwrap()).timeout, Some(Duration::from_millis(u64::MAX)));
}

proptest! {
    #[test]
    fn what_is_encoded_is_parsed_back(id in proptest::option::of(".*"), name in ".*", wait in proptest::option::of(0u64..1 << 50)) {
        let timeout = wait.map(Duration::from_millis);
        let body = encoded(id.as_deref(), &name, timeout, "[null]", r#"{"a":1}"#);
        let request = message(Request::parse(body).unwrap());
        prop_assert_eq!(&request.id, &id);
        prop_assert_eq!(&request.name, &name);
        prop_assert_eq!(request.timeout, timeout);
        prop_assert_eq!(request.args(), b"[null]");
        prop_assert_eq!(request.kwargs(), br#"{"a":1}"#);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Request::parse(body.clone());
        let _ = Response::parse(body);
    }

    #[test]
    fn no_json_like_text_makes_the_parser_panic(body in r#"[\[\]{}",:0-9a-z\\ -]{0,80}"#) {
        let _ = Request::parse(body.clone().into_bytes());
        let _ = Response::parse(body.into_bytes());
    }
}
