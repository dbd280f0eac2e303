//! Tries every order in which threads of the core can meet, within stated bounds, with loom: the door, the lobby, the
//! pool, the hand-over of a connection whose handler responds early, and the order of notifications.
//!
//! The core's files are compiled here as they are. What lies below them has stand-ins that loom sees: locks and atomics,
//! pipes, sockets and a poll (`world/`, `mio/`). A model fails on a deadlock, a thread that turns in circles, an order of
//! memory that the language does not promise, and on whatever it asserts.

#[path = "../../src"]
mod real {
    pub(crate) mod alloc;
    pub(crate) mod document;
    pub(crate) mod error;
    pub(crate) mod failpoint;
    pub(crate) mod frame;
    pub(crate) mod log_buffer;
    pub(crate) mod message;
    pub(crate) mod metrics;
    pub(crate) mod options;
    pub(crate) mod wait;
}
pub(crate) use real::{alloc, document, error, failpoint, frame, log_buffer, message, metrics, options, wait};

#[path = "../../src/server"]
mod server {
    mod attendant;
    mod call;
    mod desk;
    #[path = "../../models/src/server/door.rs"]
    pub(crate) mod door;
    mod doorkeeper;
    mod hall;
    #[path = "../../models/src/server/hand_over.rs"]
    pub(crate) mod hand_over;
    #[path = "../../models/src/server/handshakes.rs"]
    mod handshakes;
    mod line;
    #[path = "../../models/src/server/listener.rs"]
    mod listener;
    mod lobby;
    #[path = "../../models/src/server/meeting.rs"]
    pub(crate) mod meeting;
    #[path = "../../models/src/server/notifications.rs"]
    pub(crate) mod notifications;
    mod parking;
    mod rejections;
    mod restraint;
    #[path = "../../models/src/server/rounds.rs"]
    mod rounds;
    mod senders;
    mod session;
    mod steward;
}

#[path = "../../src/client"]
mod client {
    #[path = "../../models/src/client/leases.rs"]
    pub(crate) mod leases;
    mod pool;
}

#[path = "world"]
mod world {
    pub(crate) mod connection;
    pub(crate) mod deadline;
    pub(crate) mod fork;
    pub(crate) mod notifier;
    pub(crate) mod os;
    pub(crate) mod secret;
    pub(crate) mod sync;
}
pub(crate) use world::{connection, deadline, fork, notifier, os, secret, sync};

mod explorer;

/// `models [--quick] [WORDS]`: all models, or those whose claim contains the words.
fn main() {
    let (options, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let words = words.join(" ");
    let models = [
        &client::leases::MODELS[..],
        &server::meeting::MODELS,
        &server::hand_over::MODELS,
        &server::notifications::MODELS,
        &server::door::MODELS,
    ]
    .concat();
    for model in models.iter().filter(|model| model.claim.contains(&words)) {
        explorer::explore(model, options == ["--quick"]);
    }
}
