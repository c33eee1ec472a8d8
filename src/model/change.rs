//! How far a store has come, for those who keep answers of it.

use super::Id;

/// How far a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The number of the last change; rises with every transaction that changed a notification after it was accepted.
    pub change: u64,
    /// Another one when something changed that is not told one by one (a purge): nothing that was kept counts.
    pub epoch: u64,
}

/// What some changes touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The number of the last one of those changes.
    pub through: u64,
    /// The notifications that they changed; `None` when that is not known any more, or would be too long a list.
    pub ids: Option<Vec<Id>>,
}
