//! `Agent::Client`: a client of the core, replaced by a fresh one after a fork.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use magnus::typed_data::Obj;
use magnus::{Error, Module, RHash, RModule, RString, Ruby, Symbol, Value, method, prelude::*};
use zen_ipc::client::Client as CoreClient;
use zen_ipc::gvl_policy::{GvlPolicy, Mode};

use crate::codec::api::utf8_string;
use crate::codec::decode;
use crate::error::{internal, to_ruby, to_ruby_for_call, undecodable};
use crate::gvl::{WithoutGvl, call_without_gvl, is_fiber_scheduled, rescue_panic};
use crate::message::{Invocation, Notification, split_kwargs};
use crate::options::{ClientSettings, client_settings, duration};
use crate::ruby_ffi::allocate;
use crate::secret::Secret;
use crate::server::{Server, stats_to_hash};

/// A client; empty until `initialize` has set it up.
#[derive(Default)]
#[magnus::wrap(class = "Aikido::Zen::WorkerProcess::Agent::Client", free_immediately, size)]
pub(crate) struct Client(OnceLock<Shared>);

struct Shared {
    /// The client of this process. It is replaced after a fork with the GVL held, which needs no lock that another
    /// thread might hold at the fork.
    current: RefCell<Arc<PerProcess>>,
    document_timeout: Duration,
    notify_timeout: Duration,
}

/// The parts that belong to one process.
struct PerProcess {
    core: CoreClient,
    policy: GvlPolicy,
}

/// Defines the class.
pub(crate) fn define(ruby: &Ruby, agent: RModule) -> Result<(), Error> {
    let class = agent.define_class("Client", ruby.class_object())?;
    class.define_alloc_func::<Client>();
    class.define_private_method("init", method!(Client::init, 4))?;
    class.define_private_method("fetch_text", method!(Client::fetch_text, 2))?;
    class.define_private_method("follow_server", method!(Client::follow_server, 2))?;
    class.define_private_method("gvl_mode=", method!(Client::set_gvl_mode, 1))?;
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
    /// Sets the client up, and returns its `reconnect_delay` in seconds.
    fn init(ruby: &Ruby, this: &Self, host: Value, port: Value, secret: Value, options: RHash) -> Result<f64, Error> {
        rescue_panic(ruby, || {
            let ClientSettings { address, options, document_timeout, notify_timeout } =
                client_settings(ruby, host, port, options)?;
            let reconnect_delay = options.reconnect_delay.as_secs_f64();
            if secret.is_nil() {
                return Err(Error::new(ruby.exception_arg_error(), "secret is nil; the server's is needed"));
            }
            let core = CoreClient::new(address, Secret::from_option(ruby, secret)?, options);
            let current = RefCell::new(Arc::new(PerProcess::new(core.map_err(|error| to_ruby(ruby, error))?)));
            let shared = Shared { current, document_timeout, notify_timeout };
            this.0.set(shared).map_err(|_| Error::new(ruby.exception_type_error(), "already initialized client"))?;
            Ok(reconnect_delay)
        })
    }

    fn start(ruby: &Ruby, this: Obj<Self>) -> Result<bool, Error> {
        rescue_panic(ruby, || {
            this.shared(ruby)?.current().wait(ruby, this, |core, host| core.start(host))?;
            Ok(true)
        })
    }

    fn invoke(ruby: &Ruby, this: Obj<Self>, arguments: &[Value]) -> Result<Value, Error> {
        rescue_panic(ruby, || {
            let (positional, keywords) = split_kwargs(arguments);
            let Invocation { name, timeout, message } = Invocation::new(ruby, positional, keywords)?;
            let current = this.shared(ruby)?.current();
            let called = name.clone();
            let result = current.outcome(ruby, this, move |core, host| {
                core.invoke(&called, &message.args, &message.kwargs, timeout, host)
            })?;
            let result = result.map_err(|error| to_ruby_for_call(ruby, error, &name))?;
            decode(ruby, result.as_slice()).map_err(|error| undecodable(ruby, error))
        })
    }

    fn notify(ruby: &Ruby, this: Obj<Self>, arguments: &[Value]) -> Result<bool, Error> {
        rescue_panic(ruby, || {
            let (positional, keywords) = split_kwargs(arguments);
            let Notification { name, message } = Notification::new(ruby, positional, keywords)?;
            let shared = this.shared(ruby)?;
            let timeout = shared.notify_timeout;
            shared.current().wait(ruby, this, move |core, host| {
                core.notify(&name, &message.args, &message.kwargs, timeout, host)
            })?;
            Ok(true)
        })
    }

    fn ping(ruby: &Ruby, this: Obj<Self>, timeout: Value) -> Result<bool, Error> {
        rescue_panic(ruby, || {
            let timeout = duration(ruby, "timeout", timeout)?;
            this.shared(ruby)?.current().wait(ruby, this, move |core, host| core.ping(timeout, host))?;
            Ok(true)
        })
    }

    /// `[generation, json]`, or nil if `known` is the latest, or if nothing is published and no generation is known.
    fn fetch_text(
        ruby: &Ruby,
        this: Obj<Self>,
        key: String,
        known: Option<u64>,
    ) -> Result<Option<(u64, RString)>, Error> {
        rescue_panic(ruby, || {
            let shared = this.shared(ruby)?;
            let timeout = shared.document_timeout;
            let document =
                shared.current().wait(ruby, this, move |core, host| core.fetch(&key, known, timeout, host))?;
            let Some((generation, json)) = document else { return Ok(None) };
            Ok(Some((generation, utf8_string(ruby, &json)?)))
        })
    }

    fn is_connected(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        rescue_panic(ruby, || Ok(this.shared(ruby)?.current().core.is_connected()))
    }

    fn close(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        rescue_panic(ruby, || Ok(this.shared(ruby)?.current().core.close()))
    }

    fn host(ruby: &Ruby, this: &Self) -> Result<String, Error> {
        rescue_panic(ruby, || Ok(this.shared(ruby)?.current().core.address().ip().to_string()))
    }

    fn port(ruby: &Ruby, this: &Self) -> Result<u16, Error> {
        rescue_panic(ruby, || Ok(this.shared(ruby)?.current().core.address().port()))
    }

    fn stats(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        rescue_panic(ruby, || stats_to_hash(ruby, this.shared(ruby)?.current().core.stats()))
    }

    /// Follows a server that has moved to another port, if this was its client. Also called on a client that was only
    /// allocated.
    fn follow_server(ruby: &Ruby, this: &Self, server: &Server, old_port: u16) -> Result<bool, Error> {
        rescue_panic(ruby, || {
            let Some(shared) = this.0.get() else { return Ok(false) };
            let server = server.core(ruby)?;
            let new = server.address();
            let current = shared.current.borrow().clone();
            let Some(core) = current.core.followed(server.secret(), (new.ip(), old_port).into(), new) else {
                return Ok(false);
            };
            // Leaked, as after every fork: see `Shared::current`.
            std::mem::forget(shared.current.replace(Arc::new(PerProcess::new(core))));
            Ok(true)
        })
    }

    /// Sets how a caller decides whether to hold the GVL: `:adaptive`, `:hold`, `:release`. The latter two are for
    /// benchmarks.
    fn set_gvl_mode(ruby: &Ruby, this: &Self, mode: Symbol) -> Result<(), Error> {
        rescue_panic(ruby, || {
            let mode = match &*mode.name()? {
                "adaptive" => Mode::Adaptive,
                "hold" => Mode::Hold,
                "release" => Mode::Release,
                other => return Err(Error::new(ruby.exception_arg_error(), format!("no such mode: {other}"))),
            };
            this.shared(ruby)?.current().policy.set_mode(mode);
            Ok(())
        })
    }

    /// The longest message in bytes that it sends or accepts.
    pub(crate) fn max_frame_size(&self, ruby: &Ruby) -> Result<usize, Error> {
        Ok(self.shared(ruby)?.current().core.max_frame_size())
    }

    fn shared(&self, ruby: &Ruby) -> Result<&Shared, Error> {
        self.0.get().ok_or_else(|| Error::new(ruby.exception_type_error(), "uninitialized client"))
    }
}

impl Shared {
    /// The client of this process. One integer comparison, except at the first use after a fork.
    fn current(&self) -> Arc<PerProcess> {
        let current = self.current.borrow().clone();
        if current.core.is_owner() {
            return current;
        }
        let fresh = Arc::new(PerProcess::new(current.core.for_forked_child()));
        // Leaked, because a thread that does not exist here may have been changing it at the fork.
        std::mem::forget(self.current.replace(fresh.clone()));
        fresh
    }
}

impl PerProcess {
    fn new(core: CoreClient) -> Self {
        Self { core, policy: GvlPolicy::new(Instant::now()) }
    }

    /// Runs `body`, which waits for the parent, and raises its error.
    fn wait<T: Send + 'static>(
        self: Arc<Self>,
        ruby: &Ruby,
        client: Obj<Client>,
        body: impl FnOnce(&CoreClient, &WithoutGvl<'_>) -> Result<T, zen_ipc::Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.outcome(ruby, client, body)?.map_err(|error| to_ruby(ruby, error))
    }

    /// Runs `body`, which waits for the parent. A fiber of a scheduler must not block its thread, so there `body` runs
    /// in a thread of its own, for which the fiber waits. That thread raises nothing but what interrupts it.
    ///
    /// # Errors
    ///
    /// The exception that interrupted it.
    fn outcome<T: Send + 'static>(
        self: Arc<Self>,
        ruby: &Ruby,
        client: Obj<Client>,
        body: impl FnOnce(&CoreClient, &WithoutGvl<'_>) -> Result<T, zen_ipc::Error> + Send + 'static,
    ) -> Result<Result<T, zen_ipc::Error>, Error> {
        let run = move |ruby: &Ruby| {
            call_without_gvl(ruby, &self.policy, |host| match body(&self.core, host) {
                Err(zen_ipc::Error::Interrupted) => Err(zen_ipc::Error::Interrupted),
                outcome => Ok(outcome),
            })
        };
        if !is_fiber_scheduled() {
            return run(ruby);
        }
        let (sender, outcome) = mpsc::channel();
        let mut job = Some((run, sender));
        let job = allocate(move || {
            ruby.proc_from_fn(move |ruby, _, _| {
                let Some((run, sender)) = job.take() else { return Ok(false) };
                Ok::<bool, Error>(sender.send(run(ruby)?).is_ok())
            })
        })?;
        client.funcall::<_, _, Value>("run_in_thread", (job,))?;
        outcome.try_recv().map_err(|_| internal(ruby, "a wait ended without an outcome"))
    }
}
