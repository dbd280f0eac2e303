//! Stand-in for `deadline` without a clock: less than a second has always passed, more never has.

use std::time::Duration;

use crate::error::{Error, Phase, Result};

#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    allowed: Duration,
}

impl Deadline {
    pub fn after(allowed: Duration) -> Self {
        Self { allowed }
    }

    pub fn never() -> Self {
        Self { allowed: Duration::MAX }
    }

    pub fn within(&self, allowed: Duration) -> Self {
        Self { allowed: self.allowed.min(allowed) }
    }

    pub fn remaining(&self) -> Duration {
        if self.has_passed() { Duration::ZERO } else { self.allowed }
    }

    pub fn has_passed(&self) -> bool {
        self.allowed < Duration::from_secs(1)
    }

    pub fn is_bounded(&self) -> bool {
        self.allowed < Duration::MAX
    }

    pub fn waited(&self) -> Duration {
        Duration::ZERO
    }

    pub fn timeout(&self, phase: Phase) -> Error {
        Error::Timeout { phase, waited: self.waited() }
    }

    pub fn check(&self, phase: Phase) -> Result<Duration> {
        if self.has_passed() { Err(self.timeout(phase)) } else { Ok(self.remaining()) }
    }
}
