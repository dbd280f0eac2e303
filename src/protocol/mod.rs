//! The wire: handshakes, frames and messages. Bytes go in and types come out; there are no sockets here.

pub mod frame;
pub mod handshake;
pub mod message;
