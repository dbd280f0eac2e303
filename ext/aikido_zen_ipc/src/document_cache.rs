//! `IPC::DocumentCache`: the documents that this process knows, and whether they are still the newest. How a document
//! that is not is fetched, and what happens if it cannot be, is in `lib/`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use magnus::typed_data::Obj;
use magnus::value::Opaque;
use magnus::{DataTypeFunctions, Error, Module, RModule, RString, Ruby, Symbol, Value, gc, method, prelude::*};
use zen_ipc::generation_page::{GenerationPage, Watch};

use crate::gvl::contain;
use crate::ruby_bytes::{find_by_bytes, symbol_name};
use crate::secret::Secret;

/// A cache, which knows nothing yet.
///
/// What it holds is touched with the GVL only, and nothing of Ruby's runs while it is changed.
#[derive(Default, magnus::TypedData)]
#[magnus(class = "Aikido::Zen::IPC::DocumentCache", free_immediately, size, mark)]
pub(crate) struct DocumentCache(RefCell<State>);

#[derive(Default)]
struct State {
    /// `None` where the parent's page is not shared: nothing is current there.
    page: Option<GenerationPage>,
    known: BTreeMap<Box<[u8]>, Known>,
    /// Bytes that the entries without a document take, as [`cost_of`] counts them.
    absent_bytes: usize,
}

/// The last version of a document, or nil if there was none.
struct Known {
    document: Opaque<Value>,
    /// `None` if it was not fetched at a reading of the page.
    watch: Option<Watch>,
    /// The parent could not be asked; it is asked again from this time on, in seconds of the monotonic clock.
    retry_at: Option<f64>,
}

/// Bytes that entries without a document may take. Their names are whatever callers make up, and there may be millions.
/// 256 KiB: some two thousand names; of more than these, each is asked for again now and then.
const MAX_ABSENT_BYTES: usize = 256 << 10;

/// Defines the class.
pub(crate) fn define(ruby: &Ruby, ipc: RModule) -> Result<(), Error> {
    let class = ipc.define_class("DocumentCache", ruby.class_object())?;
    class.define_alloc_func::<DocumentCache>();
    class.define_method("read", method!(DocumentCache::read, 1))?;
    class.define_private_method("watch", method!(DocumentCache::watch, 2))?;
    class.define_private_method("shared_generation", method!(DocumentCache::reading, 1))?;
    class.define_private_method("store", method!(DocumentCache::keep, 3))?;
    class.define_private_method("put_off", method!(DocumentCache::put_off, 2))?;
    class.define_private_method("retry_at", method!(DocumentCache::retry_at, 1))?;
    class.define_private_method("last", method!(DocumentCache::known, 1))?;
    class.define_private_method("current?", method!(DocumentCache::is_current, 1))
}

impl DocumentCache {
    /// The newest version of a document, or nil. One atomic load while it has not changed; otherwise `refresh` is asked.
    fn read(ruby: &Ruby, this: Obj<Self>, key: Value) -> Result<Value, Error> {
        contain(ruby, || match this.current(key) {
            Some(document) => Ok(document),
            None => this.funcall("refresh", (key,)),
        })
    }

    /// Reads the page of the server at `port` from now on, by which nothing is current yet, if `secret` is one that this process shares with it.
    fn watch(ruby: &Ruby, this: &Self, secret: Value, port: u16) -> Result<(), Error> {
        contain(ruby, || {
            // Before anything is borrowed: it may allocate, and the garbage collector then looks at what is known.
            let page = Secret::page_for(secret, port);
            let mut state = this.0.borrow_mut();
            state.page = page;
            state.known.values_mut().for_each(|known| known.watch = None);
            Ok(())
        })
    }

    /// To be given to `keep`, and read before the document is fetched: a change in between is then seen the next time.
    fn reading(ruby: &Ruby, this: &Self, key: String) -> Result<Option<u64>, Error> {
        contain(ruby, || Ok(this.0.borrow().page.map(|page| page.reading(&key))))
    }

    /// Keeps what is known of a document. Without a reading it is never current. What was read earlier than what is kept
    /// changes nothing: in a `trap` a document may be fetched in the middle of another fetch.
    fn keep(ruby: &Ruby, this: &Self, name: String, document: Value, reading: Option<u64>) -> Result<(), Error> {
        contain(ruby, || {
            let mut state = this.0.borrow_mut();
            let watch = state.page.zip(reading).and_then(|(page, seen)| page.watch(&name, seen));
            let kept = state.known.get(name.as_bytes()).and_then(|known| known.watch);
            if !kept.zip(watch).is_some_and(|(kept, watch)| watch.is_before(&kept)) {
                state.insert(ruby, name, Known { document: document.into(), watch, retry_at: None });
            }
            Ok(())
        })
    }

    /// Goes on with what is known of a document, and remembers from when on the parent is to be asked again.
    fn put_off(ruby: &Ruby, this: &Self, name: String, retry_at: f64) -> Result<(), Error> {
        contain(ruby, || {
            let mut state = this.0.borrow_mut();
            let document =
                state.known.get(name.as_bytes()).map_or_else(|| ruby.qnil().as_value().into(), |known| known.document);
            state.insert(ruby, name, Known { document, watch: None, retry_at: Some(retry_at) });
            Ok(())
        })
    }

    /// What `put_off` was given, unless the parent was asked since.
    fn retry_at(ruby: &Ruby, this: &Self, key: RString) -> Result<Option<f64>, Error> {
        contain(ruby, || Ok(find_by_bytes(&this.0.borrow().known, key).and_then(|known| known.retry_at)))
    }

    /// The last version that is known, current or not; nil if there is none.
    fn known(ruby: &Ruby, this: &Self, key: RString) -> Result<Value, Error> {
        contain(ruby, || {
            let state = this.0.borrow();
            let known = find_by_bytes(&state.known, key).map(|known| ruby.get_inner(known.document));
            Ok(known.unwrap_or_else(|| ruby.qnil().as_value()))
        })
    }

    fn is_current(ruby: &Ruby, this: &Self, key: RString) -> Result<bool, Error> {
        contain(ruby, || Ok(this.current(key.as_value()).is_some()))
    }

    /// What is known of a document if it cannot have changed since.
    fn current(&self, key: Value) -> Option<Value> {
        let name = RString::from_value(key).or_else(|| Symbol::from_value(key).map(symbol_name))?;
        let state = self.0.borrow();
        let known = find_by_bytes(&state.known, name)?;
        known.watch?.is_unchanged().then(|| Ruby::get_with(key).get_inner(known.document))
    }
}

impl State {
    fn insert(&mut self, ruby: &Ruby, name: String, known: Known) {
        let cost = cost_of(&name);
        let is_absent = |known: &Known| ruby.get_inner(known.document).is_nil();
        if self.known.remove(name.as_bytes()).is_some_and(|before| is_absent(&before)) {
            self.absent_bytes = self.absent_bytes.saturating_sub(cost);
        }
        if is_absent(&known) {
            if cost > MAX_ABSENT_BYTES {
                return;
            }
            if self.absent_bytes.saturating_add(cost) > MAX_ABSENT_BYTES {
                // All at once: an order of use would have to be kept up by every read.
                self.known.retain(|_, known| !is_absent(known));
                self.absent_bytes = 0;
            }
            self.absent_bytes = self.absent_bytes.saturating_add(cost);
        }
        self.known.insert(name.into_bytes().into(), known);
    }
}

/// Bytes of an entry: the name, and the place in the map with what an allocation costs.
fn cost_of(name: &str) -> usize {
    name.len().saturating_add(std::mem::size_of::<(Box<[u8]>, Known)>()).saturating_add(32)
}

impl DataTypeFunctions for DocumentCache {
    fn mark(&self, marker: &gc::Marker) {
        for known in self.0.borrow().known.values() {
            marker.mark(known.document);
        }
    }
}
