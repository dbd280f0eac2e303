//! The core's errors as Ruby exceptions. The classes are declared in `lib/aikido/zen/ipc/errors.rb`.

use std::sync::OnceLock;

use magnus::value::Opaque;
use magnus::{Error, Exception, ExceptionClass, KwArgs, Module, RClass, RModule, Ruby, Value, kwargs, prelude::*};
use zen_ipc::{Cause, Error as CoreError, RemoteFailure};

use crate::codec::{DecodeError, EncodeError};

/// The module `Aikido::Zen::IPC`, looked up once: each `define_module` of a nested module registers it as a GC root
/// again, which would leak memory with every error.
static IPC: OnceLock<Opaque<RModule>> = OnceLock::new();

/// Stores the module that declares the error classes. Called once, when the library is loaded.
pub(crate) fn set_module(ipc: RModule) {
    // A second copy of the library has its own statics, so this one is still empty.
    let _ = IPC.set(ipc.into());
}

/// Converts an error of the core to an exception.
pub(crate) fn to_ruby(ruby: &Ruby, error: CoreError) -> Error {
    let message = error.to_string();
    match error {
        CoreError::Timeout { phase, waited } => {
            let facts = kwargs!(ruby, "phase" => phase.to_string(), "waited" => waited.as_secs_f64());
            build(ruby, "TimeoutError", &message, Some(facts))
        }
        CoreError::ConnectionRefused { cause, .. } => match class_of(ruby, cause) {
            Ok(reason) => build(ruby, "ConnectionRefusedError", &message, Some(kwargs!(ruby, "reason" => reason))),
            Err(error) => error,
        },
        CoreError::Disconnected { .. } => build(ruby, "DisconnectedError", &message, None),
        CoreError::Closed { .. } => build(ruby, "ClosedError", &message, None),
        CoreError::Handshake { .. } => build(ruby, "HandshakeError", &message, None),
        CoreError::Protocol { .. } => build(ruby, "ProtocolError", &message, None),
        CoreError::FrameTooLarge { size, limit } => {
            build(ruby, "FrameTooLargeError", &message, Some(kwargs!(ruby, "size" => size, "limit" => limit)))
        }
        CoreError::Remote(failure) => remote(ruby, "RemoteError", failure, None),
        CoreError::NoHandler(failure) => remote(ruby, "NoHandlerError", failure, None),
        CoreError::InvalidArgument { .. } => Error::new(ruby.exception_arg_error(), message),
        CoreError::System { operation, code } => build_system_error(ruby, &operation, code),
        CoreError::Interrupted => internal(ruby, "an interrupt without a cause"),
    }
}

/// Converts an error of the core in a call of `method_name`.
pub(crate) fn to_ruby_for_call(ruby: &Ruby, error: CoreError, method_name: &str) -> Error {
    match error {
        CoreError::Remote(failure) => remote(ruby, "RemoteError", failure, Some(method_name)),
        CoreError::NoHandler(failure) => remote(ruby, "NoHandlerError", failure, Some(method_name)),
        error => to_ruby(ruby, error),
    }
}

/// Converts the error for a value that cannot be sent.
pub(crate) fn unserializable(ruby: &Ruby, error: EncodeError) -> Error {
    match error {
        EncodeError::Unserializable { place, reason, cause } => {
            let error = build(ruby, "SerializationError", &format!("{place}: {reason}"), None);
            match cause {
                Some(cause) => with_cause(ruby, error, cause),
                None => error,
            }
        }
        EncodeError::Raised(raised) => raised,
        EncodeError::NeedsCopy => internal(ruby, "a Hash was not copied"),
        EncodeError::OutOfMemory(error) => to_ruby(ruby, error),
    }
}

/// Converts the error for an invalid text.
pub(crate) fn undecodable(ruby: &Ruby, error: DecodeError) -> Error {
    match error {
        DecodeError::Invalid(reason) => build(ruby, "ProtocolError", &reason, None),
        DecodeError::Raised(raised) => raised,
    }
}

/// Sets the cause of an error, as `raise error, cause: cause` does.
fn with_cause(ruby: &Ruby, error: Error, cause: Exception) -> Error {
    let raised = error.value().map(|exception| {
        ruby.module_kernel().funcall::<_, _, Value>("raise", (exception, kwargs!(ruby, "cause" => cause)))
    });
    match raised {
        Some(Err(raised)) => raised,
        Some(Ok(_)) | None => error,
    }
}

/// The exception for a bug of this gem.
pub(crate) fn internal(ruby: &Ruby, what: &str) -> Error {
    build(ruby, "InternalError", &format!("a bug in aikido-zen-ipc, please report it: {what}"), None)
}

/// The class of the error that caused a failed connect; `None` for another cause.
fn class_of(ruby: &Ruby, cause: Cause) -> Result<Option<RClass>, Error> {
    let name = match cause {
        Cause::Unavailable => return Ok(None),
        Cause::System(code) => {
            let error: Exception = ruby.exception_system_call_error().new_instance(("", code))?;
            return Ok(Some(error.class()));
        }
        Cause::Disconnected => "DisconnectedError",
        Cause::Handshake => "HandshakeError",
        Cause::Timeout => "TimeoutError",
    };
    ipc(ruby)?.const_get(name).map(Some)
}

fn remote(ruby: &Ruby, class: &str, failure: RemoteFailure, method_name: Option<&str>) -> Error {
    let RemoteFailure { code, message, class: remote_class, backtrace } = failure;
    let facts = kwargs!(
        ruby,
        "code" => code.name(),
        "remote_class" => remote_class,
        "remote_backtrace" => backtrace,
        "method_name" => method_name
    );
    build(ruby, class, &message, Some(facts))
}

fn build(ruby: &Ruby, class: &str, message: &str, facts: Option<KwArgs>) -> Error {
    let exception = ipc(ruby).and_then(|ipc| {
        let class: ExceptionClass = ipc.const_get(class)?;
        match facts {
            Some(facts) => class.funcall::<_, _, Exception>("new", (message, facts)),
            None => class.new_instance((message,)),
        }
    });
    exception.map_or_else(|error| error, Error::from)
}

/// A `SystemCallError` such as `Errno::EADDRINUSE`, which also includes the gem's `Error` module.
fn build_system_error(ruby: &Ruby, operation: &str, code: i32) -> Error {
    let exception = ipc(ruby).and_then(|ipc| {
        let exception: Exception = ruby.exception_system_call_error().new_instance((operation, code))?;
        let marker: Value = ipc.const_get("Error")?;
        exception.funcall::<_, _, Value>("extend", (marker,))?;
        Ok(exception)
    });
    exception.map_or_else(|error| error, Error::from)
}

fn ipc(ruby: &Ruby) -> Result<RModule, Error> {
    let not_loaded = || Error::new(ruby.exception_runtime_error(), "aikido-zen-ipc was not loaded to the end");
    IPC.get().map(|ipc| ruby.get_inner(*ipc)).ok_or_else(not_loaded)
}
