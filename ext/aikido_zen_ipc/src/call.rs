//! `Agent::Call`: a call in the hands of a handler, which answers it by `call`.

use std::sync::Arc;

use magnus::block::Proc;
use magnus::typed_data::Obj;
use magnus::{Error, Module, RArray, RArrayArgList, RHash, RModule, RString, Ruby, Value, method, prelude::*};
use zen_ipc::server::Call as CoreCall;

use crate::codec::{decode_arguments, decode_keyword_arguments, name_string};
use crate::codec_module::json_of;
use crate::error::undecodable;
use crate::gvl::{contain, waiting};

/// A call, or a notification.
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Call", free_immediately, size)]
pub(crate) struct Call(Arc<CoreCall>);

/// As every client of ours writes that there are no keyword arguments.
const NO_KEYWORDS: &[u8] = b"{}";

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
    class.define_method("hand_to", method!(Call::hand_to, 1))?;
    class.define_method("method_name", method!(Call::method_name, 0))?;
    class.define_method("args", method!(Call::args, 0))?;
    class.define_method("kwargs", method!(Call::kwargs, 0))?;
    class.define_method("notification?", method!(Call::is_notification, 0))?;
    class.define_method("answered?", method!(Call::is_answered, 0))?;
    class.define_method("call", method!(Call::respond, 1))?;
    class.define_method("remaining", method!(Call::remaining, 0))?;
    class.define_method("expired?", method!(Call::is_expired, 0))
}

impl Call {
    /// A call that was just read.
    pub(crate) fn new(call: Arc<CoreCall>) -> Self {
        Self(call)
    }

    /// The core's call.
    pub(crate) fn core(&self) -> &CoreCall {
        &self.0
    }

    /// Runs the handler of its method, which is a Proc among `handlers`, with itself and its arguments. From here that
    /// takes half as long as from Ruby. False if there is none; what the handler raises is raised.
    fn hand_to(ruby: &Ruby, this: Obj<Self>, handlers: RHash) -> Result<bool, Error> {
        contain(ruby, || {
            let Some(handler) = handlers.get(name_string(ruby, this.0.name())?).and_then(Proc::from_value) else {
                return Ok(false);
            };
            let values = Self::args(ruby, &this)?;
            values.unshift(this)?;
            let has_keywords = this.0.kwargs() != NO_KEYWORDS;
            if has_keywords {
                values.push(Self::kwargs(ruby, &this)?)?;
            }
            handler.call::<_, Value>(Arguments { values, has_keywords })?;
            Ok(true)
        })
    }

    fn method_name(ruby: &Ruby, this: &Self) -> Result<RString, Error> {
        contain(ruby, || name_string(ruby, this.0.name()))
    }

    fn args(ruby: &Ruby, this: &Self) -> Result<RArray, Error> {
        contain(ruby, || decode_arguments(ruby, this.0.args()).map_err(|error| undecodable(ruby, error)))
    }

    fn kwargs(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        contain(ruby, || decode_keyword_arguments(ruby, this.0.kwargs()).map_err(|error| undecodable(ruby, error)))
    }

    fn is_notification(&self) -> bool {
        self.0.is_notification()
    }

    fn is_answered(&self) -> bool {
        self.0.is_answered()
    }

    fn respond(ruby: &Ruby, this: &Self, value: Value) -> Result<bool, Error> {
        // Also where nobody waits for it: what cannot be sent is the handler's mistake in every case.
        let json = contain(ruby, || json_of(ruby, value, "result"))?;
        waiting(ruby, |wait| this.0.respond(&json, wait))
    }

    /// Seconds, or nil for a notification.
    fn remaining(&self) -> Option<f64> {
        let deadline = self.0.deadline();
        deadline.is_bounded().then(|| deadline.remaining().as_secs_f64())
    }

    fn is_expired(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        contain(ruby, || Ok(this.0.is_expired()))
    }
}
