//! What happened to notifications, as watchers are told: the nouns, and where in the course of things one stands.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{Id, Outcome, Reason, Status, Timestamp};

/// A place between two events. Whoever has been told all up to it goes on from it; opaque outside, and good for
/// as long as the store lives, over all processes and restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Cursor {
    /// The id of the last notification whose acceptance was told.
    pub enqueued: Id,
    /// How many of the other events were told since the store was made.
    pub told: i64,
}

impl Cursor {
    /// Whether whoever is at `other` has been told all that whoever is here has, and more.
    #[must_use]
    pub fn is_before(self, other: Self) -> bool {
        self != other && self.enqueued <= other.enqueued && self.told <= other.told
    }

    /// The place before the last `n` acceptances and the last `n` other events, or before the first.
    #[must_use]
    pub fn back(self, n: u32) -> Self {
        let n = i64::from(n);
        Self { enqueued: (self.enqueued - n).max(0), told: (self.told - n).max(0) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.enqueued, self.told)
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        // Digits alone: no sign, no blanks.
        let number =
            |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        let (enqueued, told) = text.split_once('-').ok_or(NoCursor)?;
        Ok(Self { enqueued: number(enqueued).ok_or(NoCursor)?, told: number(told).ok_or(NoCursor)? })
    }
}

/// A text that no event carries as its cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no cursor (the `cursor` of an event, such as `1042-3391`)")]
pub struct NoCursor;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Accepted, durably.
    Enqueued,
    /// A worker has claimed it for an attempt (status `sending`), or has given that back unused (`pending`).
    Attempt,
    /// An attempt ended; the status says what became of it.
    Settled,
    /// Stopped by an operator; without an id, a whole channel was.
    Held,
    /// Let go; without an id, a whole channel was.
    Released,
    /// Called off.
    Cancelled,
    /// Started again.
    Requeued,
    /// Its last useful moment passed while it waited.
    Expired,
    /// A channel is in trouble and pauses; with the reason `accepted`, that is over.
    Alert,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Enqueued,
        Self::Attempt,
        Self::Settled,
        Self::Held,
        Self::Released,
        Self::Cancelled,
        Self::Requeued,
        Self::Expired,
        Self::Alert,
    ];

    /// The word used in JSON and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::Attempt => "attempt",
            Self::Settled => "settled",
            Self::Held => "held",
            Self::Released => "released",
            Self::Cancelled => "cancelled",
            Self::Requeued => "requeued",
            Self::Expired => "expired",
            Self::Alert => "alert",
        }
    }
}

impl FromStr for EventKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let all = Self::ALL.map(Self::as_str).join(", ");
            format!("`{}` is no type of event; there are {all}", text.escape_debug())
        })
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The place behind it.
    pub cursor: Cursor,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// To which notification; `None` when it is about a whole channel.
    pub id: Option<Id>,
    /// On which channel.
    pub channel: String,
    /// Where the notification stood then.
    pub status: Option<Status>,
    /// Who is told.
    pub recipient: Option<String>,
    /// Its batch.
    pub batch_id: Option<Id>,
    /// Which attempt, from 1.
    pub attempt: Option<u32>,
    /// What the attempt came to.
    pub outcome: Option<Outcome>,
    /// Why.
    pub reason: Option<Reason>,
    /// An operator's words about a channel.
    pub detail: Option<String>,
}

/// Which events are meant; all conditions hold at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// On this channel.
    pub channel: Option<String>,
    /// After which the notification stood at one of these; empty means any, also what has no status.
    pub statuses: Vec<Status>,
    /// About one of these notifications; empty means any, also what is about none.
    pub ids: Arc<BTreeSet<Id>>,
    /// Of one of these kinds; empty means any.
    pub kinds: Vec<EventKind>,
}

impl EventFilter {
    /// Whether `event` is meant.
    #[must_use]
    pub fn means(&self, event: &Event) -> bool {
        self.may_mean(event.kind, event.id, event.status)
            && self.channel.as_ref().is_none_or(|channel| *channel == event.channel)
    }

    /// The same for what is known before the notification has been looked up.
    #[must_use]
    pub fn may_mean(&self, kind: EventKind, id: Option<Id>, status: Option<Status>) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.ids.is_empty() || id.is_some_and(|id| self.ids.contains(&id)))
            && (self.statuses.is_empty() || status.is_some_and(|status| self.statuses.contains(&status)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_is_one() {
        for cursor in [Cursor::default(), Cursor { enqueued: 1042, told: i64::MAX }] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for wrong in ["", "-", "1", "1-", "-1-2", "1-+2", "1- 2", "1-2-3", "x-1", "1-99999999999999999999"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(NoCursor), "{wrong}");
        }
    }
}
