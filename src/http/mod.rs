//! The HTTP side: what is accepted, and answered, over TCP and a Unix socket.
//!
//! Owns its connections, its requests and its threads: those that answer, so that a flood of requests never
//! stands in the way of the sender; a few that read. What all requests write waits for the store's thread, and becomes one
//! transaction (group commit). Deliberately knows no channel, no configuration and no delivery: what a row needs
//! of them comes as [`Rules`].
//!
//! One file per resource; `router` names them all, each with the scope that it asks for (`access`).

mod access;
mod answer;
mod answers;
mod batches;
mod body;
mod budget;
mod cors;
mod crowd;
mod endpoint;
mod error;
mod events;
mod handed;
mod health;
mod history;
mod id;
mod idle;
mod listen;
mod metrics;
mod notifications;
mod openapi;
mod options;
mod page;
mod pending;
mod problem;
mod query;
mod readers;
mod recurring;
mod router;
mod serve;
mod settling;
mod status;
mod taking;
mod texts;
mod threads;
mod unread;
mod writer;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use access::{AUDIT_TARGET, Grant, Proxy};
pub use error::Error;
pub use handed::Handed;
pub use metrics::Metrics;
pub use openapi::document;
pub use options::{Admission, Allowance, Listen, Options, Origin};
pub use serve::SOCKET_PLACES;

use crate::cache::{self, Cache};
use crate::clock::{Clock, SystemClock};
use crate::model::Timestamp;
use crate::store::{self, Handle, Reader, Store};
use crate::wire;
use crate::wire::row::{Intake, Terms};
use access::Access;
use answers::Answers;
use budget::Budget;
use crowd::Crowd;
use events::{Feed, Watching};
use health::Looked;
use history::History;
use pending::Pending;
use readers::Readers;
use threads::Threads;
use writer::Writer;

/// The target of every line that is logged here.
pub const LOG_TARGET: &str = "notifyctl::http";

/// What the configuration says of rows and of the store.
pub trait Rules: Send + Sync {
    /// What holds for every row that is taken at `now`.
    fn terms(&self, now: Timestamp) -> Terms;
    /// For how long a key is remembered.
    fn key_window(&self) -> Duration;
    /// The answers that rows ask for at `now`; `users` holds the recipient of each user that is known.
    fn intake<'a>(&'a self, now: Timestamp, users: &'a HashMap<String, String>) -> Box<dyn Intake + 'a>;
    /// The whole store at a glance.
    ///
    /// # Errors
    /// When it cannot be read.
    fn status(&self, reader: &dyn Reader, now: Timestamp) -> store::Result<wire::Status>;
}

/// All that the HTTP side needs.
pub struct Parts {
    /// What is configured of it.
    pub options: Options,
    /// Sockets that somebody listens on in our place; if there is any, the options name no other.
    pub handed: Handed,
    /// The thread that writes.
    pub store: Handle,
    /// Those that are read on, at least one.
    pub readers: Vec<Box<dyn Store>>,
    /// The one on which what happens is looked for, on behalf of all who watch.
    pub watcher: Box<dyn Store>,
    /// What is configured of the rest.
    pub rules: Arc<dyn Rules>,
    /// What this process has counted, its sender too.
    pub metrics: Metrics,
    /// Redis in front of reading, if there is one.
    pub cache: Option<cache::Options>,
}

/// The HTTP side, at work.
pub struct Server {
    /// Cut off, with all that they have under way, when this is dropped.
    _threads: Threads,
    app: Arc<App>,
    tracker: TaskTracker,
    address: Option<SocketAddr>,
}

/// What every request is answered with.
struct App {
    options: Options,
    current: Arc<Current>,
    writer: Writer,
    readers: Arc<Readers>,
    answers: Cache<Answers>,
    access: Access,
    pending: Pending,
    budget: Budget,
    /// Those who wait for a place among the connections.
    places: Arc<Crowd>,
    events: Watching,
    history: History,
    metrics: Metrics,
    looked: Looked,
    clock: SystemClock,
    /// The end has begun: connections are given up as soon as they have answered.
    stopping: CancellationToken,
}

/// What holds now, until a reload.
struct Current(RwLock<Holds>);

struct Holds {
    number: u64,
    rules: Arc<dyn Rules>,
    admission: Arc<Admission>,
}

impl Holds {
    fn new(rules: Arc<dyn Rules>, admission: Admission) -> Self {
        Self { number: fastrand::u64(..), rules, admission: Arc::new(admission) }
    }
}

impl Current {
    fn new(rules: Arc<dyn Rules>, admission: Admission) -> Self {
        Self(RwLock::new(Holds::new(rules, admission)))
    }

    fn get(&self) -> Arc<dyn Rules> {
        Arc::clone(&self.holds().rules)
    }

    fn admission(&self) -> Arc<Admission> {
        Arc::clone(&self.holds().admission)
    }

    /// A number that tells the rules apart from others, of other processes too.
    fn number(&self) -> u64 {
        self.holds().number
    }

    fn set(&self, rules: Arc<dyn Rules>, admission: Admission) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Holds::new(rules, admission);
    }

    fn holds(&self) -> RwLockReadGuard<'_, Holds> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    fn rules(&self) -> Arc<dyn Rules> {
        self.current.get()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Server {
    /// Listens, and answers from now on.
    ///
    /// # Errors
    /// When it cannot listen where it should, or the system gives no thread.
    pub fn start(parts: Parts) -> Result<Self, Error> {
        let threads = Threads::start().map_err(|error| Error::system("start the threads of http", error))?;
        let (app, tracker, address) = Self::set_up(&threads, parts)?;
        Ok(Self { _threads: threads, app, tracker, address })
    }

    fn set_up(threads: &Threads, parts: Parts) -> Result<(Arc<App>, TaskTracker, Option<SocketAddr>), Error> {
        let Parts { options, handed, store, readers, watcher, rules, metrics, cache } = parts;
        let store_id = watcher.identity()?.store_id;
        let readers =
            Readers::start(readers).map_err(|error| Error::system("start a thread for reading", error))?;
        let feed = Feed::start(watcher)
            .map(Arc::new)
            .map_err(|error| Error::system("start a thread that looks for events", error))?;
        store.listen({
            let feed = Arc::clone(&feed);
            move || feed.ring()
        });
        let writer = Writer::new(store);
        let tracker = TaskTracker::new();
        let readers = Arc::new(readers);
        let current = Arc::new(Current::new(rules, options.admission.clone()));
        let answers = {
            let _inside = threads.enter();
            answers::cached(&readers, &current, &store_id, cache.as_ref())
        };
        let app = Arc::new(App {
            pending: Pending::new(Arc::clone(&current)),
            current,
            writer,
            readers,
            access: Access::new(&options)?,
            answers,
            budget: Budget::new(options.admission.max_body),
            places: Arc::default(),
            events: Watching::new(feed, tracker.clone()),
            history: History::default(),
            metrics,
            looked: Looked::default(),
            clock: SystemClock,
            stopping: CancellationToken::new(),
            options,
        });
        let address = {
            let _inside = threads.enter();
            serve::start(&app, handed, &tracker, threads.seats())?
        };
        threads.first().spawn(history::keep(Arc::clone(&app)));
        if let Some(address) = address {
            threads.first().spawn(access::warn(Arc::clone(&app), address));
        }
        Ok((app, tracker, address))
    }

    /// Where TCP connections are taken.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What holds from now on.
    pub fn reload(&self, rules: Arc<dyn Rules>, admission: Admission) {
        self.app.budget.grow(admission.max_body);
        self.app.current.set(rules, admission);
    }

    /// Takes no more connections, and ends when what was asked has been answered, after `bound` at the latest.
    pub async fn stop(self, bound: Duration) {
        self.app.stopping.cancel();
        self.tracker.close();
        if tokio::time::timeout(bound, self.tracker.wait()).await.is_err() {
            log::warn!(target: LOG_TARGET, connections = self.tracker.len(); "cut off, the time to end is over");
        }
    }
}
