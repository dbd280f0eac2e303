//! The door: strangers that knock, while accepting pauses and as the server stops.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mio::kernel::Descriptor;

use super::doorkeeper;
use super::hall::Hall;
use super::listener::Listener;
use super::steward::{Duty, Steward};
use crate::document::DocumentStore;
use crate::explorer::Model;
use crate::fork::ProcessLocal;
use crate::metrics::ServerCounters;
use crate::options::ServerOptions;
use crate::secret::Secret;
use crate::sync::thread::{self, JoinHandle};
use crate::wait::NoHost;

pub(crate) const MODELS: [Model; 4] = [
    Model {
        claim: "strangers knock at once: none is left at the door",
        preemptions: 4,
        quick_preemptions: 3,
        threads: 3,
        run: || strangers_knock(0),
    },
    Model {
        claim: "strangers knock while accepting pauses: none is left at the door",
        preemptions: 4,
        quick_preemptions: 3,
        threads: 3,
        run: || strangers_knock(1),
    },
    Model {
        claim: "the server stops as a stranger knocks: the steward ends last, and has logged what became of it",
        preemptions: 4,
        // With two no steward is seen that ends before the doorkeeper.
        quick_preemptions: 3,
        threads: 3,
        run: server_stops,
    },
    Model {
        claim: "the last threads leave as a worker comes: what it asks is answered without them",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 4,
        run: threads_leave,
    },
];

/// Starts a doorkeeper.
pub(super) fn keep(hall: &Arc<Hall>, listener: Arc<Listener>, options: &ServerOptions) -> JoinHandle<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    doorkeeper::spawn(hall.clone(), (listener, address), Secret, options).unwrap()
}

/// A started server without attendants.
struct Scene {
    hall: Arc<Hall>,
    listener: Arc<Listener>,
    doorkeeper: JoinHandle<()>,
}

impl Scene {
    fn new(failures: usize) -> Self {
        Self::with(ServerOptions { spare_threads: 0, ..ServerOptions::default() }, failures)
    }

    fn with(options: ServerOptions, failures: usize) -> Self {
        let hall = Hall::new(&options, Arc::new(DocumentStore::new(0)), Arc::new(ServerCounters::default())).unwrap();
        let listener = Listener::open(failures);
        let doorkeeper = keep(&hall, listener.clone(), &options);
        Self { hall, listener, doorkeeper }
    }

    /// How many lines it has logged when it ends.
    fn steward(&self) -> JoinHandle<u64> {
        let hall = self.hall.clone();
        thread::spawn(move || {
            let steward = Steward::new(hall.clone());
            let mut lines = 0;
            while let Some(duty) = steward.next_duty(&NoHost).unwrap() {
                let Duty::Log(entries) = duty else { panic!("nobody is to be started: {duty:?}") };
                lines += entries.len() as u64;
            }
            assert!(hall.is_deserted());
            lines
        })
    }

    /// As `Server::begin_stop` does.
    fn stop(self) -> Arc<Hall> {
        self.listener.close();
        self.hall.close();
        self.doorkeeper.join().unwrap();
        self.hall
    }
}

fn strangers_knock(failures: usize) {
    let scene = Scene::new(failures);
    let listener = scene.listener.clone();
    let other = thread::spawn(move || assert!(listener.knock().inbox().receive().is_empty()));
    assert!(scene.listener.knock().inbox().receive().is_empty());
    other.join().unwrap();
    let counters = scene.stop().desk.counters.clone();
    assert_eq!((counters.accept_pauses.read(), counters.rejected_handshakes.read()), (failures as u64, 2));
}

fn threads_leave() {
    let scene = Scene::with(ServerOptions { spare_threads: 1, ..ServerOptions::default() }, 0);
    let steward = Steward::new(scene.hall.clone());
    let Some(Duty::Start(attendant)) = steward.next_duty(&NoHost).unwrap() else { panic!("none is needed") };
    let leaving = [thread::spawn(move || drop(attendant)), thread::spawn(move || drop(steward))];
    let (here, worker) = Descriptor::socket_pair();
    scene.hall.admit(Arc::new(ProcessLocal::new(here)));
    assert!(worker.send(b"[\"1\",\"ping\",[],{}]".to_vec()));
    assert_eq!(worker.inbox().receive(), [b"[\"1\",\"pong\",null]"]);
    for thread in leaving {
        thread.join().unwrap();
    }
    scene.stop();
}

fn server_stops() {
    let scene = Scene::new(0);
    let steward = scene.steward();
    let stranger = scene.listener.knock();
    let hall = scene.stop();
    assert_eq!(steward.join().unwrap(), hall.desk.counters.rejected_handshakes.read());
    assert!(stranger.inbox().receive().is_empty());
}
