//! A handler thread: a thread of the host that serves one connection at a time and returns with the calls for handlers.

use std::sync::Arc;

use super::call::Call;
use super::dispatcher::Dispatcher;
use super::ready_queue::Popped;
use super::session::{Session, SessionEvent};
use crate::error::{RemoteFailure, Result, excerpt};
use crate::log_buffer::Level;
use crate::wait::{HostLock, UntilSignal};

/// A thread's membership in the ready queue. Dropping it is the same as [`HandlerThread::exit`].
#[derive(Debug)]
pub struct HandlerThread {
    dispatcher: Arc<Dispatcher>,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle,
    Serving(Box<Session>),
    /// The call holds the connection.
    InCall(Arc<Call>),
    /// A panic unwound while a connection was served, and closed it.
    Poisoned,
    Exited,
}

/// The reason for which a wait without the host's lock ended.
enum Event {
    Call(Arc<Call>),
    Interrupted,
    Exit,
}

impl HandlerThread {
    /// Another handler thread, if one is needed.
    pub(super) fn try_add(dispatcher: &Arc<Dispatcher>) -> Option<Self> {
        dispatcher.ready_queue.try_add_thread().then(|| Self { dispatcher: dispatcher.clone(), state: State::Idle })
    }

    /// Blocks until there is a call for a handler. Inside the wait, built-in methods are answered and further
    /// connections served.
    ///
    /// # Returns
    ///
    /// `None` if this thread is to end: the server stops, there are enough idle threads, or this is a forked copy.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Interrupted`]; a further call continues. [`crate::Error::System`] if waiting is impossible.
    pub fn next_call(&mut self, host: &impl HostLock) -> Result<Option<Arc<Call>>> {
        // Does nothing unless the last call was left unfinished.
        self.finish_call(Some(&handler_killed_error()), host)?;
        while self.dispatcher.state.is_owner() {
            match host.without_lock(|| self.next_event()).transpose() {
                // Checked after the host's lock was taken, because that may have taken long.
                Ok(Some(Event::Call(call))) if call.expired_in_queue() => {
                    self.dispatcher.state.counters.expired_calls.add_one();
                    self.reattach(call.discard());
                }
                Ok(Some(Event::Call(call))) => return Ok(Some(call)),
                Ok(Some(Event::Exit)) => return Ok(None),
                Ok(Some(Event::Interrupted) | None) => host.check_interrupts()?,
                Err(error) => {
                    self.dispatcher.fail_if_closed_by_others(error)?;
                    return Ok(None);
                }
            }
        }
        Ok(None)
    }

    /// Ends the last call after its handler: unless it was answered, sends `failure` or else `null`. Blocks for at most
    /// `write_timeout`. Does nothing in a forked copy.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Interrupted`]; the connection is closed then.
    pub fn finish_call(&mut self, failure: Option<&RemoteFailure>, host: &impl HostLock) -> Result<()> {
        if !self.dispatcher.state.is_owner() {
            return Ok(());
        }
        let State::InCall(call) = &self.state else { return Ok(()) };
        let (session, outcome) = match call.finish(failure, host) {
            Ok(session) => (session, Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.reattach(session);
        outcome
    }

    /// Leaves the ready queue. Answers a call whose handler was killed, so that its caller does not wait for nothing,
    /// and passes the connection to another handler thread.
    pub fn exit(&mut self) {
        if !self.dispatcher.state.is_owner() {
            return;
        }
        if let State::InCall(call) = &self.state
            && call.is_notification()
        {
            self.dispatcher.state.counters.dropped_notifications.add_one();
            // While the server stops, all dropped notifications are logged as one line.
            if !self.dispatcher.state.is_closed() {
                let line = format!("the thread that handled a notification {:?} was ended", excerpt(call.name()));
                self.dispatcher.state.log(Level::Warn, line);
            }
        }
        // If this fails, the connection is closed.
        let _ = self.finish_call(Some(&handler_killed_error()), &UntilSignal);
        match std::mem::replace(&mut self.state, State::Exited) {
            State::Exited => return,
            State::Idle | State::InCall(_) => {}
            State::Poisoned => self.dispatcher.ready_queue.release(),
            State::Serving(session) => {
                self.dispatcher.ready_queue.release();
                self.dispatcher.dispatch(session);
            }
        }
        self.dispatcher.handler_thread_exited();
    }

    fn next_event(&mut self) -> Result<Event> {
        loop {
            match std::mem::replace(&mut self.state, State::Idle) {
                State::Serving(mut session) => {
                    self.state = State::Poisoned;
                    match session.next() {
                        SessionEvent::Request(request) => {
                            let call = Arc::new(Call::new(request, session, &self.dispatcher));
                            self.state = State::InCall(call.clone());
                            return Ok(Event::Call(call));
                        }
                        SessionEvent::Interrupted => {
                            self.state = State::Serving(session);
                            return Ok(Event::Interrupted);
                        }
                        SessionEvent::Queued => self.wait_for_turn(session),
                        SessionEvent::Ended => self.reattach(None),
                    }
                }
                State::Poisoned => self.reattach(None),
                State::Exited => {
                    self.state = State::Exited;
                    return Ok(Event::Exit);
                }
                State::Idle | State::InCall(_) => match self.dispatcher.ready_queue.pop_blocking()? {
                    Popped::Session(session) => self.state = State::Serving(session),
                    Popped::Interrupted => return Ok(Event::Interrupted),
                    Popped::Exit => {
                        self.state = State::Exited;
                        return Ok(Event::Exit);
                    }
                },
            }
        }
    }

    /// Queues a connection behind earlier ones of its sender.
    fn wait_for_turn(&mut self, session: Box<Session>) {
        let Some(sender) = session.sender() else { return self.reattach(Some(session)) };
        let session = self.dispatcher.notification_queues.wait_for_turn(sender, session);
        self.reattach(session);
    }

    fn reattach(&mut self, session: Option<Box<Session>>) {
        self.state = match session {
            Some(session) => State::Serving(session),
            None => {
                self.dispatcher.ready_queue.release();
                State::Idle
            }
        };
    }
}

/// The failure of a call whose handler's thread was killed.
fn handler_killed_error() -> RemoteFailure {
    let message = "the handler's thread was ended before it answered".to_owned();
    RemoteFailure { message, ..RemoteFailure::default() }
}

impl Drop for HandlerThread {
    fn drop(&mut self) {
        self.exit();
    }
}
