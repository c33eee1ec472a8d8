//! Starts `log` and `env_logger` as configured: to standard error, the journal or a file.
//!
//! Costs next to nothing until something is logged: the file is opened by the first line.

mod file;
mod line;

use std::sync::{Arc, PoisonError, RwLock};

use env_logger::{Logger, Target};
use log::{LevelFilter, Metadata, Record};

use super::{Error, Exit};
use crate::clock::{Clock, SystemClock};
use crate::config::{Log, LogFormat};
use crate::{daemon, http, wire};
use file::LogFile;

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
    logger: RwLock<Logger>,
}

impl Logging {
    /// Starts it.
    ///
    /// # Errors
    /// When `NOTIFYCTL_LOG` cannot be meant.
    pub fn start(log: &Log, level: Option<LevelFilter>) -> Result<Self, Error> {
        let logger = logger(log, level)?;
        let most = logger.filter();
        let logging = Self(Arc::new(Started { level, logger: RwLock::new(logger) }));
        log::set_boxed_logger(Box::new(logging.clone()))
            .map_err(|error| Error::internal(error.to_string()))?;
        log::set_max_level(most);
        Ok(logging)
    }

    /// Has the configuration say something else from now on.
    pub fn change(&self, log: &Log) {
        // What it could not mean it could not have been started with.
        let Ok(logger) = logger(log, self.0.level) else { return };
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
    }
}

/// What logs so.
fn logger(log: &Log, level: Option<LevelFilter>) -> Result<Logger, Error> {
    let mut builder = env_logger::Builder::new();
    for (target, level) in filters(log, level)? {
        match target {
            Some(target) => builder.filter_module(&target, level),
            None => builder.filter_level(level.min(OTHERS)).filter_module(OURS, level),
        };
    }
    let journal = log.file.is_none() && stderr_is_the_journal();
    let format = log.format;
    builder.format(move |out, record| {
        let at = SystemClock.now();
        let style = out.default_level_style(record.level());
        match format {
            LogFormat::Json => line::json(out, record, &wire::rfc3339(at), journal),
            LogFormat::Text if journal => line::journal(out, record),
            LogFormat::Text => line::text(out, record, &wire::rfc3339(at), style),
        }
    });
    if let Some(path) = &log.file {
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
    let Ok(about) = rustix::fs::fstat(std::io::stderr()) else { return false };
    stream == format!("{}:{}", about.st_dev, about.st_ino)
}
