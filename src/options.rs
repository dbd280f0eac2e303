//! All timeouts and limits, each with its unit, default and reason. Values are checked once, when a client or server is
//! created.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::error::{Error, Result};

/// The longest allowed time. 1,000,000,000 s, or 31 years: as good as for ever, and without overflow of any clock or
/// message.
pub const MAX_TIME: Duration = Duration::from_secs(1_000_000_000);

/// The part of an error message that says which times are allowed.
pub const TIME_ALLOWED: &str = "a number of seconds above 0, up to 1,000,000,000, is allowed";

/// As [`TIME_ALLOWED`], for a time that may be zero.
pub const TIME_OR_ZERO_ALLOWED: &str = "a number of seconds from 0 to 1,000,000,000 is allowed";

/// The default of `max_frame_size`. 64 MiB: twenty times the largest document seen in use, and little for a host.
pub const DEFAULT_MAX_FRAME_SIZE: usize = 64 << 20;

/// The largest allowed `max_frame_size`, in bytes: the frame header has 32 bits.
pub const MAX_FRAME_SIZE_LIMIT: usize = u32::MAX as usize;

/// The default timeout of fetching a document. 1 s: a worker then uses the last known version.
pub const DEFAULT_DOCUMENT_TIMEOUT: Duration = Duration::from_secs(1);

/// The default timeout of sending a notification. 1 s: it waits only where handlers have fallen behind.
pub const DEFAULT_NOTIFY_TIMEOUT: Duration = Duration::from_secs(1);

/// The options of a server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The loopback address to listen on. Other addresses are refused, because only local processes are clients.
    pub host: IpAddr,
    /// The port; 0 lets the operating system choose.
    pub port: u16,
    /// Timeout of the whole handshake. 3 s: a worker on a busy machine needs milliseconds.
    pub handshake_timeout: Duration,
    /// Timeout from the first byte of a request to its last. 5 s: only a worker that was stopped in the middle exceeds
    /// it.
    pub read_timeout: Duration,
    /// Timeout for the worker's kernel to take a response. 5 s: only a worker that was stopped exceeds it.
    pub write_timeout: Duration,
    /// The largest frame body, in bytes.
    pub max_frame_size: usize,
    /// Authenticated connections. 1,024: 60 workers with 16 connections for calls and one for notifications each.
    pub max_connections: usize,
    /// Idle threads that wait for a connection. 4: as many connections may arrive at once before one waits for the GVL.
    pub spare_threads: usize,
    /// All threads that serve connections and run handlers, including idle ones. The default is
    /// [`ServerOptions::default_max_threads`]. At the limit, requests wait.
    pub max_threads: usize,
    /// Connections that are not authenticated yet. 128: more than a busy start produces; the oldest is evicted first.
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
            max_threads: Self::MIN_DEFAULT_MAX_THREADS,
            max_handshakes: 128,
        }
    }
}

impl ServerOptions {
    /// 2,048: two for each of the default connections. A lower `max_connections` does not lower it, so that no handler
    /// waits.
    const MIN_DEFAULT_MAX_THREADS: usize = 2048;

    /// The default of `max_threads`: one for each connection, as many for handlers that continue after their response,
    /// and enough for the idle ones.
    pub fn default_max_threads(max_connections: usize, spare_threads: usize) -> usize {
        max_connections
            .saturating_mul(2)
            .max(max_connections.saturating_add(spare_threads))
            .max(Self::MIN_DEFAULT_MAX_THREADS)
    }

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
        // Each connection may need a thread, so with fewer threads some would never be served.
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

/// The options of a client.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Timeout of the TCP connect. 2 s: on loopback it takes microseconds unless the parent's backlog is full.
    pub connect_timeout: Duration,
    /// Timeout of the handshake. 3 s: as the server's.
    pub handshake_timeout: Duration,
    /// After a failed connect, calls fail immediately for this long, measured from the start of the attempt. Jitter
    /// shortens it by up to half. 1 s: a missing parent costs a request no more than a comparison, and a parent that is
    /// back is found soon.
    pub reconnect_delay: Duration,
    /// Connections for calls, and so the calls at the same time; there is one more for notifications. 16: more threads
    /// than a Puma worker usually has.
    pub max_connections: usize,
    /// Idle connections are closed after this time. 60 s: each costs the parent a thread.
    pub idle_timeout: Duration,
    /// The largest frame body, in bytes.
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

/// As [`time`], for a time that may be zero, which means at once.
///
/// # Errors
///
/// As [`time`].
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
    fn the_readme_has_the_defaults() {
        let readme = include_str!("../README.md");
        let (server, client) = (ServerOptions::default(), ClientOptions::default());
        let seconds = |time: Duration| format!("{:.1}", time.as_secs_f64());
        assert_eq!(server.read_timeout, server.write_timeout);
        assert_eq!(server.max_frame_size, client.max_frame_size);
        assert_eq!(DEFAULT_DOCUMENT_TIMEOUT, DEFAULT_NOTIFY_TIMEOUT);
        for row in [
            format!("| `handshake_timeout` | {} |", seconds(server.handshake_timeout)),
            format!("| `read_timeout`, `write_timeout` | {} |", seconds(server.read_timeout)),
            format!("| `max_frame_size` | {} MiB |", server.max_frame_size >> 20),
            format!("| `max_connections` | {} |", server.max_connections),
            format!("| `max_threads` | {} |", server.max_threads),
            format!("| `max_handshakes` | {} |", server.max_handshakes),
            format!("| `spare_threads` | {} |", server.spare_threads),
            format!(
                "| `connect_timeout`, `handshake_timeout` | {}, {} |",
                seconds(client.connect_timeout),
                seconds(client.handshake_timeout)
            ),
            format!("| `reconnect_delay` | {} |", seconds(client.reconnect_delay)),
            format!("| `max_connections` | {} |", client.max_connections),
            format!("| `idle_timeout` | {} |", seconds(client.idle_timeout)),
            format!("| `document_timeout`, `notify_timeout` | {} |", seconds(DEFAULT_DOCUMENT_TIMEOUT)),
        ] {
            assert!(readme.contains(&row), "{row}");
        }
    }

    #[test]
    fn the_default_of_max_threads_follows_from_the_other_limits() {
        for (connections, spare, threads) in [(1024, 4, 2048), (2048, 4, 4096), (10, 4, 2048), (1024, 5000, 6024)] {
            assert_eq!(ServerOptions::default_max_threads(connections, spare), threads);
        }
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
