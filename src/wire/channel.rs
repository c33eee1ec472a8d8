//! One channel: `channel list --json` and `channel test --json`, and its parts in `status --json`.

use serde::Serialize;
use utoipa::ToSchema;

use super::shape;
use crate::model::{Outcome, Reason, Timestamp};

/// A channel as it is configured, and what is kept of it; one line of `channel list --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// `smtp`, `webhook`, `exec` or `file`; null when the channel is not configured (any more).
    pub kind: Option<String>,
    /// Whether it is meant when a notification names none.
    pub default: bool,
    /// How many attempts at once in one process; null when the channel is not configured.
    pub max_in_flight: Option<usize>,
    /// When it tries again (`30s, 5m*2`); null when the channel is not configured.
    pub retry: Option<String>,
    /// Set while an operator (or a 410) holds the channel.
    pub held: Option<Hold>,
    /// Set while the channel has trouble.
    pub trouble: Option<Trouble>,
    /// Its limits and how far they are used.
    pub rates: Vec<Rate>,
}

/// Since when and why a channel is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Hold {
    /// Since when.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Why, for people.
    pub reason: String,
}

/// What keeps a channel from sending that is not a single notification's fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Trouble {
    /// Attempts in a row that ended in trouble.
    pub failures: u32,
    /// Nothing begins before this; null when one attempt may probe at once.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub paused_until: Option<Timestamp>,
    /// While one attempt probes, the others wait for it, at most until this; or null.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub probing_until: Option<Timestamp>,
    /// Why, in a bounded word.
    #[serde(serialize_with = "shape::option_word")]
    #[schema(value_type = Option<super::words::Reason>, required)]
    pub reason: Option<Reason>,
    /// The other side's own words, or null.
    #[schema(required)]
    pub detail: Option<String>,
}

/// How far a rate is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rate {
    /// The rate as it is configured: `50/10s`.
    pub rate: String,
    /// Attempts that count now.
    pub used: u32,
    /// The most that may count.
    pub limit: u32,
    /// When the next attempt may begin; null when one may begin at once.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub next_free_at: Option<Timestamp>,
}

/// What a test of a channel came to; `channel test --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Test {
    /// The channel.
    pub channel: String,
    /// `sent`, `deferred`, `rejected` or `unknown`.
    #[serde(serialize_with = "shape::word")]
    pub outcome: Outcome,
    /// Why, in a bounded word.
    #[serde(serialize_with = "shape::word")]
    pub reason: Reason,
    /// The other side's own words.
    pub detail: String,
    /// How long the attempt took, in milliseconds.
    pub took_ms: u64,
}
