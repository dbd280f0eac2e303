//! Models of the core's threads, run with loom in every order within stated bounds: the acceptor, the ready queue, the
//! client's pool, early responses and the order of notifications.
//!
//! The core's files are compiled as they are, over stand-ins that loom sees (`stubs/`, `mio/`): locks, atomics, pipes,
//! sockets and a poll. A model fails on a deadlock, a livelock, a memory order that the language does not promise, or a
//! failed assertion.

#[path = "../../src"]
mod real {
    pub(crate) mod documents;
    pub(crate) mod error;
    pub(crate) mod json;
    pub(crate) mod log_buffer;
    pub(crate) mod metrics;
    pub(crate) mod options;
    pub(crate) mod wait;
}
pub(crate) use real::{documents, error, json, log_buffer, metrics, options, wait};

#[path = "../../src/protocol"]
mod protocol {
    pub(crate) mod frame;
    pub(crate) mod message;
}

#[path = "../../src/sys"]
mod sys {
    pub(crate) mod alloc;
    pub(crate) mod failpoint;
    #[path = "../../loom/src/stubs/fork.rs"]
    pub(crate) mod fork;
    #[path = "../../loom/src/stubs/notifier.rs"]
    pub(crate) mod notifier;
    #[path = "../../loom/src/stubs/sync.rs"]
    pub(crate) mod sync;
    #[path = "../../loom/src/stubs/unsafe_os.rs"]
    pub(crate) mod unsafe_os;
}

#[path = "../../src/server"]
mod server {
    mod accept_throttle;
    mod acceptor;
    mod builtin;
    mod call;
    mod dispatcher;
    mod handler_thread;
    #[path = "../../loom/src/stubs/listener.rs"]
    mod listener;
    #[path = "../../loom/src/models"]
    pub(crate) mod models {
        pub(crate) mod acceptor;
        pub(crate) mod early_response;
        pub(crate) mod notifications;
        pub(crate) mod ready_queue;
    }
    mod notification_queues;
    #[path = "../../loom/src/stubs/pending_handshakes.rs"]
    mod pending_handshakes;
    #[path = "../../loom/src/stubs/polling.rs"]
    mod polling;
    mod reactor;
    mod ready_queue;
    mod rejection_log;
    mod reply_channel;
    mod session;
    mod state;
    mod supervisor;
}

#[path = "../../src/client"]
mod client {
    #[path = "../../loom/src/models"]
    pub(crate) mod models {
        pub(crate) mod pool;
    }
    mod pool;
}

mod stubs {
    pub(crate) mod connection;
    pub(crate) mod deadline;
    pub(crate) mod secret;
}
pub(crate) use stubs::{connection, deadline, secret};

mod runner;

/// `models [--quick] [WORDS]` runs all models, or those whose name contains the words.
fn main() {
    let (options, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let words = words.join(" ");
    let models = [
        &client::models::pool::MODELS[..],
        &server::models::ready_queue::MODELS,
        &server::models::early_response::MODELS,
        &server::models::notifications::MODELS,
        &server::models::acceptor::MODELS,
    ]
    .concat();
    for model in models.iter().filter(|model| model.name.contains(&words)) {
        runner::run_in_every_order(model, options == ["--quick"]);
    }
}
