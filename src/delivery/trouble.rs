//! A store that cannot be written for a while: how long it is borne, and when it is tried again.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::{self, ErrorKind};

/// The first and the longest wait before the store is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// A store in trouble.
pub(super) struct Trouble {
    pub(super) since: Instant,
    pub(super) retry_at: Instant,
    backoff: Duration,
    /// Whether more may be claimed; not when results might find no room.
    pub(super) may_claim: bool,
}

/// What it means for the run that a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// Somebody else is writing; it passes.
    Busy,
    /// May pass (a disk is full); nothing more begins meanwhile.
    Grave,
    /// Hardly passes (a page of the store could not be read); borne for the sake of results alone.
    Damage,
    /// Waiting does not help.
    Final,
}

impl Severity {
    pub(super) fn of(error: &store::Error) -> Self {
        match error.kind {
            ErrorKind::Busy => Self::Busy,
            ErrorKind::Full | ErrorKind::ReadOnly | ErrorKind::Io | ErrorKind::Permission => Self::Grave,
            ErrorKind::Corrupt => Self::Damage,
            ErrorKind::Missing
            | ErrorKind::Moved
            | ErrorKind::NotAStore
            | ErrorKind::Newer
            | ErrorKind::Older
            | ErrorKind::Unfit
            | ErrorKind::LogAlone
            | ErrorKind::Exists
            | ErrorKind::Internal => Self::Final,
        }
    }
}

impl Trouble {
    /// The trouble after one more call that failed.
    pub(super) fn after(before: Option<Self>, severity: Severity, now: Instant) -> Self {
        let (since, backoff) = match before {
            Some(before) => (before.since, (before.backoff * 2).min(BACKOFF.1)),
            None => (now, BACKOFF.0),
        };
        Self { since, retry_at: now + backoff, backoff, may_claim: severity == Severity::Busy }
    }
}
