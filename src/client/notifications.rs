//! Sends notifications over a connection of their own, which one thread at a time uses, so that they are handled in the
//! order in which they were sent.

use std::ptr;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use rustix::event::{Timespec, poll};
use rustix::io::Errno;

use super::Client;
use super::pool::{Checkout, Pool};
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result};
use crate::protocol::frame;
use crate::protocol::message::{CARRY_NOTIFICATIONS, RequestEnvelope, Sender};
use crate::sys::sync::OnceLock;
use crate::sys::sync::atomic::{AtomicUsize, Ordering};
use crate::wait::HostLock;

impl Client {
    pub(super) fn send_notification(
        &self,
        name: &str,
        args: &[u8],
        kwargs: &[u8],
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<()> {
        let envelope = RequestEnvelope::new(None, name, None);
        let parts: [&[u8]; 5] = [&envelope.head, args, b",", kwargs, &envelope.tail];
        // Check the size first: nothing may be sent, not even a handshake, for a notification that is too large.
        frame::header(frame::length(&parts), self.options.max_frame_size)?;
        let is_nested = self.notification_sender.is_held_by_this_thread();
        let pool = if is_nested { &self.pool } else { self.notification_sender.pool() };
        let (checkout, idle) = self.checkout(pool, deadline, host)?;
        let _holding = (!is_nested).then(|| self.notification_sender.hold());
        let mut connection = match idle {
            None if !is_nested => self.notification_connection(&checkout, deadline, host)?,
            idle => self.connected(&checkout, idle, deadline, host)?,
        };
        connection.send(&parts, deadline, host).map_err(|error| self.closed_if_ours(error))?;
        checkout.checkin(connection);
        Ok(())
    }

    /// Opens a connection and tells the server that it carries the notifications of this client. Waits while the server
    /// has too many earlier ones that it has not read to the end.
    fn notification_connection(
        &self,
        checkout: &Checkout<'_>,
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<Connection> {
        let args = self.notification_sender.name()?.as_args();
        loop {
            let mut connection = self.connected(checkout, None, deadline, host)?;
            let response =
                self.call_over(&mut connection, CARRY_NOTIFICATIONS, args.as_bytes(), b"{}", deadline, host)?;
            if response.into_result()?.as_slice() == b"true" {
                return Ok(connection);
            }
            drop(connection);
            pause(&deadline.within(REFUSED_PAUSE), host)?;
            deadline.check(Phase::EarlierNotifications)?;
        }
    }
}

/// The pause before asking again after the server refused another connection for notifications. 20 ms: a handler that
/// is behind does not catch up sooner, and asking costs the server next to nothing.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// Waits until the deadline.
fn pause(deadline: &Deadline, host: &impl HostLock) -> Result<()> {
    while !deadline.has_passed() {
        let timeout = Timespec::try_from(deadline.remaining()).unwrap_or_default();
        match host.without_lock(|| poll(&mut [], Some(&timeout))) {
            Some(Ok(_)) => {}
            Some(Err(_)) | None => host.check_interrupts()?,
        }
    }
    Ok(())
}

/// The connection, and the name that tells the server that a later connection continues an earlier one.
#[derive(Debug)]
pub(super) struct NotificationSender {
    /// A pool of one connection, whose checkout is the lock that threads share it under. A fork cannot leave it locked,
    /// because a forked client has another pool, and the wait for it can be interrupted.
    pool: Pool,
    name: OnceLock<Sender>,
    /// The thread with the checkout, as of [`current_thread`], or 0.
    holder: AtomicUsize,
}

impl NotificationSender {
    /// A sender without a connection.
    pub(super) fn new(idle_timeout: Duration) -> Self {
        Self {
            pool: Pool::of_one(idle_timeout, Phase::EarlierNotifications),
            name: OnceLock::new(),
            holder: AtomicUsize::new(0),
        }
    }

    /// The pool with the connection.
    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The name of this client, generated at the first use.
    ///
    /// # Errors
    ///
    /// [`Error::System`] if the operating system has no generator.
    pub(super) fn name(&self) -> Result<Sender> {
        if let Some(name) = self.name.get() {
            return Ok(*name);
        }
        let mut bytes = [0; 16];
        let failed = |_| Error::system("could not make the name of a sender", Errno::NOSYS);
        SysRng.try_fill_bytes(&mut bytes).map_err(failed)?;
        let name = Sender::new(bytes);
        // The caller has the checkout, so no other thread generates a name now.
        let _ = self.name.set(name);
        Ok(name)
    }

    /// Marks the calling thread as the one with the checkout, until the guard is dropped.
    pub(super) fn hold(&self) -> HolderGuard<'_> {
        self.holder.store(current_thread(), Ordering::Relaxed);
        HolderGuard(self)
    }

    /// Returns whether the calling thread has the checkout. It is then in a signal handler that interrupted its own
    /// sending, and waiting for the checkout would be a deadlock.
    pub(super) fn is_held_by_this_thread(&self) -> bool {
        self.holder.load(Ordering::Relaxed) == current_thread()
    }
}

/// Marks a thread as the one with the checkout, until dropped.
pub(super) struct HolderGuard<'sender>(&'sender NotificationSender);

impl Drop for HolderGuard<'_> {
    fn drop(&mut self) {
        self.0.holder.store(0, Ordering::Relaxed);
    }
}

/// A number that identifies the calling thread while it lives, and is not 0: the address of a thread-local variable.
fn current_thread() -> usize {
    thread_local!(static VARIABLE: u8 = const { 0 });
    VARIABLE.with(|variable| ptr::from_ref(variable).addr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_that_holds_it_is_told_so_and_only_while_it_does() {
        let sender = NotificationSender::new(Duration::MAX);
        assert!(!sender.is_held_by_this_thread());
        let holding = sender.hold();
        assert!(sender.is_held_by_this_thread());
        std::thread::scope(|scope| assert!(!scope.spawn(|| sender.is_held_by_this_thread()).join().unwrap()));
        drop(holding);
        assert!(!sender.is_held_by_this_thread());
    }

    #[test]
    fn a_client_keeps_its_name_and_no_other_has_it() {
        let (one, other) = (NotificationSender::new(Duration::MAX), NotificationSender::new(Duration::MAX));
        assert_eq!(one.name().unwrap(), one.name().unwrap());
        assert_ne!(one.name().unwrap(), other.name().unwrap());
    }
}
