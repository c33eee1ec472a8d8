//! The options of every kind side by side, and the way from options to a channel that can be used.

use std::sync::Arc;
use std::time::Duration;

use super::{Channel, Kind, exec, file, smtp, webhook};

/// The options of one configured channel, by its kind.
#[derive(Debug, Clone)]
pub enum Options {
    /// A mail relay.
    Smtp(smtp::Options),
    /// An HTTP endpoint.
    Webhook(webhook::Options),
    /// A program on this host.
    Exec(exec::Options),
    /// A Maildir, or a file of JSON lines.
    File(file::Options),
}

impl Options {
    /// Which kind these are of.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Smtp(_) => Kind::Smtp,
            Self::Webhook(_) => Kind::Webhook,
            Self::Exec(_) => Kind::Exec,
            Self::File(_) => Kind::File,
        }
    }

    /// Builds the channel. Reads secrets, opens no connection.
    ///
    /// # Errors
    /// When a secret cannot be read, or a template or URL is not one.
    pub fn build(&self, name: &str) -> Result<Arc<dyn Channel>, BuildError> {
        Ok(match self {
            Self::Smtp(options) => Arc::new(smtp::Smtp::new(name, options)?),
            Self::Webhook(options) => Arc::new(webhook::Webhook::new(name, options)?),
            Self::Exec(options) => Arc::new(exec::Exec::new(name, options)?),
            Self::File(options) => Arc::new(file::File::new(name, options)?),
        })
    }

    /// The longest that one attempt may take, all its phases together.
    #[must_use]
    pub fn longest_attempt(&self) -> Duration {
        match self {
            Self::Smtp(options) => options.longest_attempt(),
            Self::Webhook(options) => options.timeout,
            Self::Exec(options) => options.longest_attempt(),
            Self::File(options) => options.timeout,
        }
    }
}

/// A channel that cannot be built from its options.
#[derive(Debug, thiserror::Error)]
#[error("channels.{channel}.{key}: {what}")]
pub struct BuildError {
    /// The channel's name.
    pub channel: String,
    /// The key at fault.
    pub key: &'static str,
    /// What is wrong, and what would be right; never a secret.
    pub what: String,
}
