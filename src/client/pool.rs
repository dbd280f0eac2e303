//! A pool of connections. Idle ones are used last in, first out, so that surplus ones expire and are closed.

use std::collections::{HashMap, VecDeque};
use std::sync::PoisonError;
use std::time::Duration;

use rustix::net::Shutdown;

use crate::connection::{Connection, Socket, shut_down};
use crate::deadline::Deadline;
use crate::error::{Phase, Result};
use crate::sys::fork;
use crate::sys::notifier::{Notifier, Wakeup};
use crate::sys::sync::{Mutex, OnceLock, lock};
use crate::wait::HostLock;

/// Up to `max_connections` connections, idle or in use.
#[derive(Debug)]
pub(super) struct Pool {
    max_connections: usize,
    idle_timeout: Duration,
    /// The phase in timeout errors of callers that wait for a free connection.
    phase: Phase,
    /// If true, a caller queues behind those that wait already, even if a connection has just become free. Otherwise a
    /// thread that comes again at once could keep a pool of one for itself.
    is_fair: bool,
    state: Mutex<State>,
    /// Created when a caller waits for the first time; most clients never need it.
    available: OnceLock<Notifier>,
    generation: u32,
}

#[derive(Debug, Default)]
struct State {
    /// The connection that was used last is at the back.
    idle: VecDeque<Idle>,
    /// The number of checkouts, and the sockets of those that have a connection.
    checked_out: usize,
    in_use: HashMap<u64, Socket>,
    next_number: u64,
    waiting: usize,
    closed: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    expires: Deadline,
}

impl Pool {
    /// An empty pool.
    pub(super) fn new(max_connections: usize, idle_timeout: Duration, phase: Phase) -> Self {
        Self::with(max_connections, idle_timeout, phase, false)
    }

    /// A pool of one connection, whose callers take turns.
    pub(super) fn of_one(idle_timeout: Duration, phase: Phase) -> Self {
        Self::with(1, idle_timeout, phase, true)
    }

    /// Checks out the right to use one connection, with an idle one if one is alive. Blocks while all are in use.
    pub(super) fn checkout(
        &self,
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<(Checkout<'_>, Option<Connection>)> {
        let mut may_try = self.may_overtake();
        loop {
            if may_try && let Some(checked_out) = self.try_checkout() {
                return Ok(checked_out);
            }
            let available = self.available()?;
            let waited = {
                let waiting = WaiterGuard::new(self);
                // Try again now that the waiter is registered: a checkin before that did not notify it.
                if (may_try || waiting.is_alone)
                    && let Some(checked_out) = self.try_checkout()
                {
                    return Ok(checked_out);
                }
                host.without_lock(|| available.wait(deadline)).transpose()?
            };
            match waited {
                Some(Wakeup::Woken) => {
                    may_try = true;
                    available.consume();
                }
                Some(Wakeup::TimedOut) => return Err(deadline.timeout(self.phase)),
                Some(Wakeup::Signalled) | None => host.check_interrupts()?,
            }
        }
    }

    /// Closes idle connections and shuts down those in use.
    pub(super) fn close(&self) {
        let (idle, in_use) = {
            let mut state = lock(&self.state);
            state.closed = true;
            (std::mem::take(&mut state.idle), std::mem::take(&mut state.in_use))
        };
        drop(idle);
        for socket in in_use.values() {
            shut_down(socket, Shutdown::Both);
        }
        if let Some(available) = self.available.get() {
            available.notify();
        }
    }

    /// Returns whether a connection is in use or an idle one is alive.
    pub(super) fn is_connected(&self) -> bool {
        let state = lock(&self.state);
        !state.in_use.is_empty() || state.idle.iter().any(|idle| idle.connection.is_idle())
    }

    /// The number of connections, and of the idle ones among them.
    pub(super) fn connections(&self) -> (usize, usize) {
        let state = lock(&self.state);
        let idle = state.idle.len();
        (idle.saturating_add(state.in_use.len()), idle)
    }

    fn with(max_connections: usize, idle_timeout: Duration, phase: Phase, is_fair: bool) -> Self {
        let (state, available) = (Mutex::default(), OnceLock::new());
        Self { max_connections, idle_timeout, phase, is_fair, state, available, generation: fork::generation() }
    }

    fn may_overtake(&self) -> bool {
        !self.is_fair || lock(&self.state).waiting == 0
    }

    fn try_checkout(&self) -> Option<(Checkout<'_>, Option<Connection>)> {
        // Drop dead and expired connections after the lock is released.
        let mut discarded = Vec::new();
        let mut state = lock(&self.state);
        while state.idle.front().is_some_and(|oldest| oldest.expires.has_passed()) {
            discarded.extend(state.idle.pop_front());
        }
        let mut connection = None;
        while let Some(newest) = state.idle.pop_back() {
            if newest.connection.is_idle() {
                connection = Some(newest.connection);
                break;
            }
            discarded.push(newest);
        }
        if connection.is_none() && state.checked_out >= self.max_connections && !state.closed {
            return None;
        }
        let number = state.next_number;
        state.next_number = number.wrapping_add(1);
        state.checked_out = state.checked_out.saturating_add(1);
        if let Some(connection) = &connection {
            state.in_use.insert(number, connection.socket().clone());
        }
        drop(state);
        Some((Checkout { pool: self, number }, connection))
    }

    fn available(&self) -> Result<&Notifier> {
        if let Some(available) = self.available.get() {
            return Ok(available);
        }
        // If two threads create one at once, the second is dropped.
        let _ = self.available.set(Notifier::new()?);
        self.available.get().ok_or_else(fork::wrong_process_error)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.generation != fork::generation() {
            // In a forked copy the state may be inconsistent: a thread that does not exist here may have been changing
            // it.
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::take(state));
        }
    }
}

/// The right to use one connection of the pool. A connection that is not checked in is closed.
#[derive(Debug)]
pub(super) struct Checkout<'pool> {
    pool: &'pool Pool,
    number: u64,
}

impl Checkout<'_> {
    /// Registers a new connection of this checkout, so that closing the pool ends it. `None` if the pool is closed.
    pub(super) fn attach(&self, connection: Connection) -> Option<Connection> {
        let mut state = lock(&self.pool.state);
        if state.closed {
            return None;
        }
        state.in_use.insert(self.number, connection.socket().clone());
        Some(connection)
    }

    /// Returns a connection that is not in the middle of a message.
    pub(super) fn checkin(self, connection: Connection) {
        let mut state = lock(&self.pool.state);
        if !state.closed {
            let expires = Deadline::after(self.pool.idle_timeout);
            state.idle.push_back(Idle { connection, expires });
        }
    }
}

impl Drop for Checkout<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.pool.state);
        state.checked_out = state.checked_out.saturating_sub(1);
        // Keep the socket, so that it is closed only after the lock is released.
        let socket = state.in_use.remove(&self.number);
        let is_awaited = state.waiting > 0;
        drop(state);
        drop(socket);
        if is_awaited && let Some(available) = self.pool.available.get() {
            available.notify();
        }
    }
}

/// Counts a caller as waiting, until dropped.
struct WaiterGuard<'pool> {
    pool: &'pool Pool,
    /// True if no other caller waited before.
    is_alone: bool,
}

impl<'pool> WaiterGuard<'pool> {
    fn new(pool: &'pool Pool) -> Self {
        let mut state = lock(&pool.state);
        let is_alone = state.waiting == 0;
        state.waiting = state.waiting.saturating_add(1);
        Self { pool, is_alone }
    }
}

impl Drop for WaiterGuard<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.pool.state);
        state.waiting = state.waiting.saturating_sub(1);
    }
}
