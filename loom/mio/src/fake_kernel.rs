//! What the kernel does for the core: pipes, and sockets in pairs. Every operation is one step that loom sees.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use loom::sync::Mutex;
use loom::sync::mpsc::{Receiver, Sender, channel};

use crate::Token;

/// The receiving end of a pipe or a socket.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Vec<u8>>,
    ended: bool,
    watch: Option<(Token, Arc<Ready>)>,
    waiting: Waiting,
}

impl State {
    fn is_readable(&self) -> bool {
        self.ended || !self.messages.is_empty()
    }
}

/// What there is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peeked {
    /// Nothing yet.
    Nothing,
    /// A message.
    Message,
    /// Nothing ever again.
    End,
}

impl Inbox {
    /// A message arrives. False if nobody will read it.
    pub fn put(&self, message: Vec<u8>) -> bool {
        let mut state = self.state.lock().unwrap();
        if state.ended {
            return false;
        }
        let was_readable = state.is_readable();
        state.messages.push_back(message);
        Self::tell(&mut state, was_readable);
        true
    }

    /// Nothing arrives any more.
    pub fn end(&self) {
        let mut state = self.state.lock().unwrap();
        let was_readable = state.is_readable();
        state.ended = true;
        Self::tell(&mut state, was_readable);
    }

    /// As [`Inbox::end`], where nobody looks any more: a poll tells nothing of what was closed.
    fn close(&self) {
        let mut state = self.state.lock().unwrap();
        if let Some((token, ready)) = state.watch.take() {
            ready.forget(token);
        }
        state.ended = true;
        state.waiting.wake_all();
    }

    /// Takes the oldest message, if there is one.
    pub fn take(&self) -> Option<Vec<u8>> {
        self.state.lock().unwrap().messages.pop_front()
    }

    /// Takes every message that there is.
    pub fn take_all(&self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.state.lock().unwrap().messages)
    }

    /// Blocks until there is something to read, and takes all of it: none at the end.
    pub fn receive(&self) -> VecDeque<Vec<u8>> {
        self.when_readable(|state| std::mem::take(&mut state.messages))
    }

    /// Blocks until there is something to read, and leaves it there.
    pub fn wait(&self) {
        self.when_readable(|_| ())
    }

    /// As [`Inbox::wait`], but also until there is something to read in another one.
    pub fn wait_or(&self, other: &Self) {
        loop {
            let (waiter, woken) = Waiter::new();
            for inbox in [self, other] {
                let mut state = inbox.state.lock().unwrap();
                if state.is_readable() {
                    // What has woken it already is taken.
                    if waiter.is_woken.swap(true, Ordering::Relaxed) {
                        woken.recv().unwrap();
                    }
                    return;
                }
                state.waiting.threads.push(waiter.clone());
            }
            woken.recv().unwrap();
        }
    }

    /// Looks.
    pub fn peek(&self) -> Peeked {
        let state = self.state.lock().unwrap();
        match (state.messages.is_empty(), state.ended) {
            (false, _) => Peeked::Message,
            (true, true) => Peeked::End,
            (true, false) => Peeked::Nothing,
        }
    }

    pub(crate) fn watch(&self, token: Token, ready: &Arc<Ready>) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if state.watch.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.watch = Some((token, ready.clone()));
        Self::tell(&mut state, false);
        Ok(())
    }

    pub(crate) fn unwatch(&self) -> io::Result<()> {
        let (token, ready) = self.state.lock().unwrap().watch.take().ok_or(io::ErrorKind::NotFound)?;
        ready.forget(token);
        Ok(())
    }

    fn when_readable<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        loop {
            let mut state = self.state.lock().unwrap();
            if state.is_readable() {
                return act(&mut state);
            }
            let woken = state.waiting.join();
            drop(state);
            woken.recv().unwrap();
        }
    }

    fn tell(state: &mut State, was_readable: bool) {
        if state.is_readable() && !was_readable {
            state.waiting.wake_all();
            if let Some((token, ready)) = &state.watch {
                ready.add(*token);
            }
        }
    }
}

/// The events that a poll has not fetched.
#[derive(Debug, Default)]
pub struct Ready {
    state: Mutex<Arrived>,
}

#[derive(Debug, Default)]
struct Arrived {
    tokens: VecDeque<Token>,
    waiting: Waiting,
}

impl Ready {
    pub(crate) fn wait(&self) -> VecDeque<Token> {
        loop {
            let mut state = self.state.lock().unwrap();
            if !state.tokens.is_empty() {
                return std::mem::take(&mut state.tokens);
            }
            let woken = state.waiting.join();
            drop(state);
            woken.recv().unwrap();
        }
    }

    pub(crate) fn take(&self) -> VecDeque<Token> {
        std::mem::take(&mut self.state.lock().unwrap().tokens)
    }

    fn add(&self, token: Token) {
        let mut state = self.state.lock().unwrap();
        state.tokens.push_back(token);
        state.waiting.wake_all();
    }

    fn forget(&self, token: Token) {
        self.state.lock().unwrap().tokens.retain(|other| *other != token);
    }
}

/// Threads that wait, each at a channel of its own. Loom's `Condvar` takes a thread's wake-up from a `join` for one of its
/// own (tokio-rs/loom#422).
#[derive(Debug, Default)]
struct Waiting {
    threads: Vec<Waiter>,
}

/// A thread that waits for one or several things, and is woken once.
#[derive(Debug, Clone)]
struct Waiter {
    sender: Sender<()>,
    /// No step that loom sees: what it guards against is only that a message is left over.
    is_woken: Arc<AtomicBool>,
}

impl Waiter {
    fn new() -> (Self, Receiver<()>) {
        let (sender, receiver) = channel();
        (Self { sender, is_woken: Arc::default() }, receiver)
    }
}

impl Waiting {
    /// What the calling thread receives from, once it has let go of the lock around this.
    fn join(&mut self) -> Receiver<()> {
        let (waiter, receiver) = Waiter::new();
        self.threads.push(waiter);
        receiver
    }

    fn wake_all(&mut self) {
        for thread in self.threads.drain(..).filter(|thread| !thread.is_woken.swap(true, Ordering::Relaxed)) {
            thread.sender.send(()).unwrap();
        }
    }
}

/// The number of an inbox, and of its other end where there is one. Closed when dropped.
#[derive(Debug)]
pub struct Descriptor {
    number: RawFd,
    inbox: Arc<Inbox>,
    peer: Option<Arc<Inbox>>,
}

impl Descriptor {
    /// Both ends of a pipe in one.
    pub fn pipe() -> Self {
        Self::new(Arc::default(), None)
    }

    /// Two connected sockets.
    pub fn socket_pair() -> (Self, Self) {
        let (one, other) = <(Arc<Inbox>, Arc<Inbox>)>::default();
        (Self::new(one.clone(), Some(other.clone())), Self::new(other, Some(one)))
    }

    /// What arrives here.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Sends to the other end. False if nobody will read it.
    pub fn send(&self, message: Vec<u8>) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.put(message))
    }

    /// Ends what arrives here.
    pub fn shut_down_receiving(&self) {
        self.inbox.end();
    }

    /// Ends what is sent from here.
    pub fn shut_down_sending(&self) {
        if let Some(peer) = &self.peer {
            peer.end();
        }
    }

    fn new(inbox: Arc<Inbox>, peer: Option<Arc<Inbox>>) -> Self {
        DESCRIPTORS.with_borrow_mut(|descriptors| {
            let number = descriptors.next_number;
            descriptors.next_number += 1;
            descriptors.open.insert(number, inbox.clone());
            Self { number, inbox, peer }
        })
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        DESCRIPTORS.with_borrow_mut(|descriptors| descriptors.open.remove(&self.number));
        // The end of an execution that failed: there is no world any more in which anything could be told.
        if std::thread::panicking() {
            return;
        }
        self.inbox.close();
        self.shut_down_sending();
    }
}

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.number
    }
}

/// For who asks the real kernel about it, which knows nothing about it.
impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        static NOTHING: OnceLock<OwnedFd> = OnceLock::new();
        NOTHING.get_or_init(|| std::fs::File::open("/dev/null").expect("/dev/null").into()).as_fd()
    }
}

/// What the numbers mean. Loom's threads are one thread of the operating system, so all of them see it.
#[derive(Default)]
struct Descriptors {
    next_number: RawFd,
    open: BTreeMap<RawFd, Arc<Inbox>>,
}

thread_local! {
    static DESCRIPTORS: RefCell<Descriptors> = RefCell::default();
}

pub(crate) fn find(number: RawFd) -> Option<Arc<Inbox>> {
    DESCRIPTORS.with_borrow(|descriptors| descriptors.open.get(&number).cloned())
}

/// Forgets what an earlier execution opened.
pub fn reset() {
    // Bound, so that nothing is dropped while they are borrowed.
    let earlier = DESCRIPTORS.take();
    drop(earlier);
}
