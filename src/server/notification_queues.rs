//! Queues of the connections that carry notifications, one for each sender. Those of one sender are served one after
//! another in the order of their `rpc.notifications`, because an earlier one may hold unread notifications when its
//! sender opens the next.

use std::collections::{HashMap, HashSet, VecDeque};

use super::session::Session;
use crate::protocol::message::Sender;
use crate::sys::sync::{Mutex, lock};

/// Connections of one sender that may wait behind the first. 3: a sender opens another only after it gave one up in the
/// middle of a message or left one idle for its `idle_timeout`, and each may hold some ten megabytes in the kernel.
const MAX_WAITING: usize = 3;

/// The queues of all senders that have a connection.
#[derive(Debug, Default)]
pub(super) struct NotificationQueues {
    /// The front of each queue is being served. No queue is empty.
    queues: Mutex<HashMap<Sender, VecDeque<QueueEntry>>>,
}

#[derive(Debug)]
struct QueueEntry {
    /// The connection's number.
    number: u64,
    /// `None` at the front, and until [`NotificationQueues::wait_for_turn`].
    session: Option<Box<Session>>,
}

/// A connection's position in its sender's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// It is served now.
    Front,
    /// It waits for its turn.
    Waiting,
    /// The queue is full, and it was not added.
    Refused,
}

impl NotificationQueues {
    /// Adds a connection to its sender's queue.
    pub(super) fn join(&self, sender: Sender, number: u64) -> Position {
        let mut queues = lock(&self.queues);
        let queue = queues.entry(sender).or_default();
        if queue.len() > MAX_WAITING {
            return Position::Refused;
        }
        queue.push_back(QueueEntry { number, session: None });
        if queue.len() == 1 { Position::Front } else { Position::Waiting }
    }

    /// Keeps a connection until its turn comes.
    ///
    /// # Returns
    ///
    /// The connection itself if its turn has come meanwhile.
    pub(super) fn wait_for_turn(&self, sender: Sender, mut session: Box<Session>) -> Option<Box<Session>> {
        let mut queues = lock(&self.queues);
        let waiting = queues.get_mut(&sender).and_then(|queue| {
            let first = queue.front()?.number;
            queue.iter_mut().find(|entry| entry.number == session.number() && entry.number != first)
        });
        match waiting {
            Some(entry) => {
                entry.session = Some(session);
                None
            }
            None => {
                session.start_turn();
                Some(session)
            }
        }
    }

    /// Removes a connection that has ended.
    ///
    /// # Returns
    ///
    /// The next connection, if its turn has come and it waits here.
    pub(super) fn remove(&self, sender: Sender, number: u64) -> Option<Box<Session>> {
        let mut queues = lock(&self.queues);
        let queue = queues.get_mut(&sender)?;
        queue.retain(|entry| entry.number != number);
        let Some(first) = queue.front_mut() else {
            queues.remove(&sender);
            return None;
        };
        let mut next = first.session.take()?;
        next.start_turn();
        Some(next)
    }

    /// Runs `work` with the numbers of all connections that carry notifications. None is added meanwhile.
    pub(super) fn with_members<R>(&self, work: impl FnOnce(&HashSet<u64>) -> R) -> R {
        let queues = lock(&self.queues);
        work(&queues.values().flatten().map(|entry| entry.number).collect())
    }

    /// Takes every connection that waits here, out of turn.
    pub(super) fn take_waiting(&self) -> VecDeque<Box<Session>> {
        lock(&self.queues).values_mut().flatten().filter_map(|entry| entry.session.take()).collect()
    }
}
