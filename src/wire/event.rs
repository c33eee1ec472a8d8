//! One event, as `events --json` and the live events write it.

use serde::Serialize;
use utoipa::ToSchema;

use super::{mask, shape};
use crate::model::{self, Cursor, EventKind, Id, Outcome, Reason, Status, Timestamp};

/// Whether personal data is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Whole.
    Whole,
    /// Recipients are masked ([`mask::recipient`]), and free text is left out.
    Masked,
}

/// Something that happened to a notification or to a channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Event {
    /// Where to go on after it; opaque.
    #[serde(serialize_with = "shape::word")]
    #[schema(value_type = String, pattern = "^[0-9]+-[0-9]+$")]
    pub cursor: Cursor,
    /// What happened.
    #[serde(rename = "type", serialize_with = "shape::word")]
    #[schema(value_type = super::words::EventType)]
    pub kind: EventKind,
    /// The notification, or null when a whole channel is meant.
    #[schema(required)]
    pub id: Option<Id>,
    /// Its channel.
    pub channel: String,
    /// Where the notification stood then, or null for a channel.
    #[serde(serialize_with = "shape::option_word")]
    #[schema(value_type = Option<super::words::NotificationStatus>, required)]
    pub status: Option<Status>,
    /// When it happened.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who is told, or null for a channel.
    #[schema(required)]
    pub recipient: Option<String>,
    /// The notification's batch, or null.
    #[schema(required)]
    pub batch_id: Option<Id>,
    /// Which attempt, from 1; null for what is none.
    #[schema(required)]
    pub attempt: Option<u32>,
    /// What the attempt came to that ended; else null.
    #[serde(serialize_with = "shape::option_word")]
    #[schema(value_type = Option<super::words::Outcome>, required)]
    pub outcome: Option<Outcome>,
    /// Why, in a bounded word, or null.
    #[serde(serialize_with = "shape::option_word")]
    #[schema(value_type = Option<super::words::Reason>, required)]
    pub reason: Option<Reason>,
    /// Why a channel is held, in the words of who holds it, or null.
    #[schema(required)]
    pub detail: Option<String>,
}

impl Event {
    /// `event`, for someone who sees that much.
    #[must_use]
    pub fn new(event: model::Event, sight: Sight) -> Self {
        let (recipient, detail) = match sight {
            Sight::Whole => (event.recipient, event.detail),
            Sight::Masked => (event.recipient.map(|recipient| mask::recipient(&recipient)), None),
        };
        Self {
            cursor: event.cursor,
            kind: event.kind,
            id: event.id,
            channel: event.channel,
            status: event.status,
            at: event.at,
            recipient,
            batch_id: event.batch_id,
            attempt: event.attempt,
            outcome: event.outcome,
            reason: event.reason,
            detail,
        }
    }
}

/// What stands between events: where one is, or that some are missing.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Mark {
    /// Where to go on after it; opaque.
    #[serde(serialize_with = "shape::word")]
    #[schema(value_type = String, pattern = "^[0-9]+-[0-9]+$")]
    cursor: Cursor,
    /// Which of the two.
    #[serde(rename = "type")]
    kind: MarkKind,
    /// For people; null when there is nothing to say.
    #[schema(required)]
    detail: Option<&'static str>,
}

/// What a mark says.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum MarkKind {
    /// What happens from there on follows; the first frame of a WebSocket.
    Ready,
    /// Events before it are not kept any more.
    Gap,
}

/// What one frame of a WebSocket holds, and the `data` of one Server-Sent Event: an event or a mark, told apart by the `type`.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Frame {
    /// Something happened.
    Event(Box<Event>),
    /// Something about what is told.
    Mark(Mark),
}

impl Mark {
    /// What a gap is for people.
    pub const GAP: &'static str = "events before these are not kept any more; list what there is anew";

    /// Events before `cursor` are not kept any more: whoever keeps a picture of them draws it anew.
    #[must_use]
    pub fn gap(cursor: Cursor) -> Self {
        Self { cursor, kind: MarkKind::Gap, detail: Some(Self::GAP) }
    }

    /// What happens behind `cursor` follows.
    #[must_use]
    pub fn ready(cursor: Cursor) -> Self {
        Self { cursor, kind: MarkKind::Ready, detail: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> model::Event {
        model::Event {
            cursor: Cursor { enqueued: 7, told: 9 },
            kind: EventKind::Settled,
            at: Timestamp(1_800_000_000_000),
            id: Some(7),
            channel: "mail".into(),
            status: Some(Status::Dead),
            recipient: Some("anna.müller@example.org".into()),
            batch_id: None,
            attempt: Some(2),
            outcome: Some(Outcome::Rejected),
            reason: Some(Reason::RecipientRejected),
            detail: Some("ask Anna".into()),
        }
    }

    #[test]
    fn an_event_is_one_object_of_these_keys() {
        let json = serde_json::to_string(&Event::new(event(), Sight::Whole)).unwrap();
        assert_eq!(
            json,
            "{\"cursor\":\"7-9\",\"type\":\"settled\",\"id\":7,\"channel\":\"mail\",\"status\":\"dead\",\
             \"at\":\"2027-01-15T08:00:00.000Z\",\"recipient\":\"anna.müller@example.org\",\"batch_id\":null,\
             \"attempt\":2,\"outcome\":\"rejected\",\"reason\":\"recipient_rejected\",\"detail\":\"ask Anna\"}"
        );
        let masked = Event::new(event(), Sight::Masked);
        assert_eq!((masked.recipient.as_deref(), masked.detail), (Some("***@example.org"), None));
    }
}
