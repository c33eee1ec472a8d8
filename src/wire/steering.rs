//! What steering and administering did: `cancel`, `hold`, `release`, `requeue`, `purge` and `db` with `--json`.

use serde::Serialize;
use utoipa::ToSchema;

use super::shape;
use crate::model::{Id, Status, Timestamp};

/// What a steering verb did to one notification; one line each.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Steered {
    /// Its id.
    pub id: Id,
    /// What happened to it.
    pub result: Fate,
    /// Where it stands now (with `--dry-run`: would stand); null when it does not exist.
    #[serde(serialize_with = "shape::option_word")]
    #[schema(value_type = Option<super::words::NotificationStatus>, required)]
    pub status: Option<Status>,
}

/// What happened to one notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It changed.
    Changed,
    /// It would change (`--dry-run`).
    WouldChange,
    /// It stands there already; nothing was done.
    Unchanged,
    /// It stands where the verb does not apply; nothing was done.
    Refused,
    /// It does not exist.
    Missing,
}

/// What a purge did; `purge --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Purge {
    /// Notifications removed (with `--dry-run`: that would be).
    pub removed: u64,
    /// Only what was settled before this.
    #[serde(serialize_with = "shape::time")]
    pub settled_before: Timestamp,
    /// Only these final statuses.
    pub statuses: Vec<&'static str>,
    /// Whether nothing was removed.
    pub dry_run: bool,
}

/// What `db check --json` found.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// Whether the store is sound.
    pub ok: bool,
    /// What was not as it must be, and was put right; shown with --repair alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repaired: Vec<Finding>,
    /// What is not as it must be.
    pub findings: Vec<Finding>,
    /// Ever accepted.
    pub accepted: u64,
    /// Removed by a purge.
    pub purged: u64,
    /// How many stand where.
    pub counts: super::Counts,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// Which check found it: `integrity`, `accounting`, `counters`, `batches`, `channels`,
    /// `strays`, `attempts`.
    pub check: &'static str,
    /// What it found, and where.
    pub what: String,
}

/// The size of one table or index; one line of `db stats --json`.
#[derive(Debug, Clone, Serialize)]
pub struct TableStats {
    /// Its name; `file`, `log` and `free` for the file's own parts.
    pub name: String,
    /// Rows, for a table; else null.
    pub rows: Option<u64>,
    /// Bytes.
    pub bytes: u64,
}
