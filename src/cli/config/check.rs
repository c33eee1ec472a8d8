//! `notifyctl config check`: whether everything that is configured can be used.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use log::LevelFilter;

use crate::channel::BuildError;
use crate::cli::output::say;
use crate::cli::{Context, Error, Exit, logging};
use crate::config::{Config, Effective, Entry, Log, LogFormat, Origin};

pub(super) fn run(context: &mut Context) -> Result<Exit, Error> {
    let file = context.global.config.clone();
    let config = Config::load(file.as_deref())?;
    // Warnings are what this command is for: to where it was started, whatever is configured.
    let talk = Log { level: LevelFilter::Warn, format: LogFormat::Text, file: None };
    logging::start(&talk, context.global.log_level)?;
    let mut wrong = 0;
    let effective = Effective::load(file.as_deref())?;
    for (name, channel) in &config.channels {
        if let Err(error) = channel.options.build(name) {
            say(located(&error, &effective));
            wrong += 1;
        }
    }
    warn_about_file(&effective);
    if let Some(path) = &config.log.file {
        warn_about_log(path);
    }
    if wrong > 0 {
        let what = if wrong == 1 { "a channel" } else { "some channels" };
        return Err(Error::new(Exit::Config, format!("{what} cannot be used as configured")));
    }
    let from = config.file.as_ref().map_or("no file, the defaults".into(), |path| path.display().to_string());
    context.out.line(format_args!("configuration: {from}"))?;
    context.out.line(format_args!("store: {}", config.store.url))?;
    for (name, channel) in &config.channels {
        let default = if *name == config.defaults.channel { ", the default" } else { "" };
        context.out.line(format_args!("channel {name}: {}{default}", channel.options.kind()))?;
    }
    context.out.line("ok")?;
    Ok(Exit::Ok)
}

/// The error with its place: a kind knows its options, not the key that was used for one (`url_file` for `url`).
fn located(error: &BuildError, effective: &Effective) -> String {
    let is_meant = |entry: &&Entry| {
        entry.table == ["channels", &error.channel]
            && entry.key.strip_prefix(error.key).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    match effective.entries.iter().find(is_meant) {
        Some(entry) => format!("{}: {}: {}", entry.origin, entry.path(), error.what),
        None => error.to_string(),
    }
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
        true => std::fs::OpenOptions::new().append(true).open(path).map(|_| ()),
        // Not made here: this command changes nothing.
        false => match path.parent() {
            Some(folder) => rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).map_err(Into::into),
            None => Ok(()),
        },
    };
    if let Err(error) = opened {
        log::warn!(target: "notifyctl::log", "log.file: {}: {error}", path.display());
    }
}
