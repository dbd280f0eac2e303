//! The pool: callers that wait for a connection, and one that closes it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mio::kernel::Descriptor;

use super::pool::{Checkout, Pool};
use crate::connection::{Connection, ReceiveDeadlines};
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result};
use crate::explorer::Model;
use crate::fork::ProcessLocal;
use crate::sync::thread;
use crate::wait::{HostLock, NoHost};

pub(crate) const MODELS: [Model; 4] = [
    Model {
        claim: "no caller waits for a connection that is free, and none has another's",
        preemptions: 4,
        quick_preemptions: 2,
        threads: 3,
        run: callers_take_turns,
    },
    Model {
        claim: "a caller whose connection broke leaves the turn to the others, who connect anew",
        threads: 3,
        preemptions: 4,
        quick_preemptions: 2,
        run: connections_break,
    },
    Model {
        claim: "a caller that gives up waiting leaves the turn to the others",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 4,
        run: some_give_up,
    },
    Model {
        claim: "closing the pool ends every wait and every connection",
        preemptions: 4,
        quick_preemptions: 2,
        threads: 3,
        run: one_closes,
    },
];

/// A pool with one connection, and what its callers saw.
struct Scene {
    pool: Pool,
    /// The other end of each connection that was made.
    servers: Mutex<Vec<Descriptor>>,
    using: AtomicUsize,
}

impl Scene {
    fn new() -> Arc<Self> {
        let pool = Pool::new(1, Duration::MAX, Phase::FreeConnection);
        Arc::new(Self { pool, servers: Mutex::default(), using: AtomicUsize::new(0) })
    }

    /// As a call does: leases, connects where it must, puts back.
    fn call(&self, deadline: &Deadline, host: &impl HostLock) -> Result<()> {
        let (checkout, idle) = self.pool.checkout(deadline, host)?;
        let Some(connection) = idle.or_else(|| self.dial(&checkout)) else { return Ok(()) };
        assert_eq!(self.using.fetch_add(1, Ordering::SeqCst), 0, "two callers have the only connection");
        // A step at which the others may come.
        assert!(connection.is_idle());
        self.using.fetch_sub(1, Ordering::SeqCst);
        checkout.checkin(connection);
        Ok(())
    }

    /// As a call does whose connection breaks: nothing is put back.
    fn fail(&self) {
        let (checkout, idle) = self.pool.checkout(&Deadline::never(), &NoHost).unwrap();
        assert!(idle.is_none());
        drop(self.dial(&checkout));
    }

    fn dial(&self, checkout: &Checkout<'_>) -> Option<Connection> {
        let (here, server) = Descriptor::socket_pair();
        self.servers.lock().unwrap().push(server);
        checkout.attach(Connection::new(Arc::new(ProcessLocal::new(here)), 0))
    }
}

fn callers_take_turns() {
    let scene = Scene::new();
    let callers = [(); 2].map(|()| spawn(&scene, |scene| scene.call(&Deadline::never(), &NoHost)));
    assert_eq!(scene.call(&Deadline::never(), &NoHost), Ok(()));
    for caller in callers {
        assert_eq!(caller.join().unwrap(), Ok(()));
    }
    assert_eq!(scene.servers.lock().unwrap().len(), 1);
    assert_eq!(scene.pool.connections(), (1, 1));
}

fn connections_break() {
    let scene = Scene::new();
    let callers = [(); 2].map(|()| spawn(&scene, Scene::fail));
    scene.fail();
    for caller in callers {
        caller.join().unwrap();
    }
    assert_eq!(scene.servers.lock().unwrap().len(), 3);
    assert_eq!(scene.pool.connections(), (0, 0));
}

fn some_give_up() {
    let scene = Scene::new();
    let late = spawn(&scene, |scene| scene.call(&Deadline::after(Duration::from_secs(1)), &NoHost));
    let interrupted = spawn(&scene, |scene| scene.call(&Deadline::never(), &Interrupted));
    let patient = spawn(&scene, |scene| scene.call(&Deadline::never(), &NoHost));
    assert_eq!(scene.call(&Deadline::never(), &NoHost), Ok(()));
    assert!(matches!(late.join().unwrap(), Ok(()) | Err(Error::Timeout { phase: Phase::FreeConnection, .. })));
    assert!(matches!(interrupted.join().unwrap(), Ok(()) | Err(Error::Interrupted)));
    assert_eq!(patient.join().unwrap(), Ok(()));
}

fn one_closes() {
    let scene = Scene::new();
    let receiving = spawn(&scene, |scene| {
        let (checkout, _) = scene.pool.checkout(&Deadline::never(), &NoHost).unwrap();
        let Some(mut connection) = scene.dial(&checkout) else { return };
        let by = ReceiveDeadlines { first_byte: Deadline::never(), whole_frame: Duration::MAX };
        let received = connection.receive(&by, Phase::Response, &NoHost);
        assert_eq!(received, Err(Error::Disconnected { phase: Phase::Response }));
    });
    let waiting = spawn(&scene, |scene| scene.pool.checkout(&Deadline::never(), &NoHost).map(drop));
    scene.pool.close();
    receiving.join().unwrap();
    assert_eq!(waiting.join().unwrap(), Ok(()));
    assert_eq!(scene.pool.connections(), (0, 0));
}

fn spawn<T: 'static>(scene: &Arc<Scene>, act: impl FnOnce(&Scene) -> T + 'static) -> thread::JoinHandle<T> {
    let scene = scene.clone();
    thread::spawn(move || act(&scene))
}

/// Its host wants the thread back whenever it waits.
struct Interrupted;

impl HostLock for Interrupted {
    fn without_lock<R>(&self, _operation: impl FnOnce() -> R) -> Option<R> {
        None
    }

    fn check_interrupts(&self) -> Result<()> {
        Err(Error::Interrupted)
    }
}
