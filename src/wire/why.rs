//! Why a notification has not been sent yet: `why --json`.

use serde::Serialize;

use super::shape;
use crate::model::{Id, Status, Timestamp};

/// Every reason why a notification has not been sent yet; one line of `why --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Why {
    /// Its id.
    pub id: Id,
    /// Where it stands.
    #[serde(serialize_with = "shape::word")]
    pub status: Status,
    /// Everything that stands in its way, the most lasting first; empty once it is sent.
    pub obstacles: Vec<Obstacle>,
}

/// One thing that stands in a notification's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obstacle {
    /// Which, in a bounded word: `held`, `dead`, `expired`, `cancelled`, `sending`, `not_before`, `not_due`, `retry_wait`,
    /// `channel_unknown`, `channel_held`, `channel_trouble`, `rate`, `no_pass`, `waiting`.
    pub code: &'static str,
    /// What, for people.
    pub what: String,
    /// When it clears by itself; null when it does not, or nobody knows.
    #[serde(serialize_with = "shape::option_time")]
    pub clears_at: Option<Timestamp>,
    /// What to do about it, or null.
    pub hint: Option<String>,
}
