//! Notifications are handled in order, bounded, and read to the end when the server stops.

mod support;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::peer::Peer;
use support::recorder::{Recorder, SENDER};
use support::{PATIENCE, TestServer, eventually, stat_of};
use zen_ipc::{Client, ClientOptions, Error, NoHost, Phase, ServerOptions};

fn notify(client: &Client, number: usize) -> zen_ipc::Result<()> {
    client.notify("seen", format!("[{number}]").as_bytes(), b"{}", PATIENCE, &NoHost)
}

fn send_number(peer: &mut Peer, number: usize) {
    peer.send_frame(format!("[null,\"seen\",[{number}],{{}}]").as_bytes());
}

#[test]
fn those_of_a_client_are_handled_in_the_order_in_which_they_were_sent() {
    let recorder = Recorder::new();
    let client = recorder.server.client();
    (0..2000).for_each(|number| notify(&client, number).unwrap());
    recorder.wait_for(2000);
    assert_eq!(recorder.numbers(), (0..2000).collect::<Vec<_>>());
    assert_eq!(stat_of(&client, "connects"), 1);
    assert_eq!((recorder.server.stat("notifications"), recorder.server.stat("requests")), (2000, 0));
}

#[test]
fn those_of_each_thread_are_handled_in_order_and_by_one_thread_of_the_server() {
    let recorder = Recorder::new();
    let client = recorder.server.client();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let client = &client;
            scope.spawn(move || (0..500).for_each(|number| notify(client, thread * 1000 + number).unwrap()));
        }
    });
    recorder.wait_for(2000);
    for thread in 0..4 {
        let own: Vec<_> = recorder.numbers().into_iter().filter(|number| number / 1000 == thread).collect();
        assert_eq!(own, (thread * 1000..thread * 1000 + 500).collect::<Vec<_>>());
    }
    assert_eq!(recorder.server.stat("threads") - recorder.server.stat("spare_threads"), 1);
}

#[test]
fn a_client_whose_connection_ended_goes_on_over_another_and_in_order() {
    let recorder = Recorder::new();
    let client = recorder
        .server
        .client_with(ClientOptions { idle_timeout: Duration::from_nanos(1), ..ClientOptions::default() });
    (0..50).for_each(|number| notify(&client, number).unwrap());
    recorder.wait_for(50);
    assert_eq!(recorder.numbers(), (0..50).collect::<Vec<_>>());
    // More than 50 if one was refused for a moment because too many waited.
    assert!(stat_of(&client, "connects") >= 50);
}

#[test]
fn another_connection_of_a_sender_is_served_when_the_one_before_it_has_ended() {
    let recorder = Recorder::waiting();
    let (mut first, _) = recorder.carrier();
    (0..3).for_each(|number| send_number(&mut first, number));
    let (mut second, answer) = recorder.carrier();
    assert_eq!(answer, "[\"1\",true,null]");
    (3..5).for_each(|number| send_number(&mut second, number));
    (0..5).for_each(|_| recorder.permit());
    recorder.wait_for(3);
    // The second connection's notifications arrived as long ago as the first one's.
    assert_eq!(recorder.numbers(), [0, 1, 2]);
    drop(first);
    recorder.wait_for(5);
    assert_eq!(recorder.numbers(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_connection_that_ends_while_it_waits_for_its_turn_is_read_all_the_same() {
    let recorder = Recorder::waiting();
    let (mut first, _) = recorder.carrier();
    send_number(&mut first, 0);
    for number in 1..=3 {
        let (mut next, _) = recorder.carrier();
        send_number(&mut next, number);
    }
    drop(first);
    (0..4).for_each(|_| recorder.permit());
    recorder.wait_for(4);
    assert_eq!(recorder.numbers(), [0, 1, 2, 3]);
    eventually("the end of the connections", || recorder.server.stat("connections") == 0);
}

#[test]
fn too_many_connections_of_a_sender_are_refused_until_one_has_ended() {
    let recorder = Recorder::new();
    let mut carriers: Vec<_> = (0..4).map(|_| recorder.carrier()).collect();
    assert!(carriers.iter().all(|(_, answer)| answer == "[\"1\",true,null]"));
    let (mut refused, answer) = recorder.carrier();
    assert_eq!(answer, "[\"1\",false,null]");
    // The refused connection still carries calls.
    refused.send_frame(b"[\"2\",\"ping\",[],{}]");
    assert_eq!(refused.receive_frame(), b"[\"2\",\"pong\",null]");
    carriers.remove(0);
    eventually("room for another", || recorder.carrier().1 == "[\"1\",true,null]");
}

#[test]
fn a_client_whose_earlier_connections_are_not_read_waits_and_gets_a_timeout() {
    let recorder = Recorder::waiting();
    let client = recorder.server.client();
    let large = format!("[\"{}\"]", "x".repeat(20_000_000));
    for number in 0..4 {
        // Connects first, so that the next notification's timeout covers sending only.
        notify(&client, number).unwrap();
        let sent = client.notify("seen", large.as_bytes(), b"{}", Duration::from_millis(200), &NoHost);
        assert!(matches!(sent, Err(Error::Timeout { phase: Phase::Send, .. })), "{sent:?}");
    }
    let refused = client.notify("seen", b"[]", b"{}", Duration::from_millis(200), &NoHost);
    assert!(matches!(refused, Err(Error::Timeout { .. })), "{refused:?}");
    eventually("the end of those that were refused", || recorder.server.stat("connections") == 4);
    (0..5).for_each(|_| recorder.permit());
    // Each of the four connections ends in the middle of a frame.
    notify(&client, 4).unwrap();
    recorder.wait_for(5);
    assert_eq!(recorder.numbers(), [0, 1, 2, 3, 4]);
}

#[test]
fn when_the_handler_falls_behind_the_sender_waits_and_calls_are_answered_meanwhile() {
    let recorder = Recorder::waiting();
    let client = recorder.server.client();
    let args = format!("[\"{}\"]", "x".repeat(10_000));
    let send = || client.notify("seen", args.as_bytes(), b"{}", Duration::from_millis(50), &NoHost);
    let refused = (0..10_000).map(|_| send()).find(|sent| sent.is_err());
    assert!(matches!(refused, Some(Err(Error::Timeout { .. }))), "{refused:?}");
    client.invoke("any", b"[]", b"{}", PATIENCE, &NoHost).unwrap();
    assert!(recorder.server.stat("threads") < 10);
    drop(recorder.permits);
}

#[test]
fn a_call_over_the_connection_of_notifications_is_answered_in_its_turn() {
    let recorder = Recorder::new();
    let (mut peer, _) = recorder.carrier();
    send_number(&mut peer, 0);
    peer.send_frame(b"[\"2\",\"any\",[],{}]");
    send_number(&mut peer, 1);
    assert_eq!(peer.receive_frame(), b"[\"2\",null,null]");
    recorder.wait_for(2);
}

#[test]
fn an_invalid_sender_and_a_second_one_are_answered_with_an_error() {
    let recorder = Recorder::new();
    let mut peer = recorder.peer();
    for args in
        ["[]", "[1]", "[\"\"]", "[\"+0112233445566778899aabbccddeeff\"]", "[\"00112233445566778899aabbccddeeff\",1]"]
    {
        peer.send_frame(format!("[\"1\",\"rpc.notifications\",{args},{{}}]").as_bytes());
        let answer = String::from_utf8(peer.receive_frame()).unwrap();
        assert!(answer.contains("rpc.notifications takes [sender]"), "{args}: {answer}");
    }
    let (mut peer, _) = recorder.carrier();
    peer.send_frame(format!("[\"2\",\"rpc.notifications\",{SENDER},{{}}]").as_bytes());
    assert!(String::from_utf8(peer.receive_frame()).unwrap().contains("once for each connection"));
    send_number(&mut peer, 7);
    recorder.wait_for(1);
}

#[test]
fn those_over_a_connection_for_calls_are_handled_and_delay_none_of_its_calls() {
    let recorder = Recorder::waiting();
    let mut peer = recorder.peer();
    (0..3).for_each(|number| send_number(&mut peer, number));
    peer.send_frame(b"[\"1\",\"any\",[],{}]");
    assert_eq!(peer.receive_frame(), b"[\"1\",null,null]");
    (0..3).for_each(|_| recorder.permit());
    recorder.wait_for(3);
}

#[test]
fn a_handler_thread_that_dies_loses_one_notification_and_the_next_ones_follow_in_order() {
    let (seen, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (record, counted) = (seen.clone(), count.clone());
    let server = TestServer::start(move |call| {
        counted.fetch_add(1, Ordering::SeqCst);
        assert_ne!(call.args(), b"[1]", "a thread dies, on purpose");
        record.lock().unwrap().push(call.args().to_vec());
        Ok(None)
    });
    let client = server.client();
    (0..20).for_each(|number| notify(&client, number).unwrap());
    eventually("every notification", || count.load(Ordering::SeqCst) == 20);
    let expected: Vec<_> =
        (0..20).filter(|number| *number != 1).map(|number| format!("[{number}]").into_bytes()).collect();
    eventually("the last one", || *seen.lock().unwrap() == expected);
    assert_eq!(stat_of(&client, "connects"), 1);
}

#[test]
fn notifications_sent_before_a_stop_are_handled_also_if_their_sender_has_ended() {
    let recorder = Recorder::waiting();
    let client = recorder.server.client();
    let args = format!("[\"{}\"]", "x".repeat(1000));
    // More than the receiving side of the connection buffers.
    let send = || client.notify("seen", args.as_bytes(), b"{}", Duration::from_millis(50), &NoHost);
    let sent = (0..5000).take_while(|_| send().is_ok()).count();
    assert!(sent > 500, "{sent}");
    client.close();
    assert!(recorder.server.server.stop_accepting());
    (0..=sent).for_each(|_| recorder.permit());
    eventually("the end of the connection", || recorder.server.stat("connections") == 0);
    assert_eq!(recorder.seen.lock().unwrap().len(), sent);
    assert_eq!(recorder.server.server.close_connections(PATIENCE, &NoHost), Ok(0));
}

#[test]
fn connections_that_wait_for_their_turn_are_read_also_after_stopping_began() {
    let recorder = Recorder::waiting();
    let (mut first, _) = recorder.carrier();
    send_number(&mut first, 0);
    let (mut second, _) = recorder.carrier();
    send_number(&mut second, 1);
    recorder.server.server.stop_accepting();
    (0..2).for_each(|_| recorder.permit());
    recorder.wait_for(2);
    assert_eq!(recorder.numbers(), [0, 1]);
    assert_eq!((first.rest(), second.rest()), (Vec::new(), Vec::new()));
}

#[test]
fn a_client_learns_that_the_server_stops_at_its_next_notification() {
    let recorder = Recorder::waiting();
    let client = recorder.server.client();
    notify(&client, 0).unwrap();
    eventually("the notification", || recorder.server.stat("notifications") == 1);
    recorder.server.server.stop_accepting();
    let refused = notify(&client, 1);
    assert!(matches!(refused, Err(Error::ConnectionRefused { .. })), "{refused:?}");
    recorder.permit();
    recorder.wait_for(1);
    eventually("the end of the connection", || recorder.server.stat("connections") == 0);
}

#[test]
fn notifications_that_no_thread_handles_in_time_are_counted_at_the_end_of_a_stop() {
    let server = zen_ipc::Server::bind(ServerOptions::default(), zen_ipc::Secret::generate().unwrap()).unwrap();
    // This supervisor starts no threads, as if all had been killed.
    let supervisor = server.start().unwrap().unwrap();
    let zen_ipc::server::Task::SpawnThread(mut handler_thread) = supervisor.next_task(&NoHost).unwrap().unwrap() else {
        panic!("a server that was just started needs a thread");
    };
    let client = Client::new(server.address(), server.secret().clone(), ClientOptions::default()).unwrap();
    std::thread::scope(|scope| {
        // The first is being handled until its thread exits; the rest waits behind it.
        scope.spawn(|| {
            handler_thread.next_call(&NoHost).unwrap().unwrap();
            server.stop_accepting();
            handler_thread.exit();
        });
        (0..1000).for_each(|number| {
            // Notifications sent after the stop began need not be taken.
            let _ = notify(&client, number);
        });
    });
    client.close();
    let (sent, dropped) = (stat_of(&client, "notifications"), server.close_connections(PATIENCE, &NoHost).unwrap());
    assert!((1..=sent).contains(&dropped), "{dropped} of {sent}");
    assert_eq!(server.close_connections(PATIENCE, &NoHost), Ok(0));
}
