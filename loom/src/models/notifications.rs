//! Models of notifications: they are handled one at a time and in order, whatever happens to their connection and to
//! the threads.

use std::sync::Arc;

use mio::fake_kernel::Descriptor;

use crate::deadline::Deadline;
use crate::documents::DocumentStore;
use crate::metrics::ServerCounters;
use crate::options::ServerOptions;
use crate::runner::Model;
use crate::server::call::Call;
use crate::server::dispatcher::Dispatcher;
use crate::server::handler_thread::HandlerThread;
use crate::sys::fork::ProcessLocal;
use crate::sys::sync::thread::{self, JoinHandle};
use crate::sys::sync::{Mutex, lock};
use crate::wait::NoHost;

pub(crate) const MODELS: [Model; 4] = [
    Model {
        name: "notifications of one connection are handled one at a time and in order, with an idle thread",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 3,
        run: another_thread_is_idle,
    },
    Model {
        name: "a sender's next connection is served after the one before was read to its end",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 3,
        run: sender_reconnects,
    },
    Model {
        name: "a handler thread is killed in a notification: another one handles the next, or it is counted",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 3,
        run: handler_thread_is_killed,
    },
    Model {
        name: "the server stops: notifications sent before are handled, also those behind an earlier connection",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 3,
        run: server_stops,
    },
];

/// A started server without an acceptor, and the numbers that its handlers have seen.
struct Fixture {
    dispatcher: Arc<Dispatcher>,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Fixture {
    fn new() -> Self {
        let options = ServerOptions { spare_threads: 2, ..ServerOptions::default() };
        let dispatcher =
            Dispatcher::new(&options, Arc::new(DocumentStore::new(0)), Arc::new(ServerCounters::default())).unwrap();
        Self { dispatcher, seen: Arc::default() }
    }

    /// A worker's connection that was declared to carry notifications, with some already sent.
    fn worker(&self, numbers: &[u8]) -> Descriptor {
        let (here, worker) = Descriptor::socket_pair();
        assert!(worker.send(b"[\"1\",\"rpc.notifications\",[\"00112233445566778899aabbccddeeff\"],{}]".to_vec()));
        for number in numbers {
            assert!(worker.send(format!("[null,\"seen\",[{number}],{{}}]").into_bytes()));
        }
        self.dispatcher.register(Arc::new(ProcessLocal::new(here)));
        worker
    }

    fn handler_thread(&self) -> JoinHandle<()> {
        let mut handler_thread = HandlerThread::try_add(&self.dispatcher).unwrap();
        let seen = self.seen.clone();
        thread::spawn(move || {
            while let Some(call) = handler_thread.next_call(&NoHost).unwrap() {
                note(&seen, &call);
                handler_thread.finish_call(None, &NoHost).unwrap();
            }
        })
    }

    /// Does the same as `Server::stop_accepting`.
    fn stop(&self, handler_threads: impl IntoIterator<Item = JoinHandle<()>>) {
        self.dispatcher.close();
        self.dispatcher.state.acceptor_exited();
        self.dispatcher.shut_down_receiving();
        for handler_thread in handler_threads {
            handler_thread.join().unwrap();
        }
        assert_eq!(self.dispatcher.ready_queue.thread_counts(), (0, 0));
    }

    /// As [`Fixture::stop`], and checks that everything was handled.
    fn stop_after_all(&self, handler_threads: impl IntoIterator<Item = JoinHandle<()>>) {
        self.stop(handler_threads);
        assert_eq!(self.dispatcher.state.connection_count(), 0);
    }
}

fn note(seen: &Mutex<Vec<u8>>, call: &Call) {
    let number = call.args().get(1).unwrap() - b'0';
    lock(seen).push(number);
}

fn another_thread_is_idle() {
    let fixture = Fixture::new();
    let handler_threads = [(); 2].map(|()| fixture.handler_thread());
    let worker = fixture.worker(&[1, 2, 3]);
    assert_eq!(worker.inbox().receive(), [b"[\"1\",true,null]"]);
    fixture.stop_after_all(handler_threads);
    assert_eq!(*lock(&fixture.seen), [1, 2, 3]);
}

fn sender_reconnects() {
    let fixture = Fixture::new();
    let handler_threads = [(); 2].map(|()| fixture.handler_thread());
    let first = fixture.worker(&[1, 2]);
    assert_eq!(first.inbox().receive(), [b"[\"1\",true,null]"]);
    drop(first);
    let second = fixture.worker(&[3]);
    assert_eq!(second.inbox().receive(), [b"[\"1\",true,null]"]);
    drop(second);
    fixture.stop_after_all(handler_threads);
    assert_eq!(*lock(&fixture.seen), [1, 2, 3]);
}

fn handler_thread_is_killed() {
    let fixture = Fixture::new();
    let mut ended = HandlerThread::try_add(&fixture.dispatcher).unwrap();
    let seen = fixture.seen.clone();
    let ended = thread::spawn(move || {
        // `None` if the other thread was faster.
        if let Some(call) = ended.next_call(&NoHost).unwrap() {
            note(&seen, &call);
        }
    });
    let other = fixture.handler_thread();
    let worker = fixture.worker(&[1, 2]);
    assert_eq!(worker.inbox().receive(), [b"[\"1\",true,null]"]);
    fixture.stop([ended, other]);
    // As in `drain_notifications`, if the other thread had exited before this one was killed.
    let skipped: u64 = fixture
        .dispatcher
        .ready_queue
        .seal()
        .into_iter()
        .map(|mut session| session.discard_notifications(&Deadline::never()).0)
        .sum();
    let expected = if skipped == 0 { vec![1, 2] } else { vec![1] };
    assert_eq!((lock(&fixture.seen).clone(), skipped as usize), (expected.clone(), 2 - expected.len()));
}

fn server_stops() {
    let fixture = Fixture::new();
    let first = fixture.worker(&[1]);
    let second = fixture.worker(&[2]);
    let handler_threads = [(); 2].map(|()| fixture.handler_thread());
    for worker in [&first, &second] {
        assert_eq!(worker.inbox().receive(), [b"[\"1\",true,null]"]);
    }
    fixture.stop_after_all(handler_threads);
    let mut seen = lock(&fixture.seen).clone();
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
}
