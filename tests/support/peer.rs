//! One end of a connection whose bytes the test writes itself: a hostile worker or parent.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use zen_ipc::Secret;
use zen_ipc::protocol::handshake::{CLIENT_PROOF_LENGTH, ClientHandshake, HELLO_LENGTH, MAC_LENGTH};

use super::raw_connection;

/// A connection that reads and writes bytes and frames.
pub struct Peer {
    pub stream: TcpStream,
}

impl Peer {
    /// A connection with timeouts, so that no test hangs.
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(false).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
        stream.set_write_timeout(Some(super::PATIENCE)).unwrap();
        Self { stream }
    }

    /// A connection that has sent nothing yet.
    pub fn silent(address: SocketAddr) -> Self {
        Self::new(raw_connection(address))
    }

    /// An authenticated connection.
    pub fn authenticated(address: SocketAddr, secret: &Secret) -> Self {
        let mut peer = Self::silent(address);
        let (proof, expected) = ClientHandshake::new().unwrap().answer(secret, &peer.hello()).unwrap();
        peer.write(&proof);
        expected.verify(&peer.read::<MAC_LENGTH>()).unwrap();
        peer
    }

    /// The server's first message.
    pub fn hello(&mut self) -> [u8; HELLO_LENGTH] {
        self.read()
    }

    /// The right answer to the server's first message.
    pub fn proof(&mut self, secret: &Secret) -> [u8; CLIENT_PROOF_LENGTH] {
        ClientHandshake::new().unwrap().answer(secret, &self.hello()).unwrap().0
    }

    /// Reads this many bytes.
    pub fn read<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn send_frame(&mut self, body: &[u8]) {
        self.write(&frame(body));
    }

    pub fn receive_frame(&mut self) -> Vec<u8> {
        let length = u32::from_be_bytes(self.read());
        let mut body = vec![0; length.try_into().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        body
    }

    /// Reads until the other side closes the connection; panics if it does not.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            // The other side closed the connection without reading all that this side had sent.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection did not end: {error}"),
        }
        bytes
    }

    /// Returns whether the other side closes the connection within this time. Reads what it sends meanwhile.
    pub fn ends_within(&mut self, time: Duration) -> bool {
        self.stream.set_read_timeout(Some(time)).unwrap();
        match self.stream.read(&mut [0; 1024]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }
}

/// A body with its header.
pub fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap();
    [&length.to_be_bytes(), body].concat()
}
