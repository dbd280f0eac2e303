//! `Agent::Client`: the core's client, a fresh one in every process.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use magnus::scan_args::scan_args;
use magnus::{Error, Module, RArray, RHash, RModule, RString, Ruby, TryConvert, Value, method, prelude::*};
use zen_ipc::client::Client as CoreClient;

use crate::codec::decode;
use crate::codec_module::json_of;
use crate::error::{to_ruby, to_ruby_for_call, undecodable};
use crate::gvl::{WithoutGvl, contain, waiting};
use crate::options::{ClientSettings, client_settings, duration};
use crate::secret::Secret;
use crate::server::figures_to_hash;

/// A client, once `initialize` has set it up.
#[derive(Default)]
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Client", free_immediately, size)]
pub(crate) struct Client(OnceLock<Inner>);

struct Inner {
    /// Replaced after a fork, with the GVL, so no lock is needed that another thread might hold at the fork.
    current: RefCell<Arc<CoreClient>>,
    document_timeout: Duration,
    notify_timeout: Duration,
}

/// Defines the class.
pub(crate) fn define(ruby: &Ruby, agent: RModule) -> Result<(), Error> {
    let class = agent.define_class("Client", ruby.class_object())?;
    class.define_alloc_func::<Client>();
    class.define_private_method("set_up", method!(Client::set_up, 2))?;
    class.define_private_method("fetch_text", method!(Client::fetch_text, 2))?;
    class.define_method("start", method!(Client::start, 0))?;
    class.define_method("invoke", method!(Client::invoke, -1))?;
    class.define_method("notify", method!(Client::notify, -1))?;
    class.define_method("ping", method!(Client::ping, 1))?;
    class.define_method("connected?", method!(Client::is_connected, 0))?;
    class.define_method("host", method!(Client::host, 0))?;
    class.define_method("port", method!(Client::port, 0))?;
    class.define_method("stats", method!(Client::stats, 0))?;
    class.define_method("close", method!(Client::close, 0))?;
    class.define_method("stop", method!(Client::close, 0))
}

impl Client {
    fn set_up(ruby: &Ruby, this: &Self, secret: Value, options: RHash) -> Result<(), Error> {
        contain(ruby, || {
            let ClientSettings { address, options, document_timeout, notify_timeout } = client_settings(ruby, options)?;
            if secret.is_nil() {
                return Err(Error::new(ruby.exception_arg_error(), "secret is nil; the server's is needed"));
            }
            let core = CoreClient::new(address, Secret::from_option(ruby, secret)?, options);
            let current = RefCell::new(Arc::new(core.map_err(|error| to_ruby(ruby, error))?));
            let inner = Inner { current, document_timeout, notify_timeout };
            this.0.set(inner).map_err(|_| Error::new(ruby.exception_type_error(), "already initialized client"))
        })
    }

    fn start(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        let core = this.inner(ruby)?.current();
        waiting(ruby, |wait| core.start(wait))?;
        Ok(true)
    }

    fn invoke(ruby: &Ruby, this: &Self, arguments: &[Value]) -> Result<Value, Error> {
        let scanned = scan_args::<(Value, Value), (), RArray, (), RHash, ()>(arguments)?;
        let (name, timeout) = scanned.required;
        let name = method_name(ruby, name)?;
        let timeout = duration(ruby, "timeout", timeout)?;
        let message = Message::new(ruby, scanned.splat, scanned.keywords)?;
        let core = this.inner(ruby)?.current();
        let result =
            waiting_for(ruby, &name, |wait| core.invoke(&name, &message.args, &message.kwargs, timeout, wait))?;
        contain(ruby, || decode(ruby, result.as_slice()).map_err(|error| undecodable(ruby, error)))
    }

    fn notify(ruby: &Ruby, this: &Self, arguments: &[Value]) -> Result<bool, Error> {
        let scanned = scan_args::<(Value,), (), RArray, (), RHash, ()>(arguments)?;
        let name = method_name(ruby, scanned.required.0)?;
        let message = Message::new(ruby, scanned.splat, scanned.keywords)?;
        let inner = this.inner(ruby)?;
        let core = inner.current();
        waiting(ruby, |wait| core.notify(&name, &message.args, &message.kwargs, inner.notify_timeout, wait))?;
        Ok(true)
    }

    fn ping(ruby: &Ruby, this: &Self, timeout: Value) -> Result<bool, Error> {
        let timeout = duration(ruby, "timeout", timeout)?;
        let core = this.inner(ruby)?.current();
        waiting(ruby, |wait| core.ping(timeout, wait))?;
        Ok(true)
    }

    /// `[generation, json]`, or nil if `known` is the newest or nothing was published.
    fn fetch_text(ruby: &Ruby, this: &Self, key: String, known: Option<u64>) -> Result<Option<(u64, RString)>, Error> {
        let inner = this.inner(ruby)?;
        let core = inner.current();
        let document = waiting(ruby, |wait| core.fetch(&key, known, inner.document_timeout, wait))?;
        Ok(document.map(|(generation, json)| (generation, ruby.enc_str_new(json, ruby.utf8_encoding()))))
    }

    fn is_connected(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        let core = this.inner(ruby)?.current();
        contain(ruby, || Ok(core.is_connected()))
    }

    fn close(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        let core = this.inner(ruby)?.current();
        contain(ruby, || Ok(core.close()))
    }

    fn host(ruby: &Ruby, this: &Self) -> Result<String, Error> {
        Ok(this.inner(ruby)?.current().address().ip().to_string())
    }

    fn port(ruby: &Ruby, this: &Self) -> Result<u16, Error> {
        Ok(this.inner(ruby)?.current().address().port())
    }

    fn stats(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        let core = this.inner(ruby)?.current();
        figures_to_hash(ruby, core.stats())
    }

    fn inner(&self, ruby: &Ruby) -> Result<&Inner, Error> {
        self.0.get().ok_or_else(|| Error::new(ruby.exception_type_error(), "uninitialized client"))
    }
}

impl Inner {
    /// The client of this process. One integer comparison, but for the first use after a fork.
    fn current(&self) -> Arc<CoreClient> {
        let current = self.current.borrow().clone();
        if current.is_of_this_process() {
            return current;
        }
        let fresh = Arc::new(current.afresh());
        self.current.replace(fresh.clone());
        fresh
    }
}

/// The arguments of a call as JSON: copied, so that nothing of Ruby's is borrowed without the GVL.
struct Message {
    args: Vec<u8>,
    kwargs: Vec<u8>,
}

impl Message {
    fn new(ruby: &Ruby, args: RArray, kwargs: RHash) -> Result<Self, Error> {
        contain(ruby, || {
            let args = json_of(ruby, args.as_value(), "args")?;
            let kwargs = if kwargs.is_empty() { b"{}".to_vec() } else { json_of(ruby, kwargs.as_value(), "kwargs")? };
            Ok(Self { args, kwargs })
        })
    }
}

/// As [`waiting`], for a call of `name`, which errors of the other side then bear.
fn waiting_for<T>(
    ruby: &Ruby,
    name: &str,
    body: impl FnOnce(&WithoutGvl<'_>) -> Result<T, zen_ipc::Error>,
) -> Result<T, Error> {
    let outcome = waiting(ruby, |wait| match body(wait) {
        Err(error @ (zen_ipc::Error::Remote(_) | zen_ipc::Error::NoHandler(_))) => Ok(Err(error)),
        outcome => outcome.map(Ok),
    })?;
    outcome.map_err(|error| to_ruby_for_call(ruby, error, name))
}

fn method_name(ruby: &Ruby, name: Value) -> Result<String, Error> {
    if let Some(symbol) = magnus::Symbol::from_value(name) {
        return Ok(symbol.name()?.into_owned());
    }
    String::try_convert(name).map_err(|_| {
        let message = format!("name is {}; a String or a Symbol is allowed", name.inspect());
        Error::new(ruby.exception_arg_error(), message)
    })
}
