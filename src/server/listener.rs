//! The listening socket. The acceptor accepts from it; any thread may close it.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_reuseaddr, set_tcp_nodelay};
use rustix::net::{AddressFamily, bind, getsockname, listen};

use crate::connection::Socket;
use crate::error::{Error, Result};
use crate::sys::fd;
use crate::sys::fork::{self, ProcessLocal};
use crate::sys::sync::{Mutex, lock};

/// Connections that the kernel completes before they are accepted. 256: enough for all workers of a host at once. A
/// client that finds the backlog full tries again after 10 ms; one that does not waits until all before it are
/// accepted, which takes longer during a flood. The kernel has a limit of its own (`net.core.somaxconn`).
const BACKLOG: i32 = 256;

/// A listening socket that may have been closed.
#[derive(Debug, Default)]
pub(super) struct Listener {
    socket: Mutex<Option<ProcessLocal<OwnedFd>>>,
}

impl Listener {
    /// Binds and listens; for port 0 the operating system chooses one.
    pub(super) fn bind(wanted: SocketAddr) -> Result<(Self, SocketAddr)> {
        let socket = open(wanted).map_err(explain_address_in_use)?;
        let address = getsockname(socket.get()?)
            .and_then(SocketAddr::try_from)
            .map_err(|errno| Error::system("could not read the address of the listening socket", errno))?;
        Ok((Self { socket: Mutex::new(Some(socket)) }, address))
    }

    /// Binds again if it was closed.
    pub(super) fn rebind(&self, address: SocketAddr) -> Result<()> {
        let mut socket = lock(&self.socket);
        if socket.is_none() {
            *socket = Some(open(address)?);
        }
        Ok(())
    }

    /// True unless it was closed.
    pub(super) fn is_open(&self) -> bool {
        lock(&self.socket).is_some()
    }

    /// Stops listening. False if it was closed before.
    pub(super) fn close(&self) -> bool {
        lock(&self.socket).take().is_some()
    }

    /// Runs `work` with the descriptor's number while the socket is open. It cannot be closed meanwhile.
    pub(super) fn with_fd<R>(&self, work: impl FnOnce(RawFd) -> R) -> Option<R> {
        let listening = lock(&self.socket);
        Some(work(listening.as_ref()?.get().ok()?.as_raw_fd()))
    }

    /// The next connection, if there is one, without blocking. `None` once closed.
    pub(super) fn accept(&self) -> Option<rustix::io::Result<Socket>> {
        let listening = lock(&self.socket);
        let Ok(listening) = listening.as_ref()?.verified() else { return Some(Err(Errno::BADF)) };
        let accepted = ProcessLocal::open(|| fd::accept(listening));
        Some(accepted.and_then(|socket| {
            set_tcp_nodelay(socket.get().map_err(|_| Errno::BADF)?, true)?;
            Ok(Arc::new(socket))
        }))
    }
}

fn open(address: SocketAddr) -> Result<ProcessLocal<OwnedFd>> {
    let failed = |errno| Error::system(format!("could not listen on {address}"), errno);
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = ProcessLocal::open(|| fd::stream_socket(family)).map_err(failed)?;
    let listening = socket.get().map_err(|_| fork::wrong_process_error())?;
    // Lets a stopped server start on its port again while old connections are in TIME_WAIT.
    set_socket_reuseaddr(listening, true).map_err(failed)?;
    bind(listening, &address).map_err(failed)?;
    listen(listening, BACKLOG).map_err(failed)?;
    Ok(socket)
}

/// Adds advice to the error of a fixed port that is in use.
fn explain_address_in_use(error: Error) -> Error {
    match error {
        Error::System { operation, code } if code == Errno::ADDRINUSE.raw_os_error() => {
            let advice = "where something else does; in a hot restart the old master does until it ends: leave `port:` \
                          out, so that each master gets a port of its own, which its workers know";
            Error::System { operation: format!("{operation}, {advice}"), code }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_listener_can_be_bound_to_its_address_again() {
        let (listener, address) = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert!(listener.close() && !listener.close());
        assert!(listener.accept().is_none() && listener.with_fd(|_| ()).is_none());
        listener.rebind(address).unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        assert!(listener.accept().unwrap().is_ok());
        assert_eq!(listener.accept().unwrap().err(), Some(Errno::AGAIN));
    }

    #[test]
    fn an_address_in_use_is_named_in_the_error() {
        let (_listener, address) = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let message = Listener::bind(address).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("could not listen on {address}, where something else does; ")),
            "{message}"
        );
        assert!(message.contains("leave `port:` out"), "{message}");
    }
}
