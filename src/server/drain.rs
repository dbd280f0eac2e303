//! What a server that stops has left: notifications that no thread is to handle any more are read and counted.

use rustix::event::{PollFd, PollFlags};

use super::hall::Hall;
use super::session::SILENCE;
use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::notifier::{Wakeup, wait_for};
use crate::wait::HostLock;

/// Reads every connection that carries notifications and waits for a thread, until each has ended or nothing has come for
/// [`SILENCE`]. Blocks until then, until `deadline` at the most.
///
/// # Errors
///
/// [`crate::Error::Interrupted`], after which a further call goes on.
pub(super) fn drain(hall: &Hall, deadline: &Deadline, host: &impl HostLock) -> Result<()> {
    let mut silence = deadline.within(SILENCE);
    // Also those whose turn does not come, because a thread that cannot be ended has the one before.
    for session in hall.senders.take_all() {
        hall.lobby.enter(session);
    }
    loop {
        match host.without_lock(|| skip_and_wait(hall, deadline, &mut silence)).transpose()? {
            Some(Round::Over) => return Ok(()),
            Some(Round::GoOn) => {}
            Some(Round::Signalled) | None => host.check_interrupts()?,
        }
    }
}

/// How a look at all connections ended.
enum Round {
    /// Each has ended, nothing has come for long enough, or the time is over.
    Over,
    /// There is, or may be, more.
    GoOn,
    /// A signal came.
    Signalled,
}

/// Reads what has arrived, and waits for more.
fn skip_and_wait(hall: &Hall, deadline: &Deadline, silence: &mut Deadline) -> Result<Round> {
    let (open, has_progressed) = skip_what_has_arrived(hall, deadline);
    if deadline.has_passed() {
        return Ok(Round::Over);
    }
    if has_progressed {
        *silence = deadline.within(SILENCE);
        // What has ended may have let another connection in, which is not among these.
        return Ok(Round::GoOn);
    }
    if open.is_empty() || silence.has_passed() {
        return Ok(Round::Over);
    }
    let descriptors = open.iter().map(|socket| socket.get()).collect::<Result<Vec<_>>>()?;
    let mut polled: Vec<_> = descriptors.iter().map(|socket| PollFd::new(*socket, PollFlags::IN)).collect();
    match wait_for(&mut polled, silence)? {
        Wakeup::Woken | Wakeup::TimedOut => Ok(Round::GoOn),
        Wakeup::Signalled => Ok(Round::Signalled),
    }
}

/// # Returns
///
/// The connections that may bring more, and whether any brought something or has ended: then the next one of its sender
/// waits in its place.
fn skip_what_has_arrived(hall: &Hall, deadline: &Deadline) -> (Vec<Socket>, bool) {
    let (mut open, mut has_progressed) = (Vec::new(), false);
    for mut session in hall.lobby.take_waiting() {
        let (count, may_go_on) = session.skip_notifications(deadline);
        has_progressed |= count > 0 || !may_go_on;
        if may_go_on {
            open.push(session.socket().clone());
            hall.lobby.enter(session);
        }
    }
    (open, has_progressed)
}
