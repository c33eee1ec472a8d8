//! The durable truth about every notification.
//!
//! A reading half, a writing half and an administering half, each a trait; plain parameters and plain rows
//! cross the seam, and no transaction does. Every method of the writing half is exactly one transaction
//! and takes `now` from the caller. Deliberately knows no channels, no Redis, no HTTP, and prints nothing.
//!
//! The reading half is a trait of its own because it is all that a cache may ever wrap: the types forbid
//! a stale claim.

mod bite;
mod desk;
mod error;
mod gather;
mod handle;
pub mod params;
pub mod rows;
pub mod shapes;
pub mod sqlite;
mod tokens;
mod turn;
mod url;
mod worker;

use std::path::Path;
use std::time::Duration;

pub use bite::Bite;
pub use error::{Error, ErrorKind, Result};
pub(crate) use handle::guarded;
pub use handle::{Handle, Refused, Stopped};
pub use params::{
    Claim, Exchange, Filter, GiveBack, NewBatch, Next, Order, Page, PassRecord, Portion, Purge, RequestKey,
    Selection, Settlement,
};
pub use rows::{
    Attached, Attempt, Batch, BatchReceipt, Changed, ChannelCounts, ChannelState, ClaimReply, Claimed,
    Counts, Due, Enqueued, Events, Exchanged, Finding, Identity, LimitedBy, LiveWorker, Notification, Orphan,
    RateState, Space, Summary, TableStats, Taken, User,
};
pub use tokens::{NewToken, Token, Tokens};
pub use turn::Turn;
pub use url::{StoreUrl, UrlError};
pub use worker::Worker;

use crate::model::{Cursor, EventFilter, Id, Mark, NewNotification, Timestamp, Touched};

/// What can be asked; never changes anything.
pub trait Reader: Send {
    /// What the store says of itself.
    fn identity(&self) -> Result<Identity>;
    /// One notification, whole.
    fn get(&self, id: Id) -> Result<Option<Notification>>;
    /// Its attempts, the first one first; the one under way comes last, without an end.
    fn attempts(&self, id: Id) -> Result<Vec<Attempt>>;
    /// One notification with its attempts, both as of one moment.
    fn history(&self, id: Id) -> Result<Option<(Notification, Vec<Attempt>)>>;
    /// One page of what matches, at most [`Page::LIMIT`] rows.
    fn list(&self, filter: &Filter, page: &Page) -> Result<Vec<Summary>>;
    /// How many there are per channel and status; costs the same whatever the history.
    fn counts(&self) -> Result<Counts>;
    /// Per channel with something pending: since when the oldest is due, and when the next one is.
    fn due(&self, now: Timestamp) -> Result<Vec<Due>>;
    /// One batch, with its counts.
    fn batch(&self, id: Id) -> Result<Option<Batch>>;
    /// What is kept per channel: held, paused, rates in use.
    fn channels(&self, now: Timestamp) -> Result<Vec<ChannelState>>;
    /// The pass that ended last.
    fn last_pass(&self) -> Result<Option<PassRecord>>;
    /// The processes that live and have announced themselves; of each one its newest announcement.
    fn workers(&self) -> Result<Vec<LiveWorker>>;
    /// The room there is where it lies.
    fn space(&self) -> Result<Space>;
    /// Changes whenever another connection has committed something since it was asked last.
    fn version(&self) -> Result<u64>;
    /// What happened behind `after`, in the order in which it was committed, whoever did it; of the next `limit`
    /// events those that `filter` means. Notifications that it does not mean are not looked up.
    fn events(&self, after: Cursor, filter: &EventFilter, limit: usize) -> Result<Events>;
    /// The place before the first event at or after `since`; without it the end, for what happens from now on.
    fn cursor(&self, since: Option<Timestamp>) -> Result<Cursor>;
    /// How far the store has come, for who keeps answers of it; costs microseconds.
    fn mark(&self) -> Result<Mark>;
    /// Which notifications changed after the change `after`; a list of at most `limit` changes.
    fn touched(&self, after: u64, limit: usize) -> Result<Touched>;
    /// What is answered to a request whose key was used for a request: as that was, with nothing new, when both are the same,
    /// else that it is refused. `None` while the key is free.
    fn request(&self, now: Timestamp, request: &RequestKey) -> Result<Option<Taken>>;
    /// A known user.
    fn user(&self, id: &str) -> Result<Option<User>>;
}

/// What changes the store: each method is exactly one transaction, synced when it returns.
pub trait Writer: Send {
    /// Accepts `new`, all or none, and answers in the same order. A key that is known for its recipient
    /// (until `key_expires_at` of its first use) answers with the existing id.
    fn enqueue(
        &mut self,
        now: Timestamp,
        key_expires_at: Timestamp,
        new: &[NewNotification],
    ) -> Result<Vec<Enqueued>>;

    /// Accepts the requests that came together, each whole or not at all, and answers in the same order. A known key
    /// answers as in [`Writer::enqueue`] when the notification says the same (but for its times), else its
    /// request is refused. With a key of its own ([`Portion::request`]) a request is answered as [`Reader::request`] says, and is
    /// refused too when that key was used for something, or when some of its notifications are known and some are not.
    fn enqueue_portions(&mut self, now: Timestamp, portions: &[Portion]) -> Result<Vec<Taken>>;

    /// Accepts one row after another until `rows` says commit or roll back; constant memory. `None` when
    /// it was rolled back, or when there was no row at all.
    fn enqueue_batch(
        &mut self,
        now: Timestamp,
        batch: &NewBatch,
        rows: &mut dyn FnMut() -> Next,
    ) -> Result<Option<BatchReceipt>>;

    /// Announces a process that is about to claim. What it holds is free as soon as the returned value is
    /// dropped, or its process dies.
    fn register(&mut self, now: Timestamp, name: &str) -> Result<Box<dyn Worker>>;

    /// One round of a worker: writes results back, gives back what was not begun, claims more.
    fn exchange(&mut self, exchange: &Exchange) -> Result<Exchanged>;

    /// [`Writer::enqueue_portions`] at `now` and then [`Writer::exchange`], which may claim what has just been accepted; one
    /// sync for both. An error may have its reason in either: then neither has happened, and each is to be tried alone.
    fn enqueue_and_exchange(
        &mut self,
        now: Timestamp,
        portions: &[Portion],
        exchange: &Exchange,
    ) -> Result<(Vec<Taken>, Exchanged)>;

    /// Notifications whose worker is dead, or alive but without a sign for longer than its lease; changes nothing.
    /// `lease` is for one that has never named its own; `me` is never among them.
    fn orphans(&mut self, me: Id, lease: Duration, limit: usize) -> Result<Vec<Orphan>>;

    /// Extends the leases of `worker` to `until`.
    fn extend(&mut self, worker: Id, until: Timestamp) -> Result<()>;

    /// Expires at most `limit` notifications whose last useful moment has passed; says how many.
    fn expire(&mut self, now: Timestamp, limit: usize) -> Result<usize>;

    /// Calls off what is pending or held.
    fn cancel(&mut self, now: Timestamp, which: &Selection) -> Result<Changed>;
    /// Stops what is pending.
    fn hold(&mut self, now: Timestamp, which: &Selection) -> Result<Changed>;
    /// Lets go what is held; due at once, or at `not_before`.
    fn release(&mut self, now: Timestamp, which: &Selection) -> Result<Changed>;
    /// Starts what is dead, expired or cancelled again: due at once, or at `not_before`, with a fresh
    /// retry schedule, fresh patience and no expiry.
    fn requeue(&mut self, now: Timestamp, which: &Selection) -> Result<Changed>;

    /// Removes one bite of old final notifications with all that belongs to them.
    fn purge(&mut self, purge: &Purge) -> Result<Purged>;

    /// Stops a whole channel (`reason` is shown), until [`Writer::release_channel`].
    fn hold_channel(&mut self, now: Timestamp, channel: &str, reason: &str) -> Result<()>;
    /// Lets a whole channel go, and forgets its trouble. Says whether anything held it back.
    fn release_channel(&mut self, now: Timestamp, channel: &str) -> Result<bool>;

    /// Keeps the tally of a pass; the last [`PassRecord::KEPT`] are kept.
    fn record_pass(&mut self, pass: &PassRecord) -> Result<()>;

    /// Creates or changes a user.
    fn set_user(&mut self, user: &User) -> Result<()>;

    /// Takes the turn to tidy up; `None` while another process has it.
    fn take_turn(&mut self) -> Result<Option<Box<dyn Turn>>>;

    /// Moves the log into the database file as far as readers allow; for idle moments.
    fn checkpoint(&mut self) -> Result<()>;

    /// Proves that it can be written: takes the lock that every write takes, and gives it back. After a write that
    /// failed, and until this succeeds, it also writes what stands there already, and syncs it.
    fn prove(&mut self) -> Result<()>;

    /// Closes the store in a process that is about to end: what the end of the process takes away is left to it.
    fn leave(self: Box<Self>);
}

/// What one bite of a purge did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// Notifications removed.
    pub removed: u64,
    /// Where the next bite starts; `None` when nothing older is left.
    pub next: Option<Id>,
    /// How long it kept others from writing.
    pub took: Duration,
}

/// What an administrator asks of the store.
pub trait Admin: Send {
    /// Proves P2 (accepted = what is there + purged), the counters and the file's integrity; empty when all is well.
    fn check(&self) -> Result<Vec<Finding>>;
    /// Counts anew, and writes it over what the counters say: for a store whose counters are wrong. Keeps others from
    /// writing while it reads all of history.
    fn recount(&mut self) -> Result<()>;
    /// Rows and bytes per table.
    fn stats(&self) -> Result<Vec<TableStats>>;
    /// A consistent copy in a new file, synced, mode 0600; refuses to overwrite.
    fn backup(&self, to: &Path) -> Result<()>;
}

/// A whole store.
pub trait Store: Reader + Writer + Admin + Tokens {}

impl<T: Reader + Writer + Admin + Tokens> Store for T {}

/// What opening may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read and write; made, with its directory, when it is missing, and migrated when it is older.
    Create,
    /// Read and write; an error when it is missing; migrated when it is older.
    Existing,
    /// Read alone; works on a read-only file system.
    Read,
}

/// Tells when somebody writes to the store, this process included, without asking it again and again. A write
/// is committed a little later, if at all: [`Reader::version`] says so.
///
/// # Errors
/// When the system cannot tell, or the store is not open anywhere.
pub fn watch(url: &StoreUrl) -> std::io::Result<sqlite::Watch> {
    match url {
        StoreUrl::Sqlite(path) => sqlite::Watch::of(path),
    }
}

/// How a store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Which database, and where.
    pub url: StoreUrl,
    /// How long to wait for another writer before answering that the store is busy.
    pub busy_timeout: Duration,
}

/// Opens the store.
///
/// # Errors
/// Says which file, what is wrong with it and of which [`ErrorKind`] that is.
pub fn open(options: &Options, access: Access, now: Timestamp) -> Result<Box<dyn Store>> {
    match &options.url {
        StoreUrl::Sqlite(path) => {
            Ok(Box::new(sqlite::Sqlite::open(path, options.busy_timeout, access, now)?))
        }
    }
}
