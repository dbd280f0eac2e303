//! What a thread of the host does: serve one connection at a time, and come back with calls.

use std::sync::Arc;

use super::call::Call;
use super::hall::Hall;
use super::lobby::Found;
use super::session::{Next, Session, no_handler_message};
use crate::error::{RemoteFailure, Result};
use crate::message::NO_HANDLER_CLASS;
use crate::wait::Wait;

/// A thread's place among the attendants. Dropping it gives the place up, and closes the connection in the middle of a
/// call.
#[derive(Debug)]
pub struct Attendant {
    hall: Arc<Hall>,
    state: State,
}

#[derive(Debug)]
enum State {
    Spare,
    Serving(Box<Session>),
    /// A call has the connection.
    InCall,
    Left,
}

/// What ended a wait outside the host's lock.
enum Outcome {
    Call(Box<Call>),
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
    pub fn next_call(&mut self, wait: &impl Wait) -> Result<Option<Box<Call>>> {
        while self.hall.is_of_this_process() {
            match wait.block(|| self.work()).transpose()? {
                Some(Outcome::Call(call)) if call.deadline().has_passed() => {
                    self.hall.counters.expired_calls.add_one();
                    self.resume(call.drop_unanswered());
                }
                Some(Outcome::Call(call)) => return Ok(Some(call)),
                Some(Outcome::Leave) => return Ok(None),
                Some(Outcome::Signal) | None => wait.interrupted()?,
            }
        }
        Ok(None)
    }

    /// The handler of `call` has ended. Answers for it if it has not, with `failure` or else with `null`; blocks for at
    /// most `write_timeout`. Does nothing in a forked copy.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Interrupted`], after which the connection is closed.
    pub fn conclude(&mut self, call: &Call, failure: Option<&RemoteFailure>, wait: &impl Wait) -> Result<()> {
        if !self.hall.is_of_this_process() {
            return Ok(());
        }
        match call.conclude(failure, wait) {
            Ok(session) => {
                self.resume(session);
                Ok(())
            }
            Err(error) => {
                self.resume(None);
                Err(error)
            }
        }
    }

    /// The answer to a call whose method has no handler.
    pub fn no_handler(call: &Call) -> RemoteFailure {
        RemoteFailure {
            message: no_handler_message(call.name()),
            class: Some(NO_HANDLER_CLASS.to_owned()),
            backtrace: Vec::new(),
        }
    }

    /// Gives the place up. A connection that is not in the middle of anything finds another attendant.
    pub fn leave(&mut self) {
        if !self.hall.is_of_this_process() {
            return;
        }
        match std::mem::replace(&mut self.state, State::Left) {
            State::Left => return,
            State::Spare => {}
            State::Serving(session) => {
                self.hall.lobby.is_free_again();
                self.hall.seek_attendant(session);
            }
            State::InCall => self.hall.lobby.is_free_again(),
        }
        self.hall.lobby.leave();
        // One less may be too few.
        self.hall.steward_bell.post();
    }

    fn work(&mut self) -> Result<Outcome> {
        loop {
            match std::mem::replace(&mut self.state, State::Spare) {
                State::Serving(mut session) => match session.next() {
                    Next::Request(request) => {
                        self.state = State::InCall;
                        return Ok(Outcome::Call(Box::new(Call::new(request, session))));
                    }
                    Next::Signal => {
                        self.state = State::Serving(session);
                        return Ok(Outcome::Signal);
                    }
                    Next::End => self.hall.lobby.is_free_again(),
                },
                State::Left => {
                    self.state = State::Left;
                    return Ok(Outcome::Leave);
                }
                State::InCall | State::Spare => match self.hall.lobby.find()? {
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

impl Drop for Attendant {
    fn drop(&mut self) {
        self.leave();
    }
}
