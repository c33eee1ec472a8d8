//! What enqueueing answers to programs.

use serde::Serialize;
use utoipa::ToSchema;

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

/// One notification that was accepted over HTTP.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Accepted {
    /// Its id.
    pub id: Id,
    /// Where its status can be asked for.
    pub status_url: String,
    /// Whether it is new; false when its key was known.
    pub created: bool,
}

impl Accepted {
    /// The one with this id.
    #[must_use]
    pub fn new(id: Id, created: bool) -> Self {
        Self { id, status_url: format!("/v1/notifications/{id}"), created }
    }
}

/// Many that were accepted by one request over HTTP.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AcceptedBatch {
    /// Their batch; that of the first use when every key was known, or null when that was none.
    #[schema(required)]
    pub batch: Option<Id>,
    /// Each, in the order in which they were asked for.
    pub notifications: Vec<Accepted>,
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
