//! What became of this process's reads, counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Failure;

/// What became of reads since the process began; each read counts once as a hit, a miss, bypassed or shared.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) near: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) bypassed: AtomicU64,
    pub(super) shared: AtomicU64,
    pub(super) filled: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) timeouts: AtomicU64,
    pub(super) foreign: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Answered by Redis, or by what was just found there.
    pub hits: u64,
    /// Of these, answered by this process without asking Redis again.
    pub near: u64,
    /// Answered by the store, under a lease.
    pub misses: u64,
    /// Answered by the store, leaving nothing behind: Redis away, behind, or somebody else about to fill.
    pub bypassed: u64,
    /// Answered by another read of the same that was under way.
    pub shared: u64,
    /// Values left in Redis.
    pub filled: u64,
    /// Values that came too late: what they say had changed since.
    pub refused: u64,
    /// Calls that came to nothing.
    pub errors: u64,
    /// Of these, calls that were not answered in time.
    pub timeouts: u64,
    /// Values that this store never wrote.
    pub foreign: u64,
}

impl Counters {
    /// A call came to nothing; one that was not made counts as none.
    pub(super) fn failed(&self, failure: &Failure) {
        match failure {
            Failure::Skipped => return,
            Failure::Silent => count(&self.timeouts),
            Failure::Connection(_) | Failure::Refused(_) | Failure::Nonsense => {}
        }
        count(&self.errors);
    }

    /// The counters as they are now.
    #[must_use]
    pub fn now(&self) -> Counted {
        Counted {
            hits: self.hits.load(Relaxed),
            near: self.near.load(Relaxed),
            misses: self.misses.load(Relaxed),
            bypassed: self.bypassed.load(Relaxed),
            shared: self.shared.load(Relaxed),
            filled: self.filled.load(Relaxed),
            refused: self.refused.load(Relaxed),
            errors: self.errors.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            foreign: self.foreign.load(Relaxed),
        }
    }
}

impl Counted {
    /// Each by its name.
    #[must_use]
    pub fn parts(&self) -> [(&'static str, u64); 10] {
        [
            ("hits", self.hits),
            ("near", self.near),
            ("misses", self.misses),
            ("bypassed", self.bypassed),
            ("shared", self.shared),
            ("filled", self.filled),
            ("refused", self.refused),
            ("errors", self.errors),
            ("timeouts", self.timeouts),
            ("foreign", self.foreign),
        ]
    }

    /// The counts that `of` knows by name.
    pub(super) fn of(of: impl Fn(&str) -> u64) -> Self {
        Self {
            hits: of("hits"),
            near: of("near"),
            misses: of("misses"),
            bypassed: of("bypassed"),
            shared: of("shared"),
            filled: of("filled"),
            refused: of("refused"),
            errors: of("errors"),
            timeouts: of("timeouts"),
            foreign: of("foreign"),
        }
    }

    /// What came since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let (now, before) = (self.parts(), before.parts());
        Self::of(|name| {
            let place = now.iter().position(|(part, _)| *part == name).unwrap_or(0);
            now[place].1.saturating_sub(before[place].1)
        })
    }

    /// Reads, whatever became of them.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.hits + self.misses + self.bypassed + self.shared
    }

    /// Hits of all reads, from 0 to 1; `None` without any.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        let reads = self.reads();
        (reads > 0).then(|| self.hits as f64 / reads as f64)
    }
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}
