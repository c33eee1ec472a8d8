//! Starts `log` and `env_logger` as configured: to standard error, the journal or a file.
//!
//! Costs next to nothing until something is logged: the file is opened by the first line.

mod file;
mod line;
mod scribe;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use env_logger::fmt::style::Style;
use env_logger::{Logger, Target};
use log::kv::Value;
use log::{Level, LevelFilter, Metadata, Record};

use super::{Error, Exit};
use crate::clock::{Clock, SystemClock};
use crate::config::{Log, LogFormat};
use crate::{daemon, http, wire};
use file::LogFile;
use scribe::Scribe;

/// What our own targets start with; other crates log under their own names.
const OURS: &str = "notifyctl";

/// The most that other crates may say unless one is named: what they say in detail is not ours to vouch for.
const OTHERS: LevelFilter = LevelFilter::Warn;

/// The variable that says what is logged.
const VARIABLE: &str = "NOTIFYCTL_LOG";

/// What logs: at the flag's level, else as `NOTIFYCTL_LOG` says, else at the configuration's level.
#[derive(Clone)]
pub struct Logging(Arc<Started>);

struct Started {
    /// What the flag says.
    level: Option<LevelFilter>,
    /// Who writes it, in a process that must not wait for that.
    scribe: OnceLock<Scribe>,
    logger: RwLock<Logger>,
}

impl Logging {
    /// Starts it.
    ///
    /// # Errors
    /// When `NOTIFYCTL_LOG` cannot be meant.
    pub fn start(log: &Log, level: Option<LevelFilter>) -> Result<Self, Error> {
        let logger = logger(log, level, None)?;
        let most = logger.filter();
        let started = Started { level, scribe: OnceLock::new(), logger: RwLock::new(logger) };
        let logging = Self(Arc::new(started));
        log::set_boxed_logger(Box::new(logging.clone()))
            .map_err(|error| Error::internal(error.to_string()))?;
        log::set_max_level(most);
        Ok(logging)
    }

    /// Has a thread of its own write what is logged from now on: nobody waits for long until somebody takes it. On a terminal
    /// everything stays as it is: whoever stops that wants to read.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn hand_over(&self, log: &Log) -> io::Result<()> {
        if log.file.is_none() && io::stderr().is_terminal() {
            return Ok(());
        }
        let place: Box<dyn Write + Send> = match &log.file {
            Some(path) => Box::new(LogFile::new(path)),
            None => Box::new(io::stderr()),
        };
        let form = Form::of(log);
        let scribe = Scribe::start(place, move |lost| form.lost(lost))?;
        let _ = self.0.scribe.set(scribe);
        self.change(log);
        Ok(())
    }

    /// Has the configuration say something else from now on. Where it goes and in which form stays as it is.
    pub fn change(&self, log: &Log) {
        // What it could not mean it could not have been started with.
        let Ok(logger) = logger(log, self.0.level, self.0.scribe.get()) else { return };
        log::set_max_level(logger.filter());
        *self.0.logger.write().unwrap_or_else(PoisonError::into_inner) = logger;
    }

    fn with<T>(&self, call: impl FnOnce(&Logger) -> T) -> T {
        call(&self.0.logger.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl log::Log for Logging {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.with(|logger| logger.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        self.with(|logger| logger.log(record));
    }

    fn flush(&self) {
        self.with(|logger| logger.flush());
        if let Some(scribe) = self.0.scribe.get() {
            scribe.end();
        }
    }
}

/// What a line looks like.
#[derive(Clone, Copy)]
struct Form {
    format: LogFormat,
    /// Whether it is for the journal, which knows the time.
    journal: bool,
}

impl Form {
    fn of(log: &Log) -> Self {
        Self { format: log.format, journal: log.file.is_none() && stderr_is_the_journal() }
    }

    fn write(self, out: &mut dyn Write, record: &Record<'_>, style: Style) -> io::Result<()> {
        let at = SystemClock.now();
        match self.format {
            LogFormat::Json => line::json(out, record, &wire::rfc3339(at), self.journal),
            LogFormat::Text if self.journal => line::journal(out, record),
            LogFormat::Text => line::text(out, record, &wire::rfc3339(at), style),
        }
    }

    /// The line that tells how many are missing.
    fn lost(self, lines: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let pairs = [("lines", Value::from(lines))];
        let record = Record::builder()
            .level(Level::Warn)
            .target(daemon::LOG_TARGET)
            .args(format_args!("lines of the log are lost: nobody took them, and there was no room for more"))
            .key_values(&pairs)
            .build();
        // To write to memory does not fail.
        let _ = self.write(&mut out, &record, Style::new());
        out
    }
}

/// What logs so; by the `scribe`, if there is one.
fn logger(log: &Log, level: Option<LevelFilter>, scribe: Option<&Scribe>) -> Result<Logger, Error> {
    let mut builder = env_logger::Builder::new();
    for (target, level) in filters(log, level)? {
        match target {
            Some(target) => builder.filter_module(&target, level),
            None => builder.filter_level(level.min(OTHERS)).filter_module(OURS, level),
        };
    }
    let form = Form::of(log);
    builder.format(move |out, record| {
        let style = out.default_level_style(record.level());
        form.write(out, record, style)
    });
    if let Some(scribe) = scribe {
        builder.target(Target::Pipe(Box::new(scribe.clone())));
    } else if let Some(path) = &log.file {
        builder.target(Target::Pipe(Box::new(LogFile::new(path))));
    }
    Ok(builder.build())
}

/// (target, level) pairs, the first one for everything.
fn filters(log: &Log, level: Option<LevelFilter>) -> Result<Vec<(Option<String>, LevelFilter)>, Error> {
    if let Some(level) = level {
        return Ok(vec![(None, level)]);
    }
    let said = match std::env::var(VARIABLE) {
        Ok(said) => said,
        Err(std::env::VarError::NotPresent) => String::new(),
        Err(std::env::VarError::NotUnicode(_)) => return Err(bad_filter("is not UTF-8")),
    };
    let mut filters = vec![(None, log.level)];
    for part in said.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (target, word) = match part.split_once('=') {
            Some((target, word)) => (Some(target.trim().to_owned()), word.trim()),
            None => (None, part),
        };
        let level = word.parse().map_err(|_| bad_filter(&format!("`{part}` says no level")))?;
        match target {
            None => filters[0] = (None, level),
            target => filters.push((target, level)),
        }
    }
    // However little else is on record: who steered what, and when a daemon began and ended, where, and why.
    for target in [http::AUDIT_TARGET, daemon::LOG_TARGET] {
        let named = filters.iter().any(|(named, _)| named.as_deref() == Some(target));
        if !named && (LevelFilter::Error..LevelFilter::Info).contains(&filters[0].1) {
            filters.push((Some(target.to_owned()), LevelFilter::Info));
        }
    }
    Ok(filters)
}

fn bad_filter(what: &str) -> Error {
    Error::new(Exit::Config, format!("${VARIABLE}: {what}")).hint(format!(
        "write a level (off, error, warn, info, debug, trace), and targets if you like: {VARIABLE}=warn,notifyctl::delivery=info"
    ))
}

/// Whether standard error leads to the journal (systemd.exec(5), `$JOURNAL_STREAM`).
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(about) = rustix::fs::fstat(io::stderr()) else { return false };
    stream == format!("{}:{}", about.st_dev, about.st_ino)
}
