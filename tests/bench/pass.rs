//! A pass over a channel that does nothing, attempts on record and counts kept, against a bare claim-and-settle loop.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notifyctl::channel::{Attempt, Channel, Envelope};
use notifyctl::clock::{Clock, SystemClock};
use notifyctl::delivery::{self, Budget as Limits, Engine, Lane, Stop, Until};
use notifyctl::model::{Content, NewNotification, OnUnknown, Policy, Verdict};
use notifyctl::store::{self, Access, Handle, NewBatch, Next, Options, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::floor;
use crate::measure::{Budget, Row, pairs, time};

const ROWS: usize = 50_000;

struct Nothing;

impl Channel for Nothing {
    fn attempt<'a>(&'a self, _envelope: &'a Envelope) -> Attempt<'a> {
        Box::pin(std::future::ready(Verdict::sent("ok")))
    }
}

pub fn run() -> Vec<Row> {
    let ours = || {
        let folder = tempfile::tempdir().expect("a folder");
        let store = fill(folder.path(), ROWS);
        time(|| assert_eq!(pass(store), ROWS as u64))
    };
    let bare = || {
        let folder = tempfile::tempdir().expect("a folder");
        drop(fill(folder.path(), ROWS));
        let mut connection = rusqlite::Connection::open(folder.path().join("n.db")).expect("open");
        connection.execute_batch("PRAGMA synchronous = full").expect("settings");
        time(|| assert_eq!(floor::claim_and_settle(&mut connection), ROWS))
    };
    let (a, b, ratio) = pairs(11, ours, bare);
    let rate = |seconds: f64| format!("{:.0}/s", ROWS as f64 / seconds);
    vec![Row {
        work: format!("pass over a no-op channel, {ROWS} due"),
        ours: rate(a),
        floor: rate(b),
        against: "a bare claim-and-settle loop".into(),
        ratio: 1.0 / ratio,
        budget: Budget::AtLeast(0.35),
    }]
}

/// The store in `folder`.
pub fn open(folder: &Path) -> Box<dyn Store> {
    let url = format!("sqlite://{}", folder.join("n.db").display()).parse().expect("a URL");
    let options = Options { url, busy_timeout: Duration::from_secs(5) };
    store::open(&options, Access::Create, SystemClock.now()).expect("open")
}

/// A store in `folder` in which `due` are due.
pub fn fill(folder: &Path, due: usize) -> Box<dyn Store> {
    let mut store = open(folder);
    let now = notifyctl::model::Timestamp(1_700_000_000_000);
    let mut left = due;
    let mut rows = || match left {
        0 => Next::Commit,
        _ => {
            left -= 1;
            Next::Row(Box::new(row(left)))
        }
    };
    let batch = NewBatch { source: "bench".into(), key_expires_at: now };
    store.enqueue_batch(now, &batch, &mut rows).expect("fill").expect("rows");
    store
}

/// The `n`-th notification of a bench.
pub fn row(n: usize) -> NewNotification {
    NewNotification {
        channel: "noop".into(),
        content: Content {
            recipient: format!("user{n}@example.org"),
            subject: Some("subject".into()),
            message: "x".repeat(250),
            ..Content::default()
        },
        ..NewNotification::default()
    }
}

/// Sends all that is due, and says how many that were.
pub fn pass(store: Box<dyn Store>) -> u64 {
    let (handle, thread) = Handle::start(store, Arc::new(SystemClock)).expect("start");
    let sent = run_until(Until::Idle, handle, &Arc::new(Notify::new()));
    drop(thread.join());
    sent
}

/// Sends what becomes due, for as long as this process lives, and looks when it is woken.
pub fn send(store: Handle, wake: &Arc<Notify>) {
    run_until(Until::Shutdown, store, wake);
}

fn run_until(until: Until, store: Handle, wake: &Arc<Notify>) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let now = SystemClock.now();
    let worker = runtime.block_on(store.call(move |store| store.register(now, "bench:1:1")));
    let worker = worker.expect("its thread").expect("register");
    let lane = Lane {
        name: "noop".into(),
        channel: Arc::new(Nothing),
        policy: Policy {
            retry: "30s".parse().expect("a schedule"),
            on_unknown: OnUnknown::Retry,
            give_up_after: Duration::from_secs(86_400),
        },
        rates: Vec::new(),
        max_in_flight: 64,
        longest_attempt: Duration::from_secs(60),
    };
    let engine = Engine {
        store,
        worker,
        worker_name: "bench:1:1".into(),
        lanes: vec![lane],
        configured: BTreeSet::new(),
        clock: Arc::new(SystemClock),
        random: fastrand::Rng::with_seed(1),
        until,
        budget: Limits::default(),
        stop: Stop {
            finish: CancellationToken::new(),
            drain: CancellationToken::new(),
            abandon: CancellationToken::new(),
            bound: Duration::from_secs(10),
            patience: Duration::from_secs(10),
        },
        wake: Arc::clone(wake),
        observer: Box::new(|_| {}),
    };
    let tally = runtime.block_on(delivery::run(engine)).expect("a pass");
    tally.total.sent
}
