//! Every failure as a message, a hint and an exit code: one table, after sysexits(3).

use std::fmt;
use std::io;
use std::process::ExitCode;

use super::output::say;
use crate::store::{self, ErrorKind};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// It ran, and what was asked for is not so: something died, a check found something. WARNING of `check`.
    Negative = 1,
    /// CRITICAL of `check`, which goes by the convention of monitoring plugins on purpose: its callers know no other.
    Critical = 2,
    /// UNKNOWN of `check`, whatever kept it from looking: a wrong option and a missing store too.
    Unknown = 3,
    /// The command line cannot be meant.
    Usage = 64,
    /// The input is wrong: an address, a batch line, a damaged store.
    DataErr = 65,
    /// The input, or the notification, does not exist.
    NoInput = 66,
    /// Something of ours is wrong.
    Software = 70,
    /// An output file cannot be made.
    CantCreate = 73,
    /// Reading or writing failed.
    IoErr = 74,
    /// Not now; try again later.
    TempFail = 75,
    /// We may not.
    NoPerm = 77,
    /// The configuration is wrong.
    Config = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A command that failed.
#[derive(Debug)]
pub struct Error {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Error {
    /// A failure: lower case, no full stop, saying where and what.
    #[must_use]
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// Something of ours is wrong.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Software, message)
            .hint("this is a defect of notifyctl; `notifyctl db check` says whether the store is sound")
    }

    /// The same failure with what to do next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Standard output cannot be written.
    #[must_use]
    pub fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Ok, "");
        }
        Self::new(Exit::IoErr, format!("write standard output: {error}"))
            .hint("what the command did stays done; only its output is missing")
    }

    /// Whether nobody reads our output any more: then we end quietly and well.
    #[must_use]
    pub fn reader_left(&self) -> bool {
        self.exit == Exit::Ok
    }

    /// How a command that fails so ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    pub(super) fn report(&self) -> ExitCode {
        if !self.reader_left() {
            say(&self.message);
            if let Some(hint) = &self.hint {
                say(format_args!("hint: {hint}"));
            }
        }
        self.exit.into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        let (exit, hint) = match error.kind {
            ErrorKind::Busy => (
                Exit::TempFail,
                "another process is writing for long; try again, or raise store.busy_timeout",
            ),
            ErrorKind::Full => (
                Exit::TempFail,
                "make room on that file system, some MiB are enough; `notifyctl purge --older-than 30d` makes room for more within the store, whose file stays as long as it is",
            ),
            ErrorKind::ReadOnly => {
                (Exit::CantCreate, "remount it for writing, or set store.url to another place")
            }
            ErrorKind::Missing => (
                Exit::NoInput,
                "`notifyctl enqueue` makes it; `notifyctl config show` says where it is looked for",
            ),
            ErrorKind::Moved => (
                Exit::TempFail,
                "started again, notifyctl takes the store that is there; stop it before you put another one in its place",
            ),
            ErrorKind::Permission => (
                Exit::NoPerm,
                "run notifyctl as the user who owns the store, give it to the one who shall (chown -R), or set store.url to a place of your own",
            ),
            ErrorKind::NotAStore => {
                (Exit::DataErr, "store.url names a file that is not notifyctl's; it was left untouched")
            }
            ErrorKind::Newer => {
                (Exit::Config, "install the newer notifyctl that wrote it; it was left untouched")
            }
            ErrorKind::Older => {
                (Exit::Config, "run `notifyctl db migrate`; it makes it newer, and keeps all of it")
            }
            ErrorKind::Corrupt => (
                Exit::DataErr,
                "keep a copy of the file and restore a backup; `notifyctl db check` says what is damaged, where it can be read at all",
            ),
            ErrorKind::Unfit => (Exit::Config, "put the store on a local file system: store.url"),
            ErrorKind::LogAlone => (
                Exit::CantCreate,
                "bring back the store whose log it is, or move the log away; it was left untouched",
            ),
            ErrorKind::Exists => (Exit::CantCreate, "name a file that does not exist yet"),
            ErrorKind::Io => (Exit::IoErr, "look at the disk (dmesg), then run `notifyctl db check`"),
            ErrorKind::Internal => (
                Exit::Software,
                "this is a defect of notifyctl; `notifyctl db check` says whether the store is sound",
            ),
        };
        Self::new(exit, error.to_string()).hint(hint)
    }
}

/// Prints what clap has to say, and ends as sysexits wants: help is 0, a wrong command line is 64.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    match (error.print(), error.use_stderr()) {
        (_, true) => Exit::Usage.into(),
        (Ok(()), false) => Exit::Ok.into(),
        (Err(failed), false) => Error::output(&failed).report(),
    }
}

impl From<crate::config::Error> for Error {
    fn from(error: crate::config::Error) -> Self {
        Self::new(Exit::Config, error.to_string()).hint(
            "notifyctl.toml(5) explains every key; `notifyctl config check` tries a change without sending",
        )
    }
}
