//! The acceptor, the core's only native thread: accepts connections, runs their handshakes and polls parked
//! connections. It blocks only in its poll, and a panic costs it one event.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};
use rustix::io::Errno;
use rustix::net::getpeername;

use super::accept_throttle::AcceptThrottle;
use super::dispatcher::Dispatcher;
use super::listener::Listener;
use super::pending_handshakes::{PendingHandshakes, Progress, send_at_once};
use super::polling::POLL_INTERVAL;
use super::rejection_log::RejectionLog;
use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::log_buffer::Level;
use crate::options::ServerOptions;
use crate::secret::Secret;
use crate::sys::failpoint::failpoint;
use crate::sys::fork::ProcessLocal;
use crate::sys::sync::thread::{self, JoinHandle};
use crate::sys::unsafe_os;

/// Starts the acceptor thread.
///
/// # Errors
///
/// [`Error::System`] if the thread cannot be started.
pub(super) fn spawn(
    dispatcher: Arc<Dispatcher>,
    (listener, address): (Arc<Listener>, SocketAddr),
    secret: Secret,
    options: &ServerOptions,
) -> Result<JoinHandle<()>> {
    let handshakes = PendingHandshakes::new(secret, options.handshake_timeout, options.max_handshakes);
    let rejection_log = RejectionLog::new(address);
    let acceptor = Acceptor {
        dispatcher: dispatcher.clone(),
        listener,
        handshakes,
        rejection_log,
        accept_throttle: AcceptThrottle::new(),
        retry_accept_at: None,
        listener_registered: true,
    };
    let poll = acceptor.prepare_poll()?;
    let exit_guard = ExitGuard(dispatcher);
    thread::Builder::new()
        .name("zen-ipc accept".to_owned())
        .stack_size(STACK_SIZE)
        .spawn(move || {
            let _exit_guard = exit_guard;
            acceptor.run(poll);
        })
        .map_err(|error| {
            let code = error.raw_os_error().unwrap_or_default();
            Error::System { operation: "could not start the acceptor's thread".to_owned(), code }
        })
}

/// Bytes. 2 MiB, Rust's default, of which only touched pages become memory. Set here because the default follows the
/// environment variable `RUST_MIN_STACK`, and too small a value would end the process.
const STACK_SIZE: usize = 2 << 20;

/// How long accepting pauses when descriptors or memory are exhausted. 100 ms: long enough not to spin, short enough
/// for a worker's connect timeout (2 s) not to pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections accepted in one go. 64: after these the acceptor serves its other events, so that a flood does not
/// starve admitted connections.
const ACCEPT_BATCH: usize = 64;

const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);

struct Acceptor {
    dispatcher: Arc<Dispatcher>,
    listener: Arc<Listener>,
    handshakes: PendingHandshakes,
    rejection_log: RejectionLog,
    accept_throttle: AcceptThrottle,
    /// When to accept again without an event from the poll: after a pause, or at once after a full batch.
    retry_accept_at: Option<Deadline>,
    /// False during a pause, in which each arrival would wake this thread for nothing.
    listener_registered: bool,
}

impl Acceptor {
    fn prepare_poll(&self) -> Result<ProcessLocal<Poll>> {
        let poll = self.dispatcher.reactor.take_poll().ok_or_else(crate::sys::fork::wrong_process_error)?;
        let failed = |error: std::io::Error| Error::System {
            operation: "could not watch the listening socket".to_owned(),
            code: error.raw_os_error().unwrap_or_default(),
        };
        let waker = self.dispatcher.state.acceptor_waker.reader().get()?.as_raw_fd();
        let registry = poll.get()?.registry();
        registry.register(&mut SourceFd(&waker), WAKER, Interest::READABLE).map_err(failed)?;
        self.listener.with_fd(|listener| register_listener(registry, listener)).transpose().map_err(failed)?;
        Ok(poll)
    }

    fn run(mut self, poll: ProcessLocal<Poll>) {
        unsafe_os::block_all_signals();
        self.run_event_loop(poll);
        // Closed before, unless the server failed.
        self.listener.close();
        self.catch_panic(|acceptor| acceptor.flush_rejection_log(true));
    }

    fn run_event_loop(&mut self, mut poll: ProcessLocal<Poll>) {
        let mut events = Events::with_capacity(256);
        while !self.dispatcher.state.is_closed() {
            let timeout = self.poll_timeout();
            let Ok(poll) = poll.get_mut() else { return };
            if let Err(error) = poll.poll(&mut events, timeout)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                return self.dispatcher.fail(&format!("its connections cannot be polled: {error}"));
            }
            if let Err(error) = self.dispatcher.reactor.registry() {
                return self.dispatcher.fail(&error);
            }
            // The listener comes last: a connection whose handshake completes in this round need not be evicted for a
            // new one.
            for is_listener in [false, true] {
                for token in events.iter().map(Event::token).filter(|token| (*token == LISTENER) == is_listener) {
                    self.catch_panic(|acceptor| acceptor.handle(token));
                }
            }
            self.catch_panic(Self::expire);
            self.catch_panic(Self::answer_stranded);
            self.dispatcher.state.set_pending_handshakes(self.handshakes.count());
        }
    }

    /// Runs a step. A panic in it is logged and costs only that step.
    fn catch_panic(&mut self, step: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_err() {
            self.dispatcher.state.log(Level::Error, "a bug in the acceptor cost one connection (please report it)");
            // The poll is edge-triggered: connections that arrived together with the lost one cause no further event.
            self.retry_accept_at = Some(Deadline::after(ACCEPT_PAUSE));
        }
    }

    fn handle(&mut self, token: Token) {
        match token {
            // Drain the pipe: the poll is edge-triggered and stays silent while an old wake-up is still unread.
            WAKER => self.dispatcher.state.acceptor_waker.drain(),
            // Accepting is paused, and `expire` resumes it.
            LISTENER if self.retry_accept_at.is_some() => {}
            LISTENER => self.accept(),
            _ => match self.handshakes.on_readable(token) {
                Some(progress) => self.handle_handshake(progress),
                None => {
                    if let Some(session) = self.dispatcher.reactor.unpark(token) {
                        self.dispatcher.dispatch(session);
                    }
                }
            },
        }
    }

    fn expire(&mut self) {
        for socket in self.handshakes.take_expired() {
            self.reject(&socket, "the handshake took too long");
        }
        for session in self.dispatcher.reactor.poll_parked() {
            self.dispatcher.dispatch(session);
        }
        if self.retry_accept_at.is_some_and(|again| again.has_passed()) {
            self.accept();
        }
        self.flush_rejection_log(false);
    }

    /// Answers on connections for which no handler thread is left or will be started.
    fn answer_stranded(&mut self) {
        for mut session in self.dispatcher.take_stranded() {
            match session.answer_without_thread() {
                Ok(true) => self.dispatcher.dispatch(session),
                // Parked, it waits for its next request, whether or not a handler thread serves it then.
                Ok(false) => drop(self.dispatcher.reactor.park_idle(session)),
                Err(_) => {}
            }
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let deadlines = [self.handshakes.next_deadline(), self.retry_accept_at, self.rejection_log.next_deadline()];
        let round = self.dispatcher.reactor.is_polling().then_some(POLL_INTERVAL);
        deadlines.iter().flatten().map(Deadline::remaining).chain(round).min()
    }

    fn accept(&mut self) {
        self.retry_accept_at = None;
        if let Err(error) = self.resume_accepting() {
            return self.pause_on_exhaustion(&error);
        }
        for _ in 0..ACCEPT_BATCH {
            if let Some(until) = self.accept_throttle.throttled_until() {
                return self.pause_accepting(until);
            }
            match self.listener.accept() {
                None | Some(Err(Errno::AGAIN)) => return,
                Some(Ok(socket)) => self.begin_handshake(socket),
                // The peer has closed that one connection already.
                Some(Err(Errno::CONNABORTED | Errno::INTR | Errno::PROTO | Errno::PERM)) => {}
                // Other code has closed the socket, and its number may be another file's now.
                Some(Err(errno @ (Errno::BADF | Errno::NOTSOCK | Errno::INVAL | Errno::OPNOTSUPP))) => {
                    return self.dispatcher.fail(&format!("its listening socket cannot be used: {errno}"));
                }
                // Descriptors or memory are exhausted, or the cause is one that an immediate retry would not remove.
                Some(Err(errno)) => return self.pause_on_exhaustion(&errno.into()),
            }
        }
        self.retry_accept_at = Some(Deadline::after(Duration::ZERO));
    }

    fn pause_on_exhaustion(&mut self, cause: &std::io::Error) {
        self.dispatcher.state.counters.accept_pauses.add_one();
        self.dispatcher.state.log(Level::Warn, format!("accepting connections pauses: {cause}"));
        self.pause_accepting(Deadline::after(ACCEPT_PAUSE));
    }

    fn pause_accepting(&mut self, until: Deadline) {
        self.retry_accept_at = Some(until);
        if self.listener_registered
            && let Ok(registry) = self.dispatcher.reactor.registry()
        {
            let ignored = self.listener.with_fd(|listener| registry.deregister(&mut SourceFd(&listener)));
            self.listener_registered = !matches!(ignored, Some(Ok(())));
        }
    }

    /// Registers the listener with the poll again.
    fn resume_accepting(&mut self) -> std::io::Result<()> {
        if !self.listener_registered
            && let Ok(registry) = self.dispatcher.reactor.registry()
        {
            self.listener.with_fd(|listener| register_listener(registry, listener)).transpose()?;
            self.listener_registered = true;
        }
        Ok(())
    }

    fn begin_handshake(&mut self, socket: Socket) {
        self.dispatcher.state.counters.accepted.add_one();
        failpoint("acceptor");
        let token = self.dispatcher.reactor.next_token();
        let begun = self
            .dispatcher
            .reactor
            .register(&socket, token)
            .and_then(|()| self.handshakes.insert(token, socket.clone()));
        match begun {
            Ok(None) => {}
            Ok(Some(evicted)) => self.reject(&evicted, "max_handshakes others came before it proved itself"),
            // The peer closed the connection before the hello was sent.
            Err(Error::Handshake { .. }) => self.record_abandoned(),
            Err(error) => self.reject(&socket, &error.to_string()),
        }
    }

    fn handle_handshake(&mut self, progress: Progress) {
        failpoint("handshake");
        match progress {
            Progress::Pending => {}
            Progress::Abandoned => self.record_abandoned(),
            Progress::Failed(socket, reason) => self.reject(&socket, &reason),
            Progress::Authenticated(socket, server_proof) => {
                self.dispatcher.reactor.deregister(&socket);
                if !self.dispatcher.state.below_limit() {
                    self.dispatcher.state.counters.refused_connections.add_one();
                    self.log_rejection(&socket, "it knows the secret, but there are max_connections others");
                } else if send_at_once(&socket, &server_proof).is_err() {
                    self.record_abandoned();
                } else {
                    self.dispatcher.register(socket);
                }
            }
        }
    }

    /// Counts and logs a connection that failed its handshake. It closes when its last owner drops it.
    fn reject(&mut self, socket: &Socket, reason: &str) {
        self.dispatcher.state.counters.rejected_handshakes.add_one();
        self.accept_throttle.record_rejection();
        self.log_rejection(socket, reason);
        // Handler threads may be waiting for this core, and a flood leaves many more connections to reject.
        thread::yield_now();
    }

    /// Counts a connection that its client closed before it sent anything or after it authenticated. A worker does so
    /// where the server is too slow for it, and connects again, so there is nothing to warn of.
    fn record_abandoned(&mut self) {
        self.dispatcher.state.counters.abandoned_handshakes.add_one();
        self.accept_throttle.record_rejection();
    }

    fn log_rejection(&mut self, socket: &Socket, reason: &str) {
        if let Some(line) = self.rejection_log.record(reason, || peer_of(socket)) {
            self.dispatcher.state.log(Level::Warn, line);
        }
    }

    /// Logs the number of rejections that got no line of their own, if the window is over or this is the `last_chance`.
    fn flush_rejection_log(&mut self, last_chance: bool) {
        if let Some(line) = self.rejection_log.flush(last_chance) {
            self.dispatcher.state.log(Level::Warn, line);
        }
    }
}

fn register_listener(registry: &Registry, listener: RawFd) -> std::io::Result<()> {
    registry.register(&mut SourceFd(&listener), LISTENER, Interest::READABLE)
}

fn peer_of(socket: &Socket) -> Option<SocketAddr> {
    let peer = getpeername(socket.get().ok()?).ok().flatten()?;
    SocketAddr::try_from(peer).ok()
}

/// Tells the dispatcher that the acceptor has exited, also after a panic.
struct ExitGuard(Arc<Dispatcher>);

impl Drop for ExitGuard {
    fn drop(&mut self) {
        self.0.state.acceptor_exited();
    }
}
