//! What is handed to the store: plain parameters, spelled out at the call.

use std::time::Duration;

use crate::model::{Id, NewNotification, Rate, Status, Timestamp, Transition, Verdict};

/// One round of a worker, in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    /// The moment of all of it.
    pub now: Timestamp,
    /// How far ahead of the clock that lies: what is claimed begins no earlier.
    pub lead: Duration,
    /// The worker's number, from [`super::Worker::id`].
    pub worker: Id,
    /// In 0..1, for the pauses of channels in trouble.
    pub jitter: f64,
    /// How many attempts of the worker may be under way at once: room for their results is set aside first.
    pub in_flight: usize,
    /// How many attempts of the worker are under way, or may begin, whose results come later: as long as there are any,
    /// the room that was set aside is left to them.
    pub outstanding: usize,
    /// Results to be written.
    pub settle: Vec<Settlement>,
    /// Claimed, but not begun: pending again, as if never claimed.
    pub give_back: Vec<GiveBack>,
    /// What is wanted next.
    pub claim: Vec<Claim>,
}

/// The result of one attempt.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which notification.
    pub id: Id,
    /// Which attempt.
    pub attempt: u32,
    /// The token of the lease under which it was made.
    pub lease_token: i64,
    /// Its channel, for the counters.
    pub channel: String,
    /// Its batch, for the counters.
    pub batch_id: Option<Id>,
    /// The worker that made the attempt (another one than the exchange's, for an orphan).
    pub worker: Id,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// What it came to.
    pub verdict: Verdict,
    /// What becomes of the notification.
    pub transition: Transition,
}

/// A claim that was not used.
#[derive(Debug, Clone)]
pub struct GiveBack {
    /// Which notification.
    pub id: Id,
    /// Which attempt it would have been.
    pub attempt: u32,
    /// The token of its lease.
    pub lease_token: i64,
    /// Its channel, for the counters.
    pub channel: String,
    /// Its batch, for the counters.
    pub batch_id: Option<Id>,
    /// Whether it no longer counts against the channel's rates: it was claimed under rates, and the other side has
    /// certainly heard nothing of it.
    pub uncounted: bool,
}

/// A wish for work of one channel.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The channel's name.
    pub channel: String,
    /// How many at most.
    pub limit: u32,
    /// The channel's limits, all of which hold.
    pub rates: Vec<Rate>,
    /// How long the lease lasts unless it is extended.
    pub lease: Duration,
    /// Random; the same for all rows of this claim.
    pub lease_token: i64,
}

/// Which notifications a listing or a selection means; all conditions hold at once.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In one of these statuses; empty means any.
    pub statuses: Vec<Status>,
    /// On this channel.
    pub channel: Option<String>,
    /// Of this batch.
    pub batch_id: Option<Id>,
    /// For this user.
    pub user_id: Option<String>,
    /// To exactly this recipient.
    pub recipient: Option<String>,
    /// Enqueued at or after.
    pub since: Option<Timestamp>,
    /// Enqueued before.
    pub until: Option<Timestamp>,
    /// Those alone that are tried again: pending, with a retry used up.
    pub retrying: bool,
}

/// Which way a listing runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By falling id.
    #[default]
    NewestFirst,
    /// By rising id.
    OldestFirst,
}

/// One page of a listing.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Which way.
    pub order: Order,
    /// Behind this id, in that order.
    pub after: Option<Id>,
    /// How many at most; more than [`Page::LIMIT`] means [`Page::LIMIT`].
    pub limit: usize,
}

impl Page {
    /// The most rows of one page.
    pub const LIMIT: usize = 1_000;
}

/// What a steering verb applies to.
#[derive(Debug, Clone)]
pub enum Selection {
    /// Exactly these, each once however often it is named; those in another status are reported as refused.
    Ids(Vec<Id>),
    /// The oldest `limit` that match and that the verb can apply to.
    Matching {
        /// Which.
        filter: Filter,
        /// How many at most.
        limit: usize,
    },
}

/// Many notifications enqueued together.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Where it came from, for people: a file's name, or `-`.
    pub source: String,
    /// When the keys used in it expire.
    pub key_expires_at: Timestamp,
}

/// What the source of a batch says when asked for a row.
#[derive(Debug)]
pub enum Next {
    /// Here is one.
    Row(Box<NewNotification>),
    /// That was all: accept them.
    Commit,
    /// Accept none of them.
    RollBack,
}

/// The notifications of one request: all of them are accepted, or none.
#[derive(Debug, Clone, Default)]
pub struct Portion {
    /// At least one.
    pub new: Vec<NewNotification>,
    /// When the keys used in it expire.
    pub key_expires_at: Timestamp,
    /// Where it came from, when they are to be a batch.
    pub batch: Option<String>,
    /// The key of the request as a whole, beside those that its notifications have.
    pub request: Option<RequestKey>,
}

/// The key of a request, which belongs to all that was asked for, and to nothing else until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// As the caller gave it.
    pub key: String,
    /// Of what was asked for: two that ask for the same have the same one.
    pub sha256: [u8; 32],
}

impl RequestKey {
    /// The key of a notification of the request's row `number`, from 1, where the request is a list.
    #[must_use]
    pub fn of_row(&self, number: usize) -> String {
        format!("{}/{number}", self.key)
    }
}

/// One bite of a purge.
#[derive(Debug, Clone)]
pub struct Purge {
    /// Only these final statuses.
    pub statuses: Vec<Status>,
    /// Only what was settled before.
    pub settled_before: Timestamp,
    /// The time: what was enqueued after it, by a clock that was ahead, says nothing about what comes behind it.
    pub now: Timestamp,
    /// Where to start, from the bite before.
    pub from: Id,
    /// How many rows to look at, at most.
    pub limit: usize,
}

/// What one pass came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassRecord {
    /// Who ran it: `host:pid:start`.
    pub worker: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Attempts that ended as sent.
    pub sent: u64,
    /// Attempts after which the notification waits again.
    pub deferred: u64,
    /// Notifications that died.
    pub dead: u64,
    /// Notifications that expired.
    pub expired: u64,
    /// Notifications that were held because nobody saw the end of their attempt.
    pub held: u64,
}

impl PassRecord {
    /// How many passes are remembered.
    pub const KEPT: usize = 100;
}
