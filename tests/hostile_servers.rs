//! Something else listens on the parent's port: a client among broken and hostile servers.

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use support::fake_server::FakeServer;
use support::peer::{Peer, frame};
use support::{PATIENCE, stat_of};
use zen_ipc::protocol::handshake::{CLIENT_PROOF_LENGTH, MAC_LENGTH, ServerHandshake};
use zen_ipc::protocol::message::ResultText;
use zen_ipc::{Client, ClientOptions, Error, NoHost, Phase, Result, Secret};

/// Longer than a message takes to arrive on a busy machine, short enough to wait for.
const SHORT: Duration = Duration::from_millis(200);

#[test]
fn a_server_that_speaks_something_else_is_named_in_a_handshake_error() {
    let outcome = greeted_by(|peer| peer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
    assert!(matches!(&outcome, Err(Error::Handshake { reason }) if reason.contains("protocol")), "{outcome:?}");
}

#[test]
fn a_server_of_another_version_is_named_in_a_handshake_error() {
    let outcome = greeted_by(|peer| {
        let mut hello = ServerHandshake::new().unwrap().hello();
        hello[5] = 9;
        peer.write(&hello);
    });
    assert!(matches!(&outcome, Err(Error::Handshake { reason }) if reason.contains("version 9")), "{outcome:?}");
}

#[test]
fn a_server_that_closes_after_the_proof_does_not_know_the_secret() {
    let outcome = greeted_by(|peer| {
        peer.write(&ServerHandshake::new().unwrap().hello());
        peer.read::<CLIENT_PROOF_LENGTH>();
    });
    assert!(matches!(outcome, Err(Error::Handshake { .. })), "{outcome:?}");
}

#[test]
fn a_server_that_closes_before_its_greeting_is_whole_has_refused_the_connection() {
    for length in [0, 1, 37] {
        let outcome = greeted_by(|peer| peer.write(&ServerHandshake::new().unwrap().hello()[..length]));
        assert!(
            matches!(&outcome, Err(Error::ConnectionRefused { reason, .. }) if reason.contains("before the handshake")),
            "{outcome:?}"
        );
    }
}

#[test]
fn a_server_with_another_secret_is_not_believed() {
    let outcome = greeted_by(|peer| {
        let handshake = ServerHandshake::with_nonce([1; 32]);
        peer.write(&handshake.hello());
        // With a wrong secret it cannot compute the answer, so it sends made-up bytes.
        assert!(handshake.verify(&Secret::generate().unwrap(), &peer.read()).is_err());
        peer.write(&[7; MAC_LENGTH]);
        peer.rest();
    });
    assert_eq!(outcome, Err(Error::Handshake { reason: "the server does not know the secret".to_owned() }));
}

#[test]
fn a_server_that_returns_the_clients_own_proof_is_not_believed() {
    let outcome = greeted_by(|peer| {
        peer.write(&ServerHandshake::new().unwrap().hello());
        let proof = peer.read::<CLIENT_PROOF_LENGTH>();
        peer.write(&proof[CLIENT_PROOF_LENGTH - MAC_LENGTH..]);
        peer.rest();
    });
    assert_eq!(outcome, Err(Error::Handshake { reason: "the server does not know the secret".to_owned() }));
}

#[test]
fn a_silent_server_costs_at_most_the_handshake_timeout() {
    let server = FakeServer::bind();
    let client = server.client_with(ClientOptions { handshake_timeout: SHORT, ..ClientOptions::default() });
    let begin = Instant::now();
    let outcome = client.ping(Duration::from_secs(3600), &NoHost);
    assert!(matches!(outcome, Err(Error::Timeout { phase: Phase::Handshake, .. })), "{outcome:?}");
    assert!(begin.elapsed() < PATIENCE);
}

#[test]
fn a_connection_over_which_no_greeting_comes_is_given_up_for_another() {
    let server = FakeServer::bind();
    let client = server.client();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.start(&NoHost));
        let mut silent = server.accept();
        let _admitted = server.accept_authenticated();
        call.join().unwrap().unwrap();
        assert_eq!(silent.rest(), b"");
    });
    assert_eq!((stat_of(&client, "connects"), stat_of(&client, "failed_connects")), (1, 0));
}

#[test]
fn a_greeting_that_trickles_in_does_not_move_the_handshake_timeout() {
    let server = FakeServer::bind();
    let client = server.client_with(ClientOptions { handshake_timeout: SHORT, ..ClientOptions::default() });
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.ping(PATIENCE, &NoHost));
        let mut peer = server.accept();
        let hello = ServerHandshake::new().unwrap().hello();
        let sent =
            hello.iter().take_while(|byte| peer.stream.write(&[**byte]).is_ok() && !peer.ends_within(SHORT / 10));
        assert!(sent.count() < hello.len());
        let outcome = call.join().unwrap();
        assert!(matches!(outcome, Err(Error::Timeout { phase: Phase::Handshake, .. })), "{outcome:?}");
    });
}

#[test]
fn the_answer_to_another_call_is_an_error_and_ends_the_connection() {
    let outcome = answered_by(|peer| peer.send_frame(b"[\"another\",1,null]"));
    assert!(matches!(&outcome, Err(Error::Protocol { reason }) if reason.contains("another")), "{outcome:?}");
}

#[test]
fn an_answer_that_is_not_json_is_an_error_and_ends_the_connection() {
    for body in [b"".as_slice(), b"pong", b"[\"1\",1,null", b"[\"1\",\"\xff\",null]"] {
        let outcome = answered_by(|peer| peer.send_frame(body));
        assert!(matches!(outcome, Err(Error::Protocol { .. })), "{outcome:?}");
    }
}

#[test]
fn an_answer_of_a_length_over_the_limit_is_an_error_and_ends_the_connection() {
    let outcome = answered_by(|peer| peer.write(&[0xff; 4]));
    assert!(matches!(outcome, Err(Error::FrameTooLarge { size: 0xffff_ffff, .. })), "{outcome:?}");
}

#[test]
fn an_answer_cut_at_any_byte_is_a_disconnection() {
    let answer = frame(b"[\"1\",1,null]");
    for cut in 0..answer.len() {
        let outcome = answered_by(|peer| {
            peer.write(&answer[..cut]);
            peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
        });
        assert_eq!(outcome, Err(Error::Disconnected { phase: Phase::Response }), "{cut} bytes");
    }
}

#[test]
fn json_that_is_no_answer_is_skipped_and_counted() {
    let server = FakeServer::bind();
    let client = server.client();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| invoke(&client, PATIENCE));
        let mut peer = server.accept_authenticated();
        peer.receive_frame();
        for other in [b"null".as_slice(), b"{}", b"[1,2,null]", b"[null,\"name\",[],{}]"] {
            peer.send_frame(other);
        }
        peer.send_frame(b"[\"1\",5,null]");
        assert_eq!(call.join().unwrap().unwrap().as_slice(), b"5");
    });
    assert_eq!(stat_of(&client, "skipped_messages"), 4);
    assert_eq!(stat_of(&client, "idle_connections"), 1);
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_an_answer() {
    let server = FakeServer::bind();
    let client = server.client();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| invoke(&client, PATIENCE));
        let mut peer = server.accept_authenticated();
        peer.receive_frame();
        for byte in frame(b"[\"1\",{\"a\":\"\\u00e9\"},null]") {
            peer.write(&[byte]);
        }
        assert_eq!(call.join().unwrap().unwrap().as_slice(), b"{\"a\":\"\\u00e9\"}");
    });
}

#[test]
fn a_connection_whose_answer_came_too_late_is_never_used_again() {
    let server = FakeServer::bind();
    let client = server.client();
    std::thread::scope(|scope| {
        let punctual = scope.spawn(|| invoke(&client, PATIENCE));
        let mut first = server.accept_authenticated();
        first.receive_frame();
        first.send_frame(b"[\"1\",\"in time\",null]");
        punctual.join().unwrap().unwrap();

        let late = scope.spawn(|| invoke(&client, SHORT));
        first.receive_frame();
        first.write(&frame(b"[\"2\",\"late\",null]")[..6]);
        let outcome = late.join().unwrap();
        assert!(matches!(outcome, Err(Error::Timeout { phase: Phase::Response, .. })), "{outcome:?}");
        assert_eq!(first.rest(), b"");

        let next = scope.spawn(|| invoke(&client, PATIENCE));
        let mut second = server.accept_authenticated();
        assert!(second.receive_frame().starts_with(b"[\"3\","));
        second.send_frame(b"[\"3\",\"in time\",null]");
        assert_eq!(next.join().unwrap().unwrap().as_slice(), b"\"in time\"");
    });
    assert_eq!((stat_of(&client, "connects"), stat_of(&client, "timeouts")), (2, 1));
}

#[test]
fn a_connection_over_which_something_came_unasked_is_never_used_again() {
    let server = FakeServer::bind();
    let client = server.client();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| invoke(&client, PATIENCE));
        let mut first = server.accept_authenticated();
        first.receive_frame();
        first.write(&[frame(b"[\"1\",1,null]"), frame(b"[\"2\",\"forged\",null]")].concat());
        call.join().unwrap().unwrap();

        let next = scope.spawn(|| invoke(&client, PATIENCE));
        let mut second = server.accept_authenticated();
        second.receive_frame();
        second.send_frame(b"[\"2\",2,null]");
        assert_eq!(next.join().unwrap().unwrap().as_slice(), b"2");
    });
}

/// The error of a call if the server sends only this.
fn greeted_by(greeting: impl FnOnce(&mut Peer)) -> Result<()> {
    let server = FakeServer::bind();
    let client = server.client();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| client.ping(PATIENCE, &NoHost));
        greeting(&mut server.accept());
        call.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The error of a call if the server answers with this, and then waits for the client to close the connection.
fn answered_by(answer: impl FnOnce(&mut Peer)) -> Result<ResultText> {
    let server = FakeServer::bind();
    let client = server.client();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| invoke(&client, PATIENCE));
        let mut peer = server.accept_authenticated();
        peer.receive_frame();
        answer(&mut peer);
        assert_eq!(peer.rest(), b"");
        call.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn invoke(client: &Client, timeout: Duration) -> Result<ResultText> {
    client.invoke("method", b"[]", b"{}", timeout, &NoHost)
}
