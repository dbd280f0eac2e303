//! `Agent::Server`: the core's server. Its threads and handlers are in `lib/`.

use std::sync::OnceLock;

use magnus::{Error, Module, RHash, RModule, RString, Ruby, Value, method, prelude::*};
use zen_ipc::server::Server as CoreServer;

use crate::codec_module::{bytes_of, json_of, string_of};
use crate::crew::Steward;
use crate::error::{internal, to_ruby};
use crate::gvl::{contain, waiting};
use crate::options::{duration, server_options};
use crate::secret::Secret;

/// A server, once `initialize` has bound it.
#[derive(Default)]
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Server", free_immediately, size)]
pub(crate) struct Server(OnceLock<CoreServer>);

/// Defines the class.
pub(crate) fn define(ruby: &Ruby, agent: RModule) -> Result<(), Error> {
    let class = agent.define_class("Server", ruby.class_object())?;
    class.define_alloc_func::<Server>();
    class.define_private_method("bind", method!(Server::bind, 2))?;
    class.define_private_method("open_doors", method!(Server::open_doors, 0))?;
    class.define_private_method("begin_stop", method!(Server::begin_stop, 0))?;
    class.define_private_method("end_calls", method!(Server::end_calls, 0))?;
    class.define_private_method("finish_stop", method!(Server::finish_stop, 1))?;
    class.define_private_method("publish_json", method!(Server::publish_json, 2))?;
    class.define_private_method("publish_value", method!(Server::publish_value, 2))?;
    class.define_private_method("check_process", method!(Server::check_process, 0))?;
    class.define_method("read_document", method!(Server::read_document, 2))?;
    class.define_method("close", method!(Server::close, 0))?;
    class.define_method("started?", method!(Server::is_started, 0))?;
    class.define_method("owned?", method!(Server::is_owned, 0))?;
    class.define_method("host", method!(Server::host, 0))?;
    class.define_method("port", method!(Server::port, 0))?;
    class.define_method("secret", method!(Server::secret, 0))?;
    class.define_method("stats", method!(Server::stats, 0))
}

impl Server {
    fn bind(ruby: &Ruby, this: &Self, secret: Value, options: RHash) -> Result<(), Error> {
        contain(ruby, || {
            let secret = Secret::from_option(ruby, secret)?;
            let server =
                CoreServer::bind(server_options(ruby, options)?, secret).map_err(|error| to_ruby(ruby, error))?;
            this.0.set(server).map_err(|_| internal(ruby, "this server was bound before"))
        })
    }

    /// The steward, whom one thread must serve; nil if it was started already.
    fn open_doors(ruby: &Ruby, this: &Self) -> Result<Option<Steward>, Error> {
        this.with(ruby, |server| Ok(server.start()?.map(Steward::new)))
    }

    fn begin_stop(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        this.with(ruby, |server| Ok(server.begin_stop()))
    }

    fn end_calls(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        this.with(ruby, |server| {
            server.end_calls();
            Ok(())
        })
    }

    /// How many notifications were dropped since the start.
    fn finish_stop(ruby: &Ruby, this: &Self, allowed: Value) -> Result<u64, Error> {
        let server = this.core(ruby)?;
        let allowed = duration(ruby, "timeout", allowed)?;
        waiting(ruby, |wait| server.finish_stop(allowed, wait))
    }

    fn publish_json(ruby: &Ruby, this: &Self, key: String, json: RString) -> Result<u64, Error> {
        contain(ruby, || this.publish(ruby, &key, bytes_of(ruby, json)?))
    }

    fn publish_value(ruby: &Ruby, this: &Self, key: String, value: Value) -> Result<u64, Error> {
        contain(ruby, || this.publish(ruby, &key, json_of(ruby, value, "document")?))
    }

    /// Checking megabytes takes milliseconds, which other threads may use.
    fn publish(&self, ruby: &Ruby, key: &str, json: Vec<u8>) -> Result<u64, Error> {
        let server = self.core(ruby)?;
        waiting(ruby, |wait| {
            let mut json = Some(json);
            loop {
                match zen_ipc::Wait::block(wait, || json.take().map(|json| server.publish(key, json))) {
                    Some(Some(generation)) => return generation,
                    _ => zen_ipc::Wait::interrupted(wait)?,
                }
            }
        })
    }

    /// `[generation, json]`, or nil if `known` is the newest or nothing was published.
    fn read_document(
        ruby: &Ruby,
        this: &Self,
        key: String,
        known: Option<u64>,
    ) -> Result<Option<(u64, RString)>, Error> {
        contain(ruby, || {
            let Some(document) = this.with(ruby, |server| server.document(&key, known))? else { return Ok(None) };
            Ok(Some((document.generation, string_of(ruby, &document.json)?)))
        })
    }

    fn close(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        this.with(ruby, |server| Ok(server.close()))
    }

    fn is_started(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        this.with(ruby, |server| Ok(server.is_started()))
    }

    fn is_owned(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        this.with(ruby, |server| Ok(server.check_process().is_ok()))
    }

    fn check_process(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        this.with(ruby, CoreServer::check_process)
    }

    fn host(ruby: &Ruby, this: &Self) -> Result<String, Error> {
        this.with(ruby, |server| Ok(server.address().ip().to_string()))
    }

    fn port(ruby: &Ruby, this: &Self) -> Result<u16, Error> {
        this.with(ruby, |server| Ok(server.address().port()))
    }

    fn secret(ruby: &Ruby, this: &Self) -> Result<Secret, Error> {
        this.with(ruby, |server| Ok(Secret::of_server(server.secret().clone(), server.address().port())))
    }

    fn stats(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        contain(ruby, || figures_to_hash(ruby, this.with(ruby, |server| Ok(server.stats()))?))
    }

    fn core(&self, ruby: &Ruby) -> Result<&CoreServer, Error> {
        self.0.get().ok_or_else(|| Error::new(ruby.exception_type_error(), "uninitialized server"))
    }

    fn with<T>(&self, ruby: &Ruby, body: impl FnOnce(&CoreServer) -> Result<T, zen_ipc::Error>) -> Result<T, Error> {
        let server = self.core(ruby)?;
        contain(ruby, || body(server).map_err(|error| to_ruby(ruby, error)))
    }
}

/// Figures by name, as a Hash with Symbol keys.
pub(crate) fn figures_to_hash(ruby: &Ruby, figures: Vec<(&'static str, u64)>) -> Result<RHash, Error> {
    let hash = ruby.hash_new();
    for (name, value) in figures {
        hash.aset(ruby.to_symbol(name), value)?;
    }
    Ok(hash)
}
