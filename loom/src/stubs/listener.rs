//! A door at which strangers knock. Who is admitted comes in otherwise.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use mio::fake_kernel::Descriptor;
use rustix::io::Errno;

use crate::connection::Socket;
use crate::fork::ProcessLocal;
use crate::sync::{Mutex, lock};

/// Closed by default.
#[derive(Debug, Default)]
pub(super) struct Listener {
    state: Mutex<Option<Door>>,
}

/// A message for each arrival.
#[derive(Debug)]
struct Door {
    arrivals: Descriptor,
    waiting: VecDeque<Socket>,
    failures: usize,
}

impl Listener {
    /// An open door. The first so many attempts to accept find no descriptor.
    pub(super) fn open(failures: usize) -> Arc<Self> {
        let door = Door { arrivals: Descriptor::pipe(), waiting: VecDeque::new(), failures };
        Arc::new(Self { state: Mutex::new(Some(door)) })
    }

    /// Connects: the stranger's end.
    pub(super) fn knock(&self) -> Descriptor {
        let (here, stranger) = Descriptor::socket_pair();
        if let Some(door) = &mut *lock(&self.state) {
            door.waiting.push_back(Arc::new(ProcessLocal::new(here)));
            door.arrivals.inbox().put(Vec::new());
        }
        stranger
    }

    pub(super) fn close(&self) {
        let door = lock(&self.state).take();
        // After the lock is released, as the kernel does.
        drop(door);
    }

    pub(super) fn with_fd<R>(&self, work: impl FnOnce(RawFd) -> R) -> Option<R> {
        Some(work(lock(&self.state).as_ref()?.arrivals.as_raw_fd()))
    }

    pub(super) fn accept(&self) -> Option<rustix::io::Result<Socket>> {
        let mut state = lock(&self.state);
        let door = state.as_mut()?;
        if door.failures > 0 {
            door.failures -= 1;
            return Some(Err(Errno::MFILE));
        }
        door.arrivals.inbox().take();
        Some(door.waiting.pop_front().ok_or(Errno::AGAIN))
    }
}
