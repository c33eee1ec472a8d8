//! Whether there is room for more: how many are pending, counted now and then.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::problem::Problem;
use super::readers::Readers;
use crate::clock;
use crate::model::Status;

/// A count is good for so long. Counting costs some microseconds.
const GOOD_FOR: Duration = Duration::from_millis(250);

/// After which time a caller may ask again, in seconds.
const RETRY_AFTER: u32 = 10;

/// How many are pending, and how many may be.
pub(super) struct Pending {
    most: u64,
    count: AtomicU64,
    /// When it was counted: milliseconds since boot; 0 never.
    counted_at: AtomicU64,
}

impl Pending {
    pub(super) fn new(most: u64) -> Self {
        Self { most, count: AtomicU64::new(0), counted_at: AtomicU64::new(0) }
    }

    /// Refuses when the queue is full.
    pub(super) async fn admit(&self, readers: &Readers) -> Result<(), Problem> {
        let now = u64::try_from(clock::since_boot().as_millis()).unwrap_or(u64::MAX);
        let counted = self.counted_at.load(Ordering::Relaxed);
        let old = now.saturating_sub(counted) > GOOD_FOR.as_millis() as u64 || counted == 0;
        let mine = || self.counted_at.compare_exchange(counted, now, Ordering::Relaxed, Ordering::Relaxed);
        // One of those who come together counts; the others go by the count before.
        if old && mine().is_ok() {
            let counts = readers.call(|reader| reader.counts()).await??;
            self.count.store(counts.of(Status::Pending), Ordering::Relaxed);
        }
        match self.count.load(Ordering::Relaxed) >= self.most {
            true => Err(Problem::later("the queue is full: too many are pending", RETRY_AFTER)),
            false => Ok(()),
        }
    }
}
