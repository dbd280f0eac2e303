//! Models of early responses: a connection whose handler has answered and still runs passes between its handler thread,
//! the acceptor and the next handler thread.

use std::sync::Arc;

use mio::fake_kernel::Descriptor;

use super::acceptor as acceptor_model;
use crate::deadline::Deadline;
use crate::documents::DocumentStore;
use crate::metrics::ServerCounters;
use crate::options::ServerOptions;
use crate::runner::Model;
use crate::server::call::Call;
use crate::server::dispatcher::Dispatcher;
use crate::server::handler_thread::HandlerThread;
use crate::sys::fork::ProcessLocal;
use crate::sys::notifier::Notifier;
use crate::sys::sync::thread::{self, JoinHandle};
use crate::sys::sync::{Mutex, lock};
use crate::wait::NoHost;

pub(crate) const MODELS: [Model; 6] = [
    Model {
        name: "a handler ends right after its response, as the next request arrives: each is answered once, in order",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 3,
        run: handler_ends,
    },
    Model {
        name: "a handler continues after its response: another handler thread serves the next request",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 4,
        run: handler_continues,
    },
    Model {
        name: "a handler ends while another thread responds for it: one response, and the connection stays",
        preemptions: 2,
        quick_preemptions: 2,
        threads: 4,
        run: another_thread_responds,
    },
    Model {
        name: "a call follows a notification: it is answered, also if both were read at once",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 4,
        run: call_follows_notification,
    },
    Model {
        name: "a handler thread is killed in a call: its caller gets an error, and another thread serves the connection",
        preemptions: 3,
        quick_preemptions: 1,
        threads: 4,
        run: handler_thread_is_killed,
    },
    Model {
        name: "the server stops as a handler responds early: every thread and the connection end",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 3,
        run: server_stops,
    },
];

/// A started server with one connection.
struct Fixture {
    dispatcher: Arc<Dispatcher>,
    acceptor: JoinHandle<()>,
    worker: Descriptor,
}

impl Fixture {
    fn new() -> Self {
        let options = ServerOptions { spare_threads: 2, ..ServerOptions::default() };
        let dispatcher =
            Dispatcher::new(&options, Arc::new(DocumentStore::new(0)), Arc::new(ServerCounters::default())).unwrap();
        let acceptor = acceptor_model::spawn_acceptor(&dispatcher, Arc::default(), &options);
        let (here, worker) = Descriptor::socket_pair();
        dispatcher.register(Arc::new(ProcessLocal::new(here)));
        Self { dispatcher, acceptor, worker }
    }

    fn handler_thread(&self, handle: impl Fn(&Call) + 'static) -> JoinHandle<()> {
        self.handler_thread_of(move |call| handle(&call))
    }

    fn handler_thread_of(&self, handle: impl Fn(Arc<Call>) + 'static) -> JoinHandle<()> {
        let mut handler_thread = HandlerThread::try_add(&self.dispatcher).unwrap();
        thread::spawn(move || {
            while let Some(call) = handler_thread.next_call(&NoHost).unwrap() {
                handle(call);
                handler_thread.finish_call(None, &NoHost).unwrap();
            }
        })
    }

    /// Calls as a worker does, and checks that the response belongs to this call.
    fn call(&self, id: &str) {
        self.send_call(id);
        assert_eq!(self.response(), format!("[\"{id}\",[{id}],null]"));
    }

    fn send_call(&self, id: &str) {
        assert!(self.worker.send(format!("[\"{id}\",\"echo\",[{id}],{{}}]").into_bytes()));
    }

    /// Waits for a response, and checks that there is only one.
    fn response(&self) -> String {
        let answers = self.worker.inbox().receive();
        assert_eq!(answers.len(), 1, "{answers:?}");
        String::from_utf8(answers.into_iter().flatten().collect()).unwrap()
    }

    /// Does the same as `Server::stop_accepting`.
    fn stop(self, handler_threads: impl IntoIterator<Item = JoinHandle<()>>) {
        self.dispatcher.close();
        self.acceptor.join().unwrap();
        assert!(self.dispatcher.state.has_shut_down());
        self.dispatcher.shut_down_receiving();
        for handler_thread in handler_threads {
            handler_thread.join().unwrap();
        }
        assert!(self.worker.inbox().receive().is_empty());
        assert_eq!(self.dispatcher.state.connection_count(), 0);
        assert_eq!(self.dispatcher.ready_queue.thread_counts(), (0, 0));
    }
}

fn handler_ends() {
    let fixture = Fixture::new();
    let handler_thread = fixture.handler_thread(respond);
    fixture.call("1");
    fixture.call("2");
    fixture.stop([handler_thread]);
}

fn handler_continues() {
    let fixture = Fixture::new();
    let may_end = Arc::new(Notifier::new().unwrap());
    let handler_threads = [(); 2].map(|()| {
        let may_end = may_end.clone();
        fixture.handler_thread(move |call| {
            respond(call);
            if call.args() == b"[1]" {
                may_end.wait(&Deadline::never()).unwrap();
            }
        })
    });
    fixture.call("1");
    fixture.call("2");
    may_end.notify();
    fixture.stop(handler_threads);
}

fn another_thread_responds() {
    let fixture = Fixture::new();
    let handed = Arc::new((Mutex::new(None), Notifier::new().unwrap()));
    let to_other = handed.clone();
    let handler_thread = fixture.handler_thread_of(move |call| {
        if call.args() == b"[1]" {
            *lock(&to_other.0) = Some(call);
            to_other.1.notify();
        } else {
            respond(&call);
        }
    });
    let other = thread::spawn(move || {
        handed.1.wait(&Deadline::never()).unwrap();
        let call = lock(&handed.0).take().unwrap();
        call.respond(b"[1]", &NoHost).unwrap()
    });
    fixture.send_call("1");
    let answer = fixture.response();
    let was_first = other.join().unwrap();
    assert_eq!(answer, if was_first { "[\"1\",[1],null]" } else { "[\"1\",null,null]" });
    fixture.call("2");
    fixture.stop([handler_thread]);
}

fn call_follows_notification() {
    let fixture = Fixture::new();
    let may_end = Arc::new(Notifier::new().unwrap());
    let handler_threads = [(); 2].map(|()| {
        let may_end = may_end.clone();
        fixture.handler_thread(move |call| {
            if call.is_notification() {
                may_end.wait(&Deadline::never()).unwrap();
            } else {
                respond(call);
            }
        })
    });
    assert!(fixture.worker.send(b"[null,\"seen\",[],{}]".to_vec()));
    fixture.call("1");
    may_end.notify();
    fixture.stop(handler_threads);
}

fn handler_thread_is_killed() {
    let fixture = Fixture::new();
    let mut ended = HandlerThread::try_add(&fixture.dispatcher).unwrap();
    let ended = thread::spawn(move || drop(ended.next_call(&NoHost).unwrap()));
    fixture.send_call("1");
    assert!(fixture.response().contains("was ended before it answered"));
    let other = fixture.handler_thread(respond);
    fixture.call("2");
    ended.join().unwrap();
    fixture.stop([other]);
}

fn server_stops() {
    let fixture = Fixture::new();
    let handler_thread = fixture.handler_thread(respond);
    fixture.call("1");
    fixture.stop([handler_thread]);
}

fn respond(call: &Call) {
    assert_eq!(call.respond(call.args(), &NoHost), Ok(true));
}
