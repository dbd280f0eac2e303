//! A server whose bytes the test writes itself, so that it can do anything.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, listen, socket_with};
use zen_ipc::protocol::handshake::{CLIENT_PROOF_LENGTH, ServerHandshake};
use zen_ipc::{Client, ClientOptions, Secret};

use super::eventually;
use super::peer::Peer;

/// An address that is reserved, without a listening socket.
pub struct ReservedAddress {
    socket: OwnedFd,
    pub address: SocketAddr,
}

impl ReservedAddress {
    pub fn new() -> Self {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = getsockname(&socket).unwrap().try_into().unwrap();
        Self { socket, address }
    }

    /// Starts to listen.
    pub fn listen(self) -> FakeServer {
        listen(&self.socket, 16).unwrap();
        FakeServer::new(TcpListener::from(self.socket))
    }
}

/// A listening socket and a secret.
pub struct FakeServer {
    listener: TcpListener,
    pub secret: Secret,
}

impl FakeServer {
    pub fn bind() -> Self {
        Self::new(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    fn new(listener: TcpListener) -> Self {
        listener.set_nonblocking(true).unwrap();
        Self { listener, secret: Secret::generate().unwrap() }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    pub fn client(&self) -> Client {
        self.client_with(ClientOptions::default())
    }

    pub fn client_with(&self, options: ClientOptions) -> Client {
        Client::new(self.address(), self.secret.clone(), options).unwrap()
    }

    /// Returns whether there is another connection; accepts and drops it.
    pub fn has_visitor(&self) -> bool {
        self.listener.accept().is_ok()
    }

    /// Accepts a connection, before any handshake.
    pub fn accept(&self) -> Peer {
        let mut accepted = None;
        eventually("a connection", || {
            accepted = self.listener.accept().ok();
            accepted.is_some()
        });
        Peer::new(accepted.unwrap().0)
    }

    /// Accepts a connection and does the handshake. A client that gets no hello in time, as on a busy machine, opens
    /// another.
    pub fn accept_authenticated(&self) -> Peer {
        loop {
            let mut peer = self.accept();
            let handshake = ServerHandshake::new().unwrap();
            let mut proof = [0; CLIENT_PROOF_LENGTH];
            let greeted = peer.stream.write_all(&handshake.hello()).and_then(|()| peer.stream.read_exact(&mut proof));
            if greeted.is_ok() {
                peer.write(&handshake.verify(&self.secret, &proof).unwrap());
                return peer;
            }
        }
    }

    /// Accepts a connection and evicts it, without having read the proof, which may have arrived.
    pub fn displace(&self, once_the_proof_is_there: bool) {
        let mut peer = self.accept();
        peer.write(&ServerHandshake::new().unwrap().hello());
        if once_the_proof_is_there {
            peer.stream.peek(&mut [0]).unwrap();
        }
    }
}
