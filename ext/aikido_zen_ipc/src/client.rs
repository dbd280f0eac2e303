//! `Agent::Client`: the core's client, a fresh one in every process.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use magnus::typed_data::Obj;
use magnus::{Error, IntoValue, Module, RHash, RModule, RString, Ruby, Symbol, TryConvert, Value, method, prelude::*};
use zen_ipc::client::Client as CoreClient;
use zen_ipc::contention::{Contention, Habit};

use crate::codec::decode;
use crate::codec_module::string_of;
use crate::error::{to_ruby, to_ruby_for_call, undecodable};
use crate::gvl::{WithoutGvl, contain, is_fiber_scheduled, waiting_for_answer};
use crate::message::{Invocation, Notification, keywords_apart};
use crate::options::{ClientSettings, client_settings, duration};
use crate::secret::Secret;
use crate::server::{Server, figures_to_hash};

/// A client, once `initialize` has set it up.
#[derive(Default)]
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Client", free_immediately, size)]
pub(crate) struct Client(OnceLock<Inner>);

struct Inner {
    /// Replaced after a fork, with the GVL, so no lock is needed that another thread might hold at the fork.
    current: RefCell<Arc<Current>>,
    document_timeout: Duration,
    notify_timeout: Duration,
}

/// What belongs to one process.
struct Current {
    core: CoreClient,
    contention: Contention,
}

/// Defines the class.
pub(crate) fn define(ruby: &Ruby, agent: RModule) -> Result<(), Error> {
    let class = agent.define_class("Client", ruby.class_object())?;
    class.define_alloc_func::<Client>();
    class.define_private_method("set_up", method!(Client::set_up, 2))?;
    class.define_private_method("fetch_text", method!(Client::fetch_text, 2))?;
    class.define_private_method("follow_server", method!(Client::follow_server, 2))?;
    class.define_private_method("gvl_habit=", method!(Client::set_gvl_habit, 1))?;
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
            let current = RefCell::new(Arc::new(Current::new(core.map_err(|error| to_ruby(ruby, error))?)));
            let inner = Inner { current, document_timeout, notify_timeout };
            this.0.set(inner).map_err(|_| Error::new(ruby.exception_type_error(), "already initialized client"))
        })
    }

    fn start(ruby: &Ruby, this: Obj<Self>) -> Result<bool, Error> {
        contain(ruby, || {
            if is_fiber_scheduled() {
                return beside_fiber(ruby, this, "start", &[], None);
            }
            this.inner(ruby)?.current().wait(ruby, |core, wait| core.start(wait))?;
            Ok(true)
        })
    }

    fn invoke(ruby: &Ruby, this: Obj<Self>, arguments: &[Value]) -> Result<Value, Error> {
        contain(ruby, || {
            let (positional, keywords) = keywords_apart(arguments);
            if is_fiber_scheduled() {
                return beside_fiber(ruby, this, "invoke", positional, keywords);
            }
            let Invocation { name, timeout, message } = Invocation::new(ruby, positional, keywords)?;
            let result = this
                .inner(ruby)?
                .current()
                .call(ruby, &name, |core, wait| core.invoke(&name, &message.args, &message.kwargs, timeout, wait))?;
            decode(ruby, result.as_slice()).map_err(|error| undecodable(ruby, error))
        })
    }

    fn notify(ruby: &Ruby, this: Obj<Self>, arguments: &[Value]) -> Result<bool, Error> {
        contain(ruby, || {
            let (positional, keywords) = keywords_apart(arguments);
            if is_fiber_scheduled() {
                return beside_fiber(ruby, this, "notify", positional, keywords);
            }
            let Notification { name, message } = Notification::new(ruby, positional, keywords)?;
            let inner = this.inner(ruby)?;
            let timeout = inner.notify_timeout;
            inner
                .current()
                .wait(ruby, |core, wait| core.notify(&name, &message.args, &message.kwargs, timeout, wait))?;
            Ok(true)
        })
    }

    fn ping(ruby: &Ruby, this: Obj<Self>, timeout: Value) -> Result<bool, Error> {
        contain(ruby, || {
            if is_fiber_scheduled() {
                return beside_fiber(ruby, this, "ping", &[timeout], None);
            }
            let timeout = duration(ruby, "timeout", timeout)?;
            this.inner(ruby)?.current().wait(ruby, |core, wait| core.ping(timeout, wait))?;
            Ok(true)
        })
    }

    /// `[generation, json]`, or nil if `known` is the newest or nothing was published.
    fn fetch_text(
        ruby: &Ruby,
        this: Obj<Self>,
        key: String,
        known: Option<u64>,
    ) -> Result<Option<(u64, RString)>, Error> {
        contain(ruby, || {
            if is_fiber_scheduled() {
                let arguments = [key.into_value_with(ruby), known.into_value_with(ruby)];
                return beside_fiber(ruby, this, "fetch_text", &arguments, None);
            }
            let inner = this.inner(ruby)?;
            let document =
                inner.current().wait(ruby, |core, wait| core.fetch(&key, known, inner.document_timeout, wait))?;
            let Some((generation, json)) = document else { return Ok(None) };
            Ok(Some((generation, string_of(ruby, &json)?)))
        })
    }

    fn is_connected(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        contain(ruby, || Ok(this.inner(ruby)?.current().core.is_connected()))
    }

    fn close(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        contain(ruby, || Ok(this.inner(ruby)?.current().core.close()))
    }

    fn host(ruby: &Ruby, this: &Self) -> Result<String, Error> {
        contain(ruby, || Ok(this.inner(ruby)?.current().core.address().ip().to_string()))
    }

    fn port(ruby: &Ruby, this: &Self) -> Result<u16, Error> {
        contain(ruby, || Ok(this.inner(ruby)?.current().core.address().port()))
    }

    fn stats(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        contain(ruby, || figures_to_hash(ruby, this.inner(ruby)?.current().core.stats()))
    }

    /// Is a client of the same server at another address, if it was one of that server. Also for what was only allocated.
    fn follow_server(ruby: &Ruby, this: &Self, server: &Server, old_port: u16) -> Result<bool, Error> {
        contain(ruby, || {
            let Some(inner) = this.0.get() else { return Ok(false) };
            let server = server.core(ruby)?;
            let new = server.address();
            let current = inner.current.borrow().clone();
            let Some(core) = current.core.followed(server.secret(), (new.ip(), old_port).into(), new) else {
                return Ok(false);
            };
            // Leaked, as after every fork.
            std::mem::forget(inner.current.replace(Arc::new(Current::new(core))));
            Ok(true)
        })
    }

    /// What decides whether a caller keeps the GVL: `:adaptive`, `:keep`, `:give_up`. The latter two are for benchmarks.
    fn set_gvl_habit(ruby: &Ruby, this: &Self, habit: Symbol) -> Result<(), Error> {
        contain(ruby, || {
            let habit = match &*habit.name()? {
                "adaptive" => Habit::Adaptive,
                "keep" => Habit::Keep,
                "give_up" => Habit::GiveUp,
                other => return Err(Error::new(ruby.exception_arg_error(), format!("no such habit: {other}"))),
            };
            this.inner(ruby)?.current().contention.set_habit(habit);
            Ok(())
        })
    }

    /// Bytes: the longest message that it sends or takes.
    pub(crate) fn max_frame_size(&self, ruby: &Ruby) -> Result<usize, Error> {
        Ok(self.inner(ruby)?.current().core.max_frame_size())
    }

    fn inner(&self, ruby: &Ruby) -> Result<&Inner, Error> {
        self.0.get().ok_or_else(|| Error::new(ruby.exception_type_error(), "uninitialized client"))
    }
}

impl Inner {
    /// The client of this process. One integer comparison, but for the first use after a fork.
    fn current(&self) -> Arc<Current> {
        let current = self.current.borrow().clone();
        if current.core.is_of_this_process() {
            return current;
        }
        let fresh = Arc::new(Current::new(current.core.afresh()));
        // Leaked: a thread that does not exist here may have been in the middle of changing it at the fork.
        std::mem::forget(self.current.replace(fresh.clone()));
        fresh
    }
}

impl Current {
    fn new(core: CoreClient) -> Self {
        Self { core, contention: Contention::new(Instant::now()) }
    }

    /// Runs what waits for the parent.
    fn wait<T>(
        &self,
        ruby: &Ruby,
        body: impl FnOnce(&CoreClient, &WithoutGvl<'_>) -> Result<T, zen_ipc::Error>,
    ) -> Result<T, Error> {
        waiting_for_answer(ruby, &self.contention, |wait| body(&self.core, wait))
    }

    /// As [`Current::wait`], for a call of `name`, which errors of the other side then bear.
    fn call<T>(
        &self,
        ruby: &Ruby,
        name: &str,
        body: impl FnOnce(&CoreClient, &WithoutGvl<'_>) -> Result<T, zen_ipc::Error>,
    ) -> Result<T, Error> {
        let outcome = self.wait(ruby, |core, wait| match body(core, wait) {
            Err(error @ (zen_ipc::Error::Remote(_) | zen_ipc::Error::NoHandler(_))) => Ok(Err(error)),
            outcome => outcome.map(Ok),
        })?;
        outcome.map_err(|error| to_ruby_for_call(ruby, error, name))
    }
}

/// Runs one of the methods in a thread of its own, for which the calling fiber waits while others of its thread go on.
fn beside_fiber<T: TryConvert>(
    ruby: &Ruby,
    this: Obj<Client>,
    method: &str,
    positional: &[Value],
    keywords: Option<RHash>,
) -> Result<T, Error> {
    let keywords = keywords.unwrap_or_else(|| ruby.hash_new());
    this.funcall("beside_fiber", (ruby.to_symbol(method), ruby.ary_new_from_values(positional), keywords))
}
