//! What a thread of the host does: serve one connection at a time, and come back with calls.

use std::sync::Arc;

use super::call::Call;
use super::hall::Hall;
use super::lobby::Found;
use super::session::{Next, Session, no_handler_message};
use crate::error::{FailureCode, RemoteFailure, Result, excerpt};
use crate::log_buffer::Level;
use crate::message::NO_HANDLER_CLASS;
use crate::wait::{HostLock, UntilSignal};

/// A thread's place among the attendants. Dropping it gives the place up, as [`Attendant::leave`] does.
#[derive(Debug)]
pub struct Attendant {
    hall: Arc<Hall>,
    state: State,
}

#[derive(Debug)]
enum State {
    Spare,
    Serving(Box<Session>),
    /// The call has the connection.
    InCall(Arc<Call>),
    /// A panic ended the serving of a connection, and the connection with it.
    Lost,
    Left,
}

/// What ended a wait outside the host's lock.
enum Outcome {
    Call(Arc<Call>),
    Signal,
    Leave,
}

impl Attendant {
    /// Another attendant, if one is needed.
    pub(super) fn enlist(hall: &Arc<Hall>) -> Option<Self> {
        hall.lobby.enlist().then(|| Self { hall: hall.clone(), state: State::Spare })
    }

    /// Blocks until there is a call for a handler. What the core answers itself is answered inside the wait, and so are
    /// connections changed.
    ///
    /// # Returns
    ///
    /// `None` when this thread should end: the server stops, enough others wait, or this is a forked copy.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Interrupted`], after which a further call goes on; [`crate::Error::System`] if waiting is impossible.
    pub fn next_call(&mut self, host: &impl HostLock) -> Result<Option<Arc<Call>>> {
        // Nothing to do unless the last call was never concluded.
        self.conclude(Some(&abandoned()), host)?;
        while self.hall.desk.is_owner() {
            match host.without_lock(|| self.work()).transpose() {
                // Asked only now, with the host's lock: the wait for that may have been long.
                Ok(Some(Outcome::Call(call))) if call.has_waited_in_vain() => {
                    self.hall.desk.counters.expired_calls.add_one();
                    self.resume(call.drop_unanswered());
                }
                Ok(Some(Outcome::Call(call))) => return Ok(Some(call)),
                Ok(Some(Outcome::Leave)) => return Ok(None),
                Ok(Some(Outcome::Signal) | None) => host.check_interrupts()?,
                Err(error) => {
                    self.hall.fail_if_closed_by_others(error)?;
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// The handler of the last call has ended. Answers for it if it has not, with `failure` or else with `null`; blocks
    /// for at most `write_timeout`. Does nothing in a forked copy.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Interrupted`], after which the connection is closed.
    pub fn conclude(&mut self, failure: Option<&RemoteFailure>, host: &impl HostLock) -> Result<()> {
        if !self.hall.desk.is_owner() {
            return Ok(());
        }
        let State::InCall(call) = &self.state else { return Ok(()) };
        let (session, outcome) = match call.conclude(failure, host) {
            Ok(session) => (session, Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.resume(session);
        outcome
    }

    /// The answer to a call whose method has no handler.
    pub fn no_handler(call: &Call) -> RemoteFailure {
        RemoteFailure {
            code: FailureCode::NoHandler,
            message: no_handler_message(call.name()),
            class: Some(NO_HANDLER_CLASS.to_owned()),
            backtrace: Vec::new(),
        }
    }

    /// Gives the place up. A call whose handler did not end is answered for it, so that its caller does not wait in vain,
    /// and the connection finds another attendant.
    pub fn leave(&mut self) {
        if !self.hall.desk.is_owner() {
            return;
        }
        if let State::InCall(call) = &self.state
            && call.is_notification()
        {
            self.hall.desk.counters.dropped_notifications.add_one();
            // At a stop they are told in one line.
            if !self.hall.desk.is_closed() {
                let line = format!("the thread that handled a notification {:?} was ended", excerpt(call.name()));
                self.hall.desk.report(Level::Warn, line);
            }
        }
        // It can only be closed instead if this fails.
        let _ = self.conclude(Some(&abandoned()), &UntilSignal);
        match std::mem::replace(&mut self.state, State::Left) {
            State::Left => return,
            State::Spare | State::InCall(_) => {}
            State::Lost => self.hall.lobby.is_free_again(),
            State::Serving(session) => {
                self.hall.lobby.is_free_again();
                self.hall.seek_attendant(session);
            }
        }
        self.hall.note_attendant_left();
    }

    fn work(&mut self) -> Result<Outcome> {
        loop {
            match std::mem::replace(&mut self.state, State::Spare) {
                State::Serving(mut session) => {
                    self.state = State::Lost;
                    match session.next() {
                        Next::Request(request) => {
                            let call = Arc::new(Call::new(request, session, &self.hall));
                            self.state = State::InCall(call.clone());
                            return Ok(Outcome::Call(call));
                        }
                        Next::Signal => {
                            self.state = State::Serving(session);
                            return Ok(Outcome::Signal);
                        }
                        Next::HostLock => self.wait_for_turn(session),
                        Next::End => self.resume(None),
                    }
                }
                State::Lost => self.resume(None),
                State::Left => {
                    self.state = State::Left;
                    return Ok(Outcome::Leave);
                }
                State::Spare | State::InCall(_) => match self.hall.lobby.find()? {
                    Found::Session(session) => self.state = State::Serving(session),
                    Found::Signal => return Ok(Outcome::Signal),
                    Found::Leave => {
                        self.state = State::Left;
                        return Ok(Outcome::Leave);
                    }
                },
            }
        }
    }

    /// Lets a connection wait until earlier ones of its sender have ended.
    fn wait_for_turn(&mut self, session: Box<Session>) {
        let Some(sender) = session.sender() else { return self.resume(Some(session)) };
        let mut session = self.hall.senders.wait(sender, session);
        if let Some(session) = &mut session {
            session.admit_to_service();
        }
        self.resume(session);
    }

    fn resume(&mut self, session: Option<Box<Session>>) {
        self.state = match session {
            Some(session) => State::Serving(session),
            None => {
                self.hall.lobby.is_free_again();
                State::Spare
            }
        };
    }
}

/// What a caller is told whose handler was ended from outside.
fn abandoned() -> RemoteFailure {
    let message = "the handler's thread was ended before it answered".to_owned();
    RemoteFailure { message, ..RemoteFailure::default() }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.leave();
    }
}
