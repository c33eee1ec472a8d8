//! Words that other modules have no `FromStr` and `Display` for.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use lettre::message::Mailbox;
use log::LevelFilter;

/// A path from the root: cron, a shell and a daemon each have another working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbsolutePath(pub PathBuf);

impl FromStr for AbsolutePath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = PathBuf::from(text);
        match path.is_absolute() && !text.contains('\0') {
            true => Ok(Self(path)),
            false => Err(format!("`{}` is not an absolute path: begin it with `/`", text.escape_debug())),
        }
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// A mail address with or without a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(pub Mailbox);

impl FromStr for Sender {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // lettre takes a line break in a name, and panics when it writes that name.
        if text.contains(char::is_control) {
            return Err("holds a control character (a line break, a tab or NUL); remove it".into());
        }
        text.parse().map(Self).map_err(|error| {
            format!("is not a sender like `ops@example.org` or `Backups <ops@example.org>`: {error}")
        })
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is logged at least, in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(pub LevelFilter);

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("`{text}` is not a level (one of off, error, warn, info, debug, trace)"))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.as_str().to_ascii_lowercase())
    }
}
