//! `Agent::Call`: a call that a handler answers with `call`.

use std::cell::Cell;
use std::sync::Arc;

use magnus::block::Proc;
use magnus::error::{ErrorType, Tag};
use magnus::typed_data::Obj;
use magnus::{
    Error, Exception, Module, RArray, RArrayArgList, RHash, RModule, RString, Ruby, Symbol, TryConvert, Value, method,
    prelude::*,
};
use zen_ipc::error::{FailureCode, RemoteFailure};
use zen_ipc::server::Call as CoreCall;
use zen_ipc::sys::alloc;

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
    /// True if the caller is this thread, in the parent itself.
    is_local: bool,
    /// See [`Call::jump`].
    jump: Cell<Option<&'static str>>,
}

/// The form in which our clients send no keyword arguments.
const EMPTY_KWARGS: &[u8] = b"{}";

/// The arguments of a Proc; the keywords, if any, are the last value.
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
    /// A call that was received.
    pub(crate) fn new(core: Arc<CoreCall>) -> Self {
        Self { core, is_local: false, jump: Cell::new(None) }
    }

    /// A call made by this thread.
    pub(crate) fn local(core: Arc<CoreCall>) -> Self {
        Self { is_local: true, ..Self::new(core) }
    }

    /// The core's call.
    pub(crate) fn core(&self) -> &CoreCall {
        &self.core
    }

    /// Runs the handler of its method, a Proc in `handlers`, with itself and its arguments, which takes half as long as
    /// from Ruby. False if there is none. Raises what the handler raises.
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

    /// How the handler of a local caller was left, if that unwinds the caller as well: by `throw`, or by the `return`
    /// of a method around it.
    fn jump(ruby: &Ruby, this: &Self) -> Option<Symbol> {
        this.jump.get().map(|jump| ruby.to_symbol(jump))
    }

    /// Returns whether an error is reported to the caller. Every error is if the caller is another process; for a local
    /// caller only failures are, and the rest (`exit`, the end of the thread) acts on the thread.
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
        // Encode also if the caller no longer waits: a result that cannot be sent is the handler's mistake in any case.
        let json = rescue_panic(ruby, || to_json(ruby, value, "result"))?;
        without_gvl(ruby, |host| this.core.respond(&json, host))
    }

    /// The deadline in seconds of the monotonic clock, or nil for a notification.
    fn deadline(&self) -> Option<f64> {
        self.core.deadline().monotonic_seconds()
    }

    /// The remaining seconds, or nil for a notification.
    fn remaining(&self) -> Option<f64> {
        let deadline = self.core.deadline();
        deadline.is_bounded().then(|| deadline.remaining().as_secs_f64())
    }

    fn is_expired(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        rescue_panic(ruby, || Ok(this.core.is_expired()))
    }
}

/// The failure that is sent to the caller, made from how the handler ended: nil for success, false for no handler,
/// `[message, class, backtrace]` for an error, where the backtrace may be nil. Invalid UTF-8 is replaced as in every
/// String that is sent.
pub(crate) fn failure_of(ruby: &Ruby, call: &CoreCall, outcome: Value) -> Result<Option<RemoteFailure>, Error> {
    if outcome.is_nil() {
        return Ok(None);
    }
    if !outcome.to_bool() {
        return Ok(Some(RemoteFailure::no_handler(call.name())));
    }
    let (message, class, backtrace) = TryConvert::try_convert(outcome)?;
    Ok(Some(RemoteFailure {
        code: FailureCode::HandlerError,
        message: text_of(ruby, message)?,
        class: Some(text_of(ruby, class)?),
        backtrace: lines_of(ruby, backtrace)?,
    }))
}

/// The text of a String in any encoding; the codec converts it if necessary.
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

/// The lines of a backtrace; none if it is not an Array.
fn lines_of(ruby: &Ruby, backtrace: Value) -> Result<Vec<String>, Error> {
    let Some(backtrace) = RArray::from_value(backtrace) else { return Ok(Vec::new()) };
    backtrace.into_iter().filter_map(RString::from_value).map(|line| text_of(ruby, line)).collect()
}
