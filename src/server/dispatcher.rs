//! Routes connections to handler threads, from a server's start to its stop: from the acceptor to the ready queue, from
//! there to a thread, and while parked to the reactor.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::Arc;

use super::notification_queues::NotificationQueues;
use super::reactor::Reactor;
use super::ready_queue::ReadyQueue;
use super::session::Session;
use super::state::ServerState;
use crate::connection::{Connection, Socket};
use crate::documents::DocumentStore;
use crate::error::{Error, Result};
use crate::log_buffer::Level;
use crate::metrics::ServerCounters;
use crate::options::ServerOptions;
use crate::sys::sync::{Mutex, lock};
use rustix::io::Errno;
use rustix::net::Shutdown;

/// The queues of a started server, between which connections move.
#[derive(Debug)]
pub(super) struct Dispatcher {
    pub(super) state: Arc<ServerState>,
    pub(super) ready_queue: ReadyQueue,
    pub(super) reactor: Reactor,
    pub(super) notification_queues: NotificationQueues,
    /// The number of notifications dropped before the start.
    pub(super) dropped_before: u64,
    max_frame_size: usize,
    failed: Mutex<bool>,
}

impl Dispatcher {
    /// A dispatcher without connections.
    pub(super) fn new(
        options: &ServerOptions,
        documents: Arc<DocumentStore>,
        counters: Arc<ServerCounters>,
    ) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            dropped_before: counters.dropped_notifications.read(),
            state: ServerState::new(options, documents, counters)?,
            ready_queue: ReadyQueue::new(options.spare_threads, options.max_threads)?,
            reactor: Reactor::new()?,
            notification_queues: NotificationQueues::default(),
            max_frame_size: options.max_frame_size,
            failed: Mutex::default(),
        }))
    }

    /// Takes over a connection that has authenticated.
    pub(super) fn register(self: &Arc<Self>, socket: Socket) {
        let number = self.state.insert(socket.clone());
        let connection = Connection::new(socket, self.max_frame_size);
        self.dispatch(Session::new(connection, self, number));
    }

    /// Queues a connection that has something to read for a handler thread.
    pub(super) fn dispatch(&self, session: Box<Session>) {
        if self.ready_queue.push(session) {
            self.state.supervisor_waker.notify();
        }
        self.state.wake_acceptor_if_unsupervised();
    }

    /// Counts a handler thread less.
    pub(super) fn handler_thread_exited(&self) {
        self.ready_queue.remove_thread();
        // The remaining threads may be too few.
        self.state.supervisor_waker.notify();
        self.state.wake_acceptor_if_unsupervised();
    }

    /// Takes the queued connections for which there is no idle handler thread, and no supervisor to start one.
    pub(super) fn take_stranded(&self) -> VecDeque<Box<Session>> {
        if self.state.has_supervisor() { VecDeque::new() } else { self.ready_queue.take_stranded() }
    }

    /// Tells the acceptor, the supervisor and all handler threads to exit once they have nothing left to do.
    pub(super) fn close(&self) {
        self.state.close();
        // Sessions are dropped after the locks are released: each drop takes a lock of the server state.
        drop((self.ready_queue.close(), self.reactor.close()));
        self.state.acceptor_waker.notify();
    }

    /// Ends each connection after the call that it is in, or after the notifications that its sender's kernel has
    /// taken. The latter keep their receiving half, because shutting it down would discard those; shutting down the
    /// sending half tells the sender.
    pub(super) fn shut_down_receiving(&self) {
        self.notification_queues.with_members(|queued| {
            self.state
                .shut_down(|number| Some(if queued.contains(&number) { Shutdown::Write } else { Shutdown::Read }));
        });
    }

    /// Ends every connection that carries calls.
    pub(super) fn shut_down_calls(&self) {
        self.notification_queues.with_members(|queued| {
            self.state.shut_down(|number| (!queued.contains(&number)).then_some(Shutdown::Both));
        });
    }

    /// Ends the server when something that it depends on cannot be used any more. Only the first cause is logged.
    pub(super) fn fail(&self, cause: &dyn Display) {
        {
            // Held until the cause is logged: the supervisor may fail too, and drains the log before it exits.
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

    /// True if it ended by [`Dispatcher::fail`].
    pub(super) fn has_failed(&self) -> bool {
        *lock(&self.failed)
    }

    /// Ends the server if a wait failed because other code has closed its descriptor.
    ///
    /// # Errors
    ///
    /// Any other `error`, unchanged.
    pub(super) fn fail_if_closed_by_others(&self, error: Error) -> Result<()> {
        match &error {
            Error::System { code, .. } if *code == Errno::BADF.raw_os_error() => {
                self.fail(&error);
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Statistics by name.
    pub(super) fn stats(&self) -> Vec<(&'static str, u64)> {
        let (threads, spare_threads) = self.ready_queue.thread_counts();
        vec![
            ("connections", self.state.connection_count() as u64),
            ("threads", threads as u64),
            ("spare_threads", spare_threads as u64),
            ("pending_handshakes", self.state.pending_handshakes() as u64),
        ]
    }
}
