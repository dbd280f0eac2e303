//! `Agent::Call`: a call in the hands of a handler, which answers it by `call`.

use std::cell::Cell;
use std::sync::Arc;

use magnus::block::Proc;
use magnus::error::{ErrorType, Tag};
use magnus::typed_data::Obj;
use magnus::{
    Error, Exception, Module, RArray, RArrayArgList, RHash, RModule, RString, Ruby, Symbol, TryConvert, Value, method,
    prelude::*,
};
use zen_ipc::alloc;
use zen_ipc::error::{FailureCode, RemoteFailure};
use zen_ipc::server::{Attendant, Call as CoreCall};

use crate::codec::api::{copy_bytes, to_json};
use crate::codec::{decode_arguments, decode_keyword_arguments, name_string};
use crate::error::{internal, to_ruby, undecodable};
use crate::failure;
use crate::gvl::{rescue_panic, without_gvl};
use crate::ruby_ffi::is_utf8_compatible;

/// A call, or a notification.
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Call", free_immediately, size)]
pub(crate) struct Call {
    core: Arc<CoreCall>,
    /// Whether the caller is in this thread, and the handler so is in its way.
    is_local: bool,
    /// See [`Call::jump`].
    jump: Cell<Option<&'static str>>,
}

/// As every client of ours writes that there are no keyword arguments.
const EMPTY_KWARGS: &[u8] = b"{}";

/// What a Proc is called with; the keywords are the last value.
struct Arguments {
    values: RArray,
    has_keywords: bool,
}

impl RArrayArgList for Arguments {
    fn into_array_arg_list_with(self, _ruby: &Ruby) -> RArray {
        self.values
    }

    fn contains_kw_args(&self) -> bool {
        self.has_keywords
    }
}

/// Defines the class.
pub(crate) fn define(ruby: &Ruby, agent: RModule) -> Result<(), Error> {
    let class = agent.define_class("Call", ruby.class_object())?;
    class.undef_default_alloc_func();
    class.define_method("dispatch", method!(Call::dispatch, 1))?;
    class.define_method("jump", method!(Call::jump, 0))?;
    class.define_method("failure?", method!(Call::is_failure, 1))?;
    class.define_method("method_name", method!(Call::method_name, 0))?;
    class.define_method("args", method!(Call::args, 0))?;
    class.define_method("kwargs", method!(Call::kwargs, 0))?;
    class.define_method("notification?", method!(Call::is_notification, 0))?;
    class.define_method("answered?", method!(Call::is_answered, 0))?;
    class.define_method("call", method!(Call::respond, 1))?;
    class.define_method("deadline", method!(Call::deadline, 0))?;
    class.define_method("remaining", method!(Call::remaining, 0))?;
    class.define_method("expired?", method!(Call::is_expired, 0))
}

impl Call {
    /// A call that was just read.
    pub(crate) fn new(core: Arc<CoreCall>) -> Self {
        Self { core, is_local: false, jump: Cell::new(None) }
    }

    /// A call that this thread has just begun.
    pub(crate) fn local(core: Arc<CoreCall>) -> Self {
        Self { is_local: true, ..Self::new(core) }
    }

    /// The core's call.
    pub(crate) fn core(&self) -> &CoreCall {
        &self.core
    }

    /// Runs the handler of its method, which is a Proc among `handlers`, with itself and its arguments. From here that
    /// takes half as long as from Ruby. False if there is none; what the handler raises is raised.
    fn dispatch(ruby: &Ruby, this: Obj<Self>, handlers: RHash) -> Result<bool, Error> {
        rescue_panic(ruby, || {
            let Some(handler) = handlers.get(name_string(ruby, this.core.name())?).and_then(Proc::from_value) else {
                return Ok(false);
            };
            let values = Self::args(ruby, &this)?;
            values.unshift(this)?;
            let has_keywords = this.core.kwargs() != EMPTY_KWARGS;
            if has_keywords {
                values.push(Self::kwargs(ruby, &this)?)?;
            }
            let outcome = handler.call::<_, Value>(Arguments { values, has_keywords });
            outcome.map(|_| true).inspect_err(|error| this.note_jump(error))
        })
    }

    fn note_jump(&self, error: &Error) {
        if self.is_local {
            self.jump.set(match error.error_type() {
                ErrorType::Jump(Tag::Throw) => Some("throw"),
                ErrorType::Jump(Tag::Fatal) | ErrorType::Error(..) | ErrorType::Exception(..) => None,
                ErrorType::Jump(_) => Some("return"),
            });
        }
    }

    /// How the handler of a caller in this thread was left, if that leads to the middle of what the caller does: by a
    /// `throw`, or by the `return` of a method that it is in.
    fn jump(ruby: &Ruby, this: &Self) -> Option<Symbol> {
        this.jump.get().map(|jump| ruby.to_symbol(jump))
    }

    /// Whether what the handler raised is its caller's error. All of it is that of a caller in another process. Where the
    /// caller is in this thread, what does not tell of a failure acts on the thread.
    fn is_failure(ruby: &Ruby, this: &Self, raised: Exception) -> Result<bool, Error> {
        rescue_panic(ruby, || Ok(!this.is_local || failure::is_failure(ruby, &raised.into())))
    }

    fn method_name(ruby: &Ruby, this: &Self) -> Result<RString, Error> {
        rescue_panic(ruby, || name_string(ruby, this.core.name()))
    }

    fn args(ruby: &Ruby, this: &Self) -> Result<RArray, Error> {
        rescue_panic(ruby, || decode_arguments(ruby, this.core.args()).map_err(|error| undecodable(ruby, error)))
    }

    fn kwargs(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        rescue_panic(ruby, || {
            decode_keyword_arguments(ruby, this.core.kwargs()).map_err(|error| undecodable(ruby, error))
        })
    }

    fn is_notification(&self) -> bool {
        self.core.is_notification()
    }

    fn is_answered(&self) -> bool {
        self.core.is_answered()
    }

    fn respond(ruby: &Ruby, this: &Self, value: Value) -> Result<bool, Error> {
        // Also where nobody waits for it: what cannot be sent is the handler's mistake in every case.
        let json = rescue_panic(ruby, || to_json(ruby, value, "result"))?;
        without_gvl(ruby, |host| this.core.respond(&json, host))
    }

    /// Seconds on the monotonic clock, or nil for a notification.
    fn deadline(&self) -> Option<f64> {
        self.core.deadline().monotonic_seconds()
    }

    /// Seconds, or nil for a notification.
    fn remaining(&self) -> Option<f64> {
        let deadline = self.core.deadline();
        deadline.is_bounded().then(|| deadline.remaining().as_secs_f64())
    }

    fn is_expired(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        rescue_panic(ruby, || Ok(this.core.is_expired()))
    }
}

/// What the caller is to be told of how the handler ended: of nil nothing; of false that there is none; of
/// `[message, class, backtrace]`, whose last may be nil, that it raised. What is not UTF-8 in these is replaced as in every
/// String that is sent.
pub(crate) fn failure_of(ruby: &Ruby, call: &CoreCall, outcome: Value) -> Result<Option<RemoteFailure>, Error> {
    if outcome.is_nil() {
        return Ok(None);
    }
    if !outcome.to_bool() {
        return Ok(Some(Attendant::no_handler(call)));
    }
    let (message, class, backtrace) = TryConvert::try_convert(outcome)?;
    Ok(Some(RemoteFailure {
        code: FailureCode::HandlerError,
        message: text_of(ruby, message)?,
        class: Some(text_of(ruby, class)?),
        backtrace: lines_of(ruby, backtrace)?,
    }))
}

/// The text of a String in whatever encoding, by way of the codec where that has something to do.
fn text_of(ruby: &Ruby, string: RString) -> Result<String, Error> {
    if is_utf8_compatible(string) {
        if let Ok(text) = String::from_utf8(copy_bytes(ruby, string)?) {
            return Ok(text);
        }
    }
    let json = to_json(ruby, string.as_value(), "message")?;
    alloc::probe(json.len()).map_err(|error| to_ruby(ruby, error))?;
    serde_json::from_slice(&json).map_err(|error| internal(ruby, &error.to_string()))
}

/// The lines of a backtrace: none if it is nil, or whatever else the exception makes of it.
fn lines_of(ruby: &Ruby, backtrace: Value) -> Result<Vec<String>, Error> {
    let Some(backtrace) = RArray::from_value(backtrace) else { return Ok(Vec::new()) };
    backtrace.into_iter().filter_map(RString::from_value).map(|line| text_of(ruby, line)).collect()
}
