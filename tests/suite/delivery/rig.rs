//! The engine on a real store, with scripted channels and a clock that stands still until it is moved.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use notifyctl::channel::{Attempt, Channel, Envelope};
use notifyctl::clock::Clock;
use notifyctl::delivery::{self, Budget, Engine, Error, Lane, Seen, Stop, Tally, Until};
use notifyctl::model::{Content, Id, NewNotification, OnUnknown, Policy, Status, Timestamp, Verdict};
use notifyctl::store::{Access, Handle, Options, Store, Worker, open};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

/// When every test begins.
const START: Timestamp = Timestamp(1_800_000_000_000);

/// For how long the machine has run then, and goes on to have run whatever a slow disk takes.
const SINCE_BOOT: Duration = Duration::from_secs(86_400);

/// A clock that stands still until it is moved.
pub struct Standing {
    wall: AtomicI64,
    /// Milliseconds for which the process was stopped.
    stopped: AtomicU64,
}

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp(self.wall.load(Ordering::Relaxed))
    }

    fn since_boot(&self) -> Duration {
        SINCE_BOOT + Duration::from_millis(self.stopped.load(Ordering::Relaxed))
    }
}

/// A store of its own, and what an engine on it needs.
pub struct Rig {
    folder: tempfile::TempDir,
    clock: Arc<Standing>,
    pub stop: Stop,
    pub wake: Arc<Notify>,
    /// Rung after every round.
    pub rounds: Arc<Notify>,
    pub budget: Budget,
    pub until: Until,
    /// Channels that are configured and not served.
    pub unserved: Vec<String>,
    /// After this much time of the runtime's clock the engine is taken to hang.
    pub hangs_after: Duration,
}

impl Rig {
    pub fn new() -> Self {
        let stop = Stop {
            finish: CancellationToken::new(),
            drain: CancellationToken::new(),
            abandon: CancellationToken::new(),
            bound: Duration::from_secs(10),
            patience: Duration::from_secs(10),
        };
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            clock: Arc::new(Standing { wall: AtomicI64::new(START.0), stopped: AtomicU64::new(0) }),
            stop,
            wake: Arc::new(Notify::new()),
            rounds: Arc::new(Notify::new()),
            budget: Budget::default(),
            until: Until::Idle,
            unserved: Vec::new(),
            hangs_after: Duration::from_secs(30),
        }
    }

    /// The store, once more each time.
    pub fn store(&self) -> Box<dyn Store> {
        let url = format!("sqlite://{}", self.folder.path().join("n.db").display()).parse().expect("a URL");
        let options = Options { url, busy_timeout: Duration::from_secs(10) };
        open(&options, Access::Create, self.now()).expect("open")
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn pass_time(&self, time: Duration) {
        self.clock.wall.fetch_add(i64::try_from(time.as_millis()).expect("short"), Ordering::Relaxed);
    }

    /// The clock is set back.
    pub fn set_back(&self, by: Duration) {
        self.clock.wall.fetch_sub(i64::try_from(by.as_millis()).expect("short"), Ordering::Relaxed);
    }

    /// The process was stopped for so long, and the clock went on.
    pub fn stand_still(&self, time: Duration) {
        self.pass_time(time);
        self.clock.stopped.fetch_add(time.as_millis().try_into().expect("short"), Ordering::Relaxed);
    }

    /// Enqueues `n` on `channel`.
    pub fn enqueue(&self, channel: &str, n: usize) -> Vec<Id> {
        self.enqueue_like(n, &notification(channel))
    }

    pub fn enqueue_like(&self, n: usize, like: &NewNotification) -> Vec<Id> {
        let new = vec![like.clone(); n];
        let enqueued = self.store().enqueue(self.now(), self.now(), &new).expect("enqueue");
        enqueued.into_iter().map(|one| one.id).collect()
    }

    pub fn status(&self, id: Id) -> Status {
        self.store().get(id).expect("get").expect("there").summary.status
    }

    /// Runs a pass to its end.
    pub fn pass(&self, lanes: Vec<Lane>) -> Tally {
        self.run(self.store(), lanes).expect("a pass")
    }

    /// Runs a pass over this store.
    pub fn run(&self, mut store: Box<dyn Store>, lanes: Vec<Lane>) -> Result<Tally, Error> {
        let worker = store.register(self.now(), "test:1:1").expect("register");
        let outcome = runtime().block_on(self.deliver(store, worker, lanes));
        let findings = self.store().check().expect("check");
        assert!(findings.is_empty(), "{findings:?}");
        outcome
    }

    /// The engine's future, for tests that do something beside it.
    pub fn deliver(
        &self,
        store: Box<dyn Store>,
        worker: Box<dyn Worker>,
        lanes: Vec<Lane>,
    ) -> impl Future<Output = Result<Tally, Error>> + Send + use<> {
        let rounds = Arc::clone(&self.rounds);
        let (handle, _thread) = Handle::start(store, self.clock.clone()).expect("a thread");
        let engine = Engine {
            store: handle,
            worker,
            worker_name: "test:1:1".into(),
            configured: lanes.iter().map(|lane| lane.name.clone()).chain(self.unserved.clone()).collect(),
            lanes,
            clock: self.clock.clone(),
            random: fastrand::Rng::with_seed(7),
            until: self.until,
            budget: self.budget,
            stop: self.stop.clone(),
            wake: Arc::clone(&self.wake),
            observer: Box::new(move |seen| {
                if let Seen::Round(_) = seen {
                    rounds.notify_one();
                }
            }),
        };
        let limit = self.hangs_after;
        async move { tokio::time::timeout(limit, delivery::run(engine)).await.expect("the engine hangs") }
    }
}

/// A runtime like `send-pending`'s.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Runs `work` on a runtime whose clock stands still until it is moved (`tokio::time::advance`).
pub fn frozen<F: Future>(work: F) -> F::Output {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        // As long as something blocks, the clock does not run ahead by itself while the store's thread works.
        let (ended, wait) = std::sync::mpsc::channel::<()>();
        let blocked = tokio::task::spawn_blocking(move || wait.recv());
        let answer = work.await;
        drop(ended);
        drop(blocked.await);
        answer
    })
}

/// Lets others run until `holds`; panics with `what` after ten seconds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "waited in vain until {what}");
        tokio::task::yield_now().await;
    }
}

pub fn notification(channel: &str) -> NewNotification {
    NewNotification {
        channel: channel.into(),
        content: Content {
            recipient: "ops@example.org".into(),
            message: "hello".into(),
            ..Content::default()
        },
        ..NewNotification::default()
    }
}

/// A lane with room for four, that retries after 30 s and then after 60 s.
pub fn lane(name: &str, channel: &Arc<Scripted>) -> Lane {
    Lane {
        name: name.into(),
        channel: Arc::clone(channel) as Arc<dyn Channel>,
        policy: Policy {
            retry: "30s, 60s".parse().expect("a schedule"),
            on_unknown: OnUnknown::Retry,
            give_up_after: Duration::from_secs(86_400),
        },
        rates: Vec::new(),
        max_in_flight: 4,
        longest_attempt: Duration::from_secs(30),
    }
}

type Script = dyn Fn(Envelope) -> Pin<Box<dyn Future<Output = Verdict> + Send>> + Send + Sync;

/// A channel that does what its script says, and remembers what it was handed.
pub struct Scripted {
    script: Box<Script>,
    seen: Mutex<Vec<(Id, String)>>,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Scripted {
    pub fn new<F>(script: impl Fn(Envelope) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Verdict> + Send + 'static,
    {
        Arc::new(Self {
            script: Box::new(move |envelope| Box::pin(script(envelope))),
            seen: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        })
    }

    /// A channel that answers at once, always the same.
    pub fn answering(verdict: Verdict) -> Arc<Self> {
        Self::new(move |_| std::future::ready(verdict.clone()))
    }

    /// A channel that accepts all.
    pub fn accepting() -> Arc<Self> {
        Self::answering(Verdict::sent("ok"))
    }

    /// A channel that accepts `quick` at once, and each further one only once the gate lets it through.
    pub fn getting_slow(quick: usize) -> (Arc<Self>, Arc<Semaphore>) {
        let (left, gate) = (AtomicUsize::new(quick), Arc::new(Semaphore::new(0)));
        let opens = Arc::clone(&gate);
        let channel = Self::new(move |_| {
            let waits =
                left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
            let gate = Arc::clone(&opens);
            async move {
                if waits {
                    gate.acquire().await.expect("it is open").forget();
                }
                Verdict::sent("ok")
            }
        });
        (channel, gate)
    }

    /// A channel that never answers.
    pub fn hanging() -> Arc<Self> {
        Self::new(|_| std::future::pending())
    }

    /// The ids of all attempts, in their order.
    pub fn ids(&self) -> Vec<Id> {
        self.seen.lock().expect("whole").iter().map(|(id, _)| *id).collect()
    }

    /// The stable ids of all attempts, in their order.
    pub fn stable_ids(&self) -> Vec<String> {
        self.seen.lock().expect("whole").iter().map(|(_, id)| id.clone()).collect()
    }

    /// The most attempts that were under way at once.
    pub fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl Channel for Scripted {
    fn attempt<'a>(&'a self, envelope: &'a Envelope) -> Attempt<'a> {
        Box::pin(async move {
            self.seen.lock().expect("whole").push((envelope.id, envelope.stable_id.clone()));
            self.most.fetch_max(self.under_way.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            // Others begin while this one is under way.
            tokio::task::yield_now().await;
            let verdict = (self.script)(envelope.clone()).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            verdict
        })
    }
}
