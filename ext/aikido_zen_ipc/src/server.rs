//! `Agent::Server`: the core's server. Its threads and handlers are in `lib/`.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use magnus::typed_data::Obj;
use magnus::value::LazyId;
use magnus::{Error, Module, RHash, RModule, RString, Ruby, TryConvert, Value, method, prelude::*};
use zen_ipc::server::{LocalCall, Server as CoreServer, Snapshot};

use crate::call::{Call, failure_of};
use crate::client::Client;
use crate::codec::decode;
use crate::codec_module::{bytes_of, json_of, string_of};
use crate::crew::Steward;
use crate::error::{internal, to_ruby, to_ruby_for_call, undecodable};
use crate::gvl::{contain, waiting};
use crate::message::{Invocation, Message, Notification, keywords_apart};
use crate::options::{duration, server_options};
use crate::secret::Secret;

/// A server, once `initialize` has bound it.
#[derive(Default)]
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Server", free_immediately, size)]
pub(crate) struct Server {
    /// Replaced where a forked process takes this one's place, with the GVL. Never borrowed while the GVL is given up: a
    /// borrow by a thread that does not exist after the fork would have no end.
    core: RefCell<Option<Arc<CoreServer>>>,
    /// What there was to go on with before such a fork.
    snapshot: RefCell<Option<Snapshot>>,
}

/// Defines the class.
pub(crate) fn define(ruby: &Ruby, agent: RModule) -> Result<(), Error> {
    LazyId::force(&RUN_HANDLER, ruby);
    let class = agent.define_class("Server", ruby.class_object())?;
    class.define_alloc_func::<Server>();
    class.define_private_method("bind", method!(Server::bind, 2))?;
    class.define_private_method("open_doors", method!(Server::open_doors, 0))?;
    class.define_method("prepare_succession", method!(Server::prepare_succession, 0))?;
    class.define_private_method("take_place", method!(Server::take_place, 1))?;
    class.define_private_method("open_doors_again", method!(Server::open_doors_again, 0))?;
    class.define_private_method("replace_supervisor", method!(Server::replace_steward, 0))?;
    class.define_private_method("begin_stop", method!(Server::begin_stop, 0))?;
    class.define_private_method("end_calls", method!(Server::end_calls, 0))?;
    class.define_private_method("finish_stop", method!(Server::finish_stop, 1))?;
    class.define_private_method("publish_json", method!(Server::publish_json, 2))?;
    class.define_private_method("publish_value", method!(Server::publish_value, 2))?;
    class.define_private_method("unpublish_key", method!(Server::unpublish, 1))?;
    class.define_private_method("check_process", method!(Server::check_process, 0))?;
    class.define_method("invoke_local", method!(Server::invoke_here, -1))?;
    class.define_method("notify_local", method!(Server::notify_here, -1))?;
    class.define_method("read_document", method!(Server::read_document, 2))?;
    class.define_method("stop_listening", method!(Server::close, 0))?;
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
        contain(ruby, || {
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

    /// Notes what there is to go on with in a process that will take this one's place. False for a server of another
    /// process, and for what was only allocated.
    fn prepare_succession(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        contain(ruby, || {
            let snapshot = this.core.borrow().as_ref().and_then(|server| server.snapshot().ok());
            let is_noted = snapshot.is_some();
            this.snapshot.replace(snapshot);
            Ok(is_noted)
        })
    }

    /// Takes the place of the server of which the state was noted, in a process that was forked since. It need not listen.
    fn take_place(ruby: &Ruby, this: &Self, may_listen: bool) -> Result<(), Error> {
        let server = this.core(ruby)?;
        contain(ruby, || {
            let snapshot = this.snapshot.borrow();
            let snapshot = snapshot.as_ref().ok_or_else(|| internal(ruby, "no state was noted"))?;
            let successor = server.successor(snapshot, may_listen).map_err(|error| to_ruby(ruby, error))?;
            // Leaked: a thread that does not exist here may have been in the middle of changing it at the fork.
            std::mem::forget(this.core.replace(Some(Arc::new(successor))));
            Ok(())
        })
    }

    /// The steward, as of `open_doors`; nil if the server was not started when its state was noted.
    fn open_doors_again(ruby: &Ruby, this: &Self) -> Result<Option<Steward>, Error> {
        let was_started = this.snapshot.take().is_some_and(|snapshot| snapshot.is_started());
        this.with(ruby, |server| {
            if !was_started {
                return Ok(None);
            }
            Ok(server.start_as_it_listens()?.map(Steward::new))
        })
    }

    /// The steward, whom one thread must serve; nil if it was started already.
    fn open_doors(ruby: &Ruby, this: &Self) -> Result<Option<Steward>, Error> {
        this.with(ruby, |server| Ok(server.start()?.map(Steward::new)))
    }

    /// Another steward; nil unless the thread that served the last one has ended while the server goes on.
    fn replace_steward(ruby: &Ruby, this: &Self) -> Result<Option<Steward>, Error> {
        this.with(ruby, |server| Ok(server.replace_steward().map(Steward::new)))
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

    /// `(client, name, timeout, *args, **kwargs)`: what `invoke` of the client is in a worker, in this process and thread.
    fn invoke_here(ruby: &Ruby, this: Obj<Self>, arguments: &[Value]) -> Result<Value, Error> {
        contain(ruby, || {
            let (positional, keywords) = keywords_apart(arguments);
            let (client, positional) = client_apart(ruby, positional)?;
            let Invocation { name, timeout, message } = Invocation::new(ruby, positional, keywords)?;
            let mut call = this.begin_here(ruby, client, name, &message, Some(timeout))?;
            run_here(ruby, this, &call)?;
            let result = call.take_result().map_err(|error| to_ruby_for_call(ruby, error, call.name()))?;
            decode(ruby, result.as_slice()).map_err(|error| undecodable(ruby, error))
        })
    }

    /// As [`Server::invoke_here`], without a timeout, for `notify`.
    fn notify_here(ruby: &Ruby, this: Obj<Self>, arguments: &[Value]) -> Result<bool, Error> {
        contain(ruby, || {
            let (positional, keywords) = keywords_apart(arguments);
            let (client, positional) = client_apart(ruby, positional)?;
            let Notification { name, message } = Notification::new(ruby, positional, keywords)?;
            run_here(ruby, this, &this.begin_here(ruby, client, name, &message, None)?)?;
            Ok(true)
        })
    }

    fn begin_here(
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

    /// `[generation, json]`, or nil if `known` is the newest, or nothing was published and none is known.
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

    /// The core's server.
    pub(crate) fn core(&self, ruby: &Ruby) -> Result<Arc<CoreServer>, Error> {
        let server = self.core.borrow().clone();
        server.ok_or_else(|| Error::new(ruby.exception_type_error(), "uninitialized server"))
    }

    fn with<T>(&self, ruby: &Ruby, body: impl FnOnce(&CoreServer) -> Result<T, zen_ipc::Error>) -> Result<T, Error> {
        let server = self.core(ruby)?;
        contain(ruby, || body(&server).map_err(|error| to_ruby(ruby, error)))
    }
}

/// Interned once: it is needed at each call.
static RUN_HANDLER: LazyId = LazyId::new("run_handler");

/// Runs the handler of a call, if it needs one, and concludes the call.
fn run_here(ruby: &Ruby, server: Obj<Server>, call: &LocalCall) -> Result<(), Error> {
    let Some(core) = call.call() else { return Ok(()) };
    let outcome: Value = server.funcall(*RUN_HANDLER, (Call::local(core.clone()),))?;
    let failure = failure_of(ruby, core, outcome)?;
    call.conclude(failure.as_ref()).map_err(|error| to_ruby(ruby, error))
}

/// The first argument of those for [`Server::invoke_here`], and the others.
fn client_apart<'a>(ruby: &Ruby, positional: &'a [Value]) -> Result<(&'a Client, &'a [Value]), Error> {
    let [client, others @ ..] = positional else { return Err(internal(ruby, "there is no client")) };
    Ok((<&Client>::try_convert(*client)?, others))
}

/// Figures by name, as a Hash with Symbol keys.
pub(crate) fn figures_to_hash(ruby: &Ruby, figures: Vec<(&'static str, u64)>) -> Result<RHash, Error> {
    let hash = ruby.hash_new();
    for (name, value) in figures {
        hash.aset(ruby.to_symbol(name), value)?;
    }
    Ok(hash)
}
