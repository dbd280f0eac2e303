//! Notifications: handled one at a time and in order, whatever happens to their connection and to the threads.

use std::sync::Arc;

use mio::kernel::Descriptor;

use super::attendant::Attendant;
use super::call::Call;
use super::hall::Hall;
use crate::deadline::Deadline;
use crate::document::DocumentStore;
use crate::explorer::Model;
use crate::fork::ProcessLocal;
use crate::metrics::ServerCounters;
use crate::options::ServerOptions;
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Mutex, lock};
use crate::wait::NoHost;

pub(crate) const MODELS: [Model; 4] = [
    Model {
        claim: "notifications of one connection are handled one at a time and in order while others have time",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 3,
        run: others_have_time,
    },
    Model {
        claim: "a sender's next connection is served when the one before it was read to its end",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 3,
        run: sender_goes_on,
    },
    Model {
        claim: "an attendant is ended inside a notification: another one goes on with the next, or it is counted",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 3,
        run: attendant_is_ended,
    },
    Model {
        claim: "the server stops: what was sent before is handled, behind an earlier connection as well",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 3,
        run: server_stops,
    },
];

/// A started server without a doorkeeper, and what its handlers have seen.
struct Scene {
    hall: Arc<Hall>,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Scene {
    fn new() -> Self {
        let options = ServerOptions { spare_threads: 2, ..ServerOptions::default() };
        let hall = Hall::new(&options, Arc::new(DocumentStore::new(0)), Arc::new(ServerCounters::default())).unwrap();
        Self { hall, seen: Arc::default() }
    }

    /// A connection over which a worker has said that it carries notifications, and sent some.
    fn worker(&self, numbers: &[u8]) -> Descriptor {
        let (here, worker) = Descriptor::socket_pair();
        assert!(worker.send(b"[\"1\",\"rpc.notifications\",[\"00112233445566778899aabbccddeeff\"],{}]".to_vec()));
        for number in numbers {
            assert!(worker.send(format!("[null,\"seen\",[{number}],{{}}]").into_bytes()));
        }
        self.hall.admit(Arc::new(ProcessLocal::new(here)));
        worker
    }

    fn attendant(&self) -> JoinHandle<()> {
        let mut attendant = Attendant::enlist(&self.hall).unwrap();
        let seen = self.seen.clone();
        thread::spawn(move || {
            while let Some(call) = attendant.next_call(&NoHost).unwrap() {
                note(&seen, &call);
                attendant.conclude(None, &NoHost).unwrap();
            }
        })
    }

    /// As `Server::begin_stop` does.
    fn stop(&self, attendants: impl IntoIterator<Item = JoinHandle<()>>) {
        self.hall.close();
        self.hall.note_doorkeeper_left();
        self.hall.desk.end_connections();
        for attendant in attendants {
            attendant.join().unwrap();
        }
        assert_eq!(self.hall.lobby.attendants_and_spares(), (0, 0));
    }

    /// As [`Scene::stop`], and everything was handled.
    fn stop_after_all(&self, attendants: impl IntoIterator<Item = JoinHandle<()>>) {
        self.stop(attendants);
        assert_eq!(self.hall.desk.connections(), 0);
    }
}

fn note(seen: &Mutex<Vec<u8>>, call: &Call) {
    let number = call.args().get(1).unwrap() - b'0';
    lock(seen).push(number);
}

fn others_have_time() {
    let scene = Scene::new();
    let attendants = [(); 2].map(|()| scene.attendant());
    let worker = scene.worker(&[1, 2, 3]);
    assert_eq!(worker.inbox().receive(), [b"[\"1\",true,null]"]);
    scene.stop_after_all(attendants);
    assert_eq!(*lock(&scene.seen), [1, 2, 3]);
}

fn sender_goes_on() {
    let scene = Scene::new();
    let attendants = [(); 2].map(|()| scene.attendant());
    let first = scene.worker(&[1, 2]);
    assert_eq!(first.inbox().receive(), [b"[\"1\",true,null]"]);
    drop(first);
    let second = scene.worker(&[3]);
    assert_eq!(second.inbox().receive(), [b"[\"1\",true,null]"]);
    drop(second);
    scene.stop_after_all(attendants);
    assert_eq!(*lock(&scene.seen), [1, 2, 3]);
}

fn attendant_is_ended() {
    let scene = Scene::new();
    let mut ended = Attendant::enlist(&scene.hall).unwrap();
    let seen = scene.seen.clone();
    let ended = thread::spawn(move || {
        // None where the other one was faster.
        if let Some(call) = ended.next_call(&NoHost).unwrap() {
            note(&seen, &call);
        }
    });
    let other = scene.attendant();
    let worker = scene.worker(&[1, 2]);
    assert_eq!(worker.inbox().receive(), [b"[\"1\",true,null]"]);
    scene.stop([ended, other]);
    // As `drain` does, where the other one had gone when this one was ended.
    let skipped: u64 =
        scene.hall.lobby.seal().into_iter().map(|mut session| session.skip_notifications(&Deadline::never()).0).sum();
    let expected = if skipped == 0 { vec![1, 2] } else { vec![1] };
    assert_eq!((lock(&scene.seen).clone(), skipped as usize), (expected.clone(), 2 - expected.len()));
}

fn server_stops() {
    let scene = Scene::new();
    let first = scene.worker(&[1]);
    let second = scene.worker(&[2]);
    let attendants = [(); 2].map(|()| scene.attendant());
    for worker in [&first, &second] {
        assert_eq!(worker.inbox().receive(), [b"[\"1\",true,null]"]);
    }
    scene.stop_after_all(attendants);
    let mut seen = lock(&scene.seen).clone();
    seen.sort_unstable();
    assert_eq!(seen, [1, 2]);
}
