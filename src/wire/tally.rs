//! What a pass came to: `send-pending --json`.

use std::collections::BTreeMap;

use serde::Serialize;

/// What a pass came to. Times are RFC 3339, or null.
#[derive(Debug, Clone, Serialize)]
pub struct Tally<'a> {
    /// Who ran it: `host:pid:start`.
    pub worker: &'a str,
    /// When it began.
    pub started_at: String,
    /// When it ended.
    pub ended_at: String,
    /// Over all channels.
    #[serde(flatten)]
    pub total: Counts,
    /// Claimed, and given back before an attempt began.
    pub given_back: u64,
    /// Attempts of dead workers that were settled as unknown.
    pub orphans: u64,
    /// Results that were not written because the lease was lost.
    pub leases_lost: u64,
    /// Still pending on the channels that were served.
    pub left: u64,
    /// Since when the oldest of those is due.
    pub oldest_due_at: Option<String>,
    /// When the next of those becomes due that is not due yet.
    pub next_due_at: Option<String>,
    /// Per channel that had an attempt.
    pub channels: BTreeMap<&'a str, Counts>,
}

/// What attempts came to.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Counts {
    /// Accepted by the other side.
    pub sent: u64,
    /// Tried again later.
    pub deferred: u64,
    /// Given up.
    pub dead: u64,
    /// Past their last useful moment.
    pub expired: u64,
    /// Held, because nobody saw the end.
    pub held: u64,
}

/// One line of `send-pending --dry-run --json`.
#[derive(Debug, Clone, Serialize)]
pub struct WouldAttempt<'a> {
    /// The notification's id.
    pub id: i64,
    /// Its channel.
    pub channel: &'a str,
    /// How much it hurries.
    pub priority: &'static str,
    /// Who is told.
    pub recipient: &'a str,
    /// Since when it is due.
    pub due_at: String,
}
