//! A server whose handler threads are plain threads, and a client, over real sockets.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy does not take a test's support for a test"
)]

pub mod child;
pub mod fake_server;
pub mod gate;
pub mod peer;
pub mod recorder;

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use zen_ipc::client::Client;
use zen_ipc::server::{Call, HandlerThread, Server, Supervisor, Task};
use zen_ipc::{ClientOptions, NoHost, RemoteFailure, Secret, ServerOptions};

/// 20 s: long enough for a busy machine; a passing test does not wait for it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A test's handler: returns the text of a result, or a failure.
pub type Handler = Arc<dyn Fn(&Call) -> Result<Option<String>, RemoteFailure> + Send + Sync>;

/// A started server with its threads.
pub struct TestServer {
    pub server: Server,
    /// The number of live handler threads.
    pub threads: Arc<AtomicUsize>,
    /// The lines that it has logged.
    pub log: Log,
}

/// Lines, oldest first.
pub type Log = Arc<Mutex<Vec<String>>>;

impl TestServer {
    pub fn start(handler: impl Fn(&Call) -> Result<Option<String>, RemoteFailure> + Send + Sync + 'static) -> Self {
        Self::start_with(ServerOptions::default(), handler)
    }

    pub fn start_with(
        options: ServerOptions,
        handler: impl Fn(&Call) -> Result<Option<String>, RemoteFailure> + Send + Sync + 'static,
    ) -> Self {
        let server = Server::bind(options, Secret::generate().unwrap()).unwrap();
        let log = Log::default();
        let threads = serve_with_log(&server, Arc::new(handler), &log);
        Self { server, threads, log }
    }

    pub fn client(&self) -> Client {
        self.client_with(ClientOptions::default())
    }

    pub fn client_with(&self, options: ClientOptions) -> Client {
        Client::new(self.server.address(), self.server.secret().clone(), options).unwrap()
    }

    pub fn stat(&self, name: &str) -> u64 {
        counter(&self.server.stats(), name)
    }
}

/// A client of a server.
pub fn client_of(server: &Server) -> Client {
    Client::new(server.address(), server.secret().clone(), ClientOptions::default()).unwrap()
}

/// A client's statistic.
pub fn stat_of(client: &Client, name: &str) -> u64 {
    counter(&client.stats(), name)
}

fn counter(stats: &[(&'static str, u64)], name: &str) -> u64 {
    stats.iter().find(|(known, _)| *known == name).map(|(_, value)| *value).expect("a counter of this name")
}

/// Starts a server with a supervisor and handler threads, and returns the number of the latter.
pub fn serve(server: &Server, handler: Handler) -> Arc<AtomicUsize> {
    serve_with_log(server, handler, &Log::default())
}

/// As [`serve`]; appends logged lines to `log`.
pub fn serve_with_log(server: &Server, handler: Handler, log: &Log) -> Arc<AtomicUsize> {
    run_supervisor(server.start().unwrap().expect("it was not started yet"), handler, log)
}

/// As [`serve_with_log`], for a server that was started before.
pub fn run_supervisor(supervisor: Supervisor, handler: Handler, log: &Log) -> Arc<AtomicUsize> {
    let threads = Arc::new(AtomicUsize::new(0));
    let (count, log) = (threads.clone(), log.clone());
    std::thread::spawn(move || {
        while let Some(task) = supervisor.next_task(&NoHost).unwrap() {
            match task {
                Task::SpawnThread(handler_thread) => {
                    let handler = handler.clone();
                    let presence = ThreadGuard::new(&count);
                    std::thread::spawn(move || {
                        let _presence = presence;
                        run_handler_thread(handler_thread, &handler);
                    });
                }
                Task::Log(entries) => log.lock().unwrap().extend(entries.into_iter().map(|entry| entry.message)),
            }
        }
    });
    threads
}

/// The lines that are logged until the server stops.
pub fn log_of(supervisor: &Supervisor) -> Vec<String> {
    let (mut lines, mut handler_threads) = (Vec::new(), Vec::new());
    while let Some(task) = supervisor.next_task(&NoHost).unwrap() {
        match task {
            Task::Log(entries) => lines.extend(entries.into_iter().map(|entry| entry.message)),
            Task::SpawnThread(handler_thread) => handler_threads.push(handler_thread),
        }
    }
    lines
}

/// Counts a live thread while it lives, until it ends or panics.
struct ThreadGuard(Arc<AtomicUsize>);

impl ThreadGuard {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn run_handler_thread(mut handler_thread: HandlerThread, handler: &Handler) {
    while let Some(call) = handler_thread.next_call(&NoHost).unwrap() {
        let failure = match handler(&call) {
            Ok(Some(result)) => {
                call.respond(result.as_bytes(), &NoHost).unwrap();
                None
            }
            Ok(None) => None,
            Err(failure) => Some(failure),
        };
        handler_thread.finish_call(failure.as_ref(), &NoHost).unwrap();
    }
}

/// Responds with the arguments.
pub fn echo(call: &Call) -> Result<Option<String>, RemoteFailure> {
    Ok(Some(String::from_utf8(call.args().to_vec()).unwrap()))
}

/// Waits until a condition holds.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < PATIENCE, "{what} did not come about within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// A plain connection to a server, with timeouts so that it cannot hang.
pub fn raw_connection(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}
