//! The role that delivers: one run of the engine, and what rings it when somebody else has enqueued.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::manager::Manager;
use super::web::Wake;
use super::{Error, LOG_TARGET};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::delivery::{self, Budget, Engine, Lane, Seen, Stop, Tally, Until};
use crate::http::Metrics;
use crate::model::{Id, Timestamp};
use crate::store::{self, Handle, StoreUrl, Worker};

/// How often it is looked whether another process has committed, once somebody has begun to write: it bounds the
/// time between an `enqueue` and its attempt. While nobody writes, nothing is done at all.
const LOOK: Duration = Duration::from_millis(20);

/// How many looks in a row find nothing new before only the next write brings another: what somebody wrote is
/// committed within that time, but on a disk that hangs.
const LOOKS: u32 = 50;

/// How often it is looked when nobody seems to write: where the system does not tell of a write, and for commits
/// that took longer than all looks.
const BACKSTOP: Duration = Duration::from_secs(2);

/// The same where the system tells of no write at all.
const BLIND: Duration = Duration::from_millis(50);

/// How long a store that cannot be written is borne while it drains, on top of its own busy timeout.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of a run.
pub(super) type Ended = Result<Tally, delivery::Error>;

/// The runs of this process: the one that claims, and those under older configurations that end what they
/// have under way.
pub(super) struct Runs {
    /// What this process does, and since when; for people.
    roles: String,
    since: Timestamp,
    url: StoreUrl,
    metrics: Metrics,
    /// The one that claims.
    current: Option<Run>,
    older: Vec<Stop>,
    ends: JoinSet<(Id, Ended)>,
}

struct Run {
    worker: Id,
    stop: Stop,
    look: AbortHandle,
}

impl Runs {
    /// None yet, in a process that does this since then.
    pub(super) fn of(config: &Config, metrics: &Metrics, since: Timestamp) -> Self {
        let (roles, url, ends) = (config.daemon.roles_text(), config.store.url.clone(), JoinSet::new());
        Self { roles, since, url, metrics: metrics.clone(), current: None, older: Vec::new(), ends }
    }

    /// Announces this process in the store, and gives its name.
    pub(super) async fn appear(&self, store: &Handle) -> Result<(Box<dyn Worker>, String), Error> {
        let now = SystemClock.now();
        let name = delivery::worker_name(now);
        let announced = name.clone();
        let worker = store.call(move |store| store.register(now, &announced)).await??;
        // It is for people; on a full disk they see one less.
        let _ = worker.announce(&self.roles, self.since);
        Ok((worker, name))
    }

    /// Whether there is one that claims.
    pub(super) fn sends(&self) -> bool {
        self.current.is_some()
    }

    /// Begins to deliver on `lanes`, in place of the run that claims now.
    pub(super) async fn begin(
        &mut self,
        store: &Handle,
        lanes: Vec<Lane>,
        config: &Config,
        manager: &Manager,
        ring: &Wake,
    ) -> Result<(), Error> {
        let (worker, name) = self.appear(store).await?;
        let stop = Stop {
            finish: CancellationToken::new(),
            drain: CancellationToken::new(),
            abandon: CancellationToken::new(),
            bound: config.daemon.drain,
            patience: PATIENCE,
        };
        let wake = Arc::new(Notify::new());
        ring.set(&wake);
        let number = worker.id();
        let engine = Engine {
            store: store.clone(),
            worker: Box::new(Watched { worker, manager: manager.clone(), metrics: self.metrics.clone() }),
            worker_name: name,
            lanes,
            configured: config.channels.keys().cloned().collect(),
            clock: Arc::new(SystemClock),
            random: delivery::random().map_err(|error| Error::system("read random numbers", error))?,
            until: Until::Shutdown,
            budget: Budget::default(),
            stop: stop.clone(),
            wake: Arc::clone(&wake),
            observer: observer(self.metrics.clone(), stop.finish.clone(), ring.clone()),
        };
        self.ends.spawn(async move { (number, delivery::run(engine).await) });
        let look = tokio::spawn(look(store.clone(), self.url.clone(), wake)).abort_handle();
        if let Some(old) = self.current.replace(Run { worker: number, stop, look }) {
            old.look.abort();
            old.stop.finish.cancel();
            self.older.push(old.stop);
        }
        Ok(())
    }

    /// Nothing more is claimed, what has not begun goes back, what is under way gets its time.
    pub(super) fn drain(&self) {
        self.stops().for_each(|stop| stop.drain.cancel());
    }

    /// What is still under way is abandoned.
    pub(super) fn abandon(&self) {
        self.stops().for_each(|stop| stop.abandon.cancel());
    }

    fn stops(&self) -> impl Iterator<Item = &Stop> {
        self.older.iter().chain(self.current.iter().map(|run| &run.stop))
    }

    /// Waits for the end of one of them; says whether it was the one that claims. For ever when there is none.
    /// Nothing is lost when the answer is not waited for.
    pub(super) async fn ended(&mut self) -> (bool, Ended) {
        match self.ends.join_next().await {
            None => std::future::pending().await,
            Some(Ok((worker, ended))) => {
                let current = self.current.take_if(|run| run.worker == worker);
                if let Some(run) = &current {
                    run.look.abort();
                }
                (current.is_some(), ended)
            }
            Some(Err(error)) => (true, Err(delivery::Error::Worker(io::Error::other(error)))),
        }
    }

    /// Whether all of them have ended.
    pub(super) fn all_ended(&self) -> bool {
        self.ends.is_empty()
    }
}

/// Tells the metrics what the engine sees; neither knows the other. Once the run is `replaced`, it rings the next one, which
/// sees no other way what this one gives back, or when it is due again: both write by one connection.
fn observer(metrics: Metrics, replaced: CancellationToken, next: Wake) -> delivery::Observer {
    Box::new(move |seen| match seen {
        Seen::Attempt { settlement, times } => {
            metrics.attempt(settlement, times.map(|times| (times.took, times.age)));
        }
        Seen::LeaseLost => metrics.lease_lost(),
        Seen::Limited(channel) => metrics.limited(channel),
        Seen::Round(_) if replaced.is_cancelled() => next.ring(),
        Seen::Round(_) => {}
    })
}

/// Rings when another connection has committed something: a shell's `enqueue`, a pass, a release.
async fn look(store: Handle, url: StoreUrl, wake: Arc<Notify>) {
    let mut watch = store::watch(&url).inspect_err(|error| {
        let every = BLIND.as_millis();
        log::info!(target: LOG_TARGET, "watch the store for writes: {error}; it is looked every {every} ms instead");
    });
    let (mut known, mut left) = (None, 0);
    loop {
        match store.call(|store| store.version()).await {
            Ok(Ok(version)) if known == Some(version) => {}
            Ok(Ok(version)) => {
                known = Some(version);
                wake.notify_one();
            }
            // The run meets the same trouble, and says so.
            Ok(Err(_)) => {}
            Err(_) => return,
        }
        match &mut watch {
            Err(_) => tokio::time::sleep(BLIND).await,
            Ok(_) if left > 0 => {
                left -= 1;
                tokio::time::sleep(LOOK).await;
            }
            Ok(writes) => match tokio::time::timeout(BACKSTOP, writes.next()).await {
                // What was written is about to be committed.
                Ok(Ok(())) => left = LOOKS,
                Ok(Err(error)) => watch = Err(error),
                Err(_) => {}
            },
        }
    }
}

/// A worker whose signs of life reach the service manager too: a loop that hangs gives none.
struct Watched {
    worker: Box<dyn Worker>,
    manager: Manager,
    metrics: Metrics,
}

impl Worker for Watched {
    fn id(&self) -> Id {
        self.worker.id()
    }

    fn places(&self) -> usize {
        self.worker.places()
    }

    fn begin(&self, place: usize, id: Id) -> io::Result<()> {
        self.worker.begin(place, id)
    }

    fn forget(&self, place: usize) -> io::Result<()> {
        self.worker.forget(place)
    }

    fn beat(&self, lease: Duration) -> io::Result<()> {
        self.manager.alive();
        self.metrics.beat();
        self.worker.beat(lease)
    }

    fn announce(&self, roles: &str, since: Timestamp) -> io::Result<()> {
        self.worker.announce(roles, since)
    }
}
