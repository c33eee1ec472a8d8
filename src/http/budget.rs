//! How much memory requests may take together, from their body until what they ask for is on disk.
//!
//! Three parts, so that nobody waits for one who takes more: small bodies, which never wait for a large one, however slowly
//! that comes; large ones; and what a request grows by when one text goes to many.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// The most bytes of a small body.
pub(super) const SMALL: usize = 64 << 10;

/// What all small ones may hold, and all large ones, unless a single one may hold more.
const SMALL_TOGETHER: usize = 16 << 20;
const LARGE_TOGETHER: usize = 32 << 20;

/// The most bytes that the notifications of one request may hold: a long message to many recipients is one each. As much as
/// all requests may grow by.
pub(super) const BYTES: usize = 64 << 20;

/// One permit stands for so many bytes.
const UNIT: usize = 1 << 10;

/// How long a request waits for its part.
const PATIENCE: Duration = Duration::from_secs(5);

/// Memory that is set aside; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Room(OwnedSemaphorePermit);

impl Room {
    /// Whether it is that of a small body.
    pub(super) fn is_small(&self) -> bool {
        self.0.num_permits() <= SMALL / UNIT
    }
}

/// The memory that there is.
pub(super) struct Budget {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    copies: Arc<Semaphore>,
}

impl Budget {
    /// Enough for one body of `largest` bytes.
    pub(super) fn new(largest: usize) -> Self {
        let of = |bytes: usize| Arc::new(Semaphore::new(bytes.div_ceil(UNIT).min(Semaphore::MAX_PERMITS)));
        Self { small: of(SMALL_TOGETHER), large: of(LARGE_TOGETHER.max(largest)), copies: of(BYTES) }
    }

    /// Room for a body of `bytes`.
    pub(super) async fn body(&self, bytes: usize) -> Result<Room, Problem> {
        room(if bytes <= SMALL { &self.small } else { &self.large }, bytes).await
    }

    /// Room for what is `bytes` more than the body was; none is needed for a little.
    pub(super) async fn copies(&self, bytes: usize) -> Result<Option<Room>, Problem> {
        if bytes <= SMALL { Ok(None) } else { room(&self.copies, bytes).await.map(Some) }
    }
}

async fn room(of: &Arc<Semaphore>, bytes: usize) -> Result<Room, Problem> {
    let units = u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX);
    let room = Arc::clone(of).acquire_many_owned(units);
    match tokio::time::timeout(PATIENCE, room).await {
        Ok(Ok(room)) => Ok(Room(room)),
        _ => Err(Problem::later("too many large requests at once", 1)),
    }
}
