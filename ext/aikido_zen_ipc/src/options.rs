//! Converts Ruby options to those of the core. Seconds become a `Duration` only here, also for options that Ruby code
//! uses (`argument.rs`).

use std::net::IpAddr;
use std::time::Duration;

use magnus::{Error, Float, RHash, Ruby, TryConvert, Value, prelude::*, value::Fixnum};
use zen_ipc::options::{self, TIME_ALLOWED, TIME_OR_ZERO_ALLOWED};
use zen_ipc::{ClientOptions, ServerOptions};

use crate::failure::{is_failure, quoted};

/// The options of a server.
///
/// # Errors
///
/// `ArgumentError` that names the option, the value and what is allowed.
pub(crate) fn server_options(ruby: &Ruby, options: RHash) -> Result<ServerOptions, Error> {
    let reader = OptionReader { ruby, options };
    Ok(ServerOptions {
        host: reader.address("host")?,
        port: reader.port("port")?,
        handshake_timeout: reader.duration("handshake_timeout")?,
        read_timeout: reader.duration("read_timeout")?,
        write_timeout: reader.duration("write_timeout")?,
        max_frame_size: reader.size("max_frame_size")?,
        max_connections: reader.count("max_connections")?,
        spare_threads: reader.count("spare_threads")?,
        max_threads: reader.count("max_threads")?,
        max_handshakes: reader.count("max_handshakes")?,
    })
}

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

/// The options of a client.
///
/// # Errors
///
/// As [`server_options`].
pub(crate) fn client_settings(ruby: &Ruby, options: RHash) -> Result<ClientSettings, Error> {
    let reader = OptionReader { ruby, options };
    Ok(ClientSettings {
        address: (reader.address("host")?, reader.port("port")?).into(),
        options: ClientOptions {
            connect_timeout: reader.duration("connect_timeout")?,
            handshake_timeout: reader.duration("handshake_timeout")?,
            reconnect_delay: reader.duration_or_zero("reconnect_delay")?,
            max_connections: reader.count("max_connections")?,
            idle_timeout: reader.duration("idle_timeout")?,
            max_frame_size: reader.size("max_frame_size")?,
        },
        document_timeout: reader.duration("document_timeout")?,
        notify_timeout: reader.duration("notify_timeout")?,
    })
}

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

/// Reads options by name from the Hash that a method of ours passes.
struct OptionReader<'a> {
    ruby: &'a Ruby,
    options: RHash,
}

impl OptionReader<'_> {
    fn value(&self, name: &str) -> Result<Value, Error> {
        self.options.fetch(self.ruby.to_symbol(name))
    }

    fn duration(&self, name: &str) -> Result<Duration, Error> {
        duration(self.ruby, name, self.value(name)?)
    }

    fn duration_or_zero(&self, name: &str) -> Result<Duration, Error> {
        duration_or_zero(self.ruby, name, self.value(name)?)
    }

    fn count(&self, name: &str) -> Result<usize, Error> {
        let value = self.value(name)?;
        integer(self.ruby, value).ok_or_else(|| invalid_option(self.ruby, name, value, "a positive Integer is allowed"))
    }

    /// A number of bytes: any whole number that is not negative.
    fn size(&self, name: &str) -> Result<usize, Error> {
        /// 2^53: a larger Float is no exact number.
        const MAX: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;
        let value = self.value(name)?;
        if let Some(size) = integer(self.ruby, value) {
            return Ok(size);
        }
        let size = number(self.ruby, value)?.filter(|size| size.fract() == 0.0 && (0.0..=MAX).contains(size));
        size.map(|size| size as usize)
            .ok_or_else(|| invalid_option(self.ruby, name, value, "a positive whole number of bytes is allowed"))
    }

    fn port(&self, name: &str) -> Result<u16, Error> {
        let value = self.value(name)?;
        integer(self.ruby, value)
            .and_then(|port| u16::try_from(port).ok())
            .ok_or_else(|| invalid_option(self.ruby, name, value, "an Integer from 0 to 65535 is allowed"))
    }

    fn address(&self, name: &str) -> Result<IpAddr, Error> {
        let value = self.value(name)?;
        String::try_convert(value)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| invalid_option(self.ruby, name, value, "a loopback address (127.0.0.1, ::1) is allowed"))
    }
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
