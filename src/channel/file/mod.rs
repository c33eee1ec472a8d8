//! The file kind: a Maildir that any mail reader opens, or a file of JSON lines that programs follow.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use lettre::message::Mailbox;

use super::{Attempt, BuildError, Channel, Envelope};

/// The options of a channel of kind `file`.
#[derive(Debug, Clone)]
pub struct Options {
    /// The Maildir's folder, or the file of JSON lines. Made when missing; the folder that holds it is not.
    pub path: PathBuf,
    /// What is written there.
    pub format: Format,
    /// The sender of mails in a Maildir; `None` for `notifyctl@` and the store's message domain.
    pub from: Option<Mailbox>,
    /// The limit of time for one attempt, syncing included.
    pub timeout: Duration,
}

/// What a channel of kind `file` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// One mail a file, in a Maildir.
    #[default]
    Maildir,
    /// One JSON object a line, appended to one file.
    Jsonl,
}

impl Options {
    /// What `timeout` is when nothing is said.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// A Maildir at `path`, with the default of everything else.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), format: Format::default(), from: None, timeout: Self::TIMEOUT }
    }
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Maildir, Self::Jsonl];

    /// The word used in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maildir => "maildir",
            Self::Jsonl => "jsonl",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a format (one of maildir, jsonl)"))
    }
}

/// A channel of kind `file`.
pub struct File;

impl File {
    /// Builds it; opens no file.
    ///
    /// # Errors
    /// When an option cannot be used.
    pub fn new(_name: &str, _options: &Options) -> Result<Self, BuildError> {
        Ok(Self)
    }
}

impl Channel for File {
    fn attempt<'a>(&'a self, _envelope: &'a Envelope) -> Attempt<'a> {
        unimplemented!()
    }
}
