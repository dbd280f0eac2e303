//! Ruby's options as the core's: seconds become `Duration` here and nowhere else.

use std::net::IpAddr;
use std::time::Duration;

use magnus::{Error, RHash, Ruby, TryConvert, Value, prelude::*};
use zen_ipc::{ClientOptions, ServerOptions};

/// The options of a server.
///
/// # Errors
///
/// `ArgumentError` that names the option, the value and what is allowed.
pub(crate) fn server_options(ruby: &Ruby, options: RHash) -> Result<ServerOptions, Error> {
    let given = Given { ruby, options };
    Ok(ServerOptions {
        host: given.address("host")?,
        port: given.port("port")?,
        handshake_timeout: given.duration("handshake_timeout")?,
        read_timeout: given.duration("read_timeout")?,
        write_timeout: given.duration("write_timeout")?,
        max_frame_size: given.count("max_frame_size")?,
        max_connections: given.count("max_connections")?,
        spare_threads: given.count("spare_threads")?,
        max_threads: given.count("max_threads")?,
        max_handshakes: given.count("max_handshakes")?,
    })
}

/// What a client is made with, besides its secret.
pub(crate) struct ClientSettings {
    /// Where the server listens.
    pub(crate) address: std::net::SocketAddr,
    /// The core's options.
    pub(crate) options: ClientOptions,
    /// For a document to be fetched.
    pub(crate) document_timeout: Duration,
    /// For a notification to be taken by the kernel.
    pub(crate) notify_timeout: Duration,
}

/// The options of a client.
///
/// # Errors
///
/// As [`server_options`].
pub(crate) fn client_settings(ruby: &Ruby, options: RHash) -> Result<ClientSettings, Error> {
    let given = Given { ruby, options };
    Ok(ClientSettings {
        address: (given.address("host")?, given.port("port")?).into(),
        options: ClientOptions {
            connect_timeout: given.duration("connect_timeout")?,
            handshake_timeout: given.duration("handshake_timeout")?,
            reconnect_delay: given.duration_or_zero("reconnect_delay")?,
            max_connections: given.count("max_connections")?,
            idle_timeout: given.duration("idle_timeout")?,
            max_frame_size: given.count("max_frame_size")?,
        },
        document_timeout: given.duration("document_timeout")?,
        notify_timeout: given.duration("notify_timeout")?,
    })
}

/// A number of seconds, more than zero.
///
/// # Errors
///
/// `ArgumentError` for anything else.
pub(crate) fn duration(ruby: &Ruby, name: &str, seconds: Value) -> Result<Duration, Error> {
    match number(ruby, seconds).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(refused(ruby, name, seconds, "a positive number of seconds is")),
    }
}

/// The options that a method of ours passes on, by name.
struct Given<'a> {
    ruby: &'a Ruby,
    options: RHash,
}

impl Given<'_> {
    fn value(&self, name: &str) -> Result<Value, Error> {
        self.options.fetch(self.ruby.to_symbol(name))
    }

    fn duration(&self, name: &str) -> Result<Duration, Error> {
        duration(self.ruby, name, self.value(name)?)
    }

    fn duration_or_zero(&self, name: &str) -> Result<Duration, Error> {
        let seconds = self.value(name)?;
        number(self.ruby, seconds)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| refused(self.ruby, name, seconds, "a number of seconds, 0 or more, is"))
    }

    fn count(&self, name: &str) -> Result<usize, Error> {
        let value = self.value(name)?;
        integer(self.ruby, value).ok_or_else(|| refused(self.ruby, name, value, "a positive Integer is"))
    }

    fn port(&self, name: &str) -> Result<u16, Error> {
        let value = self.value(name)?;
        integer(self.ruby, value)
            .and_then(|port| u16::try_from(port).ok())
            .ok_or_else(|| refused(self.ruby, name, value, "an Integer from 0 to 65535 is"))
    }

    fn address(&self, name: &str) -> Result<IpAddr, Error> {
        let value = self.value(name)?;
        String::try_convert(value)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| refused(self.ruby, name, value, "a loopback address (127.0.0.1, ::1) is"))
    }
}

fn number(ruby: &Ruby, value: Value) -> Option<f64> {
    // Numeric only: `nil.to_f` and `"1".to_f` are no durations.
    value.is_kind_of(ruby.class_numeric()).then(|| f64::try_convert(value).ok()).flatten()
}

fn integer(ruby: &Ruby, value: Value) -> Option<usize> {
    value.is_kind_of(ruby.class_integer()).then(|| usize::try_convert(value).ok()).flatten()
}

fn refused(ruby: &Ruby, name: &str, value: Value, allowed: &str) -> Error {
    Error::new(ruby.exception_arg_error(), format!("{name} is {}; {allowed} allowed", value.inspect()))
}
