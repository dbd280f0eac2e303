//! Models of the acceptor: clients that connect at once, while accepting pauses, and while the server stops.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mio::fake_kernel::Descriptor;

use crate::documents::DocumentStore;
use crate::metrics::ServerCounters;
use crate::options::ServerOptions;
use crate::runner::Model;
use crate::secret::Secret;
use crate::server::acceptor;
use crate::server::dispatcher::Dispatcher;
use crate::server::listener::Listener;
use crate::server::supervisor::{Supervisor, Task};
use crate::sys::fork::ProcessLocal;
use crate::sys::sync::thread::{self, JoinHandle};
use crate::wait::NoHost;

pub(crate) const MODELS: [Model; 4] = [
    Model {
        name: "clients connect at once: every connection is accepted",
        preemptions: 4,
        quick_preemptions: 3,
        threads: 3,
        run: || clients_connect(0),
    },
    Model {
        name: "clients connect while accepting pauses: every connection is accepted",
        preemptions: 4,
        quick_preemptions: 3,
        threads: 3,
        run: || clients_connect(1),
    },
    Model {
        name: "the server stops as a client connects: the supervisor ends last and has logged the rejection",
        preemptions: 4,
        // With two, no execution has a supervisor that ends before the acceptor.
        quick_preemptions: 3,
        threads: 3,
        run: server_stops,
    },
    Model {
        name: "the last threads exit as a worker connects: its call is answered without them",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 4,
        run: threads_exit,
    },
];

/// Starts an acceptor.
pub(super) fn spawn_acceptor(
    dispatcher: &Arc<Dispatcher>,
    listener: Arc<Listener>,
    options: &ServerOptions,
) -> JoinHandle<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    acceptor::spawn(dispatcher.clone(), (listener, address), Secret, options).unwrap()
}

/// A started server without handler threads.
struct Fixture {
    dispatcher: Arc<Dispatcher>,
    listener: Arc<Listener>,
    acceptor: JoinHandle<()>,
}

impl Fixture {
    fn new(failures: usize) -> Self {
        Self::with(ServerOptions { spare_threads: 0, ..ServerOptions::default() }, failures)
    }

    fn with(options: ServerOptions, failures: usize) -> Self {
        let dispatcher =
            Dispatcher::new(&options, Arc::new(DocumentStore::new(0)), Arc::new(ServerCounters::default())).unwrap();
        let listener = Listener::open(failures);
        let acceptor = spawn_acceptor(&dispatcher, listener.clone(), &options);
        Self { dispatcher, listener, acceptor }
    }

    /// Starts a supervisor; its thread returns the number of lines that it logged.
    fn supervisor(&self) -> JoinHandle<u64> {
        let dispatcher = self.dispatcher.clone();
        thread::spawn(move || {
            let supervisor = Supervisor::new(dispatcher.clone());
            let mut lines = 0;
            while let Some(task) = supervisor.next_task(&NoHost).unwrap() {
                let Task::Log(entries) = task else { panic!("no thread is needed: {task:?}") };
                lines += entries.len() as u64;
            }
            assert!(dispatcher.state.has_shut_down());
            lines
        })
    }

    /// Does the same as `Server::stop_accepting`.
    fn stop(self) -> Arc<Dispatcher> {
        self.listener.close();
        self.dispatcher.close();
        self.acceptor.join().unwrap();
        self.dispatcher
    }
}

fn clients_connect(failures: usize) {
    let fixture = Fixture::new(failures);
    let listener = fixture.listener.clone();
    let other = thread::spawn(move || assert!(listener.connect().inbox().receive().is_empty()));
    assert!(fixture.listener.connect().inbox().receive().is_empty());
    other.join().unwrap();
    let counters = fixture.stop().state.counters.clone();
    assert_eq!((counters.accept_pauses.read(), counters.rejected_handshakes.read()), (failures as u64, 2));
}

fn threads_exit() {
    let fixture = Fixture::with(ServerOptions { spare_threads: 1, ..ServerOptions::default() }, 0);
    let supervisor = Supervisor::new(fixture.dispatcher.clone());
    let Some(Task::SpawnThread(handler_thread)) = supervisor.next_task(&NoHost).unwrap() else {
        panic!("none is needed")
    };
    let leaving = [thread::spawn(move || drop(handler_thread)), thread::spawn(move || drop(supervisor))];
    let (here, worker) = Descriptor::socket_pair();
    fixture.dispatcher.register(Arc::new(ProcessLocal::new(here)));
    assert!(worker.send(b"[\"1\",\"ping\",[],{}]".to_vec()));
    assert_eq!(worker.inbox().receive(), [b"[\"1\",\"pong\",null]"]);
    for thread in leaving {
        thread.join().unwrap();
    }
    fixture.stop();
}

fn server_stops() {
    let fixture = Fixture::new(0);
    let supervisor = fixture.supervisor();
    let client = fixture.listener.connect();
    let dispatcher = fixture.stop();
    assert_eq!(supervisor.join().unwrap(), dispatcher.state.counters.rejected_handshakes.read());
    assert!(client.inbox().receive().is_empty());
}
