//! A call that the parent makes to itself: the frames, limits and responses of a worker's call, without a socket.

use std::sync::Arc;
use std::time::Duration;

use super::Server;
use super::builtin::{builtin_response, is_builtin};
use super::call::Call;
use crate::error::{Error, Phase, RemoteFailure, Result};
use crate::protocol::frame;
use crate::protocol::message::{Parsed, Request, Response, ResultText};
use crate::wait::NoHost;

/// A call of this process to itself. The thread that made it runs the handler and finishes it.
#[derive(Debug)]
pub struct LocalCall {
    route: Route,
    max_frame_size: usize,
}

#[derive(Debug)]
enum Route {
    /// For a handler.
    Handler(Arc<Call>),
    /// Answered by the core itself; a notification has no response.
    Builtin { name: String, response: Option<Box<Response>> },
}

/// The id of every local call. Ids only tell the calls of one connection apart.
const ID: &str = "";

impl Server {
    /// Begins a call, or a notification if there is no `timeout`.
    ///
    /// `args` is the text of a JSON array, `kwargs` that of a JSON object. `max_frame_size` is the limit of the client
    /// that would send it from a worker.
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
        let route = if !is_builtin(&request.name) {
            Route::Handler(Arc::new(Call::local(request, limit)))
        } else if request.id.is_none() {
            Route::Builtin { name: request.name, response: None }
        } else {
            let body = frame::body(Vec::new(), &builtin_response(&self.documents, ID, &request).parts(), limit)?;
            let response = match Response::parse(body)? {
                Parsed::Message(response) => Some(Box::new(response)),
                Parsed::Unusable { .. } | Parsed::Unrecognized => None,
            };
            Route::Builtin { name: request.name, response }
        };
        Ok(LocalCall { route, max_frame_size })
    }
}

impl LocalCall {
    /// The call to pass to a handler; `None` if the core has answered it.
    pub fn call(&self) -> Option<&Arc<Call>> {
        match &self.route {
            Route::Handler(call) => Some(call),
            Route::Builtin { .. } => None,
        }
    }

    /// The method's name.
    pub fn name(&self) -> &str {
        match &self.route {
            Route::Handler(call) => call.name(),
            Route::Builtin { name, .. } => name,
        }
    }

    /// Ends the call after its handler: unless it was answered, answers with `failure` or else with `null`.
    ///
    /// # Errors
    ///
    /// [`Error::FrameTooLarge`] if no frame could carry even that; [`Error::System`] if memory is short.
    pub fn finish(&self, failure: Option<&RemoteFailure>) -> Result<()> {
        self.call().map_or(Ok(()), |call| call.finish(failure, &NoHost).map(drop))
    }

    /// The text of the result, once.
    ///
    /// # Errors
    ///
    /// The errors of [`crate::Client::invoke`] that concern the handler or its response.
    pub fn take_result(&mut self) -> Result<ResultText> {
        let response = match &mut self.route {
            Route::Handler(call) => call.take_local_response(),
            Route::Builtin { response, .. } => response.take().map(|response| *response),
        };
        // Without a response a worker's connection would have ended.
        let response = response.ok_or(Error::Disconnected { phase: Phase::Response })?;
        frame::header(response.length(), self.max_frame_size)?;
        response.into_result()
    }
}
