//! Defines the Ruby classes when the library is loaded. `README.md` beside it explains threads and forks.
#![allow(missing_docs, reason = "the only public item is the one that #[magnus::init] generates")]

mod argument;
mod call;
mod client;
mod codec;
mod document_cache;
mod error;
mod failure;
mod gvl;
mod message;
mod options;
mod ruby_ffi;
mod secret;
mod server;
mod server_threads;

use magnus::{Error, Module, Object, Ruby, TypedData, function};

#[magnus::init]
fn init(ruby: &Ruby) -> Result<(), Error> {
    zen_ipc::sys::fork::install().map_err(|error| error::to_ruby(ruby, error))?;
    zen_ipc::shared_memory::generations::SharedGenerations::install().map_err(|error| error::to_ruby(ruby, error))?;
    let zen = ruby.define_module("Aikido")?.define_module("Zen")?;
    let ipc = zen.define_module("IPC")?;
    error::set_module(ipc);
    let agent = zen.define_module("WorkerProcess")?.define_module("Agent")?;
    ipc.define_singleton_method("fork_generation", function!(zen_ipc::sys::fork::generation, 0))?;
    ipc.define_singleton_method("monotonic_time", function!(zen_ipc::deadline::monotonic_seconds, 0))?;
    codec::api::define(ruby, ipc)?;
    argument::define(ipc)?;
    secret::define(ruby, ipc)?;
    document_cache::define(ruby, ipc)?;
    call::define(ruby, agent)?;
    server_threads::define(ruby, agent)?;
    server::define(ruby, agent)?;
    client::define(ruby, agent)?;
    preload_classes(ruby);
    Ok(())
}

/// Looks up all classes once, while there is no other thread. magnus does it at the first use, behind a lock, and Ruby
/// may switch threads meanwhile: a second thread would wait for that lock with the GVL, while the first waits for the
/// GVL.
fn preload_classes(ruby: &Ruby) {
    secret::Secret::class(ruby);
    document_cache::DocumentCache::class(ruby);
    call::Call::class(ruby);
    server_threads::HandlerThread::class(ruby);
    server_threads::Supervisor::class(ruby);
    server::Server::class(ruby);
    client::Client::class(ruby);
}
