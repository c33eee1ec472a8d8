//! The time. The only module that reads a clock; everything else is handed a [`Timestamp`] or a [`Clock`].

use std::time::{Duration, SystemTime};

use crate::model::Timestamp;

/// Something that knows the time.
pub trait Clock: Send + Sync {
    /// The wall clock, for due times. It may jump.
    fn now(&self) -> Timestamp;

    /// As [`since_boot`], for what tells whether this process stood still.
    fn since_boot(&self) -> Duration {
        since_boot()
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Time since this machine was started, suspension included; no jump of the wall clock touches it.
/// Comparable between processes of one boot.
#[must_use]
pub fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
