//! Tokens: `token create --json` and `token list --json`.

use serde::Serialize;

use super::shape;
use crate::model::{Id, Timestamp};

/// One token. What it looks like is told once, by `token create`.
#[derive(Serialize)]
pub struct Token {
    /// Its id: the number after `nctl_`.
    pub id: Id,
    /// Who has it.
    pub name: String,
    /// What it allows: `enqueue`, `read`, `admin`, `personal`.
    pub scopes: Vec<&'static str>,
    /// `good`, `expired` or `revoked`.
    pub standing: &'static str,
    /// When it was made.
    #[serde(serialize_with = "shape::time")]
    pub created_at: Timestamp,
    /// From when on it is of no use, or null.
    #[serde(serialize_with = "shape::option_time")]
    pub expires_at: Option<Timestamp>,
    /// When it was taken back, or null.
    #[serde(serialize_with = "shape::option_time")]
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, give or take a minute, or null.
    #[serde(serialize_with = "shape::option_time")]
    pub used_at: Option<Timestamp>,
    /// The token itself; when it is made, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}
