//! The exec kind: a program on this host is handed the envelope on its standard input.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use super::{Attempt, BuildError, Channel, Envelope};

/// The options of a channel of kind `exec`.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program and its arguments; no shell reads them. A program without a `/` is looked up in `PATH`
    /// when the channel is built.
    pub command: Vec<String>,
    /// What its environment holds besides `PATH`, `LANG` and `NOTIFYCTL_…`.
    pub env: BTreeMap<String, SecretString>,
    /// The limit of time for one attempt; then the program and all it started are told to end (TERM).
    pub timeout: Duration,
    /// How long they have for that before they are killed (KILL).
    pub kill_after: Duration,
}

impl Options {
    /// What `timeout` is when nothing is said.
    pub const TIMEOUT: Duration = Duration::from_secs(60);
    /// What `kill_after` is when nothing is said.
    pub const KILL_AFTER: Duration = Duration::from_secs(5);

    /// This program with these arguments, with the default of everything else.
    #[must_use]
    pub fn new(command: Vec<String>) -> Self {
        Self { command, env: BTreeMap::new(), timeout: Self::TIMEOUT, kill_after: Self::KILL_AFTER }
    }

    /// The longest that one attempt may take, all its phases together.
    #[must_use]
    pub fn longest_attempt(&self) -> Duration {
        self.timeout + self.kill_after
    }
}

/// A channel of kind `exec`.
pub struct Exec;

impl Exec {
    /// Builds it; starts nothing.
    ///
    /// # Errors
    /// When an option cannot be used.
    pub fn new(_name: &str, _options: &Options) -> Result<Self, BuildError> {
        Ok(Self)
    }
}

impl Channel for Exec {
    fn attempt<'a>(&'a self, _envelope: &'a Envelope) -> Attempt<'a> {
        unimplemented!()
    }
}
