//! How much memory all bodies that are being read and written may take together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// What all of them may hold, unless a single one may hold more.
const TOGETHER: usize = 48 << 20;

/// One permit stands for so many bytes.
const UNIT: usize = 1 << 10;

/// How long a request waits for its part.
const PATIENCE: Duration = Duration::from_secs(5);

/// The memory for bodies.
pub(super) struct Budget {
    units: Arc<Semaphore>,
}

impl Budget {
    /// Enough for one body of `largest` bytes.
    pub(super) fn new(largest: usize) -> Self {
        let units = TOGETHER.max(largest).div_ceil(UNIT).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)) }
    }

    /// Room for a body of `bytes`, given back when it is dropped.
    pub(super) async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let units = u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.units).acquire_many_owned(units);
        match tokio::time::timeout(PATIENCE, room).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(Problem::later("too many large requests at once", 1)),
        }
    }
}
