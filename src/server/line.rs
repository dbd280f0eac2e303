//! What the answer to a call goes over: a connection, or nothing where the caller is this process itself.

use super::session::Session;
use crate::alloc;
use crate::error::{Error, RemoteFailure, Result};
use crate::message::{Response, ResultEnvelope, failure_response, fit_backtrace};
use crate::wait::HostLock;

/// The way back to a caller. Both kinds refuse the same.
#[derive(Debug)]
pub(super) enum Line {
    /// To a worker.
    Session(Box<Session>),
    /// To this process.
    Local(Local),
}

/// Keeps the answer that was sent over it.
#[derive(Debug)]
pub(super) struct Local {
    max_frame_size: usize,
    pub(super) response: Option<Response>,
}

impl Local {
    /// A line over which nothing was sent yet.
    pub(super) fn new(max_frame_size: usize) -> Self {
        Self { max_frame_size, response: None }
    }
}

impl Line {
    /// Sends the answer to a call: the text of its result.
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

    /// Sends the answer to a call: what its handler raised, with as much of the backtrace as a frame has room for.
    pub(super) fn send_failure(&mut self, id: &str, failure: &RemoteFailure, host: &impl HostLock) -> Result<()> {
        // It is copied, and written as JSON.
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
