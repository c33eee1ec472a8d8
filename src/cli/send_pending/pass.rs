//! One pass: the store's thread, the engine, and the signals that end it early.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::cli::interrupt::Interrupt;
use crate::cli::{Error, Exit};
use crate::clock::{Clock, SystemClock};
use crate::delivery::{self, Budget, Engine, LOG_TARGET, Lane, Stop, Tally, Until};
use crate::model::{Status, Timestamp};
use crate::store::{Handle, LiveWorker, PassRecord, Store};

/// How long what is under way is waited for after a signal; supervisors kill ten seconds after theirs.
const DRAIN: Duration = Duration::from_secs(8);

/// How long a store that cannot be written is borne, on top of its own busy timeout.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of a pass.
pub(super) struct Done {
    pub(super) worker: String,
    pub(super) tally: Tally,
    pub(super) left: Left,
}

/// What is still pending on the channels that were served.
pub(super) struct Left {
    /// How many.
    pub(super) pending: u64,
    /// Since when the oldest is due, if one is.
    pub(super) oldest_due_at: Option<Timestamp>,
    /// When the next one becomes due that is not due yet.
    pub(super) next_due_at: Option<Timestamp>,
}

/// Runs one pass over `store`, on `lanes` among all channels that are `configured`; signals are heeded here in place of `interrupt`.
pub(super) fn run(
    mut store: Box<dyn Store>,
    lanes: Vec<Lane>,
    configured: BTreeSet<String>,
    budget: Budget,
    interrupt: &Interrupt,
) -> Result<Done, Error> {
    let now = SystemClock.now();
    let name = delivery::worker_name(now);
    let channels: BTreeSet<String> = lanes.iter().map(|lane| lane.name.clone()).collect();
    let worker = store.register(now, &name)?;
    // It is for people who look meanwhile; on a full disk they see one less.
    let _ = worker.announce(LiveWorker::PASS, now);
    let progress = Progress::start(left(&*store, &channels, now)?.pending, budget.limit);
    let (handle, thread) = Handle::start(store, Arc::new(SystemClock))
        .map_err(|error| system("start the store's thread", &error))?;
    let stop = Stop {
        finish: CancellationToken::new(),
        drain: CancellationToken::new(),
        abandon: CancellationToken::new(),
        bound: DRAIN,
        patience: PATIENCE,
    };
    let engine = Engine {
        store: handle,
        worker,
        worker_name: name.clone(),
        lanes,
        configured,
        clock: Arc::new(SystemClock),
        random: delivery::random().map_err(|error| system("read random numbers", &error))?,
        until: Until::Idle,
        budget,
        stop: stop.clone(),
        wake: Arc::new(Notify::new()),
        observer: progress.observer(),
    };
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| system("start the runtime", &error))?;
    let outcome = runtime.block_on(async {
        let signals = tokio::spawn(heed_signals(stop)?);
        interrupt.leave();
        let outcome = delivery::run(engine).await;
        signals.abort();
        Ok::<_, Error>(outcome)
    });
    // A thread that hangs in the name service or on a dead disk is not waited for: its attempt is settled.
    runtime.shutdown_background();
    progress.finish();
    let tally = outcome??;
    let mut store = thread.join().map_err(|_| Error::internal("the store's thread panicked"))?;
    conclude(&mut *store, &name, &tally)?;
    let left = left(&*store, &channels, SystemClock.now())?;
    Ok(Done { worker: name, tally, left })
}

/// Keeps the tally, and tidies up after a pass that wrote.
fn conclude(store: &mut dyn Store, worker: &str, tally: &Tally) -> Result<(), Error> {
    store.record_pass(&PassRecord {
        worker: worker.to_owned(),
        started_at: tally.started_at,
        ended_at: tally.ended_at,
        sent: tally.total.sent,
        deferred: tally.total.deferred,
        dead: tally.total.dead,
        expired: tally.expired(),
        held: tally.total.held,
    })?;
    if tally.done() + tally.total.deferred > 0 {
        store.checkpoint()?;
    }
    Ok(())
}

fn left(store: &dyn Store, channels: &BTreeSet<String>, now: Timestamp) -> Result<Left, Error> {
    let counts = store.counts()?;
    for channel in &counts.wrong {
        log::error!(
            target: LOG_TARGET, channel = channel.as_str();
            "the channel's counters are wrong, which changes nothing but what is shown; `notifyctl db check` says how"
        );
    }
    let pending = counts.channels.iter().filter(|(name, _)| channels.contains(*name));
    let pending = pending.map(|(_, counts)| counts.of(Status::Pending)).sum();
    let due: Vec<_> = store.due(now)?.into_iter().filter(|due| channels.contains(&due.channel)).collect();
    Ok(Left {
        pending,
        oldest_due_at: due.iter().filter_map(|due| due.oldest_due_at).min(),
        next_due_at: due.iter().filter_map(|due| due.next_due_at).min(),
    })
}

/// Drains at the first signal, and abandons what is under way at the second.
fn heed_signals(stop: Stop) -> Result<impl Future<Output = ()>, Error> {
    let heed = |kind| signal(kind).map_err(|error| system("heed signals", &error));
    let mut terminate = heed(SignalKind::terminate())?;
    let mut interrupt = heed(SignalKind::interrupt())?;
    let mut hangup = heed(SignalKind::hangup())?;
    Ok(async move {
        for token in [&stop.drain, &stop.abandon] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {}
            }
            token.cancel();
        }
    })
}

fn system(doing: &str, error: &dyn std::fmt::Display) -> Error {
    Error::new(Exit::TempFail, format!("{doing}: {error}"))
}

impl From<delivery::Error> for Error {
    fn from(error: delivery::Error) -> Self {
        match error {
            delivery::Error::Store(error) => error.into(),
            delivery::Error::Stopped(error) => Self::internal(error.to_string()),
            delivery::Error::Worker(error) => {
                let exit = match error.kind() {
                    std::io::ErrorKind::StorageFull => Exit::TempFail,
                    _ => Exit::IoErr,
                };
                Self::new(exit, format!("write worker file: {error}"))
                    .hint("look at the disk (dmesg); nothing begins that cannot be put on record first")
            }
        }
    }
}
