//! A fake kernel with pipes and pairs of sockets. Every operation is one step that loom sees.

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

/// The state of an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peeked {
    /// Nothing has arrived yet.
    Nothing,
    /// A message has arrived.
    Message,
    /// Nothing will arrive any more.
    End,
}

impl Inbox {
    /// Adds a message. False if the inbox has ended.
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

    /// Ends the inbox: no further message is added.
    pub fn end(&self) {
        let mut state = self.state.lock().unwrap();
        let was_readable = state.is_readable();
        state.ended = true;
        Self::tell(&mut state, was_readable);
    }

    /// As [`Inbox::end`], for a closed descriptor, about which a poll reports nothing.
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

    /// Takes all messages.
    pub fn take_all(&self) -> VecDeque<Vec<u8>> {
        std::mem::take(&mut self.state.lock().unwrap().messages)
    }

    /// Blocks until there is something to read, and takes all messages: none at the end.
    pub fn receive(&self) -> VecDeque<Vec<u8>> {
        self.when_readable(|state| std::mem::take(&mut state.messages))
    }

    /// Blocks until there is something to read, and leaves it there.
    pub fn wait(&self) {
        self.when_readable(|_| ())
    }

    /// As [`Inbox::wait`], but also until there is something to read in `other`.
    pub fn wait_or(&self, other: &Self) {
        loop {
            let (waiter, woken) = Waiter::new();
            for inbox in [self, other] {
                let mut state = inbox.state.lock().unwrap();
                if state.is_readable() {
                    // Consume a wake-up that was sent already.
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

    /// Reads the state without taking a message.
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

/// The events that a poll has not fetched yet.
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

/// Waiting threads, each with a channel of its own. Loom's `Condvar` takes a thread's wake-up from a `join` for one of
/// its own (tokio-rs/loom#422).
#[derive(Debug, Default)]
struct Waiting {
    threads: Vec<Waiter>,
}

/// A thread that waits for one or several things, and is woken once.
#[derive(Debug, Clone)]
struct Waiter {
    sender: Sender<()>,
    /// Not visible to loom: it only prevents a second message.
    is_woken: Arc<AtomicBool>,
}

impl Waiter {
    fn new() -> (Self, Receiver<()>) {
        let (sender, receiver) = channel();
        (Self { sender, is_woken: Arc::default() }, receiver)
    }
}

impl Waiting {
    /// Adds the calling thread, which must receive from the channel after it has released the lock.
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

/// The number of an inbox, and its other end if there is one. Dropping it closes it.
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

    /// The messages that arrive here.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Sends to the other end. False if that has ended.
    pub fn send(&self, message: Vec<u8>) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.put(message))
    }

    /// Ends this inbox.
    pub fn shut_down_receiving(&self) {
        self.inbox.end();
    }

    /// Ends the inbox of the other end.
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
        // A failed execution unwinds: loom's state is gone, and no thread can be woken.
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

/// For code that passes the descriptor to the real kernel, which does not know it.
impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        static NOTHING: OnceLock<OwnedFd> = OnceLock::new();
        NOTHING.get_or_init(|| std::fs::File::open("/dev/null").expect("/dev/null").into()).as_fd()
    }
}

/// The open descriptors by number. All of loom's threads run in one thread of the operating system and share it.
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

/// Forgets the descriptors of earlier executions.
pub fn reset() {
    // Taken first, because dropping a descriptor borrows the table.
    let earlier = DESCRIPTORS.take();
    drop(earlier);
}
