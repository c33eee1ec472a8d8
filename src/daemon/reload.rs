//! A configuration that is read anew, and whether it can take the place of the one that holds.
//!
//! It is read beside what goes on: a command that is asked for a secret may take ten seconds, and nobody who sends, and no
//! signal, waits for that.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::lanes;
use crate::cache;
use crate::config::{self, Config, Log};
use crate::delivery::Lane;
use crate::{http, store};

/// What a reload needs of whoever started the daemon.
pub struct Reload {
    /// Reads the configuration again; the error is for people.
    pub read: Read,
    /// Has what is logged from now on be as it says.
    pub log: Relog,
}

/// Reads the configuration again.
pub type Read = Arc<dyn Fn() -> Result<Config, config::Error> + Send + Sync>;

/// Changes what is logged.
pub type Relog = Box<dyn Fn(&Log) + Send>;

/// A configuration, and its channels where they are to be sent on.
pub(super) struct New {
    pub(super) config: Config,
    pub(super) lanes: Vec<Lane>,
}

/// What is being read, if anything is.
pub(super) struct Reading {
    read: Read,
    under_way: Option<JoinHandle<Result<New, String>>>,
    /// Asked for once more, with `sends`, while it was under way: it may have read what was there before.
    again: Option<bool>,
}

impl Reading {
    pub(super) fn by(read: Read) -> Self {
        Self { read, under_way: None, again: None }
    }

    /// Begins to read, with its channels if it `sends`.
    pub(super) fn begin(&mut self, sends: bool) {
        if self.under_way.is_some() {
            self.again = Some(sends);
            return;
        }
        let read = Arc::clone(&self.read);
        self.under_way = Some(tokio::task::spawn_blocking(move || read_whole(&read, sends)));
    }

    /// Waits for what was read last; for ever when nothing is. Nothing is lost when the answer is not waited for.
    pub(super) async fn done(&mut self) -> Result<New, String> {
        loop {
            let Some(reading) = &mut self.under_way else { return std::future::pending().await };
            let new = reading.await;
            self.under_way = None;
            match self.again.take() {
                Some(sends) => self.begin(sends),
                None => return new.unwrap_or_else(|error| Err(error.to_string())),
            }
        }
    }
}

fn read_whole(read: &Read, sends: bool) -> Result<New, String> {
    let config = read().map_err(|error| error.to_string())?;
    let (lanes, unfit) = lanes::build(config.channels.clone().into_iter().filter(|_| sends));
    match unfit.first() {
        Some(error) => Err(error.to_string()),
        None => Ok(New { config, lanes }),
    }
}

/// What of `new` cannot take the place of what `holds`, if anything.
pub(super) fn refuse_unfit(holds: &Config, new: &Config) -> Result<(), String> {
    // Without its file the defaults would hold: on other ways out than anybody configured.
    if let Some(file) = holds.file.as_ref().filter(|_| holds.file != new.file) {
        let file = file.display();
        return Err(match &new.file {
            None => format!("{file} is not there any more"),
            Some(other) => {
                format!("{} would be read in place of {file}, which only a restart does", other.display())
            }
        });
    }
    match &only_by_restart(holds, new)[..] {
        [] => Ok(()),
        [key] => Err(format!("{key} has changed, which only a restart takes up")),
        keys => Err(format!("{} have changed, which only a restart takes up", keys.join(", "))),
    }
}

/// The keys that have changed, and that only a restart takes up. Nothing is left out with `..`: a new key has to say here
/// what becomes of it at a reload.
fn only_by_restart(holds: &Config, new: &Config) -> Vec<&'static str> {
    let store::Options { url, busy_timeout } = &holds.store;
    let Log { level: _, format, file } = &holds.log;
    let http::Options {
        listen,
        socket,
        loopback_without_token,
        socket_users,
        socket_groups,
        max_connections,
        admission: _,
    } = &holds.http;
    let keys = [
        ("store.url", *url != new.store.url),
        ("store.busy_timeout", *busy_timeout != new.store.busy_timeout),
        ("log.format", *format != new.log.format),
        ("log.file", *file != new.log.file),
        ("daemon.roles", new.daemon.roles != holds.daemon.roles),
        ("http.listen", *listen != new.http.listen),
        ("http.socket", *socket != new.http.socket),
        ("http.loopback_without_token", *loopback_without_token != new.http.loopback_without_token),
        ("http.socket_users", *socket_users != new.http.socket_users),
        ("http.socket_groups", *socket_groups != new.http.socket_groups),
        ("http.max_connections", *max_connections != new.http.max_connections),
    ];
    let keys = keys.into_iter().filter_map(|(key, has_changed)| has_changed.then_some(key));
    let (old, new) = (of_cache(holds.cache.as_ref()), of_cache(new.cache.as_ref()));
    keys.chain(old.into_iter().zip(new).filter_map(|(old, new)| (old != new).then_some(old.0))).collect()
}

/// The keys of a cache, each with what it says. Secrets that stand in the file itself are not compared: they are not shown
/// either.
fn of_cache(options: Option<&cache::Options>) -> [(&'static str, String); 7] {
    let said = |key, say: fn(&cache::Options) -> String| (key, options.map(say).unwrap_or_default());
    [
        said("cache.url", |cache| format!("{:?}", cache.place)),
        said("cache.ca_file", |cache| format!("{:?}", cache.ca_file)),
        said("cache.user", |cache| format!("{:?}", cache.user)),
        said("cache.password", |cache| format!("{:?}", cache.password)),
        said("cache.result_ttl", |cache| format!("{:?}", cache.result_ttl)),
        said("cache.max_age", |cache| format!("{:?}", cache.max_age)),
        said("cache.timeout", |cache| format!("{:?}", cache.timeout)),
    ]
}
