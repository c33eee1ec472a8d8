//! What the store answers: plain rows.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Breaker, Content, Cursor, Event, Id, Outcome, Priority, Rate, Reason, Status, Timestamp};

/// What the store says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Random, made with the store: 16 lower-case hexadecimal digits.
    pub store_id: String,
    /// The domain part of every `Message-ID`, fixed when the store was made.
    pub message_domain: String,
    /// The version of its schema.
    pub schema_version: i64,
}

/// The answer to one enqueued notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enqueued {
    /// Its id.
    pub id: Id,
    /// Whether it is new; false when its key was known.
    pub created: bool,
}

/// The answer to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchReceipt {
    /// The batch's id.
    pub id: Id,
    /// Notifications enqueued.
    pub created: u64,
    /// Rows whose key was known.
    pub known: u64,
}

/// The answer to a [`super::Portion`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// All of them are there.
    Whole {
        /// Their batch, when they are one. When every key was known, that of the first use.
        batch: Option<Id>,
        /// One for each, in order.
        new: Vec<Enqueued>,
    },
    /// None was accepted: a key was used before for a notification that says something else.
    Conflict {
        /// Which of them, from 0.
        position: usize,
        /// The notification of the first use; `None` when that is an earlier one of the same request.
        id: Option<Id>,
    },
    /// None was accepted: the key of the request was used before for something else.
    KeyUsed {
        /// When that was accepted, where it is known.
        since: Option<Timestamp>,
    },
}

/// A notification as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its id.
    pub id: Id,
    /// Its batch.
    pub batch_id: Option<Id>,
    /// The caller's id of the user who is told.
    pub user_id: Option<String>,
    /// Its channel.
    pub channel: String,
    /// Where it stands.
    pub status: Status,
    /// How much it hurries.
    pub priority: Priority,
    /// Who is told.
    pub recipient: String,
    /// One line.
    pub subject: Option<String>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it is due next; meaningful while it is pending.
    pub next_attempt_at: Timestamp,
    /// Its last useful moment.
    pub expires_at: Option<Timestamp>,
    /// When it reached its final status.
    pub settled_at: Option<Timestamp>,
    /// Attempts begun.
    pub attempts: u32,
    /// Why it stands there.
    pub reason: Option<Reason>,
}

/// A notification, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What lists show.
    pub summary: Summary,
    /// What is told, without attachments: who sends it alone reads their bytes.
    pub content: Content,
    /// Its attachments.
    pub attachments: Vec<Attached>,
    /// The earliest moment the caller allowed.
    pub not_before: Option<Timestamp>,
    /// The caller's duplicate guard, while its window lasts.
    pub idempotency_key: Option<String>,
    /// Until when that is; afterwards it goes at any time.
    pub key_expires_at: Option<Timestamp>,
    /// Retries used up.
    pub retries: u32,
    /// Workers that died in a row while they sent it.
    pub crashes: u32,
    /// Who has it, while it is being sent: `host:pid:start`.
    pub worker: Option<String>,
    /// Until when, unless extended.
    pub lease_expires_at: Option<Timestamp>,
}

/// An attachment, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The file's name.
    pub name: String,
    /// The media type.
    pub media_type: String,
    /// How many bytes it has.
    pub size: u64,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Who made it: `host:pid:start`.
    pub worker: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; `None` while it is under way.
    pub ended_at: Option<Timestamp>,
    /// What it came to.
    pub outcome: Option<Outcome>,
    /// Why.
    pub reason: Option<Reason>,
    /// The other side's words.
    pub detail: String,
    /// What a worker reported after it had lost its lease; evidence, without effect.
    pub late: Option<String>,
}

/// How many notifications stand where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Per channel, also those that are no longer configured.
    pub channels: BTreeMap<String, ChannelCounts>,
    /// Channels with a counter below nothing, which counts as nothing here: somebody has written it by hand.
    pub wrong: Vec<String>,
}

/// The counts of one channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChannelCounts {
    /// In the order of [`Status::ALL`].
    pub statuses: [u64; Status::ALL.len()],
    /// Ever accepted.
    pub accepted: u64,
    /// Removed by a purge.
    pub purged: u64,
}

impl ChannelCounts {
    /// How many stand at `status`.
    #[must_use]
    pub fn of(&self, status: Status) -> u64 {
        self.statuses[status as usize]
    }
}

impl Counts {
    /// How many stand at `status` over all channels.
    #[must_use]
    pub fn of(&self, status: Status) -> u64 {
        self.channels.values().map(|channel| channel.of(status)).sum()
    }
}

/// When a channel has something due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The channel.
    pub channel: String,
    /// Since when the oldest due one is due.
    pub oldest_due_at: Option<Timestamp>,
    /// When the next one becomes due that is not due yet.
    pub next_due_at: Option<Timestamp>,
}

/// A batch with its counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: Id,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// Where it came from.
    pub source: String,
    /// How many it holds and held.
    pub counts: ChannelCounts,
}

/// What is kept of one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelState {
    /// Its name.
    pub channel: String,
    /// Since when, and why, an operator (or a 410) holds it.
    pub held: Option<(Timestamp, String)>,
    /// Its trouble.
    pub breaker: Breaker,
    /// Its rates, as last used.
    pub rates: Vec<RateState>,
}

/// How far a rate is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateState {
    /// Which.
    pub rate: Rate,
    /// Attempts that count now.
    pub used: u32,
    /// When the next one may begin.
    pub next_free_at: Timestamp,
}

/// What happened since somebody asked last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Events {
    /// In the order in which it was committed. A notification that has been purged since is not told about.
    pub events: Vec<Event>,
    /// Where to go on, also when nothing was meant.
    pub next: Cursor,
    /// Set when some events before these are not kept any more, or were asked for behind a place that this store
    /// never came to: the place behind which these are. Whoever keeps a picture of the store draws it anew.
    pub gap: Option<Cursor>,
    /// Whether there is more right now.
    pub more: bool,
}

/// A user who can be told without naming a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The caller's id.
    pub id: String,
    /// For people.
    pub name: Option<String>,
    /// Who is told.
    pub recipient: String,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The room there is where the store lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes of that file system that we may still use.
    pub free: u64,
    /// Bytes of that file system in all.
    pub size: u64,
    /// Bytes of the write-ahead log's file, used or kept for what comes.
    pub log: u64,
    /// Whether that file system takes nothing: mounted so, or by itself after an error.
    pub read_only: bool,
}

impl Space {
    /// With fewer free bytes than this the disk is as good as full: what is left is for what becomes of what was accepted.
    pub const FULL: u64 = 1 << 20;
    /// With fewer free bytes than this little is done at once.
    pub const SHORT: u64 = 4 << 20;
}

/// A process that lives and has announced itself: a daemon, or a pass that is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveWorker {
    /// Its number; rises with time.
    pub id: Id,
    /// Who it is: `host:pid:start`.
    pub name: String,
    /// What it does: a daemon's roles, or [`LiveWorker::PASS`] alone.
    pub roles: Vec<String>,
    /// When it began.
    pub since: Timestamp,
    /// How long ago it gave its last sign of life.
    pub silent: Duration,
    /// Whether that is longer than it said it would be; others take what it has in hand for their own.
    pub hangs: bool,
}

impl LiveWorker {
    /// The role of a pass.
    pub const PASS: &str = "pass";
    /// The role of a daemon that delivers.
    pub const SENDER: &str = "sender";

    /// Whether it delivers: as a pass, or with the role of a sender.
    #[must_use]
    pub fn sends(&self) -> bool {
        self.roles.iter().any(|role| role == Self::PASS || role == Self::SENDER)
    }

    /// Whether it is a pass.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        self.roles.iter().any(|role| role == Self::PASS)
    }
}

/// A notification in a worker's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Its id.
    pub id: Id,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The token that must match when it is settled.
    pub lease_token: i64,
    /// Its channel.
    pub channel: String,
    /// Its batch.
    pub batch_id: Option<Id>,
    /// The caller's id of the user.
    pub user_id: Option<String>,
    /// How much it hurries.
    pub priority: Priority,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// Its last useful moment.
    pub expires_at: Option<Timestamp>,
    /// Retries used up.
    pub retries: u32,
    /// Workers that died in a row while they sent it.
    pub crashes: u32,
    /// When the first of the attempts began that deferred it, if one did.
    pub deferred_since: Option<Timestamp>,
    /// Whether it is the one that probes a channel in trouble.
    pub probes: bool,
    /// What is to be told.
    pub content: Content,
}

/// What a round came to.
#[derive(Debug, Clone, Default)]
pub struct Exchanged {
    /// Per settlement, in order: false when its lease was lost and no result was written.
    pub settled: Vec<bool>,
    /// Per claim, in order.
    pub claims: Vec<ClaimReply>,
    /// For how long it kept other writers out.
    pub held: Duration,
    /// Whether others waited to write when it came.
    pub company: bool,
}

/// The answer to one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimReply {
    /// At most as many as were wanted.
    pub claimed: Vec<Claimed>,
    /// These could not be read, and are dead now.
    pub unreadable: Vec<Id>,
    /// What kept it from giving more.
    pub limited_by: LimitedBy,
}

/// What kept a claim from giving more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitedBy {
    /// Nothing: as many as were wanted.
    Nothing,
    /// No more is due; the next one is at this moment, if there is one.
    Due(Option<Timestamp>),
    /// A rate; the next attempt may begin at this moment.
    Rate(Timestamp),
    /// The channel had trouble; it is looked at again at this moment.
    Paused(Timestamp),
    /// The channel is held until somebody releases it.
    Held,
}

/// A notification whose worker is dead or hangs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The worker that had it.
    pub worker: Id,
    /// When it was claimed.
    pub claimed_at: Timestamp,
    /// Whether its attempt had begun; `None` where nothing tells.
    pub begun: Option<bool>,
    /// What it had; the content is left empty.
    pub claimed: Claimed,
}

/// What a steering verb did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// These changed.
    pub changed: Vec<Id>,
    /// These stand where the verb does not apply.
    pub refused: Vec<(Id, Status)>,
    /// These do not exist.
    pub missing: Vec<Id>,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it: `integrity`, `accounting`, `counters`, `batches`, `channels`,
    /// `strays`, `attempts`.
    pub check: &'static str,
    /// What it found, and where.
    pub what: String,
}

/// The size of one table or index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableStats {
    /// Its name; `file`, `log` and `free` for the file's own parts.
    pub name: String,
    /// Rows, for a table.
    pub rows: Option<u64>,
    /// Bytes.
    pub bytes: u64,
}
