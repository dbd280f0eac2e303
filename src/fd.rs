//! Sockets and pipes that no program which this process executes inherits.
//!
//! Linux makes them so in one call. Elsewhere that takes two, and only the gate of [`crate::fork`], behind which everything
//! here is called, keeps a fork from falling in between.

use std::os::fd::OwnedFd;

use rustix::io::Result;
use rustix::net::{AddressFamily, SendFlags};

/// A TCP socket that does not block.
pub(crate) fn stream_socket(family: AddressFamily) -> Result<OwnedFd> {
    system::stream_socket(family)
}

/// The next connection, which blocks.
pub(crate) fn accept(listening: &OwnedFd) -> Result<OwnedFd> {
    system::accept(listening)
}

/// A pipe that does not block: what to read from, and what to write to.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    system::pipe()
}

/// Has a write to a connection that has ended fail, and not end the process by a signal.
pub(crate) const MSG_NOSIGNAL: SendFlags = system::MSG_NOSIGNAL;

#[cfg(target_os = "linux")]
mod system {
    use std::os::fd::OwnedFd;

    use rustix::io::Result;
    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, accept_with, socket_with};
    use rustix::pipe::{PipeFlags, pipe_with};

    pub(super) const MSG_NOSIGNAL: SendFlags = SendFlags::NOSIGNAL;

    pub(super) fn stream_socket(family: AddressFamily) -> Result<OwnedFd> {
        socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
    }

    pub(super) fn accept(listening: &OwnedFd) -> Result<OwnedFd> {
        accept_with(listening, SocketFlags::CLOEXEC)
    }

    pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
        pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::os::fd::OwnedFd;

    use rustix::io::{FdFlags, Result, fcntl_setfd, ioctl_fionbio};
    use rustix::net::{AddressFamily, SendFlags, SocketType};

    /// The sockets themselves are told where the flag is missing.
    pub(super) const MSG_NOSIGNAL: SendFlags = SendFlags::empty();

    pub(super) fn stream_socket(family: AddressFamily) -> Result<OwnedFd> {
        prepared_socket(rustix::net::socket(family, SocketType::STREAM, None)?, true)
    }

    pub(super) fn accept(listening: &OwnedFd) -> Result<OwnedFd> {
        // It may have inherited that it does not block.
        prepared_socket(rustix::net::accept(listening)?, false)
    }

    pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
        let (reader, writer) = rustix::pipe::pipe()?;
        Ok((prepared(reader, true)?, prepared(writer, true)?))
    }

    fn prepared_socket(socket: OwnedFd, nonblocking: bool) -> Result<OwnedFd> {
        #[cfg(target_vendor = "apple")]
        rustix::net::sockopt::set_socket_nosigpipe(&socket, true)?;
        prepared(socket, nonblocking)
    }

    fn prepared(descriptor: OwnedFd, nonblocking: bool) -> Result<OwnedFd> {
        fcntl_setfd(&descriptor, FdFlags::CLOEXEC)?;
        ioctl_fionbio(&descriptor, nonblocking)?;
        Ok(descriptor)
    }
}
