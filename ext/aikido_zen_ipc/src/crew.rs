//! `Agent::HandlerThread` and `Agent::Supervisor`: what the server's Ruby threads do in the core. Both are private to the
//! gem.

use std::cell::RefCell;

use magnus::{Error, IntoValue, Module, RModule, Ruby, Symbol, Value, method, prelude::*};
use zen_ipc::journal::{Entry, Level};
use zen_ipc::server::{HandlerThread as CoreHandlerThread, Supervisor as CoreSupervisor, Task};

use crate::call::{Call, failure_of};
use crate::error::internal;
use crate::gvl::{contain, waiting};

/// A thread that serves connections.
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::HandlerThread", free_immediately, size)]
pub(crate) struct HandlerThread(Post<CoreHandlerThread>);

/// The thread that logs and starts handler threads.
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Supervisor", free_immediately, size)]
pub(crate) struct Supervisor(Post<CoreSupervisor>);

/// Defines both classes.
pub(crate) fn define(ruby: &Ruby, agent: RModule) -> Result<(), Error> {
    let handler_thread = agent.define_class("HandlerThread", ruby.class_object())?;
    handler_thread.undef_default_alloc_func();
    handler_thread.define_method("next_call", method!(HandlerThread::next_call, 0))?;
    handler_thread.define_method("conclude", method!(HandlerThread::conclude, 2))?;
    handler_thread.define_method("leave", method!(HandlerThread::leave, 0))?;
    let supervisor = agent.define_class("Supervisor", ruby.class_object())?;
    supervisor.undef_default_alloc_func();
    supervisor.define_method("next_duty", method!(Supervisor::next_duty, 0))?;
    supervisor.define_method("leave", method!(Supervisor::leave, 0))
}

impl HandlerThread {
    fn next_call(ruby: &Ruby, this: &Self) -> Result<Option<Call>, Error> {
        this.0
            .hold(ruby, |handler_thread| waiting(ruby, |wait| handler_thread.next_call(wait)))
            .map(|call| call.map(Call::new))
    }

    /// The handler of `call` has ended as `run_handler` tells.
    fn conclude(ruby: &Ruby, this: &Self, call: &Call, outcome: Value) -> Result<(), Error> {
        let failure = contain(ruby, || failure_of(ruby, call.core(), outcome))?;
        this.0.hold(ruby, |handler_thread| waiting(ruby, |wait| handler_thread.finish_call(failure.as_ref(), wait)))
    }

    fn leave(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        contain(ruby, || {
            this.0.give_up();
            Ok(())
        })
    }
}

impl Supervisor {
    /// The supervisor of a server that was just started.
    pub(crate) fn new(supervisor: CoreSupervisor) -> Self {
        Self(Post::new(supervisor))
    }

    /// A `HandlerThread` for a new thread, an Array of `[level, message]` for the log, or nil at the end.
    fn next_duty(ruby: &Ruby, this: &Self) -> Result<Option<Value>, Error> {
        contain(ruby, || {
            Ok(match this.0.hold(ruby, |supervisor| waiting(ruby, |wait| supervisor.next_task(wait)))? {
                Some(Task::SpawnThread(handler_thread)) => {
                    Some(HandlerThread(Post::new(handler_thread)).into_value_with(ruby))
                }
                Some(Task::Log(entries)) => {
                    let lines = ruby.ary_new();
                    for Entry { level, message } in entries {
                        lines.push((level_name(ruby, level), message))?;
                    }
                    Some(lines.as_value())
                }
                None => {
                    this.0.give_up();
                    None
                }
            })
        })
    }

    fn leave(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        contain(ruby, || {
            this.0.give_up();
            Ok(())
        })
    }
}

/// What one thread holds until it gives it up. The server's descriptors then need not wait for the GC to be closed.
struct Post<T>(RefCell<Option<T>>);

impl<T> Post<T> {
    fn new(held: T) -> Self {
        Self(RefCell::new(Some(held)))
    }

    /// A second thread, which only a bug would bring here, gets an error and not a second borrow.
    fn hold<R>(&self, ruby: &Ruby, body: impl FnOnce(&mut T) -> Result<R, Error>) -> Result<R, Error> {
        match self.0.try_borrow_mut().as_deref_mut() {
            Ok(Some(held)) => body(held),
            Ok(None) => Err(internal(ruby, "a thread goes on after it left")),
            Err(_) => Err(internal(ruby, "two threads hold one post")),
        }
    }

    fn give_up(&self) {
        if let Ok(mut held) = self.0.try_borrow_mut() {
            held.take();
        }
    }
}

fn level_name(ruby: &Ruby, level: Level) -> Symbol {
    ruby.to_symbol(match level {
        Level::Warn => "warn",
        Level::Error => "error",
    })
}
