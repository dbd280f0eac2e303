//! What a server that stops has left: notifications that no thread is to handle any more are read and counted.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::hall::Hall;
use super::session::SILENCE;
use crate::connection::Socket;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::semaphore::{Waited, wait_for};
use crate::wait::Wait;

/// Reads every connection that carries notifications and waits for a thread, until each has ended or nothing has come for
/// [`SILENCE`]. Blocks until then, until `deadline` at the most.
///
/// # Errors
///
/// [`crate::Error::Interrupted`], after which a further call goes on.
pub(super) fn drain(hall: &Hall, deadline: &Deadline, wait: &impl Wait) -> Result<()> {
    let mut silence = deadline.within(SILENCE);
    // Also those whose turn does not come, because a thread that cannot be ended has the one before.
    for session in hall.senders.take_all() {
        hall.lobby.enter(session);
    }
    loop {
        let (open, has_progressed) = skip_what_has_arrived(hall);
        if has_progressed {
            silence = deadline.within(SILENCE);
        }
        if (open.is_empty() && !has_progressed) || silence.has_passed() {
            return Ok(());
        }
        let descriptors = open.iter().map(|socket| socket.here()).collect::<Result<Vec<_>>>()?;
        let mut polled: Vec<_> = descriptors.iter().map(|socket| PollFd::new(*socket, PollFlags::IN)).collect();
        // What has ended may have let another connection in, which is not among these.
        let until = if has_progressed { Deadline::after(Duration::ZERO) } else { silence };
        match wait.block(|| wait_for(&mut polled, &until)).transpose()? {
            Some(Waited::Woken | Waited::TimedOut) => {}
            Some(Waited::Signalled) | None => wait.interrupted()?,
        }
    }
}

/// # Returns
///
/// The connections that may bring more, and whether any brought something or has ended: then the next one of its sender
/// waits in its place.
fn skip_what_has_arrived(hall: &Hall) -> (Vec<Socket>, bool) {
    let (mut open, mut has_progressed) = (Vec::new(), false);
    for mut session in hall.lobby.take_waiting() {
        let (count, may_go_on) = session.skip_notifications();
        hall.desk.counters.dropped_notifications.add(count);
        has_progressed |= count > 0 || !may_go_on;
        if may_go_on {
            open.push(session.socket().clone());
            hall.lobby.enter(session);
        }
    }
    (open, has_progressed)
}
