//! A call over one connection: checkout, request, response, checkin.

use std::time::Duration;

use super::Client;
use super::connector;
use super::pool::{Checkout, Pool};
use crate::connection::{Connection, ReceiveDeadlines};
use crate::deadline::Deadline;
use crate::error::{Error, Phase, Result, excerpt};
use crate::protocol::message::{Parsed, RequestEnvelope, Response, ResultText};
use crate::sys::failpoint::failpoint;
use crate::sys::fork;
use crate::sys::sync::atomic::Ordering;
use crate::wait::HostLock;

impl Client {
    pub(super) fn call(
        &self,
        name: &str,
        args: &[u8],
        kwargs: &[u8],
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<ResultText> {
        let (checkout, idle) = self.checkout(&self.pool, deadline, host)?;
        let mut connection = self.connected(&checkout, idle, deadline, host)?;
        let response = self.call_over(&mut connection, name, args, kwargs, deadline, host);
        // A request that is too large was not sent at all. A response that is too large has been read in part.
        if matches!(response, Ok(_) | Err(Error::FrameTooLarge { .. })) && !connection.has_partial_frame() {
            checkout.checkin(connection);
        }
        response?.into_result()
    }

    pub(super) fn call_over(
        &self,
        connection: &mut Connection,
        name: &str,
        args: &[u8],
        kwargs: &[u8],
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<Response> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed).to_string();
        let envelope = RequestEnvelope::new(Some(&id), name, Some(deadline.check(Phase::Send)?));
        let parts: [&[u8]; 5] = [&envelope.head, args, b",", kwargs, &envelope.tail];
        connection
            .send(&parts, deadline, host)
            .and_then(|()| {
                failpoint("client call");
                self.receive(connection, &id, deadline, host)
            })
            .map_err(|error| self.closed_if_ours(error))
    }

    fn receive(
        &self,
        connection: &mut Connection,
        id: &str,
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<Response> {
        let by = ReceiveDeadlines { first_byte: *deadline, whole_frame: Duration::MAX };
        loop {
            match Response::parse(connection.receive(&by, Phase::Response, host)?)? {
                Parsed::Message(response) if response.id == id => return Ok(response),
                Parsed::Message(response) => {
                    let reason =
                        format!("the answer to call {id} came as the answer to call {:?}", excerpt(&response.id));
                    return Err(Error::protocol(reason));
                }
                Parsed::Unusable { .. } | Parsed::Unrecognized => self.counters.skipped_messages.add_one(),
            }
        }
    }

    /// Checks out a connection of `pool`: an idle one, or the right to make one.
    pub(super) fn checkout<'pool>(
        &self,
        pool: &'pool Pool,
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<(Checkout<'pool>, Option<Connection>)> {
        self.check_open()?;
        pool.checkout(deadline, host).map_err(|error| self.closed_if_ours(error))
    }

    /// The idle connection, or a new one.
    pub(super) fn connected(
        &self,
        checkout: &Checkout<'_>,
        idle: Option<Connection>,
        deadline: &Deadline,
        host: &impl HostLock,
    ) -> Result<Connection> {
        if let Some(connection) = idle {
            return Ok(connection);
        }
        // The client may have been closed during the wait.
        self.check_open()?;
        let retry = self.backoff.check()?;
        match connector::connect(self.address, &self.secret, &self.options, deadline, host) {
            Ok(socket) => {
                self.counters.connects.add_one();
                self.backoff.reset();
                checkout.attach(Connection::new(socket, self.options.max_frame_size)).ok_or_else(closed_error)
            }
            Err(error) => {
                self.check_open()?;
                self.record_connect_failure(&error, deadline, retry);
                Err(error)
            }
        }
    }

    fn check_open(&self) -> Result<()> {
        if !self.is_owner() {
            return Err(fork::wrong_process_error());
        }
        if self.closed.load(Ordering::Acquire) { Err(closed_error()) } else { Ok(()) }
    }

    /// Records a failed attempt for the backoff, unless the caller's own time was over, which says nothing about the
    /// parent.
    fn record_connect_failure(&self, error: &Error, deadline: &Deadline, retry: Deadline) {
        if matches!(error, Error::Interrupted) || deadline.has_passed() {
            return;
        }
        self.counters.failed_connects.add_one();
        self.backoff.record_failure(error, retry);
    }

    /// Turns a disconnect into [`Error::Closed`] if this process closed the client.
    pub(super) fn closed_if_ours(&self, error: Error) -> Error {
        match error {
            Error::Disconnected { .. } if self.closed.load(Ordering::Acquire) => closed_error(),
            error => error,
        }
    }

    pub(super) fn count<T>(&self, outcome: &Result<T>) {
        match outcome {
            Err(Error::Timeout { .. }) => self.counters.timeouts.add_one(),
            Err(Error::Disconnected { .. }) => self.counters.disconnects.add_one(),
            _ => {}
        }
    }
}

fn closed_error() -> Error {
    Error::Closed { reason: "this client was closed".to_owned() }
}
