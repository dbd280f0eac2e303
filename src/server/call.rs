//! One call or notification in the hands of a handler, with the connection that it came over.

use std::sync::{Arc, Weak};
use std::time::Duration;

use mio::Token;

use super::dispatcher::Dispatcher;
use super::reactor::Parked;
use super::reply_channel::{LocalReply, ReplyChannel};
use super::session::Session;
use crate::deadline::Deadline;
use crate::error::{Error, FailureCode, RemoteFailure, Result};
use crate::message::{Request, Response};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, lock};
use crate::wait::Wait;

/// A request and the duty to answer it, once.
///
/// The connection is here until the answer is sent, then parked, so that its next request finds a handler thread although
/// the handler goes on. No lock is held while anything waits.
#[derive(Debug)]
pub struct Call {
    request: Request,
    deadline: Deadline,
    answered: AtomicBool,
    slot: Mutex<ConnectionSlot>,
    /// Not kept alive: a host may hold on to a call for long after its server was stopped.
    dispatcher: Weak<Dispatcher>,
}

/// 1 ms: a handler is nearly always reached within microseconds, and no caller's patience ends so soon.
const DISCONNECT_CHECK_AFTER: Duration = Duration::from_millis(1);

/// Where the connection is.
#[derive(Debug)]
enum ConnectionSlot {
    Held(ReplyChannel),
    Parked(Token),
    /// There is none: the answer waits for the caller, which is this process.
    LocalResponse(Option<Response>),
    /// Being written to, or with another handler thread, or closed.
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

    /// A request of this process's own.
    pub(super) fn local(request: Request, max_frame_size: usize) -> Self {
        Self {
            deadline: request.timeout.map_or_else(Deadline::never, Deadline::after),
            answered: AtomicBool::new(request.id.is_none()),
            request,
            slot: Mutex::new(ConnectionSlot::Held(ReplyChannel::Local(LocalReply::new(max_frame_size)))),
            dispatcher: Weak::new(),
        }
    }

    /// The method.
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

    /// Whether nobody expects an answer.
    pub fn is_notification(&self) -> bool {
        self.request.id.is_none()
    }

    /// Whether it was answered, or needs no answer: what its handler raises now reaches nobody.
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }

    /// When its caller stops waiting.
    pub fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// Whether its caller waits no more: its time has passed, or its connection has ended. Never for a notification. Once
    /// the server stops only time counts: it has ended the receiving half of every connection itself.
    pub fn is_expired(&self) -> bool {
        if self.is_notification() {
            return false;
        }
        self.deadline.has_passed()
            || matches!(&*lock(&self.slot), ConnectionSlot::Held(ReplyChannel::Session(session)) if session.peer_closed())
    }

    /// As [`Call::is_expired`], of a call that was just read. Whether its connection has ended costs a system call, and is
    /// asked only of one that has waited.
    pub(super) fn expired_in_queue(&self) -> bool {
        self.deadline.has_passed() || (self.deadline.waited() > DISCONNECT_CHECK_AFTER && self.is_expired())
    }

    /// Sends the text of a result, once; the handler may go on working.
    ///
    /// # Returns
    ///
    /// False if it was answered before, is a notification, or its caller is gone.
    ///
    /// # Errors
    ///
    /// [`Error::FrameTooLarge`], which the caller is told as well; [`Error::Interrupted`].
    pub fn respond(&self, result: &[u8], wait: &impl Wait) -> Result<bool> {
        let Some((id, mut reply)) = self.claim() else { return Ok(false) };
        let sent = reply.send_result(id, result, wait);
        let answered = match &sent {
            Err(error @ Error::FrameTooLarge { .. }) => reply.send_failure(id, &frame_too_large_failure(error), wait),
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

    /// The handler has ended: answers for it if it has not answered, with `failure` or else with `null`.
    ///
    /// # Returns
    ///
    /// The connection, if its next request has found no other handler thread.
    pub(super) fn finish(&self, failure: Option<&RemoteFailure>, wait: &impl Wait) -> Result<Option<Box<Session>>> {
        if let Some((id, mut reply)) = self.claim() {
            let sent = match failure {
                Some(failure) => reply.send_failure(id, failure, wait),
                None => reply.send_result(id, b"null", wait),
            };
            let answered = match &sent {
                Err(error @ Error::FrameTooLarge { .. }) => {
                    reply.send_failure(id, &frame_too_large_failure(error), wait)
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

    /// The answer to a call of this process's own, if there is one.
    pub(super) fn take_local_response(&self) -> Option<Response> {
        match std::mem::replace(&mut *lock(&self.slot), ConnectionSlot::Released) {
            ConnectionSlot::LocalResponse(response) => response,
            ConnectionSlot::Held(..) | ConnectionSlot::Parked(..) | ConnectionSlot::Released => None,
        }
    }

    /// Gives the connection back without an answer: nobody waits for one.
    pub(super) fn discard(&self) -> Option<Box<Session>> {
        self.reclaim()
    }

    /// The right to answer, which only one caller ever gets, with what it takes.
    fn claim(&self) -> Option<(&str, ReplyChannel)> {
        let id = self.request.id.as_deref()?;
        // Both under the lock: else the handler's end could take the connection back from under a claim.
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

/// What a caller is told whose answer no frame can carry.
fn frame_too_large_failure(error: &Error) -> RemoteFailure {
    let class = Some("Aikido::Zen::IPC::FrameTooLargeError".to_owned());
    RemoteFailure { code: FailureCode::FrameTooLarge, message: error.to_string(), class, backtrace: Vec::new() }
}

/// Lets the next request of a connection find another handler thread, unless it carries notifications: of those the next is
/// read when this one was handled.
fn park_or_hold(session: Box<Session>, dispatcher: Option<&Arc<Dispatcher>>) -> ConnectionSlot {
    if session.sender().is_some() {
        return ConnectionSlot::Held(ReplyChannel::Session(session));
    }
    let Some(dispatcher) = dispatcher else { return ConnectionSlot::Released };
    match dispatcher.reactor.park(session) {
        Parked::At(token, wakes_acceptor) => {
            if wakes_acceptor {
                dispatcher.acceptor_waker.post();
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
