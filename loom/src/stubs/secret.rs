//! Stand-in for `secret`, which no model reads.

#[derive(Debug, Clone)]
pub struct Secret;
