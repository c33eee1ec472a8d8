//! Whose turn it is to tidy a store up, where several could.

use super::Result;
use crate::model::Timestamp;

/// The turn, for as long as this is held. A process that dies gives it up.
pub trait Turn: Send {
    /// When somebody's work was done last; `None` for a store that nobody has tidied yet.
    fn done_at(&self) -> Option<Timestamp>;

    /// The work is done.
    ///
    /// # Errors
    /// When that cannot be kept: the next one does it again.
    fn done(&self, now: Timestamp) -> Result<()>;
}
