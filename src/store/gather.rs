//! Whether a round of the desk waits a little for those whom the last one has answered, and who are likely to ask again at once.

use std::time::{Duration, Instant};

/// Those whom a round has answered are waited for no longer than this part of the time that it took, and than this; and not at
/// all where it took so little that waiting costs as much as it gains.
const PART: u32 = 4;
const PATIENCE: Duration = Duration::from_millis(5);
const WORTH: Duration = Duration::from_micros(250);

/// What each of them needs at least to ask again: so many that they would not come in time are not waited for.
const EACH: Duration = Duration::from_micros(50);

/// In how many steps it is looked whether they are all there.
const STEPS: u32 = 8;

/// A round that was done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past {
    /// How many it has answered, who may ask again at once, and how many waited already.
    pub(super) asking: usize,
    pub(super) ended: Instant,
    pub(super) took: Duration,
}

impl Past {
    /// How long the next round waits, for whom `waiting` do, until it looks again.
    ///
    /// On a disk that takes long to sync, the first one to ask would otherwise have the disk to itself, and all others
    /// would wait for twice its time.
    pub(super) fn pause(&self, waiting: usize, now: Instant) -> Option<Duration> {
        let patience = (self.took / PART).min(PATIENCE);
        let left = (self.ended + patience).saturating_duration_since(now);
        let time = EACH.saturating_mul(u32::try_from(self.asking).unwrap_or(u32::MAX));
        let waits = patience >= WORTH && patience >= time && waiting < self.asking && !left.is_zero();
        waits.then(|| left.min(patience / STEPS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slow_disk_is_worth_waiting_for_those_who_ask_again() {
        let ended = Instant::now();
        let pause = |(took, asking): (u64, usize), waiting, later: u64| {
            let past = Past { asking, ended, took: Duration::from_micros(took) };
            past.pause(waiting, ended + Duration::from_micros(later)).map(|pause| pause.as_micros())
        };
        assert_eq!(pause((900, 2), 0, 0), None, "it is quick");
        assert_eq!([0, 1, 2].map(|waiting| pause((8_000, 2), waiting, 0)), [Some(250), Some(250), None]);
        assert_eq!([1_950, 2_000, 9_000].map(|later| pause((8_000, 2), 0, later)), [Some(50), None, None]);
        assert_eq!([4_999, 5_000].map(|later| pause((1_000_000, 2), 0, later)), [Some(1), None], "at most");
        assert_eq!([40, 41].map(|asking| pause((8_000, asking), 0, 0)), [Some(250), None], "too many");
    }
}
