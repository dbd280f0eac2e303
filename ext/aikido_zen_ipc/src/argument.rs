//! `Aikido::Zen::IPC::Argument`: checks arguments of Ruby methods in the same way as those of methods in Rust.

use magnus::{Error, Module, Object, RModule, RString, Ruby, Value, function};

use crate::codec::name_string;
use crate::failure::quoted;
use crate::gvl::rescue_panic;
use crate::message::method_name;
use crate::options::{duration, duration_or_zero};

/// Defines the module.
pub(crate) fn define(ipc: RModule) -> Result<(), Error> {
    let argument = ipc.define_module("Argument")?;
    argument.define_singleton_method("seconds", function!(seconds, 2))?;
    argument.define_singleton_method("seconds_or_zero", function!(seconds_or_zero, 2))?;
    argument.define_singleton_method("method_name", function!(name, 1))?;
    argument.define_singleton_method("quoted", function!(in_quotes, 1))
}

fn seconds(ruby: &Ruby, name: String, value: Value) -> Result<f64, Error> {
    rescue_panic(ruby, || Ok(duration(ruby, &name, value)?.as_secs_f64()))
}

fn seconds_or_zero(ruby: &Ruby, name: String, value: Value) -> Result<f64, Error> {
    rescue_panic(ruby, || Ok(duration_or_zero(ruby, &name, value)?.as_secs_f64()))
}

fn name(ruby: &Ruby, value: Value) -> Result<RString, Error> {
    rescue_panic(ruby, || name_string(ruby, &method_name(ruby, value)?))
}

fn in_quotes(ruby: &Ruby, value: Value) -> Result<String, Error> {
    rescue_panic(ruby, || Ok(quoted(value)))
}
