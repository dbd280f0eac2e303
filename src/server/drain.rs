//! Reads and counts the notifications that a stopping server will not handle any more.

use rustix::event::{PollFd, PollFlags};

use super::dispatcher::Dispatcher;
use super::session::QUIET_PERIOD;
use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::sys::notifier::{Wakeup, wait_for};
use crate::wait::HostLock;

/// Reads every queued connection that carries notifications, until each has ended or nothing has arrived for
/// [`QUIET_PERIOD`], at most until `deadline`. Blocks meanwhile.
///
/// # Errors
///
/// [`crate::Error::Interrupted`]; a further call continues.
pub(super) fn drain_notifications(dispatcher: &Dispatcher, deadline: &Deadline, host: &impl HostLock) -> Result<()> {
    let mut quiet = deadline.within(QUIET_PERIOD);
    // Includes connections whose turn does not come, because a thread that cannot be ended has the one before.
    for session in dispatcher.notification_queues.take_waiting() {
        dispatcher.ready_queue.push(session);
    }
    loop {
        match host.without_lock(|| discard_and_wait(dispatcher, deadline, &mut quiet)).transpose()? {
            Some(Pass::Done) => return Ok(()),
            Some(Pass::Again) => {}
            Some(Pass::Interrupted) | None => host.check_interrupts()?,
        }
    }
}

/// The outcome of reading all connections once.
enum Pass {
    /// All have ended, nothing has arrived for long enough, or the deadline has passed.
    Done,
    /// There is or may be more.
    Again,
    /// A signal came.
    Interrupted,
}

/// Reads what has arrived, then waits for more.
fn discard_and_wait(dispatcher: &Dispatcher, deadline: &Deadline, quiet: &mut Deadline) -> Result<Pass> {
    let (open, has_progressed) = discard_arrived(dispatcher, deadline);
    if deadline.has_passed() {
        return Ok(Pass::Done);
    }
    if has_progressed {
        *quiet = deadline.within(QUIET_PERIOD);
        // A connection that has ended may have let the next one of its sender into the ready queue.
        return Ok(Pass::Again);
    }
    if open.is_empty() || quiet.has_passed() {
        return Ok(Pass::Done);
    }
    let descriptors = open.iter().map(|socket| socket.get()).collect::<Result<Vec<_>>>()?;
    let mut polled: Vec<_> = descriptors.iter().map(|socket| PollFd::new(*socket, PollFlags::IN)).collect();
    match wait_for(&mut polled, quiet)? {
        Wakeup::Woken | Wakeup::TimedOut => Ok(Pass::Again),
        Wakeup::Signalled => Ok(Pass::Interrupted),
    }
}

/// # Returns
///
/// The connections that are still open, and true if any brought notifications or has ended: the next one of its sender
/// is then in the ready queue.
fn discard_arrived(dispatcher: &Dispatcher, deadline: &Deadline) -> (Vec<Socket>, bool) {
    let (mut open, mut has_progressed) = (Vec::new(), false);
    for mut session in dispatcher.ready_queue.take_waiting() {
        let (count, may_go_on) = session.discard_notifications(deadline);
        has_progressed |= count > 0 || !may_go_on;
        if may_go_on {
            open.push(session.socket().clone());
            dispatcher.ready_queue.push(session);
        }
    }
    (open, has_progressed)
}
