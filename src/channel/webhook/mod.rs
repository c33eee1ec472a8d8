//! The webhook kind: one HTTP request to an endpoint of the operator's choice.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::{Attempt, BuildError, Channel, Envelope};
use crate::secret::Source;

/// The options of a channel of kind `webhook`.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to, `http` or `https`. A secret: for many chat services whoever knows it may post.
    /// Read when the channel is built.
    pub url: Source,
    /// The method: `POST` unless said otherwise.
    pub method: String,
    /// Further headers, as (name, value); they win over notifyctl's own. The values may be secrets.
    pub headers: Vec<(String, SecretString)>,
    /// A template (minijinja) for the body; `None` for the envelope as JSON.
    pub body: Option<Body>,
    /// A file of secrets, one a line (`whsec_` and base64), with each of which the request is signed as
    /// Standard Webhooks says; several while they are being rotated. `None` for no signature.
    pub secrets_file: Option<PathBuf>,
    /// The limit of time for one attempt, from looking up the name to the end of the reply.
    pub timeout: Duration,
}

/// Where a body template stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// In the configuration itself.
    Inline(String),
    /// In this file, read when the channel is built.
    File(PathBuf),
}

impl Options {
    /// What `method` is when nothing is said.
    pub const METHOD: &'static str = "POST";
    /// What `timeout` is when nothing is said.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// A POST of the JSON envelope to `url`, unsigned, with the default of everything else.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self {
            url: Source::Inline(url),
            method: Self::METHOD.to_owned(),
            headers: Vec::new(),
            body: None,
            secrets_file: None,
            timeout: Self::TIMEOUT,
        }
    }
}

/// A channel of kind `webhook`.
pub struct Webhook;

impl Webhook {
    /// Builds it; opens no connection.
    ///
    /// # Errors
    /// When an option cannot be used.
    pub fn new(_name: &str, _options: &Options) -> Result<Self, BuildError> {
        Ok(Self)
    }
}

impl Channel for Webhook {
    fn attempt<'a>(&'a self, _envelope: &'a Envelope) -> Attempt<'a> {
        unimplemented!()
    }
}
