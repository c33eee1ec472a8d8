//! One notification: as `list --json` and `show --json` write it, and where it stands.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::shape;
use crate::model::{Id, Outcome, Priority, Reason, Status, Timestamp};

/// A notification as lists show it; one line of `list --json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Summary {
    /// Its id.
    pub id: Id,
    /// Where it stands.
    #[serde(serialize_with = "shape::word")]
    #[schema(value_type = super::words::NotificationStatus)]
    pub status: Status,
    /// Why it stands there: a word, or null when nothing has been tried.
    #[serde(serialize_with = "shape::option_word")]
    #[schema(value_type = Option<super::words::Reason>, required)]
    pub reason: Option<Reason>,
    /// Its channel.
    pub channel: String,
    /// How much it hurries.
    #[serde(serialize_with = "shape::word")]
    #[schema(value_type = super::words::Priority)]
    pub priority: Priority,
    /// Who is told.
    pub recipient: String,
    /// One line, or null.
    #[schema(required)]
    pub subject: Option<String>,
    /// The caller's id of the user, or null.
    #[schema(required)]
    pub user_id: Option<String>,
    /// Its batch, or null.
    #[schema(required)]
    pub batch_id: Option<Id>,
    /// When it was enqueued.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it is due next; null unless it is pending.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub next_attempt_at: Option<Timestamp>,
    /// Its last useful moment, or null.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub expires_at: Option<Timestamp>,
    /// When it reached its final status, or null.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub settled_at: Option<Timestamp>,
    /// Attempts begun.
    pub attempts: u32,
}

/// Everything about a notification; one line of `show --json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Notification {
    /// What lists show.
    #[serde(flatten)]
    pub summary: Summary,
    /// The same on every attempt: part of `Message-ID`, and the `webhook-id`; what the other side's log knows it by.
    pub stable_id: String,
    /// The text.
    pub message: String,
    /// The same as HTML, or null.
    #[schema(required)]
    pub html: Option<String>,
    /// Further headers: name to value; the values of a repeated name are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// Files that travel with it, without their bytes.
    pub attachments: Vec<Attachment>,
    /// The earliest moment the caller allowed, or null.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub not_before: Option<Timestamp>,
    /// The caller's duplicate guard while its window lasts, or null.
    #[schema(required)]
    pub idempotency_key: Option<String>,
    /// Retries used up.
    pub retries: u32,
    /// Workers that died in a row while they sent it.
    pub crashes: u32,
    /// Who has it while it is being sent (`host:pid:start`), or null.
    #[schema(required)]
    pub worker: Option<String>,
    /// Until when, unless extended, or null.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub lease_expires_at: Option<Timestamp>,
    /// Each attempt, the first one first.
    pub history: Vec<Attempt>,
}

/// A file that travels with a notification.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// Its media type, such as `application/pdf`.
    pub media_type: String,
    /// How many bytes it holds.
    pub size: u64,
}

/// One attempt.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Who made it: `host:pid:start`.
    pub worker: String,
    /// When it began.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended; null while it is under way.
    #[serde(serialize_with = "shape::option_time")]
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub ended_at: Option<Timestamp>,
    /// What it came to; null while it is under way.
    #[serde(serialize_with = "shape::option_word")]
    #[schema(value_type = Option<super::words::Outcome>, required)]
    pub outcome: Option<Outcome>,
    /// Why, in a bounded word.
    #[serde(serialize_with = "shape::option_word")]
    #[schema(value_type = Option<super::words::Reason>, required)]
    pub reason: Option<Reason>,
    /// The other side's own words.
    pub detail: String,
    /// What a worker reported after it had lost its lease, or null; without effect.
    #[schema(required)]
    pub late: Option<String>,
}

/// Where a notification stands; `status ID --json`, `wait --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// Its id.
    pub id: Id,
    /// Where it stands.
    #[serde(serialize_with = "shape::word")]
    pub status: Status,
    /// Why it stands there, or null.
    #[serde(serialize_with = "shape::option_word")]
    pub reason: Option<Reason>,
    /// The same as one line for people.
    pub what: String,
    /// Attempts begun.
    pub attempts: u32,
    /// When it is due next; null unless it is pending.
    #[serde(serialize_with = "shape::option_time")]
    pub next_attempt_at: Option<Timestamp>,
    /// When it reached its final status, or null.
    #[serde(serialize_with = "shape::option_time")]
    pub settled_at: Option<Timestamp>,
}
