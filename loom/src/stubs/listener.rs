//! Stand-in for `listener`, at which only clients connect that fail the handshake. Models register authenticated
//! connections themselves.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use mio::fake_kernel::Descriptor;
use rustix::io::Errno;

use crate::connection::Socket;
use crate::sys::fork::ProcessLocal;
use crate::sys::sync::{Mutex, lock};

/// Closed by default.
#[derive(Debug, Default)]
pub(super) struct Listener {
    state: Mutex<Option<State>>,
}

/// A pipe with a message for each arrival, and the accepted ends.
#[derive(Debug)]
struct State {
    arrivals: Descriptor,
    waiting: VecDeque<Socket>,
    failures: usize,
}

impl Listener {
    /// An open listener. The first `failures` attempts to accept fail for lack of descriptors.
    pub(super) fn open(failures: usize) -> Arc<Self> {
        let open = State { arrivals: Descriptor::pipe(), waiting: VecDeque::new(), failures };
        Arc::new(Self { state: Mutex::new(Some(open)) })
    }

    /// Connects, and returns the client's end.
    pub(super) fn connect(&self) -> Descriptor {
        let (here, client) = Descriptor::socket_pair();
        if let Some(open) = &mut *lock(&self.state) {
            open.waiting.push_back(Arc::new(ProcessLocal::new(here)));
            open.arrivals.inbox().put(Vec::new());
        }
        client
    }

    pub(super) fn close(&self) {
        let open = lock(&self.state).take();
        // Dropped after the lock is released, as in the kernel.
        drop(open);
    }

    pub(super) fn with_fd<R>(&self, work: impl FnOnce(RawFd) -> R) -> Option<R> {
        Some(work(lock(&self.state).as_ref()?.arrivals.as_raw_fd()))
    }

    pub(super) fn accept(&self) -> Option<rustix::io::Result<Socket>> {
        let mut state = lock(&self.state);
        let open = state.as_mut()?;
        if open.failures > 0 {
            open.failures -= 1;
            return Some(Err(Errno::MFILE));
        }
        open.arrivals.inbox().take();
        Some(open.waiting.pop_front().ok_or(Errno::AGAIN))
    }
}
