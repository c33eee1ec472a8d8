//! A process that claims: who it is, and how others see that it is alive.

use std::io;
use std::time::Duration;

use crate::model::{Id, Timestamp};

/// The announcement of one process that claims. What it holds is free once this is dropped.
pub trait Worker: Send + Sync {
    /// Its number in the store.
    fn id(&self) -> Id;

    /// How many notifications it can have in hand at once; places are `0..places()`.
    fn places(&self) -> usize;

    /// Leaves on record, before the first byte, that an attempt for `id` begins; after this process's
    /// death it counts as unknown instead of not begun. Survives the process, not the machine; after a
    /// crash of the machine all that was claimed may have begun.
    ///
    /// `place` belongs to one notification from here until its settlement is committed.
    fn begin(&self, place: usize, id: Id) -> io::Result<()>;

    /// Takes back what [`Worker::begin`] left at `place`: nothing of it has been sent.
    fn forget(&self, place: usize) -> io::Result<()>;

    /// Leaves a sign of life that holds for `lease`; without another one by then, others take this process for
    /// hung, and what it has in hand for their own. Time in which the machine is suspended counts.
    fn beat(&self, lease: Duration) -> io::Result<()>;

    /// Leaves on record for people what this process does (`sender, maintenance`, or `pass`), and since when.
    fn announce(&self, roles: &str, since: Timestamp) -> io::Result<()>;
}
