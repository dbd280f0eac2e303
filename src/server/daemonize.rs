//! A server that continues in a forked process and takes the place of the original, as after `Process.daemon`.
//!
//! Threads that do not exist in the new process may have been in the middle of anything at the fork. State that they
//! change is therefore copied before the fork ([`Snapshot`]); state that never changes is read from the forked copy.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Server;
use super::listener::Listener;
use super::supervisor::Supervisor;
use crate::documents::{DocumentStore, State};
use crate::error::Result;
use crate::shared_memory::generations::SharedGenerations;
use crate::sys::fork;
use crate::sys::sync::{Mutex, lock};

/// The state of a server just before a fork.
#[derive(Debug)]
pub struct Snapshot {
    documents: State,
    is_started: bool,
    is_listening: bool,
}

impl Snapshot {
    /// True if the server was started, so that its successor is to be started too.
    pub fn is_started(&self) -> bool {
        self.is_started
    }
}

impl Server {
    /// Copies the state of this server.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Closed`] in a forked copy.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.check_process()?;
        Ok(Snapshot {
            documents: self.documents.state(),
            is_started: self.is_started(),
            is_listening: lock(&self.listener).is_open(),
        })
    }

    /// The server that takes the place of this forked copy, with its options, secret, documents and counters. It is not
    /// started. It listens if the original did and `may_listen`: at the `port` of its options, which the original
    /// process may still hold, or at a new one.
    ///
    /// # Errors
    ///
    /// [`crate::Error::System`] if the address cannot be bound. Without `may_listen` it cannot fail.
    pub fn successor(&self, snapshot: &Snapshot, may_listen: bool) -> Result<Self> {
        let (listener, address) = if may_listen && snapshot.is_listening {
            Listener::bind(SocketAddr::new(self.address.ip(), self.options.port))?
        } else {
            (Listener::default(), self.address)
        };
        let page = SharedGenerations::for_port(address.port()).unwrap_or(self.page);
        let documents = DocumentStore::inherited(&self.documents, &snapshot.documents);
        // With a fixed port, workers that were forked earlier find this server again. They may know a generation that a
        // thread published between the snapshot and the fork.
        documents.keys().iter().for_each(|key| page.bump(key));
        Ok(Self {
            options: self.options.clone(),
            secret: self.secret.clone(),
            address,
            page,
            documents: Arc::new(documents),
            counters: self.counters.clone(),
            listener: Mutex::new(Arc::new(listener)),
            running: Mutex::new(None),
            generation: fork::generation(),
        })
    }

    /// As [`Server::start`], but a closed listening socket stays closed.
    ///
    /// # Errors
    ///
    /// As for [`Server::start`].
    pub fn start_without_rebinding(&self) -> Result<Option<Supervisor>> {
        self.check_process()?;
        let mut running = lock(&self.running);
        if running.is_some() {
            return Ok(None);
        }
        self.launch(&mut running, lock(&self.listener).clone()).map(Some)
    }
}
