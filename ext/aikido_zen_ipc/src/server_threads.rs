//! The Ruby classes for the server's threads, private to the gem: what they do in the core.

use std::cell::RefCell;

use magnus::{Error, IntoValue, Module, RModule, Ruby, Symbol, Value, method, prelude::*};
use zen_ipc::log_buffer::{Level, LogEntry};
use zen_ipc::server::{Attendant as CoreAttendant, Duty, Steward as CoreSteward};

use crate::call::{Call, failure_of};
use crate::error::internal;
use crate::gvl::{rescue_panic, without_gvl};

/// A thread that serves connections.
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Attendant", free_immediately, size)]
pub(crate) struct Attendant(ThreadOwned<CoreAttendant>);

/// A thread that logs and starts threads for connections.
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Steward", free_immediately, size)]
pub(crate) struct Steward(ThreadOwned<CoreSteward>);

/// Defines both classes.
pub(crate) fn define(ruby: &Ruby, agent: RModule) -> Result<(), Error> {
    let attendant = agent.define_class("Attendant", ruby.class_object())?;
    attendant.undef_default_alloc_func();
    attendant.define_method("next_call", method!(Attendant::next_call, 0))?;
    attendant.define_method("conclude", method!(Attendant::conclude, 2))?;
    attendant.define_method("leave", method!(Attendant::leave, 0))?;
    let steward = agent.define_class("Steward", ruby.class_object())?;
    steward.undef_default_alloc_func();
    steward.define_method("next_duty", method!(Steward::next_duty, 0))?;
    steward.define_method("leave", method!(Steward::leave, 0))
}

impl Attendant {
    fn next_call(ruby: &Ruby, this: &Self) -> Result<Option<Call>, Error> {
        this.0
            .with(ruby, |attendant| without_gvl(ruby, |host| attendant.next_call(host)))
            .map(|call| call.map(Call::new))
    }

    /// Tells the core how the handler of `call` ended, as `run_handler` returns it.
    fn conclude(ruby: &Ruby, this: &Self, call: &Call, outcome: Value) -> Result<(), Error> {
        let failure = rescue_panic(ruby, || failure_of(ruby, call.core(), outcome))?;
        this.0.with(ruby, |attendant| without_gvl(ruby, |host| attendant.conclude(failure.as_ref(), host)))
    }

    fn leave(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        rescue_panic(ruby, || {
            this.0.release();
            Ok(())
        })
    }
}

impl Steward {
    /// Wraps the one of a server that was just started.
    pub(crate) fn new(steward: CoreSteward) -> Self {
        Self(ThreadOwned::new(steward))
    }

    /// One for a new thread, an Array of `[level, message]` for the log, or nil at the end.
    fn next_duty(ruby: &Ruby, this: &Self) -> Result<Option<Value>, Error> {
        rescue_panic(ruby, || {
            Ok(match this.0.with(ruby, |steward| without_gvl(ruby, |host| steward.next_duty(host)))? {
                Some(Duty::Start(attendant)) => Some(Attendant(ThreadOwned::new(attendant)).into_value_with(ruby)),
                Some(Duty::Log(entries)) => {
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
