//! A call that the parent makes to itself. It is the same as a worker's but for the socket: the same frames, limits and
//! answers.

use std::sync::Arc;
use std::time::Duration;

use super::Server;
use super::call::Call;
use super::session::{is_answered_by_core, native_answer};
use crate::error::{Error, Phase, RemoteFailure, Result};
use crate::frame;
use crate::message::{Parsed, Request, Response, ResultText};
use crate::wait::NoHost;

/// A call of this process's own. Whoever began it runs the handler, and concludes it.
#[derive(Debug)]
pub struct LocalCall {
    begun: Begun,
    max_frame_size: usize,
}

#[derive(Debug)]
enum Begun {
    /// For a handler.
    Call(Arc<Call>),
    /// The core has answered it itself; a notification not at all.
    Answered { name: String, response: Option<Box<Response>> },
}

/// Ids tell the calls of one connection apart.
const ID: &str = "";

impl Server {
    /// Begins a call; a notification, if there is no `timeout`.
    ///
    /// `args` is the text of a JSON array, `kwargs` that of a JSON object. `max_frame_size` is that of the client which
    /// would send it from a worker.
    ///
    /// # Errors
    ///
    /// [`Error::FrameTooLarge`]; [`Error::Closed`] in a forked copy; [`Error::System`] if memory is short.
    pub fn call_locally(
        &self,
        name: String,
        args: &[u8],
        kwargs: &[u8],
        timeout: Option<Duration>,
        max_frame_size: usize,
    ) -> Result<LocalCall> {
        self.check_process()?;
        let id = timeout.map(|_| ID.to_owned());
        let limit = self.options.max_frame_size;
        let request = Request::local(id, name, timeout, args, kwargs, max_frame_size.min(limit))?;
        let begun = if !is_answered_by_core(&request.name) {
            Begun::Call(Arc::new(Call::local(request, limit)))
        } else if request.id.is_none() {
            Begun::Answered { name: request.name, response: None }
        } else {
            let body = frame::body(Vec::new(), &native_answer(&self.documents, ID, &request).parts(), limit)?;
            let response = match Response::parse(body)? {
                Parsed::Message(response) => Some(Box::new(response)),
                Parsed::Unusable { .. } | Parsed::Unrecognized => None,
            };
            Begun::Answered { name: request.name, response }
        };
        Ok(LocalCall { begun, max_frame_size })
    }
}

impl LocalCall {
    /// What a handler is to be given; nothing if the core has answered.
    pub fn call(&self) -> Option<&Arc<Call>> {
        match &self.begun {
            Begun::Call(call) => Some(call),
            Begun::Answered { .. } => None,
        }
    }

    /// The method.
    pub fn name(&self) -> &str {
        match &self.begun {
            Begun::Call(call) => call.name(),
            Begun::Answered { name, .. } => name,
        }
    }

    /// The handler has ended. Answers for it if it has not, with `failure` or else with `null`.
    ///
    /// # Errors
    ///
    /// [`Error::FrameTooLarge`] if no frame could carry even that; [`Error::System`] if memory is short.
    pub fn conclude(&self, failure: Option<&RemoteFailure>) -> Result<()> {
        self.call().map_or(Ok(()), |call| call.conclude(failure, &NoHost).map(drop))
    }

    /// The text of the result, once.
    ///
    /// # Errors
    ///
    /// As those of [`crate::Client::invoke`] that tell of the handler or of the answer.
    pub fn take_result(&mut self) -> Result<ResultText> {
        let response = match &mut self.begun {
            Begun::Call(call) => call.take_local_answer(),
            Begun::Answered { response, .. } => response.take().map(|response| *response),
        };
        // There is none where a worker's connection would have ended.
        let response = response.ok_or(Error::Disconnected { phase: Phase::Response })?;
        frame::header(response.length(), self.max_frame_size)?;
        response.into_result()
    }
}
