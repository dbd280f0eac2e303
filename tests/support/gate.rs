//! Handlers that wait in the middle of their work until the test opens a gate.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier, Mutex};

use zen_ipc::NoHost;

use super::{PATIENCE, TestServer};

/// The gate at which the handlers of a gated server wait.
pub struct Gate {
    arrived: Arc<Barrier>,
    sender: Sender<()>,
}

impl Gate {
    /// Waits until a handler has reached the gate.
    pub fn wait_for_handler(&self) {
        self.arrived.wait();
    }

    /// Lets one handler pass.
    pub fn open(&self) {
        self.sender.send(()).unwrap();
    }
}

/// A server whose handlers wait at a gate, after their response or before it, and respond with the call's `is_expired`.
pub fn gated_server(answer_early: bool) -> (TestServer, Gate) {
    let arrived = Arc::new(Barrier::new(2));
    let here = arrived.clone();
    let (sender, receiver) = channel();
    let receiver = Mutex::new(receiver);
    let server = TestServer::start(move |call| {
        if answer_early {
            call.respond(b"\"early\"", &NoHost).unwrap();
        }
        here.wait();
        receiver.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        Ok(Some(format!("\"expired: {}\"", call.is_expired())))
    });
    (server, Gate { arrived, sender })
}
