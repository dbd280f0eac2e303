//! Converts Ruby options to those of the core. Seconds become a `Duration` only here, also for options that Ruby code
//! uses (`argument.rs`).

use std::net::IpAddr;
use std::time::Duration;

use magnus::{Error, Float, RHash, Ruby, Symbol, TryConvert, Value, prelude::*, r_hash::ForEach, value::Fixnum};
use zen_ipc::options::{self, TIME_ALLOWED, TIME_OR_ZERO_ALLOWED};
use zen_ipc::{ClientOptions, ServerOptions};

use crate::failure::{is_failure, quoted};

/// The options of a server: those that are given, and the core's defaults for the others.
///
/// # Errors
///
/// `ArgumentError` that names the option, the value and what is allowed.
pub(crate) fn server_options(ruby: &Ruby, options: RHash) -> Result<ServerOptions, Error> {
    let reader = OptionReader::new(ruby, options, &SERVER_OPTIONS)?;
    let defaults = ServerOptions::default();
    let max_connections = reader.get("max_connections", defaults.max_connections, count)?;
    let spare_threads = reader.get("spare_threads", defaults.spare_threads, count)?;
    let default_max_threads = ServerOptions::default_max_threads(max_connections, spare_threads);
    Ok(ServerOptions {
        host: reader.get("host", defaults.host, address)?,
        port: reader.get("port", defaults.port, port)?,
        handshake_timeout: reader.get("handshake_timeout", defaults.handshake_timeout, duration)?,
        read_timeout: reader.get("read_timeout", defaults.read_timeout, duration)?,
        write_timeout: reader.get("write_timeout", defaults.write_timeout, duration)?,
        max_frame_size: reader.get("max_frame_size", defaults.max_frame_size, size)?,
        max_connections,
        spare_threads,
        max_threads: reader.get("max_threads", default_max_threads, |ruby, name, value| {
            // nil stands for the default.
            if value.is_nil() { Ok(default_max_threads) } else { count(ruby, name, value) }
        })?,
        max_handshakes: reader.get("max_handshakes", defaults.max_handshakes, count)?,
    })
}

const SERVER_OPTIONS: [&str; 10] = [
    "host",
    "port",
    "handshake_timeout",
    "read_timeout",
    "write_timeout",
    "max_frame_size",
    "max_connections",
    "spare_threads",
    "max_threads",
    "max_handshakes",
];

/// The settings of a client, without its secret.
pub(crate) struct ClientSettings {
    /// The address of the server.
    pub(crate) address: std::net::SocketAddr,
    /// The core's options.
    pub(crate) options: ClientOptions,
    /// The timeout of fetching a document.
    pub(crate) document_timeout: Duration,
    /// The timeout of sending a notification.
    pub(crate) notify_timeout: Duration,
}

/// The address and the options of a client, as [`server_options`].
///
/// # Errors
///
/// As [`server_options`].
pub(crate) fn client_settings(
    ruby: &Ruby,
    host: Value,
    server_port: Value,
    options: RHash,
) -> Result<ClientSettings, Error> {
    let reader = OptionReader::new(ruby, options, &CLIENT_OPTIONS)?;
    let defaults = ClientOptions::default();
    Ok(ClientSettings {
        address: (address(ruby, "host", host)?, port(ruby, "port", server_port)?).into(),
        options: ClientOptions {
            connect_timeout: reader.get("connect_timeout", defaults.connect_timeout, duration)?,
            handshake_timeout: reader.get("handshake_timeout", defaults.handshake_timeout, duration)?,
            reconnect_delay: reader.get("reconnect_delay", defaults.reconnect_delay, duration_or_zero)?,
            max_connections: reader.get("max_connections", defaults.max_connections, count)?,
            idle_timeout: reader.get("idle_timeout", defaults.idle_timeout, duration)?,
            max_frame_size: reader.get("max_frame_size", defaults.max_frame_size, size)?,
        },
        document_timeout: reader.get("document_timeout", options::DEFAULT_DOCUMENT_TIMEOUT, duration)?,
        notify_timeout: reader.get("notify_timeout", options::DEFAULT_NOTIFY_TIMEOUT, duration)?,
    })
}

const CLIENT_OPTIONS: [&str; 8] = [
    "connect_timeout",
    "handshake_timeout",
    "reconnect_delay",
    "max_connections",
    "idle_timeout",
    "max_frame_size",
    "document_timeout",
    "notify_timeout",
];

/// A time of more than zero seconds.
///
/// # Errors
///
/// `ArgumentError` for anything else, with what is allowed.
pub(crate) fn duration(ruby: &Ruby, name: &str, seconds: Value) -> Result<Duration, Error> {
    let is_allowed = |duration| options::time(name, duration).is_ok();
    let duration = time(ruby, seconds)?.filter(|duration| is_allowed(*duration));
    duration.ok_or_else(|| invalid_option(ruby, name, seconds, TIME_ALLOWED))
}

/// As [`duration`], or zero.
///
/// # Errors
///
/// As [`duration`].
pub(crate) fn duration_or_zero(ruby: &Ruby, name: &str, seconds: Value) -> Result<Duration, Error> {
    let is_allowed = |duration| options::time_or_zero(name, duration).is_ok();
    let duration = time(ruby, seconds)?.filter(|duration| is_allowed(*duration));
    duration.ok_or_else(|| invalid_option(ruby, name, seconds, TIME_OR_ZERO_ALLOWED))
}

/// Converts a number of seconds that is not negative.
fn time(ruby: &Ruby, seconds: Value) -> Result<Option<Duration>, Error> {
    /// The smallest time, so that one above zero is not rounded to zero.
    const MIN: Duration = Duration::from_nanos(1);
    let seconds = number(ruby, seconds)?;
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(duration.map(|duration| if seconds > Some(0.0) { duration.max(MIN) } else { duration }))
}

/// Reads options by name from the Hash of those that were given.
struct OptionReader<'a> {
    ruby: &'a Ruby,
    options: RHash,
}

impl<'a> OptionReader<'a> {
    /// A reader of options whose names are all `known`.
    fn new(ruby: &'a Ruby, options: RHash, known: &[&str]) -> Result<Self, Error> {
        options.foreach(|name: Value, _: Value| {
            let is_known = Symbol::from_value(name)
                .is_some_and(|symbol| symbol.name().is_ok_and(|name| known.contains(&name.as_ref())));
            if is_known {
                return Ok(ForEach::Continue);
            }
            let message = format!("unknown option: {}; allowed are {}", quoted(name), known.join(", "));
            Err(Error::new(ruby.exception_arg_error(), message))
        })?;
        Ok(Self { ruby, options })
    }

    /// The value of an option, by its conversion; the default if it is not given.
    fn get<T>(
        &self,
        name: &str,
        default: T,
        convert: impl FnOnce(&Ruby, &str, Value) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let value: Option<Value> = self.options.get(self.ruby.to_symbol(name));
        value.map_or(Ok(default), |value| convert(self.ruby, name, value))
    }
}

fn count(ruby: &Ruby, name: &str, value: Value) -> Result<usize, Error> {
    integer(ruby, value).ok_or_else(|| invalid_option(ruby, name, value, "a positive Integer is allowed"))
}

/// A number of bytes: any whole number that is not negative.
fn size(ruby: &Ruby, name: &str, value: Value) -> Result<usize, Error> {
    /// 2^53: a larger Float is no exact number.
    const MAX: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    if let Some(size) = integer(ruby, value) {
        return Ok(size);
    }
    let size = number(ruby, value)?.filter(|size| size.fract() == 0.0 && (0.0..=MAX).contains(size));
    size.map(|size| size as usize)
        .ok_or_else(|| invalid_option(ruby, name, value, "a positive whole number of bytes is allowed"))
}

fn port(ruby: &Ruby, name: &str, value: Value) -> Result<u16, Error> {
    integer(ruby, value)
        .and_then(|port| u16::try_from(port).ok())
        .ok_or_else(|| invalid_option(ruby, name, value, "an Integer from 0 to 65535 is allowed"))
}

fn address(ruby: &Ruby, name: &str, value: Value) -> Result<IpAddr, Error> {
    String::try_convert(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| invalid_option(ruby, name, value, "a loopback address (127.0.0.1, ::1) is allowed"))
}

/// Converts a value that is a `Numeric` (`is_a?`) and has `to_f`. `nil` and `"1"` are not numbers; an
/// `ActiveSupport::Duration` is.
fn number(ruby: &Ruby, value: Value) -> Result<Option<f64>, Error> {
    if let Some(integer) = Fixnum::from_value(value) {
        return Ok(Some(integer.to_i64() as f64));
    }
    if let Some(float) = Float::from_value(value) {
        return Ok(Some(float.to_f64()));
    }
    let converted = value.funcall("is_a?", (ruby.class_numeric(),)).and_then(|is_numeric: Value| {
        if is_numeric.to_bool() { value.funcall::<_, _, f64>("to_f", ()).map(Some) } else { Ok(None) }
    });
    match converted {
        // The value lacks these methods, or has no Float value.
        Err(error) if is_failure(ruby, &error) => Ok(None),
        outcome => outcome,
    }
}

fn integer(ruby: &Ruby, value: Value) -> Option<usize> {
    value.is_kind_of(ruby.class_integer()).then(|| usize::try_convert(value).ok()).flatten()
}

fn invalid_option(ruby: &Ruby, name: &str, value: Value, allowed: &str) -> Error {
    Error::new(ruby.exception_arg_error(), format!("{name} is {}; {allowed}", quoted(value)))
}
