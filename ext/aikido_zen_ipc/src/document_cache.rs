//! `IPC::DocumentCache`: the documents that this process knows, and whether they are current. Fetching is in `lib/`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use magnus::typed_data::Obj;
use magnus::value::Opaque;
use magnus::{DataTypeFunctions, Error, Module, RModule, RString, Ruby, Symbol, Value, gc, method, prelude::*};
use zen_ipc::shared_memory::generations::{SharedGenerations, Watch};

use crate::gvl::rescue_panic;
use crate::ruby_ffi::{find_by_bytes, symbol_name};
use crate::secret::Secret;

/// A cache. Its state is used only with the GVL held, and no Ruby code runs while it changes.
#[derive(Default, magnus::TypedData)]
#[magnus(class = "Aikido::Zen::IPC::DocumentCache", free_immediately, size, mark)]
pub(crate) struct DocumentCache(RefCell<State>);

#[derive(Default)]
struct State {
    /// The shared counters; `None` if this process does not share the parent's page, so that no document is ever
    /// current.
    page: Option<SharedGenerations>,
    known: BTreeMap<Box<[u8]>, CacheEntry>,
    /// Bytes of the entries without a document, as [`cost_of`] counts them.
    absent_bytes: usize,
}

/// The last known version of a document, or nil if there was none.
struct CacheEntry {
    document: Opaque<Value>,
    /// The counter when it was fetched; `None` if it was not read.
    watch: Option<Watch>,
    /// Set if the parent could not be reached: the earliest time of the next attempt, in seconds of the monotonic
    /// clock.
    retry_at: Option<f64>,
}

/// The most bytes of entries without a document. 256 KiB: some two thousand names. Callers can make up millions of
/// names; beyond this each is fetched again now and then.
const MAX_ABSENT_BYTES: usize = 256 << 10;

/// Defines the class.
pub(crate) fn define(ruby: &Ruby, ipc: RModule) -> Result<(), Error> {
    let class = ipc.define_class("DocumentCache", ruby.class_object())?;
    class.define_alloc_func::<DocumentCache>();
    class.define_method("read", method!(DocumentCache::read, 1))?;
    class.define_private_method("watch", method!(DocumentCache::watch, 2))?;
    class.define_private_method("shared_generation", method!(DocumentCache::shared_generation, 1))?;
    class.define_private_method("store", method!(DocumentCache::store, 3))?;
    class.define_private_method("put_off", method!(DocumentCache::put_off, 2))?;
    class.define_private_method("retry_at", method!(DocumentCache::retry_at, 1))?;
    class.define_private_method("last", method!(DocumentCache::last, 1))?;
    class.define_private_method("current?", method!(DocumentCache::is_current, 1))
}

impl DocumentCache {
    /// The latest version of a document, or nil. One atomic load if it has not changed; otherwise calls `refresh`.
    fn read(ruby: &Ruby, this: Obj<Self>, key: Value) -> Result<Value, Error> {
        rescue_panic(ruby, || match this.current(key) {
            Some(document) => Ok(document),
            None => this.funcall("refresh", (key,)),
        })
    }

    /// Uses the counters of the server at `port` from now on, if this process shares `secret` with it. No document is
    /// current afterwards.
    fn watch(ruby: &Ruby, this: &Self, secret: Value, port: u16) -> Result<(), Error> {
        rescue_panic(ruby, || {
            // Do this before the borrow: it may allocate, and the GC then marks the known documents.
            let page = Secret::page_for(secret, port);
            let mut state = this.0.borrow_mut();
            state.page = page;
            state.known.values_mut().for_each(|known| known.watch = None);
            Ok(())
        })
    }

    /// The value of the counter, for `store`. Read it before fetching the document, so that a change in between is
    /// noticed.
    fn shared_generation(ruby: &Ruby, this: &Self, key: String) -> Result<Option<u64>, Error> {
        rescue_panic(ruby, || Ok(this.0.borrow().page.map(|page| page.current(&key))))
    }

    /// Stores a fetched document. Without a `reading` it is never current. An older reading than the stored one changes
    /// nothing: in a `trap` a document may be fetched in the middle of another fetch.
    fn store(ruby: &Ruby, this: &Self, name: String, document: Value, reading: Option<u64>) -> Result<(), Error> {
        rescue_panic(ruby, || {
            let mut state = this.0.borrow_mut();
            let watch = state.page.zip(reading).and_then(|(page, seen)| page.watch(&name, seen));
            let kept = state.known.get(name.as_bytes()).and_then(|known| known.watch);
            if !kept.zip(watch).is_some_and(|(kept, watch)| watch.is_before(&kept)) {
                state.insert(ruby, name, CacheEntry { document: document.into(), watch, retry_at: None });
            }
            Ok(())
        })
    }

    /// Keeps the known version of a document, and stores the time of the next attempt to fetch it.
    fn put_off(ruby: &Ruby, this: &Self, name: String, retry_at: f64) -> Result<(), Error> {
        rescue_panic(ruby, || {
            let mut state = this.0.borrow_mut();
            let document =
                state.known.get(name.as_bytes()).map_or_else(|| ruby.qnil().as_value().into(), |known| known.document);
            state.insert(ruby, name, CacheEntry { document, watch: None, retry_at: Some(retry_at) });
            Ok(())
        })
    }

    /// The time given to `put_off`, unless the document was fetched since.
    fn retry_at(ruby: &Ruby, this: &Self, key: RString) -> Result<Option<f64>, Error> {
        rescue_panic(ruby, || Ok(find_by_bytes(&this.0.borrow().known, key).and_then(|known| known.retry_at)))
    }

    /// The last known version, current or not; nil if there is none.
    fn last(ruby: &Ruby, this: &Self, key: RString) -> Result<Value, Error> {
        rescue_panic(ruby, || {
            let state = this.0.borrow();
            let known = find_by_bytes(&state.known, key).map(|known| ruby.get_inner(known.document));
            Ok(known.unwrap_or_else(|| ruby.qnil().as_value()))
        })
    }

    fn is_current(ruby: &Ruby, this: &Self, key: RString) -> Result<bool, Error> {
        rescue_panic(ruby, || Ok(this.current(key.as_value()).is_some()))
    }

    /// The known version of a document, if it cannot have changed since.
    fn current(&self, key: Value) -> Option<Value> {
        let name = RString::from_value(key).or_else(|| Symbol::from_value(key).map(symbol_name))?;
        let state = self.0.borrow();
        let known = find_by_bytes(&state.known, name)?;
        known.watch?.is_unchanged().then(|| Ruby::get_with(key).get_inner(known.document))
    }
}

impl State {
    fn insert(&mut self, ruby: &Ruby, name: String, known: CacheEntry) {
        let cost = cost_of(&name);
        let is_absent = |known: &CacheEntry| ruby.get_inner(known.document).is_nil();
        if self.known.remove(name.as_bytes()).is_some_and(|before| is_absent(&before)) {
            self.absent_bytes = self.absent_bytes.saturating_sub(cost);
        }
        if is_absent(&known) {
            if cost > MAX_ABSENT_BYTES {
                return;
            }
            if self.absent_bytes.saturating_add(cost) > MAX_ABSENT_BYTES {
                // Remove all at once: to remove the least recently used, every read would have to update an order.
                self.known.retain(|_, known| !is_absent(known));
                self.absent_bytes = 0;
            }
            self.absent_bytes = self.absent_bytes.saturating_add(cost);
        }
        self.known.insert(name.into_bytes().into(), known);
    }
}

/// Bytes of an entry: the name, its place in the map, and some 32 bytes for the allocation.
fn cost_of(name: &str) -> usize {
    name.len().saturating_add(std::mem::size_of::<(Box<[u8]>, CacheEntry)>()).saturating_add(32)
}

impl DataTypeFunctions for DocumentCache {
    fn mark(&self, marker: &gc::Marker) {
        for known in self.0.borrow().known.values() {
            marker.mark(known.document);
        }
    }
}
