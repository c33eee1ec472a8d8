//! What was accepted and settled lately, step by step: `GET /v1/history`.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::shape;
use crate::model::Timestamp;

/// What was accepted and settled lately, as the daemon that is asked has seen it since it was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct History {
    /// One after another, the oldest first; at most an hour of them.
    pub steps: Vec<Step>,
    /// The moment of this answer.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// What happened in some seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Step {
    /// When it ended.
    #[serde(serialize_with = "shape::time")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// Per channel; one on which nothing happened is left out.
    pub channels: BTreeMap<String, Flow>,
}

/// What happened on one channel in one step. Where more was purged or requeued than was settled, nothing is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Flow {
    /// Notifications accepted.
    pub accepted: u64,
    /// Notifications sent.
    pub sent: u64,
    /// Notifications that died.
    pub dead: u64,
    /// Notifications that expired.
    pub expired: u64,
}
