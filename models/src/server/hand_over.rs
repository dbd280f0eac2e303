//! The hand-over of a connection whose handler has answered and goes on: between its attendant, the doorkeeper and the
//! next attendant.

use std::sync::Arc;

use mio::kernel::Descriptor;

use super::attendant::Attendant;
use super::call::Call;
use super::door;
use super::hall::Hall;
use crate::deadline::Deadline;
use crate::document::DocumentStore;
use crate::explorer::Model;
use crate::fork::ProcessLocal;
use crate::metrics::ServerCounters;
use crate::notifier::Notifier;
use crate::options::ServerOptions;
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Mutex, lock};
use crate::wait::NoHost;

pub(crate) const MODELS: [Model; 6] = [
    Model {
        claim: "a handler ends right after its answer, as the next request comes: each is answered once, in order",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 3,
        run: handler_ends,
    },
    Model {
        claim: "a handler goes on after its answer: the next request finds another attendant",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 4,
        run: handler_goes_on,
    },
    Model {
        claim: "a handler ends while another thread answers for it: one answer, and the connection goes on",
        preemptions: 2,
        quick_preemptions: 2,
        threads: 4,
        run: another_thread_answers,
    },
    Model {
        claim: "a call comes right behind a notification: it is answered, also if both were read at once",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 4,
        run: call_follows_notification,
    },
    Model {
        claim: "an attendant is ended inside a call: its caller is told, and another attendant takes the connection",
        preemptions: 3,
        quick_preemptions: 1,
        threads: 4,
        run: attendant_is_ended,
    },
    Model {
        claim: "the server stops as a handler answers early: every thread ends, and so does the connection",
        preemptions: 3,
        quick_preemptions: 2,
        threads: 3,
        run: server_stops,
    },
];

/// A started server with one connection.
struct Scene {
    hall: Arc<Hall>,
    doorkeeper: JoinHandle<()>,
    worker: Descriptor,
}

impl Scene {
    fn new() -> Self {
        let options = ServerOptions { spare_threads: 2, ..ServerOptions::default() };
        let hall = Hall::new(&options, Arc::new(DocumentStore::new(0)), Arc::new(ServerCounters::default())).unwrap();
        let doorkeeper = door::keep(&hall, Arc::default(), &options);
        let (here, worker) = Descriptor::socket_pair();
        hall.admit(Arc::new(ProcessLocal::new(here)));
        Self { hall, doorkeeper, worker }
    }

    fn attendant(&self, handle: impl Fn(&Call) + 'static) -> JoinHandle<()> {
        self.attendant_of(move |call| handle(&call))
    }

    fn attendant_of(&self, handle: impl Fn(Arc<Call>) + 'static) -> JoinHandle<()> {
        let mut attendant = Attendant::enlist(&self.hall).unwrap();
        thread::spawn(move || {
            while let Some(call) = attendant.next_call(&NoHost).unwrap() {
                handle(call);
                attendant.conclude(None, &NoHost).unwrap();
            }
        })
    }

    /// Calls as a worker does, and checks that the answer is this call's.
    fn call(&self, id: &str) {
        self.ask(id);
        assert_eq!(self.answer(), format!("[\"{id}\",[{id}],null]"));
    }

    fn ask(&self, id: &str) {
        assert!(self.worker.send(format!("[\"{id}\",\"echo\",[{id}],{{}}]").into_bytes()));
    }

    /// Waits for what has come, which must be one answer.
    fn answer(&self) -> String {
        let answers = self.worker.inbox().receive();
        assert_eq!(answers.len(), 1, "{answers:?}");
        String::from_utf8(answers.into_iter().flatten().collect()).unwrap()
    }

    /// As `Server::begin_stop` does.
    fn stop(self, attendants: impl IntoIterator<Item = JoinHandle<()>>) {
        self.hall.close();
        self.doorkeeper.join().unwrap();
        assert!(self.hall.is_deserted());
        self.hall.desk.end_connections();
        for attendant in attendants {
            attendant.join().unwrap();
        }
        assert!(self.worker.inbox().receive().is_empty());
        assert_eq!(self.hall.desk.connections(), 0);
        assert_eq!(self.hall.lobby.attendants_and_spares(), (0, 0));
    }
}

fn handler_ends() {
    let scene = Scene::new();
    let attendant = scene.attendant(respond);
    scene.call("1");
    scene.call("2");
    scene.stop([attendant]);
}

fn handler_goes_on() {
    let scene = Scene::new();
    let is_over = Arc::new(Notifier::new().unwrap());
    let attendants = [(); 2].map(|()| {
        let is_over = is_over.clone();
        scene.attendant(move |call| {
            respond(call);
            if call.args() == b"[1]" {
                is_over.wait(&Deadline::never()).unwrap();
            }
        })
    });
    scene.call("1");
    scene.call("2");
    is_over.notify();
    scene.stop(attendants);
}

fn another_thread_answers() {
    let scene = Scene::new();
    let handed = Arc::new((Mutex::new(None), Notifier::new().unwrap()));
    let to_other = handed.clone();
    let attendant = scene.attendant_of(move |call| {
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
    scene.ask("1");
    let answer = scene.answer();
    let was_first = other.join().unwrap();
    assert_eq!(answer, if was_first { "[\"1\",[1],null]" } else { "[\"1\",null,null]" });
    scene.call("2");
    scene.stop([attendant]);
}

fn call_follows_notification() {
    let scene = Scene::new();
    let is_over = Arc::new(Notifier::new().unwrap());
    let attendants = [(); 2].map(|()| {
        let is_over = is_over.clone();
        scene.attendant(move |call| {
            if call.is_notification() {
                is_over.wait(&Deadline::never()).unwrap();
            } else {
                respond(call);
            }
        })
    });
    assert!(scene.worker.send(b"[null,\"seen\",[],{}]".to_vec()));
    scene.call("1");
    is_over.notify();
    scene.stop(attendants);
}

fn attendant_is_ended() {
    let scene = Scene::new();
    let mut ended = Attendant::enlist(&scene.hall).unwrap();
    let ended = thread::spawn(move || drop(ended.next_call(&NoHost).unwrap()));
    scene.ask("1");
    assert!(scene.answer().contains("was ended before it answered"));
    let other = scene.attendant(respond);
    scene.call("2");
    ended.join().unwrap();
    scene.stop([other]);
}

fn server_stops() {
    let scene = Scene::new();
    let attendant = scene.attendant(respond);
    scene.call("1");
    scene.stop([attendant]);
}

fn respond(call: &Call) {
    assert_eq!(call.respond(call.args(), &NoHost), Ok(true));
}
