//! The role that takes requests over HTTP: what it is handed of the configuration and of the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Notify;

use super::{Error, LOG_TARGET};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::http::{Handed, Metrics, Options, Parts, Rules, SOCKET_PLACES, Server};
use crate::model::{Problem, Timestamp};
use crate::store::{self, Access, Handle, Reader, shapes};
use crate::wire;
use crate::wire::row::{Intake, Terms};

/// How many connections are read on; one of them never by who searches.
const READERS: usize = 3;

/// Listens, and answers from now on; writes by way of `store`.
pub(super) fn start(
    config: &Config,
    store: &Handle,
    handed: Handed,
    metrics: &Metrics,
) -> Result<Server, Error> {
    let open = || store::open(&config.store, Access::Read, SystemClock.now());
    let own = handed.is_empty();
    let server = Server::start(Parts {
        options: Options { max_connections: room_for(config.http.max_connections), ..config.http.clone() },
        handed,
        store: store.clone(),
        readers: (0..READERS).map(|_| open()).collect::<store::Result<_>>()?,
        watcher: open()?,
        rules: rules(config),
        metrics: metrics.clone(),
        cache: config.cache.clone(),
    })?;
    if let Some(address) = server.address() {
        log::info!(target: LOG_TARGET, address:% = address; "listening");
    }
    if let Some(socket) = config.http.socket.as_ref().filter(|_| own) {
        log::info!(target: LOG_TARGET, socket:% = socket.display(); "listening");
    }
    if !own {
        log::info!(target: LOG_TARGET, "listening where the service manager does in our place");
    }
    Ok(server)
}

/// Open files that are not for requests: the store's, and the sender's ways out.
const RESERVE: u64 = 256;

/// How many connections there may be, beside the socket's own, within this process's limit of open files, which is raised
/// for them: nobody who asks may take the files that delivering needs.
fn room_for(connections: usize) -> usize {
    let others = RESERVE + SOCKET_PLACES as u64;
    let wanted = (connections as u64).saturating_add(others);
    let limit = getrlimit(Resource::Nofile);
    let (now, most) = (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX));
    let raised = now.max(wanted.min(most));
    let raise = || setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit });
    let open = if raised > now && raise().is_err() { now } else { raised };
    if open >= wanted {
        return connections;
    }
    let room = usize::try_from(open.saturating_sub(others).max(1)).unwrap_or(1);
    log::warn!(target: LOG_TARGET, connections = room; "fewer connections than http.max_connections: this process may have {open} open files");
    room
}

/// What rows are held to by `config`.
#[must_use]
pub fn rules(config: &Config) -> Arc<dyn Rules> {
    Arc::new(Configured(config.clone()))
}

/// Rings the run that claims now, if there is one.
#[derive(Clone, Default)]
pub(super) struct Wake(Arc<Mutex<Option<Arc<Notify>>>>);

impl Wake {
    /// Rings this one from now on.
    pub(super) fn set(&self, notify: &Arc<Notify>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(notify));
    }

    pub(super) fn ring(&self) {
        if let Some(notify) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            notify.notify_one();
        }
    }
}

/// The rules of a configuration.
struct Configured(Config);

impl Rules for Configured {
    fn terms(&self, now: Timestamp) -> Terms {
        self.0.terms(now)
    }

    fn key_window(&self) -> Duration {
        self.0.defaults.key_window
    }

    fn intake<'a>(&'a self, now: Timestamp, users: &'a HashMap<String, String>) -> Box<dyn Intake + 'a> {
        Box::new(Desk { config: &self.0, now, users })
    }

    fn status(&self, reader: &dyn Reader, now: Timestamp) -> store::Result<wire::Status> {
        shapes::status(reader, &self.0.configured(), self.0.store.url.to_string(), now)
    }
}

/// The intake of one request. It takes no paths: whoever speaks HTTP may not read this host's files.
struct Desk<'a> {
    config: &'a Config,
    now: Timestamp,
    users: &'a HashMap<String, String>,
}

impl Intake for Desk<'_> {
    fn route(&mut self, channel: &str) -> Result<&[String], Problem> {
        self.config.route(channel)
    }

    fn recipient(&mut self, channel: &str, recipient: &str) -> Result<String, Problem> {
        self.config.recipient(channel, recipient)
    }

    fn user(&mut self, id: &str) -> Result<String, Problem> {
        self.users.get(id).cloned().ok_or_else(config::unknown_user)
    }

    fn at(&mut self, text: &str) -> Result<Timestamp, Problem> {
        config::moment(text, self.now)
    }
}
