//! Models of the client's pool: callers that wait for a connection, and one that closes the pool.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mio::fake_kernel::Descriptor;

use crate::client::pool::{Checkout, Pool};
use crate::connection::{Connection, ReceiveDeadlines};
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result};
use crate::runner::Model;
use crate::sys::fork::ProcessLocal;
use crate::sys::sync::thread;
use crate::wait::{HostLock, NoHost};

pub(crate) const MODELS: [Model; 4] = [
    Model {
        name: "no caller waits for a connection that is free, and none has another's",
        preemptions: 4,
        quick_preemptions: 2,
        threads: 3,
        run: callers_take_turns,
    },
    Model {
        name: "a caller whose connection breaks frees its place for the others, which connect anew",
        threads: 3,
        preemptions: 4,
        quick_preemptions: 2,
        run: connections_break,
    },
    Model {
        name: "a caller that gives up waiting frees its place for the others",
        preemptions: 2,
        quick_preemptions: 1,
        threads: 4,
        run: callers_give_up,
    },
    Model {
        name: "closing the pool ends every wait and every connection",
        preemptions: 4,
        quick_preemptions: 2,
        threads: 3,
        run: pool_closes,
    },
];

/// A pool for one connection, and the observations of its callers.
struct Fixture {
    pool: Pool,
    /// The server's end of each connection.
    servers: Mutex<Vec<Descriptor>>,
    using: AtomicUsize,
}

impl Fixture {
    fn new() -> Arc<Self> {
        let pool = Pool::new(1, Duration::MAX, Phase::FreeConnection);
        Arc::new(Self { pool, servers: Mutex::default(), using: AtomicUsize::new(0) })
    }

    /// Does the same as a call: takes a connection from the pool or makes one, and puts it back.
    fn call(&self, deadline: &Deadline, host: &impl HostLock) -> Result<()> {
        let (checkout, idle) = self.pool.checkout(deadline, host)?;
        let Some(connection) = idle.or_else(|| self.connect(&checkout)) else { return Ok(()) };
        assert_eq!(self.using.fetch_add(1, Ordering::SeqCst), 0, "two callers have the only connection");
        // A step at which other threads may run.
        assert!(connection.is_idle());
        self.using.fetch_sub(1, Ordering::SeqCst);
        checkout.checkin(connection);
        Ok(())
    }

    /// Does the same as a call whose connection breaks: puts nothing back.
    fn fail(&self) {
        let (checkout, idle) = self.pool.checkout(&Deadline::never(), &NoHost).unwrap();
        assert!(idle.is_none());
        drop(self.connect(&checkout));
    }

    fn connect(&self, checkout: &Checkout<'_>) -> Option<Connection> {
        let (here, server) = Descriptor::socket_pair();
        self.servers.lock().unwrap().push(server);
        checkout.attach(Connection::new(Arc::new(ProcessLocal::new(here)), 0))
    }
}

fn callers_take_turns() {
    let fixture = Fixture::new();
    let callers = [(); 2].map(|()| spawn(&fixture, |fixture| fixture.call(&Deadline::never(), &NoHost)));
    assert_eq!(fixture.call(&Deadline::never(), &NoHost), Ok(()));
    for caller in callers {
        assert_eq!(caller.join().unwrap(), Ok(()));
    }
    assert_eq!(fixture.servers.lock().unwrap().len(), 1);
    assert_eq!(fixture.pool.connections(), (1, 1));
}

fn connections_break() {
    let fixture = Fixture::new();
    let callers = [(); 2].map(|()| spawn(&fixture, Fixture::fail));
    fixture.fail();
    for caller in callers {
        caller.join().unwrap();
    }
    assert_eq!(fixture.servers.lock().unwrap().len(), 3);
    assert_eq!(fixture.pool.connections(), (0, 0));
}

fn callers_give_up() {
    let fixture = Fixture::new();
    let late = spawn(&fixture, |fixture| fixture.call(&Deadline::after(Duration::from_secs(1)), &NoHost));
    let interrupted = spawn(&fixture, |fixture| fixture.call(&Deadline::never(), &Interrupted));
    let patient = spawn(&fixture, |fixture| fixture.call(&Deadline::never(), &NoHost));
    assert_eq!(fixture.call(&Deadline::never(), &NoHost), Ok(()));
    assert!(matches!(late.join().unwrap(), Ok(()) | Err(Error::Timeout { phase: Phase::FreeConnection, .. })));
    assert!(matches!(interrupted.join().unwrap(), Ok(()) | Err(Error::Interrupted)));
    assert_eq!(patient.join().unwrap(), Ok(()));
}

fn pool_closes() {
    let fixture = Fixture::new();
    let receiving = spawn(&fixture, |fixture| {
        let (checkout, _) = fixture.pool.checkout(&Deadline::never(), &NoHost).unwrap();
        let Some(mut connection) = fixture.connect(&checkout) else { return };
        let by = ReceiveDeadlines { first_byte: Deadline::never(), whole_frame: Duration::MAX };
        let received = connection.receive(&by, Phase::Response, &NoHost);
        assert_eq!(received, Err(Error::Disconnected { phase: Phase::Response }));
    });
    let waiting = spawn(&fixture, |fixture| fixture.pool.checkout(&Deadline::never(), &NoHost).map(drop));
    fixture.pool.close();
    receiving.join().unwrap();
    assert_eq!(waiting.join().unwrap(), Ok(()));
    assert_eq!(fixture.pool.connections(), (0, 0));
}

fn spawn<T: 'static>(fixture: &Arc<Fixture>, act: impl FnOnce(&Fixture) -> T + 'static) -> thread::JoinHandle<T> {
    let fixture = fixture.clone();
    thread::spawn(move || act(&fixture))
}

/// A host that interrupts every wait.
struct Interrupted;

impl HostLock for Interrupted {
    fn without_lock<R>(&self, _operation: impl FnOnce() -> R) -> Option<R> {
        None
    }

    fn check_interrupts(&self) -> Result<()> {
        Err(Error::Interrupted)
    }
}
