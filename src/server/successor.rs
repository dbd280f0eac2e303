//! A server that goes on in a process which was forked from its own and takes that one's place, as a daemon does.
//!
//! Other threads may be in the middle of anything at the fork, and do not exist in the new process. So what they may be
//! changing is noted before the fork ([`Snapshot`]); what never changes is read from the forked copy.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Server;
use super::listener::Listener;
use super::steward::Steward;
use crate::document::{DocumentStore, State};
use crate::error::Result;
use crate::fork;
use crate::shared_generations::SharedGenerations;
use crate::sync::{Mutex, lock};

/// What a server was just before a fork.
#[derive(Debug)]
pub struct Snapshot {
    documents: State,
    is_started: bool,
    is_listening: bool,
}

impl Snapshot {
    /// Whether the server was started, and so its successor is to be.
    pub fn is_started(&self) -> bool {
        self.is_started
    }
}

impl Server {
    /// What this server is now.
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

    /// The server that takes the place of this forked copy, with its options, secret, documents and counters. It listens
    /// if the original did and `may_listen`: at the `port` of its options, which the process before may still hold, or
    /// at a new one. It is not started.
    ///
    /// # Errors
    ///
    /// [`crate::Error::System`] if the address cannot be bound. Without `may_listen` nothing goes wrong.
    pub fn successor(&self, snapshot: &Snapshot, may_listen: bool) -> Result<Self> {
        let (listener, address) = if may_listen && snapshot.is_listening {
            Listener::bind(SocketAddr::new(self.address.ip(), self.options.port))?
        } else {
            (Listener::default(), self.address)
        };
        let page = SharedGenerations::for_port(address.port()).unwrap_or(self.page);
        let documents = DocumentStore::inherited(&self.documents, &snapshot.documents);
        // A worker that was forked before finds the server again at a fixed port. What it knows of a document may be
        // what a thread published that the fork has ended.
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

    /// As [`Server::start`], but does not listen again if the listening socket was closed.
    ///
    /// # Errors
    ///
    /// As for it.
    pub fn start_as_it_listens(&self) -> Result<Option<Steward>> {
        self.check_process()?;
        let mut running = lock(&self.running);
        if running.is_some() {
            return Ok(None);
        }
        self.launch(&mut running, lock(&self.listener).clone()).map(Some)
    }
}
