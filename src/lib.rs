//! The core of `aikido-zen-ipc`: calls, notifications and documents between a pre-forking parent and its workers,
//! over authenticated loopback connections. It knows no Ruby, starts one native thread and calls nobody back.
//!
//! From the public story down to the bytes; a module imports only from those below it:
//!
//! | module | what it is for |
//! |---|---|
//! | [`server`] | the parent's side: bind, start, hand out calls, stop |
//! | [`client`] | a worker's side: invoke, notify, fetch a document |
//! | [`connection`] | an authenticated blocking stream: one frame out, one frame in, by a deadline |
//! | [`document`] | published documents and their generations |
//! | [`generation_page`] | the page of memory that tells workers of new generations |
//! | [`handshake`] | mutual proof of the secret, as state machines over bytes |
//! | [`message`] | requests and responses to and from JSON |
//! | [`json`] | the JSON lexer: splits, checks and reads texts |
//! | [`frame`] | bytes to and from frames; no socket |
//! | [`secret`] | the secret that descendants of the parent inherit |
//! | [`journal`] | what the native thread has to say, kept for whoever can log it |
//! | [`options`] | timeouts and limits |
//! | [`memory`] | memory for what may be large, or an error |
//! | [`wait`] | how a caller waits and is interrupted: where the host's lock is left and taken |
//! | [`contention`] | whether a caller should keep the host's lock while it waits |
//! | [`deadline`] | time that remains; the only reader of the clock |
//! | [`fork`] | descriptors that do not cross a fork, and the fork generation |
//! | [`error`] | one variant for each thing that a caller can decide |
//! | [`panic_point`] | where a test build can be made to panic; empty otherwise |
//!
//! `os` holds the only `unsafe` code, and `descriptors` what is opened otherwise than on Linux.

pub mod client;
pub mod connection;
pub mod contention;
mod counter;
pub mod deadline;
mod descriptors;
pub mod document;
pub mod error;
pub mod fork;
pub mod frame;
pub mod generation_page;
pub mod handshake;
pub mod journal;
pub mod json;
pub mod memory;
pub mod message;
pub mod options;
mod os;
pub mod panic_point;
mod reserve;
pub mod secret;
mod semaphore;
pub mod server;
mod sync;
pub mod wait;

pub use client::Client;
pub use deadline::Deadline;
pub use error::{Cause, Error, Phase, RemoteFailure, Result};
pub use options::{ClientOptions, ServerOptions};
pub use secret::Secret;
pub use server::Server;
pub use wait::{Uninterrupted, Wait};
