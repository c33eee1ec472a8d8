//! The role that delivers: one run of the engine, and what rings it when somebody else has enqueued.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::Error;
use super::manager::Manager;
use crate::clock::{Clock, SystemClock};
use crate::delivery::{self, Budget, Engine, Lane, Stop, Tally, Until};
use crate::model::Id;
use crate::store::{Handle, Worker};

/// How often it is looked whether another process has written: the median of the time between an `enqueue`
/// and its attempt is half of it. A look costs some microseconds.
const LOOK: Duration = Duration::from_millis(50);

/// How long a store that cannot be written is borne while it drains, on top of its own busy timeout.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of a run.
pub(super) type Ended = Result<Tally, delivery::Error>;

/// The runs of this process: the one that claims, and those under older configurations that end what they
/// have under way.
#[derive(Default)]
pub(super) struct Runs {
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
    /// Whether there is one that claims.
    pub(super) fn sends(&self) -> bool {
        self.current.is_some()
    }

    /// Begins to deliver on `lanes`, in place of the run that claims now. `drain` bounds its end.
    pub(super) async fn begin(
        &mut self,
        store: &Handle,
        lanes: Vec<Lane>,
        drain: Duration,
        manager: Manager,
    ) -> Result<(), Error> {
        let now = SystemClock.now();
        let name = delivery::worker_name(now);
        let announced = name.clone();
        let worker = store.call(move |store| store.register(now, &announced)).await??;
        let stop = Stop {
            finish: CancellationToken::new(),
            drain: CancellationToken::new(),
            abandon: CancellationToken::new(),
            bound: drain,
            patience: PATIENCE,
        };
        let wake = Arc::new(Notify::new());
        let number = worker.id();
        let engine = Engine {
            store: store.clone(),
            worker: Box::new(Watched { worker, manager }),
            worker_name: name,
            lanes,
            clock: Arc::new(SystemClock),
            random: delivery::random().map_err(|error| Error::system("read random numbers", error))?,
            until: Until::Shutdown,
            budget: Budget::default(),
            stop: stop.clone(),
            wake: Arc::clone(&wake),
            observer: Box::new(|_| {}),
        };
        self.ends.spawn(async move { (number, delivery::run(engine).await) });
        let look = tokio::spawn(look(store.clone(), wake)).abort_handle();
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

/// Rings when another connection has committed something: a shell's `enqueue`, a pass, a release.
async fn look(store: Handle, wake: Arc<Notify>) {
    let mut known = None;
    let mut clock = tokio::time::interval(LOOK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
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
    }
}

/// A worker whose signs of life reach the service manager too: a loop that hangs gives none.
struct Watched {
    worker: Box<dyn Worker>,
    manager: Manager,
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
        self.worker.beat(lease)
    }
}
