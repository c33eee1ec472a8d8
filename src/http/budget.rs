//! How much memory requests may take together, from their body until what they ask for is on disk.
//!
//! Four parts, so that nobody waits for one who takes more, or longer: small bodies that came at once, which wait for none that
//! is still to come; other small ones, which never wait for a large one, however slowly that comes; large ones; and what a
//! request grows by when one text goes to many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::crowd::Crowd;
use super::problem::Problem;

/// The most bytes of a small body.
pub(super) const SMALL: usize = 64 << 10;

/// What all small ones may hold that came at once, all other small ones, and all large ones, unless a single one may hold more.
const AT_ONCE_TOGETHER: usize = 8 << 20;
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
#[derive(Debug, Default)]
pub(super) struct Room(Option<OwnedSemaphorePermit>);

impl Room {
    /// Whether it is that of a small body.
    pub(super) fn is_small(&self) -> bool {
        self.units() <= SMALL / UNIT
    }

    fn units(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

/// The memory that there is.
pub(super) struct Budget {
    at_once: Pool,
    small: Pool,
    large: Pool,
    copies: Pool,
    /// How many bytes the large ones may hold.
    large_together: AtomicUsize,
}

/// One part of it.
struct Pool {
    units: Arc<Semaphore>,
    /// Those who wait for more of it.
    crowd: Crowd,
}

impl Budget {
    /// Enough for one body of `largest` bytes.
    pub(super) fn new(largest: usize) -> Self {
        let large = LARGE_TOGETHER.max(largest);
        Self {
            at_once: Pool::new(AT_ONCE_TOGETHER),
            small: Pool::new(SMALL_TOGETHER),
            large: Pool::new(large),
            copies: Pool::new(BYTES),
            large_together: AtomicUsize::new(large),
        }
    }

    /// Has enough for one body of `largest` bytes from now on. It never has less than before: somebody may hold it.
    pub(super) fn grow(&self, largest: usize) {
        let before = self.large_together.fetch_max(largest, Relaxed);
        self.large.units.add_permits(units(largest).saturating_sub(units(before)));
    }

    /// Whether others wait for memory such as `room` is, if it is any, and have for longer than a moment.
    pub(super) fn is_wanted(&self, room: &Room) -> bool {
        let pool = if room.is_small() { &self.small } else { &self.large };
        room.units() > 0 && pool.crowd.waits()
    }

    /// Room for a small body of `bytes` that is there already.
    pub(super) async fn at_once(&self, bytes: usize) -> Result<Room, Problem> {
        self.at_once.room(bytes).await
    }

    /// Makes the `room` of a small body one for `bytes`, if it is less.
    pub(super) async fn small(&self, room: &mut Room, bytes: usize) -> Result<(), Problem> {
        let more = bytes.div_ceil(UNIT).saturating_sub(room.units());
        if more == 0 {
            return Ok(());
        }
        let more = self.small.take(more).await?;
        match &mut room.0 {
            Some(room) => room.merge(more),
            None => room.0 = Some(more),
        }
        Ok(())
    }

    /// Room for a large body of `bytes`.
    pub(super) async fn large(&self, bytes: usize) -> Result<Room, Problem> {
        self.large.room(bytes).await
    }

    /// Room for what is `bytes` more than the body was; none is needed for a little.
    pub(super) async fn copies(&self, bytes: usize) -> Result<Option<Room>, Problem> {
        if bytes <= SMALL { Ok(None) } else { self.copies.room(bytes).await.map(Some) }
    }
}

/// How many units hold so many bytes.
fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).min(Semaphore::MAX_PERMITS)
}

impl Pool {
    fn new(bytes: usize) -> Self {
        Self { units: Arc::new(Semaphore::new(units(bytes))), crowd: Crowd::default() }
    }

    async fn room(&self, bytes: usize) -> Result<Room, Problem> {
        self.take(bytes.div_ceil(UNIT)).await.map(|units| Room(Some(units)))
    }

    async fn take(&self, units: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        if let Ok(taken) = Arc::clone(&self.units).try_acquire_many_owned(units) {
            return Ok(taken);
        }
        let taken = self.crowd.wait(Arc::clone(&self.units).acquire_many_owned(units));
        timeout(PATIENCE, taken)
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| Problem::later("requests hold too much memory at once", 1))
    }
}
