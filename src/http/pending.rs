//! Whether there is room for more: how many are pending, and whether the disk has any; both looked at now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::problem::Problem;
use super::readers::Readers;
use super::{Current, LOG_TARGET, health};
use crate::clock;
use crate::model::Status;

/// A look is good for so long. It costs some microseconds.
const GOOD_FOR: Duration = Duration::from_millis(250);

/// After which time a caller may ask again, in seconds: when the queue is full, and when the disk is.
const RETRY_AFTER: u32 = 10;
const RETRY_AFTER_DISK: u32 = 30;

/// How many are pending, and how many may be; and whether the disk is short.
pub(super) struct Pending {
    current: Arc<Current>,
    count: AtomicU64,
    short: AtomicBool,
    /// When it was looked: milliseconds since boot; 0 never.
    looked_at: AtomicU64,
}

impl Pending {
    /// As `current` says.
    pub(super) fn new(current: Arc<Current>) -> Self {
        let (count, short, looked_at) = (AtomicU64::new(0), AtomicBool::new(false), AtomicU64::new(0));
        Self { current, count, short, looked_at }
    }

    /// Refuses when the queue is full, and when what is left of the disk is for what becomes of those that are there.
    pub(super) async fn admit(&self, readers: &Readers) -> Result<(), Problem> {
        let now = u64::try_from(clock::since_boot().as_millis()).unwrap_or(u64::MAX);
        let looked = self.looked_at.load(Ordering::Relaxed);
        let old = now.saturating_sub(looked) > GOOD_FOR.as_millis() as u64 || looked == 0;
        let mine = || self.looked_at.compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed);
        // One of those who come together looks; the others go by the look before.
        if old && mine().is_ok() {
            let (counts, space) = readers.call(|reader| (reader.counts(), reader.space())).await?;
            self.count.store(counts?.of(Status::Pending), Ordering::Relaxed);
            // Where that cannot be asked, whoever writes says why.
            if let Ok(space) = space {
                self.is_now(health::is_short(space));
            }
        }
        if self.short.load(Ordering::Relaxed) {
            return Err(Problem::later("the store's disk has too little room for more", RETRY_AFTER_DISK));
        }
        match self.count.load(Ordering::Relaxed) >= self.current.admission().max_pending {
            true => Err(Problem::later("the queue is full: too many are pending", RETRY_AFTER)),
            false => Ok(()),
        }
    }

    /// Says so once when it begins, and when it is over.
    fn is_now(&self, short: bool) {
        match (self.short.swap(short, Ordering::Relaxed), short) {
            (false, true) => {
                log::error!(target: LOG_TARGET, "the store's disk has too little room: no more is accepted until there is some");
            }
            (true, false) => {
                log::warn!(target: LOG_TARGET, "the store's disk has room again: more is accepted");
            }
            _ => {}
        }
    }
}
