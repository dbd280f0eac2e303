//! The way back to a caller: a worker's connection, or memory where the caller is this process itself.

use super::session::Session;
use crate::error::{Error, RemoteFailure, Result};
use crate::protocol::message::{Response, ResultEnvelope, failure_response, fit_backtrace};
use crate::sys::alloc;
use crate::wait::HostLock;

/// Sends the response of a call. Both kinds refuse the same responses.
#[derive(Debug)]
pub(super) enum ReplyChannel {
    /// To a worker.
    Session(Box<Session>),
    /// To this process.
    Local(LocalReply),
}

/// Keeps the response until the caller takes it.
#[derive(Debug)]
pub(super) struct LocalReply {
    max_frame_size: usize,
    pub(super) response: Option<Response>,
}

impl LocalReply {
    /// A reply without a response yet.
    pub(super) fn new(max_frame_size: usize) -> Self {
        Self { max_frame_size, response: None }
    }
}

impl ReplyChannel {
    /// Sends the text of a result.
    pub(super) fn send_result(&mut self, id: &str, result: &[u8], host: &impl HostLock) -> Result<()> {
        match self {
            Self::Session(session) => {
                let envelope = ResultEnvelope::new(id);
                session.send(&[&envelope.head, result, envelope.tail], host)
            }
            Self::Local(local) => {
                local.response = Some(Response::local_result(id, result, local.max_frame_size)?);
                Ok(())
            }
        }
    }

    /// Sends a failure, with as much of the backtrace as fits into a frame.
    pub(super) fn send_failure(&mut self, id: &str, failure: &RemoteFailure, host: &impl HostLock) -> Result<()> {
        // The message is copied and escaped as JSON.
        alloc::probe(failure.message.len().saturating_mul(3))?;
        match self {
            Self::Session(session) => match session.send(&[&failure_response(id, failure)], host) {
                Err(Error::FrameTooLarge { limit, .. }) => {
                    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
                    session.send(&[&failure_response(id, &fit_backtrace(id, failure, limit))], host)
                }
                sent => sent,
            },
            Self::Local(local) => {
                local.response = Some(Response::local_failure(id, failure, local.max_frame_size)?);
                Ok(())
            }
        }
    }
}
