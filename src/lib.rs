//! The core of `aikido-zen-ipc`: calls, notifications and documents between a pre-forking parent and its workers, over
//! authenticated loopback connections. It knows no Ruby, starts one native thread and has no callbacks.
//!
//! The modules, from the public interface down to the operating system. Each imports only from rows below its own, which
//! `tests/layers.rs` checks:
//!
//! | module | what it is |
//! |---|---|
//! | [`server`] | the parent's side: binds, starts, hands out calls, stops |
//! | [`client`] | a worker's side: calls, notifies, fetches documents |
//! | [`connection`] | an authenticated blocking stream of frames |
//! | [`protocol`] | the wire: handshakes, frames, messages; bytes in, types out |
//! | [`documents`] | the published documents and their generations |
//! | [`json`] | the JSON lexer: splits messages, checks documents, reads values |
//! | [`shared_memory`] | memory that all processes share: the generations of documents |
//! | [`secret`] | the secret that the parent's descendants inherit |
//! | [`gvl_policy`] | whether a caller holds or releases the host's lock while it waits |
//! | [`wait`] | how the core blocks without the host's lock |
//! | [`log_buffer`] | log lines of threads that cannot log themselves |
//! | `metrics` | all counters |
//! | [`options`] | timeouts and limits |
//! | [`deadline`], [`sys`] | deadlines; descriptors, forks, locks, wake-ups, memory, the only `unsafe` code |
//! | [`error`] | the errors, one variant for each case that a caller can handle differently |

pub mod client;
pub mod connection;
pub mod deadline;
pub mod documents;
pub mod error;
pub mod gvl_policy;
pub mod json;
pub mod log_buffer;
mod metrics;
pub mod options;
pub mod protocol;
pub mod secret;
pub mod server;
pub mod shared_memory;
pub mod sys;
pub mod wait;

pub use client::Client;
pub use deadline::Deadline;
pub use error::{Cause, Error, Phase, RemoteFailure, Result};
pub use options::{ClientOptions, ServerOptions};
pub use secret::Secret;
pub use server::Server;
pub use wait::{HostLock, NoHost};
