//! The methods that the core answers itself: `ping`, `rpc.document`, and an error for every other reserved name.

use crate::documents::{Document, DocumentStore};
use crate::error::{FailureCode, RemoteFailure};
use crate::protocol::message::{PING, READ_DOCUMENT, RESERVED_PREFIX, Request, ResultEnvelope, failure_response};

/// The failure that a caller gets when no handler thread is left.
pub(super) fn unavailable_failure() -> RemoteFailure {
    let message = "no thread of the parent is left to serve this call: something has killed them, and the next use of its \
                   server there starts them again";
    RemoteFailure::without_handler(FailureCode::Unavailable, message)
}

/// True for a method that the core answers itself.
pub(super) fn is_builtin(name: &str) -> bool {
    name == PING || name.starts_with(RESERVED_PREFIX)
}

/// The response to a call of a built-in method.
pub(super) fn builtin_response(documents: &DocumentStore, id: &str, request: &Request) -> BuiltinResponse {
    match request.name.as_str() {
        PING => BuiltinResponse::Text(ResultEnvelope::new(id), "\"pong\""),
        READ_DOCUMENT => match request.document_params() {
            Some((key, known)) => match documents.read(&key, known) {
                Some(document) => BuiltinResponse::document(id, document),
                None => BuiltinResponse::Text(ResultEnvelope::new(id), "null"),
            },
            None => BuiltinResponse::invalid_params(id, "rpc.document takes [key, known_generation]"),
        },
        name => BuiltinResponse::failure(id, &RemoteFailure::no_handler(name)),
    }
}

/// A response that the core makes itself.
#[derive(Debug)]
pub(super) enum BuiltinResponse {
    Text(ResultEnvelope, &'static str),
    /// The document's text is sent from where it is stored, without a copy.
    Document {
        head: Vec<u8>,
        document: Document,
    },
    Failure(Vec<u8>),
}

impl BuiltinResponse {
    fn document(id: &str, document: Document) -> Self {
        let mut head = ResultEnvelope::new(id).head;
        head.extend(format!("[{},", document.generation).bytes());
        Self::Document { head, document }
    }

    pub(super) fn failure(id: &str, failure: &RemoteFailure) -> Self {
        Self::Failure(failure_response(id, failure))
    }

    pub(super) fn invalid_params(id: &str, reason: impl Into<String>) -> Self {
        Self::failure(id, &RemoteFailure::without_handler(FailureCode::InvalidParams, reason))
    }

    /// The parts of the frame's body.
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        match self {
            Self::Text(envelope, text) => vec![&envelope.head, text.as_bytes(), envelope.tail],
            Self::Document { head, document } => vec![head, document.json.as_slice(), b"],null]"],
            Self::Failure(body) => vec![body],
        }
    }
}
