//! TOML and environment in, the option structs of the modules below out, with the key path in every error.
//!
//! Runs nothing: no channel is built and no store is opened here.

mod backup;
mod build;
mod cache;
mod document;
mod effective;
mod keys;
mod of_kind;
mod raw;
mod retention;
mod role;
mod rows;
mod surroundings;
mod tables;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

pub use backup::Backup;
pub use document::Origin;
pub use effective::{Effective, Entry};
pub use retention::{Keep, LocalTime, Retention};
pub use role::Role;
pub use rows::{moment, unknown_user};

use crate::channel;
use crate::http;
use crate::model::{Limits, Policy, Rate};
use crate::store;
use document::Document;
use surroundings::Surroundings;
use tables::Tables;

/// The tables that there are.
const TABLES: [&str; 10] =
    ["store", "defaults", "limits", "log", "daemon", "http", "retention", "backup", "cache", "channels"];

/// The channel that is always there, and the default one unless said otherwise.
const OUTBOX: &str = "outbox";

/// The largest file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

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
    /// The long-running mode.
    pub daemon: Daemon,
    /// The HTTP side of the long-running mode.
    pub http: http::Options,
    /// How long what is settled is kept.
    pub retention: Retention,
    /// The copies that the daemon makes; `None` when it makes none.
    pub backup: Option<Backup>,
    /// Redis in front of reading; `None` without.
    pub cache: Option<crate::cache::Options>,
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

/// The long-running mode.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// What it does, each once, at least one.
    pub roles: Vec<Role>,
    /// How long what is under way is waited for at the end.
    pub drain: Duration,
}

impl Daemon {
    /// The roles for people: `http, sender, maintenance`.
    #[must_use]
    pub fn roles_text(&self) -> String {
        let words: Vec<_> = self.roles.iter().map(Role::to_string).collect();
        words.join(", ")
    }
}

/// Logging.
#[derive(Debug, Clone, PartialEq, Eq)]
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

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{text}` is not a form of a log line (one of text, json)")),
        }
    }
}

impl Config {
    /// Reads the configuration: `file`, or what `NOTIFYCTL_CONFIG` names, or the first of the usual places
    /// that exists, or the defaults; then what variables override.
    ///
    /// # Errors
    /// With file, line, key path and what would be right.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        Self::load_in(file, &Surroundings::of_this_process()?)
    }

    fn load_in(file: Option<&Path>, around: &Surroundings) -> Result<Self, Error> {
        let document = find(file, around)?;
        let mut tables = Tables::read(&document)?;
        build::build(&document, &mut tables, around)
    }
}

/// Where a configuration is to be written so that it is the one that is read: what `NOTIFYCTL_CONFIG` names,
/// else the system's place for root and the user's own for others.
///
/// # Errors
/// When the surroundings name no place.
pub fn usual_file() -> Result<PathBuf, Error> {
    let around = Surroundings::of_this_process()?;
    around
        .config
        .clone()
        .or_else(|| around.usual_file())
        .ok_or_else(|| Error("neither $HOME nor $XDG_CONFIG_HOME says where a configuration may be".into()))
}

/// Finds the file and reads it. One that is named must be there; one that is not named may be missing, but
/// when it is there it must be readable: passing it over would send by a way that nobody configured.
fn find(file: Option<&Path>, around: &Surroundings) -> Result<Document, Error> {
    let keys = around.keys()?;
    let error = |path: &Path, what: &dyn fmt::Display| Error(format!("read {}: {what}", path.display()));
    if let Some(path) = file {
        let text = read(path).map_err(|what| error(path, &what))?;
        return Ok(Document::new(Some(path), text, &keys));
    }
    if let Some(path) = &around.config {
        let text =
            read(path).map_err(|what| error(path, &format_args!("{what}; $NOTIFYCTL_CONFIG names it")))?;
        return Ok(Document::new(Some(path), text, &keys));
    }
    for path in around.usual_files() {
        match read(&path) {
            Ok(text) => return Ok(Document::new(Some(&path), text, &keys)),
            Err(Unreadable::Io(what))
                if matches!(
                    what.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) => {}
            Err(what) => return Err(error(&path, &what)),
        }
    }
    Ok(Document::new(None, String::new(), &keys))
}

fn read(path: &Path) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => Unreadable::Closed(error),
        _ => Unreadable::Io(error),
    })?;
    file.take(LIMIT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Unreadable::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        Unreadable::NotText(1 + error.as_bytes()[..valid].iter().filter(|&&byte| byte == b'\n').count())
    })
}

#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{0}; the user who runs notifyctl has to be able to read it: chgrp gives it to their group")]
    Closed(std::io::Error),
    #[error("is larger than {} KiB: that is no configuration", LIMIT / 1024)]
    TooLarge,
    #[error("line {0} is not UTF-8")]
    NotText(usize),
}

/// A configuration that cannot be used. Control characters of a value are shown, not obeyed.
#[derive(Debug, thiserror::Error)]
#[error("{}", shown(.0))]
pub struct Error(pub String);

fn shown(words: &str) -> String {
    let mut shown = String::with_capacity(words.len());
    for c in words.chars() {
        if c.is_control() { shown.extend(c.escape_debug()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests;
