//! One call or notification in the hands of a handler, and the connection that it came over.

use std::sync::{Arc, Weak};
use std::time::Duration;

use mio::Token;

use super::dispatcher::Dispatcher;
use super::reactor::Parked;
use super::reply_channel::{LocalReply, ReplyChannel};
use super::session::Session;
use crate::deadline::Deadline;
use crate::error::{Error, FailureCode, RemoteFailure, Result};
use crate::protocol::message::{Request, Response};
use crate::sys::sync::atomic::{AtomicBool, Ordering};
use crate::sys::sync::{Mutex, lock};
use crate::wait::HostLock;

/// A request that is answered at most once.
///
/// The call holds the connection until its response is sent. Then the connection is parked, so that another handler
/// thread can serve its next request while this handler still runs. No lock is held during a wait.
#[derive(Debug)]
pub struct Call {
    request: Request,
    deadline: Deadline,
    /// Not part of `slot`, so that a forked child can read it without a lock whose holder it may lack.
    answered: AtomicBool,
    slot: Mutex<ConnectionSlot>,
    /// Weak, because the host may keep a call for long after its server was stopped.
    dispatcher: Weak<Dispatcher>,
}

/// A call that waited for less is not checked for a disconnected caller, which costs a system call. 1 ms: nearly every
/// call reaches its handler within microseconds, and no timeout is so short.
const DISCONNECT_CHECK_AFTER: Duration = Duration::from_millis(1);

/// Where the connection is.
#[derive(Debug)]
enum ConnectionSlot {
    Held(ReplyChannel),
    Parked(Token),
    /// There is no connection: the response waits for the caller, which is this process.
    LocalResponse(Option<Response>),
    /// The connection is being written to, is with another handler thread, or is closed.
    Released,
}

impl Call {
    /// A request that was just read over `session`.
    pub(super) fn new(request: Request, session: Box<Session>, dispatcher: &Arc<Dispatcher>) -> Self {
        let deadline = request.timeout.map_or_else(Deadline::never, Deadline::after);
        let is_notification = request.id.is_none();
        let slot = if is_notification {
            park_or_hold(session, Some(dispatcher))
        } else {
            ConnectionSlot::Held(ReplyChannel::Session(session))
        };
        Self {
            request,
            deadline,
            answered: AtomicBool::new(is_notification),
            slot: Mutex::new(slot),
            dispatcher: Arc::downgrade(dispatcher),
        }
    }

    /// A request of this process itself.
    pub(super) fn local(request: Request, max_frame_size: usize) -> Self {
        Self {
            deadline: request.timeout.map_or_else(Deadline::never, Deadline::after),
            answered: AtomicBool::new(request.id.is_none()),
            request,
            slot: Mutex::new(ConnectionSlot::Held(ReplyChannel::Local(LocalReply::new(max_frame_size)))),
            dispatcher: Weak::new(),
        }
    }

    /// The method's name.
    pub fn name(&self) -> &str {
        &self.request.name
    }

    /// The positional arguments: the text of a JSON array.
    pub fn args(&self) -> &[u8] {
        self.request.args()
    }

    /// The keyword arguments: the text of a JSON object.
    pub fn kwargs(&self) -> &[u8] {
        self.request.kwargs()
    }

    /// True if no response is expected.
    pub fn is_notification(&self) -> bool {
        self.request.id.is_none()
    }

    /// True if it was answered or needs no answer: the caller does not learn what its handler raises now.
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }

    /// When its caller stops waiting.
    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// True if its caller waits no longer: its time has passed or it has disconnected. Never true for a notification.
    /// While the server stops only time counts, because a stop ends the receiving half of every connection itself.
    pub fn is_expired(&self) -> bool {
        if self.is_notification() {
            return false;
        }
        self.deadline.has_passed()
            || matches!(&*lock(&self.slot), ConnectionSlot::Held(ReplyChannel::Session(session)) if session.peer_closed())
    }

    /// As [`Call::is_expired`], for a call that was just read. Looks for a disconnect only if the call has waited.
    pub(super) fn expired_in_queue(&self) -> bool {
        self.deadline.has_passed() || (self.deadline.waited() > DISCONNECT_CHECK_AFTER && self.is_expired())
    }

    /// Sends the text of a result, once; the handler may continue.
    ///
    /// # Returns
    ///
    /// False if it was answered before, is a notification, or its caller is gone.
    ///
    /// # Errors
    ///
    /// [`Error::FrameTooLarge`], which is sent to the caller as well; [`Error::Interrupted`].
    pub fn respond(&self, result: &[u8], host: &impl HostLock) -> Result<bool> {
        let Some((id, mut reply)) = self.claim() else { return Ok(false) };
        let sent = reply.send_result(id, result, host);
        let answered = match &sent {
            Err(error @ Error::FrameTooLarge { .. }) => reply.send_failure(id, &frame_too_large_failure(error), host),
            _ => sent.clone(),
        };
        match answered {
            Ok(()) => {
                *lock(&self.slot) = match reply {
                    ReplyChannel::Session(session) => park_or_hold(session, self.dispatcher.upgrade().as_ref()),
                    ReplyChannel::Local(local) => ConnectionSlot::LocalResponse(local.response),
                };
                sent.map(|()| true)
            }
            Err(Error::Interrupted) => Err(Error::Interrupted),
            Err(_) => Ok(false),
        }
    }

    /// Ends the call after its handler: unless it was answered, sends `failure` or else `null`.
    ///
    /// # Returns
    ///
    /// The connection, unless another handler thread has taken it for its next request.
    pub(super) fn finish(&self, failure: Option<&RemoteFailure>, host: &impl HostLock) -> Result<Option<Box<Session>>> {
        if let Some((id, mut reply)) = self.claim() {
            let sent = match failure {
                Some(failure) => reply.send_failure(id, failure, host),
                None => reply.send_result(id, b"null", host),
            };
            let answered = match &sent {
                Err(error @ Error::FrameTooLarge { .. }) => {
                    reply.send_failure(id, &frame_too_large_failure(error), host)
                }
                _ => sent,
            };
            return match (answered, reply) {
                (Ok(()), ReplyChannel::Session(session)) => Ok(Some(session)),
                (answered, ReplyChannel::Local(local)) => {
                    *lock(&self.slot) = ConnectionSlot::LocalResponse(local.response);
                    answered.map(|()| None)
                }
                (Err(Error::Interrupted), _) => Err(Error::Interrupted),
                (Err(_), _) => Ok(None),
            };
        }
        Ok(self.reclaim())
    }

    /// The response to a call of this process itself, if there is one.
    pub(super) fn take_local_response(&self) -> Option<Response> {
        match std::mem::replace(&mut *lock(&self.slot), ConnectionSlot::Released) {
            ConnectionSlot::LocalResponse(response) => response,
            ConnectionSlot::Held(..) | ConnectionSlot::Parked(..) | ConnectionSlot::Released => None,
        }
    }

    /// Gives the connection back without a response, for a call that has expired.
    pub(super) fn discard(&self) -> Option<Box<Session>> {
        self.reclaim()
    }

    /// Claims the right to answer, which succeeds once, with the id and the channel to answer over.
    fn claim(&self) -> Option<(&str, ReplyChannel)> {
        let id = self.request.id.as_deref()?;
        // Hold the lock over both steps: otherwise `finish` could reclaim the connection in between.
        let mut slot = lock(&self.slot);
        if self.answered.swap(true, Ordering::AcqRel) {
            return None;
        }
        match std::mem::replace(&mut *slot, ConnectionSlot::Released) {
            ConnectionSlot::Held(reply) => Some((id, reply)),
            ConnectionSlot::Parked(..) | ConnectionSlot::LocalResponse(..) | ConnectionSlot::Released => None,
        }
    }

    fn reclaim(&self) -> Option<Box<Session>> {
        let mut slot = lock(&self.slot);
        match std::mem::replace(&mut *slot, ConnectionSlot::Released) {
            ConnectionSlot::Held(ReplyChannel::Session(session)) => Some(session),
            ConnectionSlot::Parked(token) => self.dispatcher.upgrade()?.reactor.unpark(token),
            answered @ ConnectionSlot::LocalResponse(..) => {
                *slot = answered;
                None
            }
            ConnectionSlot::Held(ReplyChannel::Local(..)) | ConnectionSlot::Released => None,
        }
    }
}

/// The failure that a caller gets whose response no frame can carry.
fn frame_too_large_failure(error: &Error) -> RemoteFailure {
    RemoteFailure::without_handler(FailureCode::FrameTooLarge, error.to_string())
}

/// Parks a connection so that another handler thread can serve its next request. One that carries notifications stays
/// held: its next notification is read after this one was handled.
fn park_or_hold(session: Box<Session>, dispatcher: Option<&Arc<Dispatcher>>) -> ConnectionSlot {
    if session.sender().is_some() {
        return ConnectionSlot::Held(ReplyChannel::Session(session));
    }
    let Some(dispatcher) = dispatcher else { return ConnectionSlot::Released };
    match dispatcher.reactor.park(session) {
        Parked::At(token, wakes_acceptor) => {
            if wakes_acceptor {
                dispatcher.state.acceptor_waker.notify();
            }
            ConnectionSlot::Parked(token)
        }
        Parked::Busy(session) => {
            dispatcher.dispatch(session);
            ConnectionSlot::Released
        }
        Parked::Closed => ConnectionSlot::Released,
    }
}
