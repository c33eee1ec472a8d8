//! Claim, attempt, settle: the only place that loops.
//!
//! [`run`] serves both modes: until idle (`send-pending`) or until shutdown (a daemon). It decides first,
//! with the pure `model::settle`, and then writes, in one call to the store. Knows no clap, no HTTP server,
//! no Redis and no signals.
//!
//! One conductor owns all that changes. At most one call to the store is under way at any time, and it
//! carries all that waits: results, what is given back, and the wish for more. It leaves as soon as the one
//! before is back, so that a result waits for at most two commits, and a commit carries as much as came
//! together meanwhile: small when little happens, large under load.

mod calls;
mod care;
mod conductor;
mod courier;
mod error;
mod flights;
mod lane;
mod outbox;
mod pace;
mod places;
mod record;
mod round;
mod tally;
mod trouble;
mod worker;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use care::BEAT;
pub use error::Error;
pub use lane::Lane;
pub use tally::{ChannelTally, Tally};
pub use worker::{random, worker_name};

use crate::clock::Clock;
use crate::store::{Handle, Settlement, Worker};

/// The target of every line that is logged here.
pub const LOG_TARGET: &str = "notifyctl::delivery";

/// All that a run needs.
pub struct Engine {
    /// The way to the store.
    pub store: Handle,
    /// Whose claims these are.
    pub worker: Box<dyn Worker>,
    /// Its name, for the log: `host:pid:start`.
    pub worker_name: String,
    /// The channels that are served; others are left alone.
    pub lanes: Vec<Lane>,
    /// All channels that are configured, served or not. What a dead worker had begun on another one is held after a day:
    /// nobody would ever settle it.
    pub configured: BTreeSet<String>,
    /// The wall clock, for due times.
    pub clock: Arc<dyn Clock>,
    /// For jitter and lease tokens; seeded by the caller.
    pub random: fastrand::Rng,
    /// When it is over.
    pub until: Until,
    /// What it may use up.
    pub budget: Budget,
    /// How it is stopped early.
    pub stop: Stop,
    /// Rung when something may have become due earlier than the store said.
    pub wake: Arc<Notify>,
    /// Told of each attempt that is settled, and after every round.
    pub observer: Observer,
}

/// Is told what happens, once it is committed. It must not take long: nothing else happens meanwhile.
pub type Observer = Box<dyn FnMut(Seen<'_>) + Send>;

/// What an observer is told.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// An attempt is settled.
    Attempt {
        /// What it came to, and what becomes of the notification.
        settlement: &'a Settlement,
        /// How long it took, and how long ago its notification was enqueued; `None` for one of a dead worker.
        times: Option<Times>,
    },
    /// A result was refused: its lease was lost.
    LeaseLost,
    /// A claim on this channel waits for a rate.
    Limited(&'a str),
    /// A round is over; this is what all of them came to.
    Round(&'a Tally),
}

/// How long an attempt took.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From its begin to its end.
    pub took: Duration,
    /// From the enqueueing of its notification to its end.
    pub age: Duration,
}

/// When a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// When nothing due is left that this process can send soon: it waits for rates, but neither for
    /// what is due later nor for a channel in trouble.
    Idle,
    /// When it is told to drain.
    Shutdown,
}

/// What a run may use up; then it drains. The default is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Notifications to attempt.
    pub limit: Option<u64>,
    /// Time, after which nothing more begins.
    pub max_time: Option<Duration>,
}

/// How a run is stopped early, and how patient it is.
#[derive(Debug, Clone)]
pub struct Stop {
    /// Claim no more, give back what has not begun, and take the time that the rest takes.
    pub finish: CancellationToken,
    /// The same, within `bound`.
    pub drain: CancellationToken,
    /// Abandon what is still under way; its end is then unknown.
    pub abandon: CancellationToken,
    /// How long after `drain` what is under way is abandoned.
    pub bound: Duration,
    /// How long a store is borne that cannot be written, before a run until idle gives up; what is under way has then
    /// ended, unless the store is damaged.
    pub patience: Duration,
}

/// Delivers until it is over, and says what came of it.
///
/// Every attempt that ended has been settled when this returns `Ok`, and nothing is in hand any more.
///
/// # Errors
/// When the store cannot be used. Results that could not be written are in the log then; what this process
/// had in hand is free for others as soon as the process has ended.
pub async fn run(engine: Engine) -> Result<Tally, Error> {
    let identity = engine.store.call(|store| store.identity()).await??;
    let channels: Vec<_> = engine.lanes.iter().map(|lane| Arc::clone(&lane.channel)).collect();
    let outcome = conductor::conduct(engine, identity).await;
    join_all(channels.iter().map(|channel| channel.close())).await;
    outcome
}
