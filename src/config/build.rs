//! From tables to options: what depends on other keys is filled in, what cannot be meant is refused.

use std::path::Path;
use std::time::Duration;

use super::document::Document;
use super::raw::{self, AbsolutePath, Number, OfKind, Word};
use super::surroundings::Surroundings;
use super::tables::{Channel, Tables};
use super::{Backup, ChannelConfig, Config, Daemon, Defaults, Error, Log, Role, keys, of_kind};
use crate::channel::{self, Kind, recipient};
use crate::http::{self, Admission, Listen};
use crate::model::{Limits, OnUnknown, Policy, RetrySchedule};
use crate::store::{self, StoreUrl};
use crate::units::Period;

/// The most attempts at once that one channel may have in one process.
const IN_FLIGHT: usize = 1_000;

/// The longest that a busy store is waited for. SQLite counts milliseconds, and ends at 25 days.
const BUSY_TIMEOUT: Duration = Duration::from_secs(86_400);

/// The age at which a deferral becomes dead: RFC 5321 section 4.5.4.1 advises four to five days.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5 * 86_400);

/// What is wrong with one key of a channel.
pub(super) struct Fault {
    /// The key, or nothing for the channel as a whole.
    pub key: Option<&'static str>,
    /// What is wrong, and what would be right; never a secret.
    pub what: String,
}

impl Fault {
    pub(super) fn new(key: &'static str, what: impl Into<String>) -> Self {
        Self { key: Some(key), what: what.into() }
    }
}

/// Fills `tables` in, and makes options of them.
///
/// # Errors
/// With place, key path and what would be right.
pub fn build(document: &Document, tables: &mut Tables, around: &Surroundings) -> Result<Config, Error> {
    let store = store(document, &mut tables.store, around)?;
    let StoreUrl::Sqlite(database) = &store.url;
    let beside = database.parent().unwrap_or(Path::new("/"));
    let mut channels = std::collections::BTreeMap::new();
    for (name, channel) in &mut tables.channels {
        let built = one_channel(channel, name, beside).map_err(|fault| {
            let path = ["channels", name].into_iter().chain(fault.key);
            document.error(&path.collect::<Vec<_>>(), &fault.what)
        })?;
        channels.insert(name.clone(), built);
    }
    let raw::Defaults { channel, key_window, ttl } = &tables.defaults;
    if !channels.contains_key(channel) {
        let suggestion = keys::suggestion(channel, channels.keys().map(String::as_str));
        let what = format!("there is no channel `{channel}`; {suggestion}");
        return Err(document.error(&["defaults", "channel"], &what));
    }
    let positive = |path: [&str; 2], period: Period| match period.0.is_zero() {
        true => Err(document.error(&path, "must be longer than 0s")),
        false => Ok(period.0),
    };
    let defaults = Defaults {
        channel: channel.clone(),
        key_window: positive(["defaults", "key_window"], *key_window)?,
        ttl: ttl.map(|ttl| positive(["defaults", "ttl"], ttl)).transpose()?,
    };
    let limits = Limits { message: tables.limits.message.0, attachments: tables.limits.attachments.0 };
    if limits.message == 0 {
        return Err(document.error(&["limits", "message"], "must be at least 1B"));
    }
    let raw::Log { level, format, file } = &tables.log;
    let log = Log { level: level.0.0, format: format.0, file: file.as_ref().map(|file| file.0.0.clone()) };
    let (daemon, retention) = (daemon(document, &tables.daemon)?, tables.retention.built());
    let backup = backup(document, &tables.backup)?;
    let http = http(document, &tables.http, &daemon.roles)?;
    let cache = super::cache::options(&tables.cache, database).map_err(|fault| {
        document.error(&["cache"].into_iter().chain(fault.key).collect::<Vec<_>>(), &fault.what)
    })?;
    let file = document.file().map(Path::to_owned);
    Ok(Config { file, store, defaults, limits, log, daemon, http, retention, backup, cache, channels })
}

fn backup(document: &Document, raw: &raw::Backup) -> Result<Option<Backup>, Error> {
    let raw::Backup { to, at, keep: Number(keep) } = raw;
    if *keep == 0 {
        return Err(document.error(&["backup", "keep"], "must be at least 1"));
    }
    Ok(to.as_ref().map(|to| Backup { to: to.0.0.clone(), at: at.0, keep: *keep }))
}

fn store(document: &Document, raw: &mut raw::Store, around: &Surroundings) -> Result<store::Options, Error> {
    let url = match &raw.url {
        Some(Word(url)) => url.clone(),
        None => StoreUrl::Sqlite(around.usual_store().ok_or_else(|| {
            let what = "is not set, and neither $HOME nor $XDG_STATE_HOME says where else the store may be; set it to sqlite:///path";
            document.error(&["store", "url"], what)
        })?),
    };
    raw.url = Some(Word(url.clone()));
    if raw.busy_timeout.0 > BUSY_TIMEOUT {
        let what = format!("must be at most {}", Period(BUSY_TIMEOUT));
        return Err(document.error(&["store", "busy_timeout"], &what));
    }
    Ok(store::Options { url, busy_timeout: raw.busy_timeout.0 })
}

fn daemon(document: &Document, raw: &raw::Daemon) -> Result<Daemon, Error> {
    let mut roles: Vec<_> = raw.roles.0.iter().map(|word| word.0).collect();
    roles.sort_unstable();
    roles.dedup();
    if roles.is_empty() {
        let what = format!("names no role (one or more of {})", Role::ALL.map(Role::as_str).join(", "));
        return Err(document.error(&["daemon", "roles"], &what));
    }
    Ok(Daemon { roles, drain: raw.drain.0 })
}

fn http(document: &Document, raw: &raw::Http, roles: &[Role]) -> Result<http::Options, Error> {
    let socket = raw.socket.as_ref().map(|path| path.0.0.clone());
    if let Some(path) = &socket {
        let (long, most) = (path.as_os_str().len(), http::Options::SOCKET_PATH);
        if long > most {
            let what = format!("is a path of {long} bytes; the system takes at most {most} for a socket");
            return Err(document.error(&["http", "socket"], &what));
        }
    }
    if roles.contains(&Role::Http) && socket.is_none() && raw.listen.0 == Listen::Off {
        let what =
            "is \"off\" and no socket is named; say where to listen, or leave http out of daemon.roles";
        return Err(document.error(&["http", "listen"], what));
    }
    for (key, number) in [("max_body", raw.max_body.0), ("max_connections", raw.max_connections.0)] {
        if number == 0 {
            return Err(document.error(&["http", key], "must be at least 1"));
        }
    }
    Ok(http::Options {
        listen: raw.listen.0,
        socket,
        loopback_without_token: raw.loopback_without_token.0,
        socket_users: words(&raw.socket_users),
        socket_groups: words(&raw.socket_groups),
        max_connections: raw.max_connections.0,
        admission: Admission {
            proxies: words(&raw.proxies),
            token_limit: raw.token_limit.0.0,
            address_limit: raw.address_limit.0.0,
            cors_origins: words(&raw.cors_origins),
            max_body: raw.max_body.0,
            max_pending: raw.max_pending.0,
        },
    })
}

fn words<T: Clone>(raw: &raw::OneOrMany<Word<T>>) -> Vec<T> {
    raw.0.iter().map(|word| word.0.clone()).collect()
}

/// `beside` is the folder in which the store lies.
fn one_channel(channel: &mut Channel, name: &str, beside: &Path) -> Result<ChannelConfig, Fault> {
    let Channel { common, of_kind: raw } = channel;
    let timeout = common.timeout.map(|period| period.0);
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(Fault::new("timeout", "must be longer than 0s"));
    }
    if let (super::OUTBOX, OfKind::File(file)) = (name, &mut *raw) {
        file.path.get_or_insert_with(|| Word(AbsolutePath(beside.join(super::OUTBOX))));
    }
    let (options, timeout) = of_kind::options(raw, timeout)?;
    common.timeout = Some(Period(timeout));
    let kind = options.kind();
    let Number(max_in_flight) = *common.max_in_flight.get_or_insert(Number(max_in_flight(kind)));
    if !(1..=IN_FLIGHT).contains(&max_in_flight) {
        return Err(Fault::new("max_in_flight", format!("must be within 1 and {IN_FLIGHT}")));
    }
    let to = recipients(common, &options)?;
    let rates = common.rate.0.iter().map(|word| word.0).collect();
    Ok(ChannelConfig { to, rates, max_in_flight, policy: policy(common, kind)?, options })
}

fn recipients(common: &raw::Common, options: &channel::Options) -> Result<Vec<String>, Fault> {
    let checked = common.to.0.iter().map(|to| recipient::check(options, to));
    // The problem names what is wrong, and not the person.
    checked.collect::<Result<_, _>>().map_err(|problem| Fault::new("to", problem.what))
}

fn policy(common: &mut raw::Common, kind: Kind) -> Result<Policy, Fault> {
    let retry = common.retry.get_or_insert_with(|| Word(retry(kind)));
    let on_unknown = common.on_unknown.get_or_insert(Word(OnUnknown::default()));
    let give_up_after = common.give_up_after.get_or_insert(Period(GIVE_UP_AFTER));
    if give_up_after.0.is_zero() {
        return Err(Fault::new(
            "give_up_after",
            "must be longer than 0s; for no retry say retry = \"never\"",
        ));
    }
    Ok(Policy { retry: retry.0.clone(), on_unknown: on_unknown.0, give_up_after: give_up_after.0 })
}

/// Relays count connections, endpoints answer fast, programs cost a process each.
fn max_in_flight(kind: Kind) -> usize {
    match kind {
        Kind::Smtp | Kind::Exec | Kind::File => 4,
        Kind::Webhook => 8,
    }
}

/// A relay may be away for a weekend, so mail is tried until [`GIVE_UP_AFTER`] ends it: soon at first, then
/// every four hours. The other kinds are tried three times more within the hour.
fn retry(kind: Kind) -> RetrySchedule {
    let minutes: &[u64] = match kind {
        Kind::Smtp => &[1, 5, 15, 30, 60, 60, 60, 60],
        Kind::Webhook | Kind::Exec | Kind::File => {
            return RetrySchedule::new([30, 300, 1_800].map(Duration::from_secs).to_vec());
        }
    };
    let waits = minutes.iter().copied().chain(std::iter::repeat_n(240, 29));
    RetrySchedule::new(waits.map(|minutes| Duration::from_secs(minutes * 60)).collect())
}
