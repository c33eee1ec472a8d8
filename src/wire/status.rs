//! How many notifications stand where: `status --json` and `status --batch ID --json`.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use super::channel::{Hold, Rate, Trouble};
use super::shape;
use crate::model::{self, Id, Timestamp};

/// How many stand at each status, in the order of [`model::Status::ALL`]; an object with every status as a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts(pub [u64; model::Status::ALL.len()]);

impl Counts {
    /// How many stand at `status`.
    #[must_use]
    pub fn of(&self, status: model::Status) -> u64 {
        self.0[status as usize]
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many are settled for good.
    #[must_use]
    pub fn settled(&self) -> u64 {
        model::Status::ALL.into_iter().filter(|status| status.is_final()).map(|status| self.of(status)).sum()
    }

    /// Adds what stands elsewhere.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, n)| *sum += n);
    }
}

impl utoipa::PartialSchema for Counts {
    fn schema() -> RefOr<Schema> {
        let count = || ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
        let all = model::Status::ALL.into_iter().fold(ObjectBuilder::new(), |object, status| {
            object.property(status.as_str(), count()).required(status.as_str())
        });
        all.into()
    }
}

impl ToSchema for Counts {}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for status in model::Status::ALL {
            map.serialize_entry(status.as_str(), &self.of(status))?;
        }
        map.end()
    }
}

/// The whole store at a glance; `status --json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Status {
    /// Over all channels.
    pub counts: Counts,
    /// Per channel: all that are configured or have ever been used.
    pub channels: BTreeMap<String, ChannelStatus>,
    /// Since when the oldest due notification is due, or null.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub oldest_due_at: Option<Timestamp>,
    /// When the next notification becomes due that is not due yet, or null.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub next_due_at: Option<Timestamp>,
    /// Ever accepted: the counts and what was purged.
    pub accepted: u64,
    /// Removed by a purge.
    pub purged: u64,
    /// The pass that ended last, or null.
    #[schema(required)]
    pub last_pass: Option<Pass>,
    /// The daemons, and the passes at work, that live now.
    pub workers: Vec<Worker>,
    /// When somebody who delivers was seen last: a sign of life of one of these, or the end of a pass; or null.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub sender_seen_at: Option<Timestamp>,
    /// Left out when no cache is configured. Over HTTP: what became of the reads of the daemon that answers; of
    /// `notifyctl status`: the cache itself, and the reads of all daemons.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = super::CacheUse, required = false)]
    pub cache: Option<super::Cache>,
    /// Where the store is.
    pub store: String,
    /// The moment of these numbers.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// One channel at a glance.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ChannelStatus {
    /// `smtp`, `webhook`, `exec` or `file`; null when the channel is not configured (any more).
    #[schema(required)]
    pub kind: Option<String>,
    /// How many stand where.
    pub counts: Counts,
    /// Ever accepted.
    pub accepted: u64,
    /// Removed by a purge.
    pub purged: u64,
    /// Since when its oldest due notification is due, or null.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub oldest_due_at: Option<Timestamp>,
    /// When its next one becomes due that is not due yet, or null.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub next_due_at: Option<Timestamp>,
    /// Set while an operator (or a 410) holds the channel.
    #[schema(required)]
    pub held: Option<Hold>,
    /// Set while the channel has trouble.
    #[schema(required)]
    pub trouble: Option<Trouble>,
    /// Its limits and how far they are used.
    pub rates: Vec<Rate>,
}

/// A daemon, or a pass that is at work.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Worker {
    /// Who it is: `host:pid:start`.
    pub worker: String,
    /// What it does: `sender`, `maintenance` and so on, or `pass` alone.
    pub roles: Vec<String>,
    /// When it began.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Its last sign of life.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
    /// Whether it owes a sign of life for so long that others take over what it has in hand.
    pub hangs: bool,
    /// Whether it delivers.
    #[serde(skip)]
    pub sends: bool,
}

/// What one pass came to.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Pass {
    /// Who ran it: `host:pid:start`.
    pub worker: String,
    /// When it began.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
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

/// One batch; `status --batch ID --json`, `wait --batch ID --json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Batch {
    /// Its id.
    pub id: Id,
    /// Where it came from: a file's name, or `-`.
    pub source: String,
    /// When it was enqueued.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Notifications enqueued with it.
    pub accepted: u64,
    /// Those of them that a purge removed since.
    pub purged: u64,
    /// How many stand where.
    pub counts: Counts,
}
