//! Errors and values of the application in the words of an error message.

use magnus::error::ErrorType;
use magnus::{Error, Exception, RString, Ruby, Value, prelude::*};
use zen_ipc::error::{MAX_EXCERPT, excerpt};

use crate::ruby_ffi::class_name;

/// Returns whether an error means that the application's code failed. Others (`exit`, signals, exceptions of `Timeout`,
/// the end of a thread) act on the thread that they reach.
pub(crate) fn is_failure(ruby: &Ruby, error: &Error) -> bool {
    [
        ruby.exception_standard_error(),
        ruby.exception_script_error(),
        ruby.exception_no_mem_error(),
        ruby.exception_sys_stack_error(),
        ruby.exception_security_error(),
    ]
    .into_iter()
    .any(|class| error.is_kind_of(class))
}

/// The exception of a failure ([`is_failure`]), except `NoMemoryError`.
pub(crate) fn failure_in(ruby: &Ruby, error: &Error) -> Option<Exception> {
    if !is_failure(ruby, error) || error.is_kind_of(ruby.exception_no_mem_error()) {
        return None;
    }
    match error.error_type() {
        ErrorType::Exception(exception) => Some(*exception),
        ErrorType::Error(class, message) => class.new_instance((message.as_ref(),)).ok(),
        ErrorType::Jump(_) => None,
    }
}

/// The class of an exception and the start of its message, on one line.
pub(crate) fn described(exception: Exception) -> String {
    let message = exception.funcall::<_, _, RString>("message", ()).and_then(|message| message.to_string());
    let message = message.unwrap_or_default();
    format!("{}: {}", class_name(exception.as_value()), excerpt(message.lines().next().unwrap_or_default()))
}

/// A value for an error message: the result of `inspect`, cut to [`MAX_EXCERPT`] bytes.
pub(crate) fn quoted(value: Value) -> String {
    // Do not inspect the whole of a long String.
    let beginning = RString::from_value(value)
        .filter(|string| string.len() > MAX_EXCERPT)
        .and_then(|string| string.funcall::<_, _, Value>("byteslice", (0, MAX_EXCERPT.saturating_add(1))).ok());
    excerpt(&beginning.unwrap_or(value).inspect()).into_owned()
}
