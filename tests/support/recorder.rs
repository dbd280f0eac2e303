//! A server that records notifications.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use super::peer::Peer;
use super::{PATIENCE, TestServer, eventually};

/// The arguments that name the sender of a connection for notifications.
pub const SENDER: &str = "[\"00112233445566778899aabbccddeeff\"]";

/// Records the arguments of notifications, each after a permit if there are permits.
pub struct Recorder {
    pub server: TestServer,
    pub seen: Arc<Mutex<Vec<String>>>,
    pub permits: Sender<()>,
}

impl Recorder {
    pub fn new() -> Self {
        let recorder = Self::waiting();
        // More than any test sends.
        (0..100_000).for_each(|_| recorder.permit());
        recorder
    }

    pub fn waiting() -> Self {
        let (permits, permitted): (Sender<()>, Receiver<()>) = channel();
        let (seen, permitted) = (Arc::new(Mutex::new(Vec::new())), Mutex::new(permitted));
        let record = seen.clone();
        let server = TestServer::start(move |call| {
            if call.is_notification() {
                permitted.lock().unwrap().recv_timeout(PATIENCE).unwrap();
                record.lock().unwrap().push(String::from_utf8(call.args().to_vec()).unwrap());
            }
            Ok(None)
        });
        Self { server, seen, permits }
    }

    pub fn permit(&self) {
        self.permits.send(()).unwrap();
    }

    pub fn wait_for(&self, count: usize) {
        eventually("every notification", || self.seen.lock().unwrap().len() == count);
    }

    pub fn numbers(&self) -> Vec<usize> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|args| args.trim_matches(['[', ']']).parse().unwrap()).collect()
    }

    /// A connection for notifications, and the response to that request.
    pub fn carrier(&self) -> (Peer, String) {
        let mut peer = self.peer();
        peer.send_frame(format!("[\"1\",\"rpc.notifications\",{SENDER},{{}}]").as_bytes());
        let answer = String::from_utf8(peer.receive_frame()).unwrap();
        (peer, answer)
    }

    pub fn peer(&self) -> Peer {
        Peer::admitted(self.server.server.address(), self.server.server.secret())
    }
}
