//! An instant as the store keeps it. Reading a clock and printing a date are not done here.

use std::time::Duration;

/// An instant: UTC milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// How far one reading of the clock may lie behind an earlier one without the clock having been set back:
    /// longer than anybody holds on to it while waiting for the store.
    const BEHIND: Duration = Duration::from_secs(10);

    /// By how much the clock was set back, if it was: it shows this now, and has shown `seen` before.
    #[must_use]
    pub fn set_back_since(self, seen: Self) -> Option<Duration> {
        Some(seen.since(self)).filter(|by| *by > Self::BEHIND)
    }

    /// The instant `duration` later; saturates instead of wrapping.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// The instant `duration` earlier; saturates instead of wrapping.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let gap = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(gap).unwrap_or(0))
    }
}

/// A duration in whole milliseconds, saturating at `i64::MAX`.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
