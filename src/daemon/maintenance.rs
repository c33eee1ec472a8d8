//! The role that tidies up: what has settled long enough ago goes, once a day, in bites; the log is moved into the
//! database file while nobody writes; and copies are made, where that is asked for.
//!
//! On the clock of the place, looked at every minute: a clock that is set, a night in which the machine was off
//! and the days on which the clocks change need no rule of their own. Several of these on one store take
//! turns, and the day's work is done by whoever is first.

use std::sync::Arc;
use std::time::Duration;

use chrono::Local;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Error, LOG_TARGET, backups};
use crate::clock::{Clock, SystemClock};
use crate::config::{Backup, Config, Retention};
use crate::model::Timestamp;
use crate::store::{self, Access, Bite, Handle, Purge, Turn};
use crate::units;

/// How often it is looked whether something is to be done.
const LOOK: Duration = Duration::from_secs(60);

/// After so many looks a copy that could not be made is tried again: each attempt may read all of the store.
const UNTIL_NEXT_TRY: u32 = 60;

/// How many expire in one transaction.
const EXPIRE_BITE: usize = 500;

/// The role, under way.
pub(super) struct Maintenance {
    duties: watch::Sender<Duties>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What there is to do, as configured.
#[derive(Debug, Clone)]
struct Duties {
    retention: Retention,
    backup: Option<Backup>,
}

impl Duties {
    fn of(config: &Config) -> Self {
        Self { retention: config.retention.clone(), backup: config.backup.clone() }
    }
}

impl Maintenance {
    /// Begins, on a connection of its own: the sender's results never wait behind it.
    pub(super) fn start(config: &Config) -> Result<Self, Error> {
        let opened = store::open(&config.store, Access::Existing, SystemClock.now())?;
        let (store, _thread) = Handle::start(opened, Arc::new(SystemClock))
            .map_err(|error| Error::system("start a thread for maintenance", error))?;
        let (duties, current) = watch::channel(Duties::of(config));
        let stop = CancellationToken::new();
        let ends = stop.clone().run_until_cancelled_owned(keep(store, current));
        let task = tokio::spawn(async { ends.await.unwrap_or(()) });
        Ok(Self { duties, stop, task })
    }

    /// What holds from now on.
    pub(super) fn reload(&self, config: &Config) {
        self.duties.send_replace(Duties::of(config));
    }

    /// Ends it between two bites.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // It was cancelled, not joined: nothing of it can fail.
        let _ = self.task.await;
    }
}

async fn keep(store: Handle, mut duties: watch::Receiver<Duties>) {
    let mut idle = Idle::default();
    let mut looks_off = 0;
    let mut clock = tokio::time::interval(LOOK);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if duties.has_changed().unwrap_or(false) {
            looks_off = 0;
        }
        let current = duties.borrow_and_update().clone();
        match tidy_up(&store, &current, &mut looks_off).await {
            Ok(0) => {}
            Ok(removed) => {
                log::info!(target: LOG_TARGET, removed; "maintenance: removed what its retention ran out for");
            }
            // The next look tries again.
            Err(error) => log::warn!(target: LOG_TARGET, "maintenance: {error}"),
        }
        if let Err(error) = idle.look(&store).await {
            log::warn!(target: LOG_TARGET, "maintenance: {error}");
        }
        log::debug!(target: LOG_TARGET, "maintenance: has looked");
    }
}

/// Moves the log into the database file when nobody has written from one look to the next, so that who comes then finds a
/// short one. Once for each time that something was written.
#[derive(Default)]
struct Idle {
    /// The version at the last look.
    seen: Option<u64>,
    /// The version when the log was moved last.
    moved: Option<u64>,
}

impl Idle {
    async fn look(&mut self, store: &Handle) -> Result<(), Error> {
        let version = Some(store.call(|store| store.version()).await??);
        if self.seen == version && self.moved != version {
            store.call(|store| store.checkpoint()).await??;
            self.moved = version;
        }
        self.seen = version;
        Ok(())
    }
}

/// Does what is due, but no copy for the next `looks_off` times; says how many were removed.
async fn tidy_up(store: &Handle, duties: &Duties, looks_off: &mut u32) -> Result<u64, Error> {
    store.call(|store| store.expire(SystemClock.now(), EXPIRE_BITE)).await??;
    let Some(mut turn) = store.call(|store| store.take_turn()).await?? else { return Ok(0) };
    let now = SystemClock.now();
    let removed = match turn.done_at() {
        // The clock was set back since: by its old time nothing would be due for as long as it was ahead.
        Some(done) if done > now => {
            turn = is_done(store, turn, now).await?;
            0
        }
        Some(done) if next_due(&duties.retention, done, now) > now => 0,
        Some(_) => {
            let removed = remove(store, &duties.retention, now).await?;
            turn = is_done(store, turn, now).await?;
            removed
        }
        None => {
            // A new store has nothing that is old.
            turn = is_done(store, turn, now).await?;
            0
        }
    };
    if *looks_off > 0 {
        *looks_off -= 1;
    } else if let Some(backup) = &duties.backup {
        *looks_off = UNTIL_NEXT_TRY - 1;
        let backup = backup.clone();
        store.call(move |store| backups::keep(store, &backup, now)).await??;
        *looks_off = 0;
    }
    drop(turn);
    Ok(removed)
}

/// Keeps that the work is done, on the store's thread: nobody else waits for the disk.
async fn is_done(store: &Handle, turn: Box<dyn Turn>, now: Timestamp) -> Result<Box<dyn Turn>, Error> {
    let (turn, kept) = store
        .call(move |_| {
            let kept = turn.done(now);
            (turn, kept)
        })
        .await?;
    kept?;
    Ok(turn)
}

/// Removes what its retention has run out for; says how many that were.
async fn remove(store: &Handle, retention: &Retention, now: Timestamp) -> Result<u64, Error> {
    let mut removed = 0;
    for (statuses, age) in retention.groups() {
        let mut size = Bite::default();
        let mut purge = Purge { statuses, settled_before: now.minus(age), now, from: 0, limit: size.rows() };
        loop {
            let bite = purge.clone();
            let bite = store.call(move |store| store.purge(&bite)).await??;
            removed += bite.removed;
            let Some(next) = bite.next else { break };
            size.learn(bite.took);
            (purge.from, purge.limit) = (next, size.rows());
            tokio::time::sleep(Bite::PAUSE).await;
        }
    }
    store.call(|store| store.checkpoint()).await??;
    Ok(removed)
}

/// When it is to be done next, after it was `done`.
fn next_due(retention: &Retention, done: Timestamp, now: Timestamp) -> Timestamp {
    let text = retention.at.to_string();
    units::instant(&text, done, &Local).unwrap_or(now)
}
