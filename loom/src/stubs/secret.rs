//! Who comes here has proved itself.

#[derive(Debug, Clone)]
pub struct Secret;
