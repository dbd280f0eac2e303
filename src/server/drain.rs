//! What a server that stops has left: notifications that no thread is to handle any more are read and counted.

use rustix::event::{PollFd, PollFlags};

use super::dispatcher::Dispatcher;
use super::session::QUIET_PERIOD;
use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::semaphore::{Waited, wait_for};
use crate::wait::Wait;

/// Reads every connection that carries notifications and waits for a thread, until each has ended or nothing has come for
/// [`QUIET_PERIOD`]. Blocks until then, until `deadline` at the most.
///
/// # Errors
///
/// [`crate::Error::Interrupted`], after which a further call goes on.
pub(super) fn drain_notifications(dispatcher: &Dispatcher, deadline: &Deadline, wait: &impl Wait) -> Result<()> {
    let mut quiet = deadline.within(QUIET_PERIOD);
    // Also those whose turn does not come, because a thread that cannot be ended has the one before.
    for session in dispatcher.notification_queues.take_waiting() {
        dispatcher.ready_queue.push(session);
    }
    loop {
        match wait.block(|| discard_and_wait(dispatcher, deadline, &mut quiet)).transpose()? {
            Some(Pass::Done) => return Ok(()),
            Some(Pass::Again) => {}
            Some(Pass::Interrupted) | None => wait.interrupted()?,
        }
    }
}

/// How a look at all connections ended.
enum Pass {
    /// Each has ended, nothing has come for long enough, or the time is over.
    Done,
    /// There is, or may be, more.
    Again,
    /// A signal came.
    Interrupted,
}

/// Reads what has arrived, and waits for more.
fn discard_and_wait(dispatcher: &Dispatcher, deadline: &Deadline, quiet: &mut Deadline) -> Result<Pass> {
    let (open, has_progressed) = discard_arrived(dispatcher, deadline);
    if deadline.has_passed() {
        return Ok(Pass::Done);
    }
    if has_progressed {
        *quiet = deadline.within(QUIET_PERIOD);
        // What has ended may have let another connection in, which is not among these.
        return Ok(Pass::Again);
    }
    if open.is_empty() || quiet.has_passed() {
        return Ok(Pass::Done);
    }
    let descriptors = open.iter().map(|socket| socket.here()).collect::<Result<Vec<_>>>()?;
    let mut polled: Vec<_> = descriptors.iter().map(|socket| PollFd::new(*socket, PollFlags::IN)).collect();
    match wait_for(&mut polled, quiet)? {
        Waited::Woken | Waited::TimedOut => Ok(Pass::Again),
        Waited::Signalled => Ok(Pass::Interrupted),
    }
}

/// # Returns
///
/// The connections that may bring more, and whether any brought something or has ended: then the next one of its sender
/// waits in its place.
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
