//! One call or notification in the hands of a handler, with the connection that it came over.

use std::sync::{Arc, Weak};
use std::time::Duration;

use mio::Token;

use super::hall::Hall;
use super::line::{Line, Local};
use super::parking::Parked;
use super::session::Session;
use crate::deadline::Deadline;
use crate::error::{Error, FailureCode, RemoteFailure, Result};
use crate::message::{Request, Response};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Mutex, lock};
use crate::wait::HostLock;

/// A request and the duty to answer it, once.
///
/// The connection is here until the answer is sent, then parked, so that its next request finds an attendant although
/// the handler goes on. No lock is held while anything waits.
#[derive(Debug)]
pub struct Call {
    request: Request,
    deadline: Deadline,
    answered: AtomicBool,
    place: Mutex<Place>,
    /// Not kept alive: a host may hold on to a call for long after its server was stopped.
    hall: Weak<Hall>,
}

/// 1 ms: a handler is nearly always reached within microseconds, and no caller's patience ends so soon.
const LONG_ENOUGH_TO_LEAVE: Duration = Duration::from_millis(1);

/// Where the connection is.
#[derive(Debug)]
enum Place {
    Here(Line),
    Parked(Token),
    /// There is none: the answer waits for the caller, which is this process.
    Answered(Option<Response>),
    /// Being written to, or with another attendant, or closed.
    Gone,
}

impl Call {
    /// A request that was just read over `session`.
    pub(super) fn new(request: Request, session: Box<Session>, hall: &Arc<Hall>) -> Self {
        let deadline = request.timeout.map_or_else(Deadline::never, Deadline::after);
        let is_notification = request.id.is_none();
        let place = if is_notification { set_aside(session, Some(hall)) } else { Place::Here(Line::Session(session)) };
        Self {
            request,
            deadline,
            answered: AtomicBool::new(is_notification),
            place: Mutex::new(place),
            hall: Arc::downgrade(hall),
        }
    }

    /// A request of this process's own.
    pub(super) fn local(request: Request, max_frame_size: usize) -> Self {
        Self {
            deadline: request.timeout.map_or_else(Deadline::never, Deadline::after),
            answered: AtomicBool::new(request.id.is_none()),
            request,
            place: Mutex::new(Place::Here(Line::Local(Local::new(max_frame_size)))),
            hall: Weak::new(),
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
            || matches!(&*lock(&self.place), Place::Here(Line::Session(session)) if session.was_left())
    }

    /// As [`Call::is_expired`], of a call that was just read. Whether its connection has ended costs a system call, and is
    /// asked only of one that has waited.
    pub(super) fn has_waited_in_vain(&self) -> bool {
        self.deadline.has_passed() || (self.deadline.waited() > LONG_ENOUGH_TO_LEAVE && self.is_expired())
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
    pub fn respond(&self, result: &[u8], host: &impl HostLock) -> Result<bool> {
        let Some((id, mut line)) = self.claim() else { return Ok(false) };
        let sent = line.send_result(id, result, host);
        let answered = match &sent {
            Err(error @ Error::FrameTooLarge { .. }) => line.send_failure(id, &too_large(error), host),
            _ => sent.clone(),
        };
        match answered {
            Ok(()) => {
                *lock(&self.place) = match line {
                    Line::Session(session) => set_aside(session, self.hall.upgrade().as_ref()),
                    Line::Local(local) => Place::Answered(local.response),
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
    /// The connection, if its next request has found no other attendant.
    pub(super) fn conclude(
        &self,
        failure: Option<&RemoteFailure>,
        host: &impl HostLock,
    ) -> Result<Option<Box<Session>>> {
        if let Some((id, mut line)) = self.claim() {
            let sent = match failure {
                Some(failure) => line.send_failure(id, failure, host),
                None => line.send_result(id, b"null", host),
            };
            let answered = match &sent {
                Err(error @ Error::FrameTooLarge { .. }) => line.send_failure(id, &too_large(error), host),
                _ => sent,
            };
            return match (answered, line) {
                (Ok(()), Line::Session(session)) => Ok(Some(session)),
                (answered, Line::Local(local)) => {
                    *lock(&self.place) = Place::Answered(local.response);
                    answered.map(|()| None)
                }
                (Err(Error::Interrupted), _) => Err(Error::Interrupted),
                (Err(_), _) => Ok(None),
            };
        }
        Ok(self.take_back())
    }

    /// The answer to a call of this process's own, if there is one.
    pub(super) fn take_local_answer(&self) -> Option<Response> {
        match std::mem::replace(&mut *lock(&self.place), Place::Gone) {
            Place::Answered(response) => response,
            Place::Here(..) | Place::Parked(..) | Place::Gone => None,
        }
    }

    /// Gives the connection back without an answer: nobody waits for one.
    pub(super) fn drop_unanswered(&self) -> Option<Box<Session>> {
        self.take_back()
    }

    /// The right to answer, which only one caller ever gets, with what it takes.
    fn claim(&self) -> Option<(&str, Line)> {
        let id = self.request.id.as_deref()?;
        // Both under the lock: else the handler's end could take the connection back from under a claim.
        let mut place = lock(&self.place);
        if self.answered.swap(true, Ordering::AcqRel) {
            return None;
        }
        match std::mem::replace(&mut *place, Place::Gone) {
            Place::Here(line) => Some((id, line)),
            Place::Parked(..) | Place::Answered(..) | Place::Gone => None,
        }
    }

    fn take_back(&self) -> Option<Box<Session>> {
        let mut place = lock(&self.place);
        match std::mem::replace(&mut *place, Place::Gone) {
            Place::Here(Line::Session(session)) => Some(session),
            Place::Parked(token) => self.hall.upgrade()?.parking.take(token),
            answered @ Place::Answered(..) => {
                *place = answered;
                None
            }
            Place::Here(Line::Local(..)) | Place::Gone => None,
        }
    }
}

/// What a caller is told whose answer no frame can carry.
fn too_large(error: &Error) -> RemoteFailure {
    let class = Some("Aikido::Zen::IPC::FrameTooLargeError".to_owned());
    RemoteFailure { code: FailureCode::FrameTooLarge, message: error.to_string(), class, backtrace: Vec::new() }
}

/// Lets the next request of a connection find another attendant, unless it carries notifications: of those the next is
/// read when this one was handled.
fn set_aside(session: Box<Session>, hall: Option<&Arc<Hall>>) -> Place {
    if session.sender().is_some() {
        return Place::Here(Line::Session(session));
    }
    let Some(hall) = hall else { return Place::Gone };
    match hall.parking.park(session) {
        Parked::At(token, wakes_doorkeeper) => {
            if wakes_doorkeeper {
                hall.doorkeeper_bell.notify();
            }
            Place::Parked(token)
        }
        Parked::Busy(session) => {
            hall.seek_attendant(session);
            Place::Gone
        }
        Parked::Closed => Place::Gone,
    }
}
