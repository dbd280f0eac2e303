//! The lobby: connections that come, attendants that come and go, and an end.

use std::sync::Arc;

use mio::kernel::{Descriptor, Peeked};

use super::hall::Hall;
use super::lobby::{Found, Lobby};
use super::session::Session;
use super::steward::{Duty, Steward};
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::document::DocumentStore;
use crate::explorer::Model;
use crate::fork::ProcessLocal;
use crate::metrics::ServerCounters;
use crate::notifier::Notifier;
use crate::options::ServerOptions;
use crate::sync::thread;
use crate::wait::NoHost;

pub(crate) const MODELS: [Model; 3] = [
    Model {
        claim: "every connection that enters the lobby finds one attendant, and nobody turns in circles",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 3,
        run: connections_enter,
    },
    Model {
        claim: "closing the lobby sends every attendant away and closes who still waits",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 4,
        run: one_closes,
    },
    Model {
        claim: "a connection that arrives when no attendant waits gets a new one from the steward",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 4,
        run: steward_starts_attendants,
    },
];

struct Scene {
    lobby: Lobby,
    served: Notifier,
}

impl Scene {
    /// With two attendants, who are still to come.
    fn new() -> Arc<Self> {
        let lobby = Lobby::new(2, 4).unwrap();
        assert!(lobby.enlist() && lobby.enlist() && !lobby.enlist());
        Arc::new(Self { lobby, served: Notifier::new().unwrap() })
    }

    /// Serves one connection after the other.
    fn attend(&self) {
        loop {
            match self.lobby.find().unwrap() {
                Found::Session(session) => {
                    drop(session);
                    self.lobby.is_free_again();
                    self.served.notify();
                }
                Found::Leave => return,
                Found::Signal => panic!("nobody sends signals here"),
            }
        }
    }

    fn wait_for_one_served(&self) {
        self.served.wait(&Deadline::never()).unwrap();
        self.served.consume();
    }
}

fn connections_enter() {
    let scene = Scene::new();
    let attendants = [(); 2].map(|()| spawn(&scene, Scene::attend));
    let hall = hall();
    let workers = [(); 2].map(|()| {
        let (session, worker) = connection(&hall);
        scene.lobby.enter(session);
        worker
    });
    for _ in &workers {
        scene.wait_for_one_served();
    }
    assert_eq!(hall.desk.connections(), 0);
    assert_eq!(scene.lobby.attendants_and_spares(), (2, 2));
    assert!(scene.lobby.close().is_empty());
    for attendant in attendants {
        attendant.join().unwrap();
    }
    assert_eq!(scene.lobby.attendants_and_spares(), (0, 0));
}

fn one_closes() {
    let scene = Scene::new();
    let attendants = [(); 2].map(|()| spawn(&scene, Scene::attend));
    let (session, worker) = connection(&hall());
    let entering = spawn(&scene, |scene| scene.lobby.enter(session));
    drop(scene.lobby.close());
    entering.join().unwrap();
    for attendant in attendants {
        attendant.join().unwrap();
    }
    assert_eq!(worker.inbox().peek(), Peeked::End);
    assert_eq!(scene.lobby.attendants_and_spares(), (0, 0));
}

fn steward_starts_attendants() {
    let options = ServerOptions { spare_threads: 1, max_threads: 2, ..ServerOptions::default() };
    let hall = Hall::new(&options, Arc::new(DocumentStore::new(0)), Arc::new(ServerCounters::default())).unwrap();
    let steward = Steward::new(hall.clone());
    let steward = thread::spawn(move || {
        let mut attendants = Vec::new();
        while let Some(duty) = steward.next_duty(&NoHost).unwrap() {
            let Duty::Start(mut attendant) = duty else { panic!("nothing is worth a report here: {duty:?}") };
            attendants.push(thread::spawn(move || assert!(attendant.next_call(&NoHost).unwrap().is_none())));
        }
        attendants
    });
    let workers = [(); 2].map(|()| {
        let (here, worker) = Descriptor::socket_pair();
        hall.admit(Arc::new(ProcessLocal::new(here)));
        assert!(worker.send(b"[\"1\",\"ping\",[],{}]".to_vec()));
        worker
    });
    for worker in &workers {
        assert_eq!(worker.inbox().receive(), [b"[\"1\",\"pong\",null]"]);
    }
    hall.close();
    // As the doorkeeper does, without whom this is small enough.
    hall.note_doorkeeper_left();
    hall.desk.end_connections();
    for attendant in steward.join().unwrap() {
        attendant.join().unwrap();
    }
    assert_eq!(hall.lobby.attendants_and_spares(), (0, 0));
}

fn hall() -> Arc<Hall> {
    Hall::new(&ServerOptions::default(), Arc::new(DocumentStore::new(0)), Arc::new(ServerCounters::default())).unwrap()
}

/// An admitted connection, and the worker's end of it.
fn connection(hall: &Arc<Hall>) -> (Box<Session>, Descriptor) {
    let (here, worker) = Descriptor::socket_pair();
    let socket = Arc::new(ProcessLocal::new(here));
    let number = hall.desk.enroll(socket.clone());
    (Session::new(Connection::new(socket, 0), hall, number), worker)
}

fn spawn<T: 'static>(scene: &Arc<Scene>, act: impl FnOnce(&Scene) -> T + 'static) -> thread::JoinHandle<T> {
    let scene = scene.clone();
    thread::spawn(move || act(&scene))
}
