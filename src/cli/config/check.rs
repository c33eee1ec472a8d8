//! `notifyctl config check`: whether everything that is configured can be used.

use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use log::LevelFilter;
use rustix::fs::{Access, OFlags, access};

use crate::cli::interrupt::Interrupt;
use crate::cli::logging::Logging;
use crate::cli::output::say;
use crate::cli::{Context, Error, Exit};
use crate::config::{Config, Effective, Entry, Log, LogFormat, Origin};
use crate::daemon::lanes;

pub(super) fn run(context: &mut Context) -> Result<Exit, Error> {
    let file = context.global.config.clone();
    let config = Config::load(file.as_deref())?;
    // Warnings are what this command is for: to where it was started, whatever is configured.
    let talk = Log { level: LevelFilter::Warn, format: LogFormat::Text, file: None };
    Logging::start(&talk, context.global.log_level)?;
    let mut wrong = 0;
    let effective = Effective::load(file.as_deref())?;
    Interrupt::heed()?;
    for error in lanes::build(config.channels.clone()).1 {
        let told = located(&["channels", &error.channel], error.key, &error.what, &effective);
        say(told.unwrap_or_else(|| error.to_string()));
        wrong += 1;
    }
    // As the daemon builds them; Redis itself is not asked.
    let cache = config.cache.as_ref().map_or_else(Vec::new, |cache| cache.problems());
    let wrong_beside = cache.iter().map(|(key, what)| ("cache", *key, what.clone()));
    let wrong_beside: Vec<_> =
        wrong_beside.chain(config.http.problems().map(|(key, what)| ("http", key, what))).collect();
    for (table, key, what) in &wrong_beside {
        let told = located(&[table], key, what, &effective);
        say(told.unwrap_or_else(|| format!("{table}.{key}: {what}")));
    }
    warn_about_file(&effective);
    if let Some(path) = &config.log.file {
        warn_about_log(path);
    }
    let mut unfit: Vec<&str> = wrong_beside.iter().map(|(table, ..)| *table).collect();
    unfit.dedup();
    if wrong > 0 {
        unfit.insert(0, if wrong == 1 { "a channel" } else { "some channels" });
    }
    if !unfit.is_empty() {
        let what = format!("{} cannot be used as configured", unfit.join(" and "));
        return Err(Error::new(Exit::Config, what));
    }
    let from = config.file.as_ref().map_or("no file, the defaults".into(), |path| path.display().to_string());
    context.out.line(format_args!("configuration: {from}"))?;
    context.out.line(format_args!("store: {}", config.store.url))?;
    if let Some(cache) = &config.cache {
        context.out.line(format_args!("cache: {}", cache.place))?;
    }
    for (name, channel) in &config.channels {
        let default = if *name == config.defaults.channel { ", the default" } else { "" };
        context.out.line(format_args!("channel {name}: {}{default}", channel.options.kind()))?;
    }
    context.out.line("ok")?;
    Ok(Exit::Ok)
}

/// The error with its place: a kind knows its options, not the key that was used for one (`url_file` for `url`).
fn located(table: &[&str], key: &str, what: &str, effective: &Effective) -> Option<String> {
    let is_meant = |entry: &&Entry| {
        entry.table == table
            && entry.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    let entry = effective.entries.iter().find(is_meant)?;
    Some(format!("{}: {}: {what}", entry.origin, entry.path()))
}

/// A secret in a file that everybody can read is none, and what everybody can write runs anybody's programs.
fn warn_about_file(effective: &Effective) {
    let Some(path) = &effective.file else { return };
    let Ok(about) = std::fs::metadata(path) else { return };
    let mode = about.permissions().mode() & 0o7777;
    if mode & 0o002 != 0 {
        log::warn!(
            target: "notifyctl::config",
            "{path} can be written by everybody (mode {mode:04o}); cure: chmod 0640 {path}",
            path = path.display()
        );
    }
    let secret =
        |entry: &&Entry| entry.is_secret() && matches!(&entry.origin, Origin::File(file, _) if file == path);
    if let Some(entry) = effective.entries.iter().find(secret).filter(|_| mode & 0o004 != 0) {
        log::warn!(
            target: "notifyctl::secret",
            "{path} holds a secret ({}) and can be read by everybody (mode {mode:04o}); cure: chmod 0640 {path}",
            entry.path(),
            path = path.display()
        );
    }
}

/// A log that cannot be written stops nothing, so nobody may notice.
fn warn_about_log(path: &Path) {
    let opened = match path.exists() {
        // A FIFO that nobody reads is not waited for.
        true => {
            let flags = OFlags::NONBLOCK.bits().cast_signed();
            std::fs::OpenOptions::new().append(true).custom_flags(flags).open(path).map(|_| ())
        }
        // Not made here: this command changes nothing.
        false => match path.parent() {
            Some(folder) => access(folder, Access::WRITE_OK).map_err(Into::into),
            None => Ok(()),
        },
    };
    if let Err(error) = opened {
        log::warn!(target: "notifyctl::log", "log.file: {}: {error}", path.display());
    }
}
