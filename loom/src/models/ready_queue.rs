//! Models of the ready queue: connections that arrive, handler threads that come and go, and closing.

use std::sync::Arc;

use mio::fake_kernel::{Descriptor, Peeked};

use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::documents::DocumentStore;
use crate::metrics::ServerCounters;
use crate::options::ServerOptions;
use crate::runner::Model;
use crate::server::dispatcher::Dispatcher;
use crate::server::ready_queue::{Popped, ReadyQueue};
use crate::server::session::Session;
use crate::server::supervisor::{Supervisor, Task};
use crate::sys::fork::ProcessLocal;
use crate::sys::notifier::Notifier;
use crate::sys::sync::thread;
use crate::wait::NoHost;

pub(crate) const MODELS: [Model; 3] = [
    Model {
        name: "every queued connection is served by one handler thread, and no thread spins",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 3,
        run: connections_are_queued,
    },
    Model {
        name: "closing the ready queue ends every handler thread and every queued connection",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 4,
        run: queue_closes,
    },
    Model {
        name: "a connection that arrives while no handler thread is idle gets a new one from the supervisor",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 4,
        run: supervisor_spawns_threads,
    },
];

struct Fixture {
    ready_queue: ReadyQueue,
    served: Notifier,
}

impl Fixture {
    /// A queue that expects two handler threads, which are started later.
    fn new() -> Arc<Self> {
        let ready_queue = ReadyQueue::new(2, 4).unwrap();
        assert!(ready_queue.try_add_thread() && ready_queue.try_add_thread() && !ready_queue.try_add_thread());
        Arc::new(Self { ready_queue, served: Notifier::new().unwrap() })
    }

    /// Serves one connection after the other.
    fn serve(&self) {
        loop {
            match self.ready_queue.pop_blocking().unwrap() {
                Popped::Session(session) => {
                    drop(session);
                    self.ready_queue.release();
                    self.served.notify();
                }
                Popped::Exit => return,
                Popped::Interrupted => panic!("there are no signals"),
            }
        }
    }

    fn wait_for_one_served(&self) {
        self.served.wait(&Deadline::never()).unwrap();
        self.served.consume();
    }
}

fn connections_are_queued() {
    let fixture = Fixture::new();
    let handler_threads = [(); 2].map(|()| spawn(&fixture, Fixture::serve));
    let dispatcher = dispatcher();
    let workers = [(); 2].map(|()| {
        let (session, worker) = connection(&dispatcher);
        fixture.ready_queue.push(session);
        worker
    });
    for _ in &workers {
        fixture.wait_for_one_served();
    }
    assert_eq!(dispatcher.state.connection_count(), 0);
    assert_eq!(fixture.ready_queue.thread_counts(), (2, 2));
    assert!(fixture.ready_queue.close().is_empty());
    for handler_thread in handler_threads {
        handler_thread.join().unwrap();
    }
    assert_eq!(fixture.ready_queue.thread_counts(), (0, 0));
}

fn queue_closes() {
    let fixture = Fixture::new();
    let handler_threads = [(); 2].map(|()| spawn(&fixture, Fixture::serve));
    let (session, worker) = connection(&dispatcher());
    let entering = spawn(&fixture, |fixture| fixture.ready_queue.push(session));
    drop(fixture.ready_queue.close());
    entering.join().unwrap();
    for handler_thread in handler_threads {
        handler_thread.join().unwrap();
    }
    assert_eq!(worker.inbox().peek(), Peeked::End);
    assert_eq!(fixture.ready_queue.thread_counts(), (0, 0));
}

fn supervisor_spawns_threads() {
    let options = ServerOptions { spare_threads: 1, max_threads: 2, ..ServerOptions::default() };
    let dispatcher =
        Dispatcher::new(&options, Arc::new(DocumentStore::new(0)), Arc::new(ServerCounters::default())).unwrap();
    let supervisor = Supervisor::new(dispatcher.clone());
    let supervisor = thread::spawn(move || {
        let mut handler_threads = Vec::new();
        while let Some(task) = supervisor.next_task(&NoHost).unwrap() {
            let Task::SpawnThread(mut handler_thread) = task else { panic!("nothing is logged here: {task:?}") };
            handler_threads.push(thread::spawn(move || assert!(handler_thread.next_call(&NoHost).unwrap().is_none())));
        }
        handler_threads
    });
    let workers = [(); 2].map(|()| {
        let (here, worker) = Descriptor::socket_pair();
        dispatcher.register(Arc::new(ProcessLocal::new(here)));
        assert!(worker.send(b"[\"1\",\"ping\",[],{}]".to_vec()));
        worker
    });
    for worker in &workers {
        assert_eq!(worker.inbox().receive(), [b"[\"1\",\"pong\",null]"]);
    }
    dispatcher.close();
    // Stands in for the acceptor, without which the model is small enough.
    dispatcher.state.acceptor_exited();
    dispatcher.shut_down_receiving();
    for handler_thread in supervisor.join().unwrap() {
        handler_thread.join().unwrap();
    }
    assert_eq!(dispatcher.ready_queue.thread_counts(), (0, 0));
}

fn dispatcher() -> Arc<Dispatcher> {
    Dispatcher::new(&ServerOptions::default(), Arc::new(DocumentStore::new(0)), Arc::new(ServerCounters::default()))
        .unwrap()
}

/// An authenticated connection, and the worker's end of it.
fn connection(dispatcher: &Arc<Dispatcher>) -> (Box<Session>, Descriptor) {
    let (here, worker) = Descriptor::socket_pair();
    let socket = Arc::new(ProcessLocal::new(here));
    let number = dispatcher.state.insert(socket.clone());
    (Session::new(Connection::new(socket, 0), dispatcher, number), worker)
}

fn spawn<T: 'static>(fixture: &Arc<Fixture>, act: impl FnOnce(&Fixture) -> T + 'static) -> thread::JoinHandle<T> {
    let fixture = fixture.clone();
    thread::spawn(move || act(&fixture))
}
