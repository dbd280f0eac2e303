//! Sockets and pipes that are close-on-exec from the start.
//!
//! Linux creates them so in one call. Other systems need two, so everything here is called while the lock of
//! [`crate::sys::fork`] is held, which keeps a fork from happening in between.

use std::os::fd::OwnedFd;

use rustix::io::Result;
use rustix::net::{AddressFamily, SendFlags};

/// Opens a non-blocking TCP socket.
pub(crate) fn stream_socket(family: AddressFamily) -> Result<OwnedFd> {
    system::stream_socket(family)
}

/// Accepts the next connection, which is in blocking mode.
pub(crate) fn accept(listening: &OwnedFd) -> Result<OwnedFd> {
    system::accept(listening)
}

/// Opens a non-blocking pipe: its reading and its writing end.
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    system::pipe()
}

/// Makes a write to a closed connection fail instead of raising `SIGPIPE`.
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

    /// This flag does not exist here; the sockets get `SO_NOSIGPIPE` instead.
    pub(super) const MSG_NOSIGNAL: SendFlags = SendFlags::empty();

    pub(super) fn stream_socket(family: AddressFamily) -> Result<OwnedFd> {
        prepared_socket(rustix::net::socket(family, SocketType::STREAM, None)?, true)
    }

    pub(super) fn accept(listening: &OwnedFd) -> Result<OwnedFd> {
        // The accepted socket may have inherited non-blocking mode.
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
