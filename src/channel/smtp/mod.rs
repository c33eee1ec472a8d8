//! The smtp kind.

use std::time::Duration;

use super::{Attempt, BuildError, Channel, Envelope};

/// The options of a channel of kind `smtp`.
#[derive(Debug, Clone)]
pub struct Options {
    /// The limit of time for one attempt.
    pub timeout: Duration,
}

impl Options {
    /// The longest that one attempt may take, all its phases together.
    #[must_use]
    pub fn longest_attempt(&self) -> Duration {
        self.timeout
    }
}

/// A channel of kind `smtp`.
pub struct Smtp;

impl Smtp {
    /// Builds it; opens no connection.
    ///
    /// # Errors
    /// When an option cannot be used.
    pub fn new(_name: &str, _options: &Options) -> Result<Self, BuildError> {
        Ok(Self)
    }
}

impl Channel for Smtp {
    fn attempt<'a>(&'a self, _envelope: &'a Envelope) -> Attempt<'a> {
        unimplemented!()
    }
}
