//! Stand-in for `fork`: no process forks here. Specs cover forks.

use std::os::fd::AsRawFd;

use crate::error::{Error, Result};

pub fn generation() -> u32 {
    0
}

pub fn wrong_process_error() -> Error {
    Error::Closed { reason: String::new() }
}

#[derive(Debug)]
pub struct ProcessLocal<T: AsRawFd> {
    resource: T,
}

impl<T: AsRawFd> ProcessLocal<T> {
    pub(crate) fn new(resource: T) -> Self {
        Self { resource }
    }

    pub(crate) fn resource(&self) -> &T {
        &self.resource
    }

    pub fn open(open: impl FnOnce() -> rustix::io::Result<T>) -> rustix::io::Result<Self> {
        open().map(Self::new)
    }

    pub fn get(&self) -> Result<&T> {
        Ok(&self.resource)
    }

    pub(crate) fn verified(&self) -> Result<&T> {
        self.get()
    }

    pub fn get_mut(&mut self) -> Result<&mut T> {
        Ok(&mut self.resource)
    }
}
