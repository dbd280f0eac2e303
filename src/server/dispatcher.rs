//! Everything between the door and the threads that serve, from a server's start to its stop.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;

use super::counters::Counters;
use super::notification_queues::NotificationQueues;
use super::reactor::Reactor;
use super::ready_queue::ReadyQueue;
use super::session::Session;
use super::state::ServerState;
use crate::connection::{Connection, Socket};
use crate::document::Documents;
use crate::error::{Error, Result};
use crate::journal::Level;
use crate::options::ServerOptions;
use crate::semaphore::Semaphore;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, lock};
use rustix::io::Errno;
use rustix::net::Shutdown;

/// What the threads of a started server share.
#[derive(Debug)]
pub(super) struct Dispatcher {
    pub(super) state: Arc<ServerState>,
    pub(super) ready_queue: ReadyQueue,
    pub(super) reactor: Reactor,
    pub(super) notification_queues: NotificationQueues,
    /// Posted when the acceptor is to look up.
    pub(super) acceptor_waker: Semaphore,
    /// How many notifications were dropped before the start.
    pub(super) dropped_before: u64,
    max_frame_size: usize,
    pending_handshakes: AtomicUsize,
    acceptor_exited: AtomicBool,
    /// Whether some thread of the host starts others where they are needed.
    has_supervisor: AtomicBool,
    failed: Mutex<bool>,
}

impl Dispatcher {
    /// An empty dispatcher.
    pub(super) fn new(
        options: &ServerOptions,
        documents: Arc<Documents>,
        counters: Arc<Counters>,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            dropped_before: counters.dropped_notifications.read(),
            state: ServerState::new(options, documents, counters)?,
            ready_queue: ReadyQueue::new(options.spare_threads, options.max_threads)?,
            reactor: Reactor::new()?,
            notification_queues: NotificationQueues::default(),
            acceptor_waker: Semaphore::new()?,
            max_frame_size: options.max_frame_size,
            pending_handshakes: AtomicUsize::new(0),
            acceptor_exited: AtomicBool::new(false),
            has_supervisor: AtomicBool::new(true),
            failed: Mutex::default(),
        }))
    }

    /// Takes in a connection that has proved itself.
    pub(super) fn register(self: &Arc<Self>, socket: Socket) {
        let number = self.state.insert(socket.clone());
        let connection = Connection::new(socket, self.max_frame_size);
        self.dispatch(Session::new(connection, self, number));
    }

    /// Lets a connection that has something to say wait for a handler thread.
    pub(super) fn dispatch(&self, session: Box<Session>) {
        if self.ready_queue.push(session) {
            self.state.supervisor_waker.post();
        }
        self.wake_acceptor_if_unsupervised();
    }

    /// There is a handler thread less.
    pub(super) fn handler_thread_exited(&self) {
        self.ready_queue.remove_thread();
        // One less may be too few.
        self.state.supervisor_waker.post();
        self.wake_acceptor_if_unsupervised();
    }

    /// Takes the place of the supervisor. False if somebody has it.
    pub(super) fn claim_supervision(&self) -> bool {
        !self.has_supervisor.swap(true, Ordering::AcqRel)
    }

    /// Notes that nobody starts handler threads any more. Does nothing in a forked copy.
    pub(super) fn supervisor_exited(&self) {
        if self.state.is_owner() {
            self.has_supervisor.store(false, Ordering::Release);
            self.acceptor_waker.post();
        }
    }

    /// Takes the connections that wait for a handler thread who will not come: none is spare, and nobody starts another.
    pub(super) fn take_stranded(&self) -> VecDeque<Box<Session>> {
        if self.has_supervisor.load(Ordering::Acquire) { VecDeque::new() } else { self.ready_queue.take_stranded() }
    }

    /// Without a supervisor it is the acceptor who looks after those that wait.
    fn wake_acceptor_if_unsupervised(&self) {
        if !self.has_supervisor.load(Ordering::Acquire) {
            self.acceptor_waker.post();
        }
    }

    /// Sends everybody home: the acceptor, the supervisor, and each handler thread when it next looks for work.
    pub(super) fn close(&self) {
        self.state.close();
        // Dropped after the locks inside are released: each of them takes one of the state's.
        drop((self.ready_queue.close(), self.reactor.close()));
        self.acceptor_waker.post();
    }

    /// Lets every connection end after the call that it is in, or after what its sender's kernel has taken. To end the
    /// receiving half of one that carries notifications would have the kernel throw that away; its other half is ended,
    /// which tells the sender.
    pub(super) fn shut_down_receiving(&self) {
        self.notification_queues.with_members(|queued| {
            self.state
                .shut_down(|number| Some(if queued.contains(&number) { Shutdown::Write } else { Shutdown::Read }));
        });
    }

    /// Ends every connection that is for calls.
    pub(super) fn shut_down_calls(&self) {
        self.notification_queues.with_members(|queued| {
            self.state.shut_down(|number| (!queued.contains(&number)).then_some(Shutdown::Both));
        });
    }

    /// Ends the server, because what it cannot do without cannot be used any more. Only the first cause is reported.
    pub(super) fn fail(&self, cause: &dyn Display) {
        {
            // Held until it is reported: the supervisor may come here too, and logs what there is before it ends.
            let mut failed = lock(&self.failed);
            if *failed || self.state.is_closed() {
                return;
            }
            *failed = true;
            self.state.log(Level::Error, format!("the server ends: {cause}"));
        }
        self.close();
        self.state.shut_down_all();
    }

    /// Whether it ended by itself.
    pub(super) fn has_failed(&self) -> bool {
        *lock(&self.failed)
    }

    /// Ends the server after a wait that failed because other code has closed what was waited for.
    ///
    /// # Errors
    ///
    /// `error` itself, if it says anything else.
    pub(super) fn fail_if_closed_by_others(&self, error: Error) -> Result<()> {
        match &error {
            Error::System { code, .. } if *code == Errno::BADF.raw_os_error() => {
                self.fail(&error);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Notes that the acceptor has gone and will report nothing more.
    pub(super) fn acceptor_exited(&self) {
        self.acceptor_exited.store(true, Ordering::Release);
        self.state.supervisor_waker.post();
    }

    /// Whether it was closed and the acceptor has gone; also in a forked copy.
    pub(super) fn has_shut_down(&self) -> bool {
        self.state.is_closed() && (self.acceptor_exited.load(Ordering::Acquire) || !self.state.is_owner())
    }

    /// Notes how many connections are in the middle of a handshake.
    pub(super) fn set_pending_handshakes(&self, count: usize) {
        self.pending_handshakes.store(count, Ordering::Relaxed);
    }

    /// Figures by name.
    pub(super) fn stats(&self) -> Vec<(&'static str, u64)> {
        let (threads, spare_threads) = self.ready_queue.thread_counts();
        vec![
            ("connections", self.state.connection_count() as u64),
            ("threads", threads as u64),
            ("spare_threads", spare_threads as u64),
            ("pending_handshakes", self.pending_handshakes.load(Ordering::Relaxed) as u64),
        ]
    }
}
