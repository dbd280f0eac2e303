//! Socket timeouts that wake a thread in time, although Linux timers may fire late.

use std::time::Duration;

use rustix::net::sockopt::{self, Timeout};

use super::Socket;
use crate::error::{Error, Result};

/// The socket timeout for the remaining time: in whole milliseconds, so that equal timeouts need no system call; and
/// shorter than a long wait, so that the thread wakes before the deadline and waits again for the rest.
pub(super) fn kernel_timeout(remaining: Duration) -> Option<Duration> {
    if remaining == Duration::MAX {
        return None;
    }
    let milliseconds = u64::try_from(remaining.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    let milliseconds =
        if milliseconds > EXACT_BELOW_MS { milliseconds - milliseconds / SLACK_DIVISOR } else { milliseconds };
    Some(Duration::from_millis(milliseconds.clamp(1, MAX_KERNEL_WAIT.as_secs().saturating_mul(1000))))
}

/// Waits up to this many milliseconds are passed to the kernel unchanged. 100: Linux may end a wait 1/8 late, which is
/// 12 ms here, but 2 s for one of 30 s (the timer wheel in `kernel/time/timer.c`).
const EXACT_BELOW_MS: u64 = 100;

/// Longer waits are shortened by one part in this many. 7: more than the kernel's delay, which is up to 8/63 at the
/// start of a level of the timer wheel.
const SLACK_DIVISOR: u64 = 7;

/// The longest socket timeout. One day: every kernel supports it, and the deadline decides anyway.
const MAX_KERNEL_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Sets one of the two timeouts of a socket.
pub(super) fn set_socket_timeout(socket: &Socket, direction: Timeout, timeout: Option<Duration>) -> Result<()> {
    sockopt::set_socket_timeout(socket.get()?, direction, timeout)
        .map_err(|errno| Error::system("could not set a socket's timeout", errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_told_whole_milliseconds_rounded_up() {
        assert_eq!(kernel_timeout(Duration::from_micros(1)), Some(Duration::from_millis(1)));
        assert_eq!(kernel_timeout(Duration::from_micros(99_980)), Some(Duration::from_millis(100)));
        assert_eq!(kernel_timeout(Duration::from_secs(1 << 40)), Some(MAX_KERNEL_WAIT));
        assert_eq!(kernel_timeout(Duration::MAX), None);
    }

    #[test]
    fn of_a_long_wait_the_kernel_is_told_so_little_that_it_is_over_before_the_deadline_however_late_the_kernel_is() {
        for milliseconds in [101, 252, 300, 1000, 2048, 4000, 16_384, 30_000, 3_600_000] {
            let told = kernel_timeout(Duration::from_millis(milliseconds)).unwrap();
            assert!(told + told * 8 / 63 < Duration::from_millis(milliseconds), "{told:?} of {milliseconds} ms");
        }
    }
}
