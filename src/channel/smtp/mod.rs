//! The smtp kind.

mod options;

pub use options::{Mechanism, Options, Timeouts, Tls};

use super::{Attempt, BuildError, Channel, Envelope};

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
