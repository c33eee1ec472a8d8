//! What enqueueing answers to programs.

use serde::Serialize;

use crate::model::Id;

/// One enqueued notification.
#[derive(Debug, Clone, Serialize)]
pub struct Receipt<'a> {
    /// Its id.
    pub id: Id,
    /// Whether it is new; false when its key was known.
    pub created: bool,
    /// Its channel.
    pub channel: &'a str,
    /// Who is told.
    pub recipient: &'a str,
}

/// A whole batch.
#[derive(Debug, Clone, Serialize)]
pub struct BatchReceipt {
    /// Its id.
    pub batch: Id,
    /// Notifications enqueued.
    pub created: u64,
    /// Notifications whose key was known.
    pub known: u64,
    /// Rows that were wrong and left out.
    pub skipped: u64,
}
