//! Timeouts and limits: unit, default, reason. Checked once, when they are made.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::error::{Error, Result};

/// 1,000,000,000 s, which is 31 years: as long as for ever, and no clock and no message overflows by it.
pub const MAX_TIME: Duration = Duration::from_secs(1_000_000_000);

/// What is said of a time that is not allowed.
pub const TIME_ALLOWED: &str = "a number of seconds above 0, up to 1,000,000,000, is allowed";

/// As [`TIME_ALLOWED`], of a time that may be zero.
pub const TIME_OR_ZERO_ALLOWED: &str = "a number of seconds from 0 to 1,000,000,000 is allowed";

/// Bytes: 64 MiB. Twenty times the largest document seen in use, and still less than a host would miss.
pub const DEFAULT_MAX_FRAME_SIZE: usize = 64 << 20;

/// Bytes: what the header can declare.
pub const MAX_FRAME_SIZE_LIMIT: usize = u32::MAX as usize;

/// What a server is made with.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// A loopback address. Nothing else has a reason to reach it.
    pub host: IpAddr,
    /// 0: the operating system chooses.
    pub port: u16,
    /// For the whole handshake. 3 s: a worker on a busy machine needs milliseconds.
    pub handshake_timeout: Duration,
    /// From the first byte of a request to its last. 5 s: it only ends a worker that was stopped in the middle.
    pub read_timeout: Duration,
    /// For a response to be taken by the worker's kernel. 5 s: as above.
    pub write_timeout: Duration,
    /// Bytes of a frame's body.
    pub max_frame_size: usize,
    /// Admitted connections. 1,024: 60 workers of 16 connections for calls and one for notifications.
    pub max_connections: usize,
    /// Threads that wait for a connection. 4: as many connections may arrive at once before one waits for the GVL.
    pub spare_threads: usize,
    /// Threads that serve connections and run handlers, spare ones included. 2,048: one for each connection, and as many
    /// for handlers that go on after their answer. At it, requests wait.
    pub max_threads: usize,
    /// Connections that have not proved themselves. 128: the backlog of a busy start; the oldest goes first.
    pub max_handshakes: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            handshake_timeout: Duration::from_secs(3),
            read_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(5),
            max_frame_size: DEFAULT_MAX_FRAME_SIZE,
            max_connections: 1024,
            spare_threads: 4,
            max_threads: 2048,
            max_handshakes: 128,
        }
    }
}

impl ServerOptions {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] that names the option, the value and what is allowed.
    pub fn check(&self) -> Result<()> {
        if !self.host.is_loopback() {
            return Err(Error::invalid_argument(format!(
                "host is {}; only a loopback address is allowed (127.0.0.1, ::1)",
                self.host
            )));
        }
        time("handshake_timeout", self.handshake_timeout)?;
        time("read_timeout", self.read_timeout)?;
        time("write_timeout", self.write_timeout)?;
        frame_size(self.max_frame_size)?;
        at_least_one("max_connections", self.max_connections)?;
        at_least_one("spare_threads", self.spare_threads)?;
        at_least_one("max_handshakes", self.max_handshakes)?;
        // An idle connection keeps its thread, so fewer threads would leave some connections unserved for ever.
        let min_threads = self.max_connections.saturating_add(self.spare_threads);
        if self.max_threads < min_threads {
            return Err(Error::invalid_argument(format!(
                "max_threads is {}; at least max_connections + spare_threads ({min_threads}) is allowed",
                self.max_threads
            )));
        }
        Ok(())
    }
}

/// What a client is made with.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// For TCP's own handshake. 2 s: on loopback it takes microseconds unless the parent's backlog is full.
    pub connect_timeout: Duration,
    /// For the proof of the secret. 3 s: as the server's.
    pub handshake_timeout: Duration,
    /// For so long, from the beginning of an attempt to connect that failed, calls fail at once; by chance for less, but at
    /// least half. 1 s: a parent that is gone costs no request more than a comparison, and one that comes back is found
    /// soon.
    pub reconnect_delay: Duration,
    /// Connections for calls, and so calls at the same time; one for notifications comes on top. 16: more threads than a
    /// worker of Puma usually has.
    pub max_connections: usize,
    /// Idle connections are closed after it. 60 s: each costs the parent a thread.
    pub idle_timeout: Duration,
    /// Bytes of a frame's body.
    pub max_frame_size: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            handshake_timeout: Duration::from_secs(3),
            reconnect_delay: Duration::from_secs(1),
            max_connections: 16,
            idle_timeout: Duration::from_secs(60),
            max_frame_size: DEFAULT_MAX_FRAME_SIZE,
        }
    }
}

impl ClientOptions {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] that names the option, the value and what is allowed.
    pub fn check(&self) -> Result<()> {
        time("connect_timeout", self.connect_timeout)?;
        time("handshake_timeout", self.handshake_timeout)?;
        time_or_zero("reconnect_delay", self.reconnect_delay)?;
        time("idle_timeout", self.idle_timeout)?;
        frame_size(self.max_frame_size)?;
        at_least_one("max_connections", self.max_connections)
    }
}

/// Checks a time.
///
/// # Errors
///
/// [`Error::InvalidArgument`] that names it, its value and what is allowed.
pub fn time(name: &str, value: Duration) -> Result<()> {
    if value.is_zero() || value > MAX_TIME { Err(refused_time(name, value, TIME_ALLOWED)) } else { Ok(()) }
}

/// As [`time`], for one that may be zero: at once.
///
/// # Errors
///
/// As for it.
pub fn time_or_zero(name: &str, value: Duration) -> Result<()> {
    if value > MAX_TIME { Err(refused_time(name, value, TIME_OR_ZERO_ALLOWED)) } else { Ok(()) }
}

fn refused_time(name: &str, value: Duration, allowed: &str) -> Error {
    Error::invalid_argument(format!("{name} is {}; {allowed}", value.as_secs_f64()))
}

fn at_least_one(name: &str, value: usize) -> Result<()> {
    if value == 0 {
        return Err(Error::invalid_argument(format!("{name} is 0; at least 1 is allowed")));
    }
    Ok(())
}

fn frame_size(value: usize) -> Result<()> {
    if value == 0 || value > MAX_FRAME_SIZE_LIMIT {
        return Err(Error::invalid_argument(format!(
            "max_frame_size is {value}; 1 to {MAX_FRAME_SIZE_LIMIT} bytes are allowed"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_allowed() {
        assert_eq!(ServerOptions::default().check(), Ok(()));
        assert_eq!(ClientOptions::default().check(), Ok(()));
    }

    #[test]
    fn a_time_is_allowed_up_to_the_longest_and_one_that_means_at_once_from_zero() {
        let least = Duration::from_nanos(1);
        for allowed in [least, MAX_TIME] {
            assert_eq!((time("t", allowed), time_or_zero("t", allowed)), (Ok(()), Ok(())));
        }
        assert!(time("t", Duration::ZERO).is_err() && time_or_zero("t", Duration::ZERO).is_ok());
        let over = MAX_TIME.saturating_add(least);
        assert!(time("t", over).is_err() && time_or_zero("t", over).is_err());
    }

    #[test]
    fn an_address_that_others_can_reach_is_refused() {
        let options = ServerOptions { host: "0.0.0.0".parse().unwrap(), ..ServerOptions::default() };
        let message = options.check().unwrap_err().to_string();
        assert_eq!(message, "host is 0.0.0.0; only a loopback address is allowed (127.0.0.1, ::1)");
    }

    #[test]
    fn fewer_threads_than_connections_are_refused() {
        let options = ServerOptions { max_threads: 1027, ..ServerOptions::default() };
        assert_eq!(
            options.check().unwrap_err().to_string(),
            "max_threads is 1027; at least max_connections + spare_threads (1028) is allowed"
        );
    }

    #[test]
    fn a_value_that_is_not_allowed_is_named_with_what_is() {
        let server = ServerOptions { read_timeout: Duration::ZERO, ..ServerOptions::default() };
        assert_eq!(
            server.check().unwrap_err().to_string(),
            "read_timeout is 0; a number of seconds above 0, up to 1,000,000,000, is allowed"
        );
        let client = ClientOptions { reconnect_delay: MAX_TIME.saturating_mul(2), ..ClientOptions::default() };
        assert_eq!(
            client.check().unwrap_err().to_string(),
            "reconnect_delay is 2000000000; a number of seconds from 0 to 1,000,000,000 is allowed"
        );
        let client = ClientOptions { max_connections: 0, ..ClientOptions::default() };
        assert_eq!(client.check().unwrap_err().to_string(), "max_connections is 0; at least 1 is allowed");
        let client = ClientOptions { max_frame_size: 0, ..ClientOptions::default() };
        assert_eq!(client.check().unwrap_err().to_string(), "max_frame_size is 0; 1 to 4294967295 bytes are allowed");
    }
}
