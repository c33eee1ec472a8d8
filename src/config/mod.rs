//! TOML and environment in, the option structs of the modules below out, with the key path in every error.
//!
//! Runs nothing: no channel is built and no store is opened here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::channel;
use crate::model::{Limits, Policy, Rate};
use crate::store;

/// Everything that is configured, checked, with every default filled in.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from; `None` when there is none and the defaults hold.
    pub file: Option<PathBuf>,
    /// The store.
    pub store: store::Options,
    /// What holds for a notification that says nothing else.
    pub defaults: Defaults,
    /// How large the parts of a notification may be.
    pub limits: Limits,
    /// Logging.
    pub log: Log,
    /// Every channel, by its name. Always holds at least `outbox`.
    pub channels: BTreeMap<String, ChannelConfig>,
}

/// What holds for a notification that says nothing else.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The channel.
    pub channel: String,
    /// How long a key is remembered.
    pub key_window: Duration,
    /// The time to live; `None` for ever.
    pub ttl: Option<Duration>,
}

/// One configured channel.
#[derive(Debug, Clone)]
pub struct ChannelConfig {
    /// The options of its kind.
    pub options: channel::Options,
    /// Recipients when a notification names none.
    pub to: Vec<String>,
    /// Its limits.
    pub rates: Vec<Rate>,
    /// How many attempts at once in one process.
    pub max_in_flight: usize,
    /// How it treats what could not be sent.
    pub policy: Policy,
}

/// Logging.
#[derive(Debug, Clone)]
pub struct Log {
    /// What is logged at least.
    pub level: log::LevelFilter,
    /// In which form.
    pub format: LogFormat,
    /// Where to, beside stderr's place; `None` for stderr.
    pub file: Option<PathBuf>,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people: `key=value` pairs.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Config {
    /// Reads the configuration: `file`, or the first of the usual places that exists, or the defaults.
    ///
    /// # Errors
    /// With file, line, key path and what would be right.
    pub fn load(_file: Option<&std::path::Path>) -> Result<Self, Error> {
        unimplemented!()
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(pub String);
