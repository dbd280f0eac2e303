//! `Agent::Call`: a call in the hands of a handler, which answers it by `call`.

use std::sync::Arc;

use magnus::{Error, Module, RArray, RHash, RModule, Ruby, Value, method, prelude::*};
use zen_ipc::server::Call as CoreCall;

use crate::codec::{decode_arguments, decode_keyword_arguments};
use crate::codec_module::json_of;
use crate::error::undecodable;
use crate::gvl::{contain, waiting};

/// A call, or a notification.
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Call", free_immediately, size)]
pub(crate) struct Call(Arc<CoreCall>);

/// Defines the class.
pub(crate) fn define(ruby: &Ruby, agent: RModule) -> Result<(), Error> {
    let class = agent.define_class("Call", ruby.class_object())?;
    class.undef_default_alloc_func();
    class.define_method("method_name", method!(Call::method_name, 0))?;
    class.define_method("args", method!(Call::args, 0))?;
    class.define_method("keywords?", method!(Call::has_keywords, 0))?;
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

    fn method_name(&self) -> &str {
        self.0.name()
    }

    fn args(ruby: &Ruby, this: &Self) -> Result<RArray, Error> {
        contain(ruby, || decode_arguments(ruby, this.0.args()).map_err(|error| undecodable(ruby, error)))
    }

    fn kwargs(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        contain(ruby, || decode_keyword_arguments(ruby, this.0.kwargs()).map_err(|error| undecodable(ruby, error)))
    }

    fn has_keywords(&self) -> bool {
        self.0.kwargs() != b"{}"
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
