//! The core of `aikido-zen-ipc`: calls, notifications and documents between a pre-forking parent and its workers, over
//! authenticated loopback connections. It knows no Ruby, starts one native thread and has no callbacks.
//!
//! The modules, from the public interface down to the bytes; each imports only from those below it:
//!
//! | module | what it is |
//! |---|---|
//! | [`server`] | the parent's side: binds, starts, hands out calls, stops |
//! | [`client`] | a worker's side: calls, notifies, fetches documents |
//! | [`connection`] | an authenticated blocking stream of frames |
//! | [`document`] | published documents and their generations |
//! | [`shared_generations`] | counters in shared memory that tell workers of new generations |
//! | [`handshake`] | mutual authentication, as state machines over bytes |
//! | [`message`] | requests and responses as JSON |
//! | [`json`] | the JSON lexer: splits, checks and reads texts |
//! | [`frame`] | frames to and from bytes |
//! | [`secret`] | the secret that the parent's descendants inherit |
//! | [`log_buffer`] | log lines of threads that cannot log themselves |
//! | `metrics` | all counters |
//! | [`options`] | timeouts and limits |
//! | `notifier` | a self-pipe that wakes threads |
//! | [`alloc`] | fallible allocation for sizes that a peer determines |
//! | [`wait`] | how the core blocks without the host's lock |
//! | [`gvl_policy`] | whether a caller holds or releases the host's lock while it waits |
//! | [`deadline`] | deadlines on the monotonic clock |
//! | [`fork`] | descriptors that do not cross a fork, and the fork generation |
//! | [`error`] | the errors, one variant for each case that a caller can handle differently |
//! | [`failpoint`] | places where a test build can be made to panic |
//!
//! `os` holds the only `unsafe` code, and `fd` the system calls that differ between Linux and other systems.

pub mod alloc;
pub mod client;
pub mod connection;
pub mod deadline;
pub mod document;
pub mod error;
pub mod failpoint;
mod fd;
pub mod fork;
pub mod frame;
pub mod gvl_policy;
pub mod handshake;
pub mod json;
pub mod log_buffer;
pub mod message;
mod metrics;
mod notifier;
pub mod options;
mod os;
pub mod secret;
pub mod server;
pub mod shared_generations;
mod sync;
pub mod wait;

pub use client::Client;
pub use deadline::Deadline;
pub use error::{Cause, Error, Phase, RemoteFailure, Result};
pub use options::{ClientOptions, ServerOptions};
pub use secret::Secret;
pub use server::Server;
pub use wait::{HostLock, NoHost};
