//! The errors of the core: one variant for each case that a caller can handle differently.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error. The binding maps each variant to one Ruby class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The caller's time, or a phase's own limit, has passed.
    Timeout {
        /// The phase in which the time passed.
        phase: Phase,
        /// The time from the start to the timeout.
        waited: Duration,
    },
    /// No connection could be made and nothing was sent, or the other side has no thread to serve the call.
    ConnectionRefused {
        /// The address, and the reason.
        reason: String,
        /// The kind of failure, for advice about it. During the backoff it is the cause of the first failure.
        cause: Cause,
    },
    /// The connection ended in the middle of a message or call.
    Disconnected {
        /// The phase in which it ended.
        phase: Phase,
    },
    /// This process stopped or closed the client or server, or inherited it by a fork.
    Closed {
        /// The text that says what was closed.
        reason: String,
    },
    /// The other side does not know the secret, or speaks another version.
    Handshake {
        /// The text that says what the other side did.
        reason: String,
    },
    /// The received bytes are not the protocol.
    Protocol {
        /// The text that says what is wrong, and where.
        reason: String,
    },
    /// A frame that was to be sent or received is longer than the limit.
    FrameTooLarge {
        /// Its size in bytes.
        size: u64,
        /// `max_frame_size` in bytes.
        limit: u64,
    },
    /// The handler raised.
    Remote(RemoteFailure),
    /// The other side has no such method.
    NoHandler(RemoteFailure),
    /// An option or argument has a value that is not allowed.
    InvalidArgument {
        /// The name, the value, and the allowed values.
        reason: String,
    },
    /// The operating system refused something that does not concern the other side, such as binding a port.
    System {
        /// The operation that failed.
        operation: String,
        /// `errno`.
        code: i32,
    },
    /// The host wants its thread back; the operation is to be abandoned.
    Interrupted,
}

impl Error {
    /// An [`Error::Protocol`] with this reason.
    pub fn protocol(reason: impl Into<String>) -> Self {
        Self::Protocol { reason: reason.into() }
    }

    /// An [`Error::InvalidArgument`] with this reason.
    pub fn invalid_argument(reason: impl Into<String>) -> Self {
        Self::InvalidArgument { reason: reason.into() }
    }

    /// An [`Error::System`] for an operation that failed with `errno`.
    pub fn system(operation: impl Into<String>, errno: rustix::io::Errno) -> Self {
        Self::System { operation: operation.into(), code: errno.raw_os_error() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout { phase, waited } => {
                write!(formatter, "{phase} took longer than {:.3} s", waited.as_secs_f64())
            }
            Self::ConnectionRefused { reason, .. }
            | Self::Closed { reason }
            | Self::Handshake { reason }
            | Self::Protocol { reason }
            | Self::InvalidArgument { reason } => formatter.write_str(reason),
            Self::Disconnected { phase } => write!(formatter, "the other side closed the connection during {phase}"),
            Self::FrameTooLarge { size, limit } => {
                write!(formatter, "a frame of {size} bytes is over the limit of {limit} bytes (max_frame_size)")
            }
            Self::Remote(failure) | Self::NoHandler(failure) => formatter.write_str(&failure.message),
            Self::System { operation, code } => {
                write!(formatter, "{operation}: {}", std::io::Error::from_raw_os_error(*code))
            }
            Self::Interrupted => formatter.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {}

/// What a caller was waiting for when its time passed or the connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for a free connection while all `max_connections` are in use.
    FreeConnection,
    /// Waiting to send a notification, because another thread sends one or the server has not handled enough earlier
    /// ones.
    EarlierNotifications,
    /// The TCP connect.
    Connect,
    /// The mutual authentication.
    Handshake,
    /// Sending the request or the response.
    Send,
    /// Waiting for the response while the handler runs.
    Response,
    /// The server waits for the next request, or for the rest of one.
    Request,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::FreeConnection => "the wait for a free connection",
            Self::EarlierNotifications => "the wait for earlier notifications",
            Self::Connect => "connecting",
            Self::Handshake => "the handshake",
            Self::Send => "sending",
            Self::Response => "the wait for the response",
            Self::Request => "the wait for the request",
        })
    }
}

/// Why a call failed on the other side, in terms that belong to no programming language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailureCode {
    /// The handler raised an error. Also stands for a missing or unknown code.
    #[default]
    HandlerError,
    /// The method has no handler.
    NoHandler,
    /// The response is longer than `max_frame_size`.
    FrameTooLarge,
    /// The request has parts that the server cannot use.
    InvalidParams,
    /// No thread is left to serve the call, and it was not started.
    Unavailable,
}

impl FailureCode {
    const ALL: [Self; 5] =
        [Self::HandlerError, Self::NoHandler, Self::FrameTooLarge, Self::InvalidParams, Self::Unavailable];

    /// The code on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::HandlerError => "handler_error",
            Self::NoHandler => "no_handler",
            Self::FrameTooLarge => "frame_too_large",
            Self::InvalidParams => "invalid_params",
            Self::Unavailable => "unavailable",
        }
    }

    /// The code of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

/// Why no connection could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The operating system refused it, with this `errno`.
    System(i32),
    /// As [`Error::Disconnected`], before anything was sent: the other side is ending, or is full.
    Disconnected,
    /// As [`Error::Handshake`].
    Handshake,
    /// As [`Error::Timeout`].
    Timeout,
    /// As [`FailureCode::Unavailable`].
    Unavailable,
}

impl Cause {
    /// The cause of a failure to connect.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::ConnectionRefused { cause, .. } => *cause,
            Error::System { code, .. } => Self::System(*code),
            Error::Timeout { .. } => Self::Timeout,
            Error::Handshake { .. } | Error::Protocol { .. } => Self::Handshake,
            _ => Self::Disconnected,
        }
    }
}

/// The failure of a call, as the other side reported it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteFailure {
    /// The kind of failure.
    pub code: FailureCode,
    /// Exactly the handler's message, if a handler raised it.
    pub message: String,
    /// The class of the error that a handler raised.
    pub class: Option<String>,
    /// The handler's backtrace, innermost frame first.
    pub backtrace: Vec<String>,
}

impl RemoteFailure {
    /// The failure of a call whose method has no handler.
    pub fn no_handler(name: &str) -> Self {
        Self::without_handler(FailureCode::NoHandler, format!("no handler for {:?}", excerpt(name)))
    }

    /// A failure that no handler raised, so that it has neither class nor backtrace.
    pub fn without_handler(code: FailureCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), class: None, backtrace: Vec::new() }
    }
}

/// The most bytes of a given value that an error message quotes. 100: enough to recognize it.
pub const MAX_EXCERPT: usize = 100;

/// The start of a text for an error message, with `…` where it is cut.
pub fn excerpt(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_EXCERPT {
        return Cow::Borrowed(text);
    }
    let end = (0..=MAX_EXCERPT).rfind(|end| text.is_char_boundary(*end)).unwrap_or_default();
    Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_the_text_itself_up_to_a_hundred_bytes() {
        let text = "x".repeat(100);
        assert_eq!(excerpt(&text), text);
    }

    #[test]
    fn an_excerpt_of_a_longer_text_ends_between_characters() {
        assert_eq!(excerpt(&"x".repeat(101)), format!("{}…", "x".repeat(100)));
        assert_eq!(excerpt(&format!("x{}", "é".repeat(100))), format!("x{}…", "é".repeat(49)));
    }

    #[test]
    fn a_code_is_found_by_its_name() {
        for code in FailureCode::ALL {
            assert_eq!(FailureCode::from_name(code.name()), Some(code));
        }
        assert_eq!(FailureCode::from_name("unknown yet"), None);
    }

    #[test]
    fn a_timeout_says_in_which_phase_and_how_long_it_waited() {
        let error = Error::Timeout { phase: Phase::Handshake, waited: Duration::from_millis(1500) };
        assert_eq!(error.to_string(), "the handshake took longer than 1.500 s");
    }

    #[test]
    fn a_frame_that_is_too_large_says_its_size_and_the_limit() {
        let error = Error::FrameTooLarge { size: 11, limit: 10 };
        assert_eq!(error.to_string(), "a frame of 11 bytes is over the limit of 10 bytes (max_frame_size)");
    }

    #[test]
    fn an_error_of_the_system_says_what_was_tried_and_why_it_failed() {
        let error = Error::system("could not bind 127.0.0.1:80", rustix::io::Errno::ACCESS);
        assert_eq!(error.to_string(), "could not bind 127.0.0.1:80: Permission denied (os error 13)");
    }
}
