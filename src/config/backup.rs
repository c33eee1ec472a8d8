//! Copies of the store that the daemon makes by itself: where to, when, and how many are kept.

use std::path::PathBuf;

use super::LocalTime;

/// Copies of the store that the daemon makes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// The folder they go to; it is made when it is missing.
    pub to: PathBuf,
    /// When, once a day.
    pub at: LocalTime,
    /// How many are kept; at least one.
    pub keep: usize,
}
