//! `Aikido::Zen::IPC::Secret`: a secret that can be passed on and compared, and is never shown.

use magnus::{Error, Module, RModule, RString, Ruby, TryConvert, Value, method, prelude::*};
use zen_ipc::Secret as CoreSecret;
use zen_ipc::shared_memory::generations::SharedGenerations;
use zeroize::Zeroizing;

use crate::error::to_ruby;
use crate::gvl::rescue_panic;
use crate::ruby_ffi::append_bytes;

/// A secret, and the port of its server, which is in this process or an ancestor.
#[magnus::wrap(class = "Aikido::Zen::IPC::Secret", free_immediately, size)]
pub(crate) struct Secret {
    secret: CoreSecret,
    port: u16,
}

/// Defines the class.
pub(crate) fn define(ruby: &Ruby, ipc: RModule) -> Result<(), Error> {
    let class = ipc.define_class("Secret", ruby.class_object())?;
    class.undef_default_alloc_func();
    class.define_method("==", method!(Secret::is_same, 1))
}

impl Secret {
    /// The secret of the server that listens on `port`.
    pub(crate) fn of_server(secret: CoreSecret, port: u16) -> Self {
        Self { secret, port }
    }

    /// The secret given by an option: a `Secret`, a String, or a generated one for nil.
    ///
    /// # Errors
    ///
    /// `ArgumentError` for a String of another length than is allowed, and for other values.
    pub(crate) fn from_option(ruby: &Ruby, value: Value) -> Result<CoreSecret, Error> {
        if let Ok(secret) = <&Self>::try_convert(value) {
            return Ok(secret.secret.clone());
        }
        if value.is_nil() {
            return CoreSecret::generate().map_err(|error| to_ruby(ruby, error));
        }
        let Some(text) = RString::from_value(value) else {
            // Do not show the value: it was meant to be a secret.
            return Err(Error::new(ruby.exception_arg_error(), "secret must be a String or a Secret"));
        };
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
        append_bytes(text, &mut bytes, |bytes, copy| copy.extend_from_slice(bytes));
        CoreSecret::from_bytes(&bytes).map_err(|error| to_ruby(ruby, error))
    }

    /// The counters of the server at `port`, if this process shares its page.
    pub(crate) fn page_for(value: Value, port: u16) -> Option<SharedGenerations> {
        let secret = <&Self>::try_convert(value).ok()?;
        if secret.port == port { SharedGenerations::for_port(port) } else { None }
    }

    fn is_same(ruby: &Ruby, this: &Self, other: Value) -> Result<bool, Error> {
        rescue_panic(ruby, || Ok(<&Self>::try_convert(other).is_ok_and(|other| this.secret.matches(&other.secret))))
    }
}
