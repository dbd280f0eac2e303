//! The Ruby classes for the server's threads, private to the gem: what they do in the core.

use std::cell::RefCell;

use magnus::{Error, IntoValue, Module, RModule, Ruby, Symbol, Value, method, prelude::*};
use zen_ipc::log_buffer::{Level, LogEntry};
use zen_ipc::server::{HandlerThread as CoreHandlerThread, Supervisor as CoreSupervisor, Task};

use crate::call::{Call, failure_of};
use crate::error::internal;
use crate::gvl::{rescue_panic, without_gvl};

/// A thread that serves connections.
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::HandlerThread", free_immediately, size)]
pub(crate) struct HandlerThread(ThreadOwned<CoreHandlerThread>);

/// A thread that logs and starts threads for connections.
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Supervisor", free_immediately, size)]
pub(crate) struct Supervisor(ThreadOwned<CoreSupervisor>);

/// Defines both classes.
pub(crate) fn define(ruby: &Ruby, agent: RModule) -> Result<(), Error> {
    let handler_thread = agent.define_class("HandlerThread", ruby.class_object())?;
    handler_thread.undef_default_alloc_func();
    handler_thread.define_method("next_call", method!(HandlerThread::next_call, 0))?;
    handler_thread.define_method("conclude", method!(HandlerThread::conclude, 2))?;
    handler_thread.define_method("leave", method!(HandlerThread::leave, 0))?;
    let supervisor = agent.define_class("Supervisor", ruby.class_object())?;
    supervisor.undef_default_alloc_func();
    supervisor.define_method("next_task", method!(Supervisor::next_task, 0))?;
    supervisor.define_method("leave", method!(Supervisor::leave, 0))
}

impl HandlerThread {
    fn next_call(ruby: &Ruby, this: &Self) -> Result<Option<Call>, Error> {
        this.0
            .with(ruby, |handler_thread| without_gvl(ruby, |host| handler_thread.next_call(host)))
            .map(|call| call.map(Call::new))
    }

    /// Tells the core how the handler of `call` ended, as `run_handler` returns it.
    fn conclude(ruby: &Ruby, this: &Self, call: &Call, outcome: Value) -> Result<(), Error> {
        let failure = rescue_panic(ruby, || failure_of(ruby, call.core(), outcome))?;
        this.0.with(ruby, |handler_thread| without_gvl(ruby, |host| handler_thread.finish_call(failure.as_ref(), host)))
    }

    fn leave(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        rescue_panic(ruby, || {
            this.0.release();
            Ok(())
        })
    }
}

impl Supervisor {
    /// Wraps the one of a server that was just started.
    pub(crate) fn new(supervisor: CoreSupervisor) -> Self {
        Self(ThreadOwned::new(supervisor))
    }

    /// One for a new thread, an Array of `[level, message]` for the log, or nil at the end.
    fn next_task(ruby: &Ruby, this: &Self) -> Result<Option<Value>, Error> {
        rescue_panic(ruby, || {
            Ok(match this.0.with(ruby, |supervisor| without_gvl(ruby, |host| supervisor.next_task(host)))? {
                Some(Task::SpawnThread(handler_thread)) => {
                    Some(HandlerThread(ThreadOwned::new(handler_thread)).into_value_with(ruby))
                }
                Some(Task::Log(entries)) => {
                    let lines = ruby.ary_new();
                    for LogEntry { level, message } in entries {
                        lines.push((level_name(ruby, level), message))?;
                    }
                    Some(lines.as_value())
                }
                None => {
                    this.0.release();
                    None
                }
            })
        })
    }

    fn leave(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        rescue_panic(ruby, || {
            this.0.release();
            Ok(())
        })
    }
}

/// A value that belongs to one thread until it is released, so that the server's descriptors are closed without waiting
/// for the GC.
struct ThreadOwned<T>(RefCell<Option<T>>);

impl<T> ThreadOwned<T> {
    fn new(held: T) -> Self {
        Self(RefCell::new(Some(held)))
    }

    /// Borrows the value. A second thread, which only a bug could bring here, gets an error.
    fn with<R>(&self, ruby: &Ruby, body: impl FnOnce(&mut T) -> Result<R, Error>) -> Result<R, Error> {
        match self.0.try_borrow_mut().as_deref_mut() {
            Ok(Some(held)) => body(held),
            Ok(None) => Err(internal(ruby, "a thread continued after it exited")),
            Err(_) => Err(internal(ruby, "two threads use one object")),
        }
    }

    fn release(&self) {
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
