//! `Agent::Server`: a server of the core. Its threads and handlers are in `lib/`.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use magnus::typed_data::Obj;
use magnus::value::LazyId;
use magnus::{Error, Module, RHash, RModule, RString, Ruby, TryConvert, Value, method, prelude::*};
use zen_ipc::server::{LocalCall, Server as CoreServer, Snapshot};

use crate::call::{Call, failure_of};
use crate::client::Client;
use crate::codec::api::{copy_bytes, to_json, utf8_string};
use crate::codec::decode;
use crate::error::{internal, to_ruby, to_ruby_for_call, undecodable};
use crate::gvl::{rescue_panic, without_gvl};
use crate::message::{Invocation, Message, Notification, split_kwargs};
use crate::options::{duration, server_options};
use crate::secret::Secret;
use crate::server_threads::Supervisor;

/// A server; empty until `initialize` has bound it.
#[derive(Default)]
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Server", free_immediately, size)]
pub(crate) struct Server {
    /// The server. It is replaced with the GVL held if a forked process takes the place of this one. It is never
    /// borrowed while the GVL is released: a borrow by a thread that does not exist after the fork would never end.
    core: RefCell<Option<Arc<CoreServer>>>,
    /// The state noted before such a fork.
    snapshot: RefCell<Option<Snapshot>>,
}

/// Defines the class.
pub(crate) fn define(ruby: &Ruby, agent: RModule) -> Result<(), Error> {
    LazyId::force(&RUN_HANDLER, ruby);
    let class = agent.define_class("Server", ruby.class_object())?;
    class.define_alloc_func::<Server>();
    class.define_private_method("bind", method!(Server::bind, 2))?;
    class.define_private_method("start_core", method!(Server::start_core, 0))?;
    class.define_method("prepare_succession", method!(Server::prepare_succession, 0))?;
    class.define_private_method("take_place", method!(Server::take_place, 1))?;
    class.define_private_method("restart_core", method!(Server::restart_core, 0))?;
    class.define_private_method("replace_supervisor", method!(Server::replace_supervisor, 0))?;
    class.define_private_method("begin_stop", method!(Server::begin_stop, 0))?;
    class.define_private_method("end_calls", method!(Server::end_calls, 0))?;
    class.define_private_method("finish_stop", method!(Server::finish_stop, 1))?;
    class.define_private_method("publish_json", method!(Server::publish_json, 2))?;
    class.define_private_method("publish_value", method!(Server::publish_value, 2))?;
    class.define_private_method("unpublish_key", method!(Server::unpublish, 1))?;
    class.define_private_method("check_process", method!(Server::check_process, 0))?;
    class.define_method("invoke_local", method!(Server::invoke_local, -1))?;
    class.define_method("notify_local", method!(Server::notify_local, -1))?;
    class.define_method("read_document", method!(Server::read_document, 2))?;
    class.define_method("stop_listening", method!(Server::stop_listening, 0))?;
    class.define_alias("close", "stop_listening")?;
    class.define_method("started?", method!(Server::is_started, 0))?;
    class.define_method("owned?", method!(Server::is_owned, 0))?;
    class.define_method("host", method!(Server::host, 0))?;
    class.define_method("port", method!(Server::port, 0))?;
    class.define_method("secret", method!(Server::secret, 0))?;
    class.define_private_method("core_stats", method!(Server::stats, 0))
}

impl Server {
    fn bind(ruby: &Ruby, this: &Self, secret: Value, options: RHash) -> Result<(), Error> {
        rescue_panic(ruby, || {
            let secret = Secret::from_option(ruby, secret)?;
            let server =
                CoreServer::bind(server_options(ruby, options)?, secret).map_err(|error| to_ruby(ruby, error))?;
            if this.core.borrow().is_some() {
                return Err(internal(ruby, "this server was bound before"));
            }
            this.core.replace(Some(Arc::new(server)));
            Ok(())
        })
    }

    /// Notes the state for a forked process that will take the place of this one. False for a server of another
    /// process, or one that was only allocated.
    fn prepare_succession(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        rescue_panic(ruby, || {
            let snapshot = this.core.borrow().as_ref().and_then(|server| server.snapshot().ok());
            let is_noted = snapshot.is_some();
            this.snapshot.replace(snapshot);
            Ok(is_noted)
        })
    }

    /// Takes the place of the server whose state was noted, in a process forked since. Listens unless `may_listen` is
    /// false.
    fn take_place(ruby: &Ruby, this: &Self, may_listen: bool) -> Result<(), Error> {
        let server = this.core(ruby)?;
        rescue_panic(ruby, || {
            let snapshot = this.snapshot.borrow();
            let snapshot = snapshot.as_ref().ok_or_else(|| internal(ruby, "no state was noted"))?;
            let successor = server.successor(snapshot, may_listen).map_err(|error| to_ruby(ruby, error))?;
            // Leaked, because a thread that does not exist here may have been changing it at the fork.
            std::mem::forget(this.core.replace(Some(Arc::new(successor))));
            Ok(())
        })
    }

    /// As `start_core`, after taking the place of another server; nil if that was not started when its state was noted.
    fn restart_core(ruby: &Ruby, this: &Self) -> Result<Option<Supervisor>, Error> {
        let was_started = this.snapshot.take().is_some_and(|snapshot| snapshot.is_started());
        this.with(ruby, |server| {
            if !was_started {
                return Ok(None);
            }
            Ok(server.start_without_rebinding()?.map(Supervisor::new))
        })
    }

    /// The supervisor, for one thread to run; nil if the server was started already.
    fn start_core(ruby: &Ruby, this: &Self) -> Result<Option<Supervisor>, Error> {
        this.with(ruby, |server| Ok(server.start()?.map(Supervisor::new)))
    }

    /// A new supervisor; nil unless the thread of the last one has ended while the server runs.
    fn replace_supervisor(ruby: &Ruby, this: &Self) -> Result<Option<Supervisor>, Error> {
        this.with(ruby, |server| Ok(server.replace_supervisor().map(Supervisor::new)))
    }

    fn begin_stop(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        this.with(ruby, |server| Ok(server.stop_accepting()))
    }

    fn end_calls(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        this.with(ruby, |server| {
            server.end_calls();
            Ok(())
        })
    }

    /// Stops the server; returns the number of notifications dropped since the start.
    fn finish_stop(ruby: &Ruby, this: &Self, allowed: Value) -> Result<u64, Error> {
        let server = this.core(ruby)?;
        let allowed = duration(ruby, "timeout", allowed)?;
        without_gvl(ruby, |host| server.close_connections(allowed, host))
    }

    fn publish_json(ruby: &Ruby, this: &Self, key: String, json: RString) -> Result<u64, Error> {
        rescue_panic(ruby, || this.publish(ruby, &key, copy_bytes(ruby, json)?))
    }

    fn publish_value(ruby: &Ruby, this: &Self, key: String, value: Value) -> Result<u64, Error> {
        rescue_panic(ruby, || this.publish(ruby, &key, to_json(ruby, value, "document")?))
    }

    /// Checks and stores a document without the GVL, because checking megabytes takes milliseconds.
    fn publish(&self, ruby: &Ruby, key: &str, json: Vec<u8>) -> Result<u64, Error> {
        let server = self.core(ruby)?;
        without_gvl(ruby, |host| {
            let mut json = Some(json);
            loop {
                match zen_ipc::HostLock::without_lock(host, || json.take().map(|json| server.publish(key, json))) {
                    Some(Some(generation)) => return generation,
                    _ => zen_ipc::HostLock::check_interrupts(host)?,
                }
            }
        })
    }

    /// Runs a call in this process and thread: `(client, name, timeout, *args, **kwargs)`, as `invoke` of a client in a
    /// worker.
    fn invoke_local(ruby: &Ruby, this: Obj<Self>, arguments: &[Value]) -> Result<Value, Error> {
        rescue_panic(ruby, || {
            let (positional, keywords) = split_kwargs(arguments);
            let (client, positional) = split_client(ruby, positional)?;
            let Invocation { name, timeout, message } = Invocation::new(ruby, positional, keywords)?;
            let mut call = this.begin_local(ruby, client, name, &message, Some(timeout))?;
            run_local(ruby, this, &call)?;
            let result = call.take_result().map_err(|error| to_ruby_for_call(ruby, error, call.name()))?;
            decode(ruby, result.as_slice()).map_err(|error| undecodable(ruby, error))
        })
    }

    /// As [`Server::invoke_local`], without a timeout, for a notification.
    fn notify_local(ruby: &Ruby, this: Obj<Self>, arguments: &[Value]) -> Result<bool, Error> {
        rescue_panic(ruby, || {
            let (positional, keywords) = split_kwargs(arguments);
            let (client, positional) = split_client(ruby, positional)?;
            let Notification { name, message } = Notification::new(ruby, positional, keywords)?;
            run_local(ruby, this, &this.begin_local(ruby, client, name, &message, None)?)?;
            Ok(true)
        })
    }

    fn begin_local(
        &self,
        ruby: &Ruby,
        client: &Client,
        name: String,
        message: &Message,
        timeout: Option<Duration>,
    ) -> Result<LocalCall, Error> {
        let max_frame_size = client.max_frame_size(ruby)?;
        let call = self.core(ruby)?.call_locally(name, &message.args, &message.kwargs, timeout, max_frame_size);
        call.map_err(|error| to_ruby(ruby, error))
    }

    fn unpublish(ruby: &Ruby, this: &Self, key: String) -> Result<bool, Error> {
        this.with(ruby, |server| server.unpublish(&key))
    }

    /// `[generation, json]`, or nil if `known` is the latest, or if nothing is published and no generation is known.
    fn read_document(
        ruby: &Ruby,
        this: &Self,
        key: String,
        known: Option<u64>,
    ) -> Result<Option<(u64, RString)>, Error> {
        rescue_panic(ruby, || {
            let Some(document) = this.with(ruby, |server| server.document(&key, known))? else { return Ok(None) };
            Ok(Some((document.generation, utf8_string(ruby, &document.json)?)))
        })
    }

    fn stop_listening(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        this.with(ruby, |server| Ok(server.stop_listening()))
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
        rescue_panic(ruby, || stats_to_hash(ruby, this.with(ruby, |server| Ok(server.stats()))?))
    }

    /// The core's server.
    pub(crate) fn core(&self, ruby: &Ruby) -> Result<Arc<CoreServer>, Error> {
        let server = self.core.borrow().clone();
        server.ok_or_else(|| Error::new(ruby.exception_type_error(), "uninitialized server"))
    }

    fn with<T>(&self, ruby: &Ruby, body: impl FnOnce(&CoreServer) -> Result<T, zen_ipc::Error>) -> Result<T, Error> {
        let server = self.core(ruby)?;
        rescue_panic(ruby, || body(&server).map_err(|error| to_ruby(ruby, error)))
    }
}

/// The method that runs a handler, interned once because each call needs it.
static RUN_HANDLER: LazyId = LazyId::new("run_handler");

/// Runs the handler of a local call, if it needs one, and finishes the call.
fn run_local(ruby: &Ruby, server: Obj<Server>, call: &LocalCall) -> Result<(), Error> {
    let Some(core) = call.call() else { return Ok(()) };
    let outcome: Value = server.funcall(*RUN_HANDLER, (Call::local(core.clone()),))?;
    let failure = failure_of(ruby, core, outcome)?;
    call.finish(failure.as_ref()).map_err(|error| to_ruby(ruby, error))
}

/// Splits the client from the other arguments of [`Server::invoke_local`].
fn split_client<'a>(ruby: &Ruby, positional: &'a [Value]) -> Result<(&'a Client, &'a [Value]), Error> {
    let [client, others @ ..] = positional else { return Err(internal(ruby, "there is no client")) };
    Ok((<&Client>::try_convert(*client)?, others))
}

/// Converts stats to a Hash with Symbol keys.
pub(crate) fn stats_to_hash(ruby: &Ruby, stats: Vec<(&'static str, u64)>) -> Result<RHash, Error> {
    let hash = ruby.hash_new();
    for (name, value) in stats {
        hash.aset(ruby.to_symbol(name), value)?;
    }
    Ok(hash)
}
