//! How often one caller may ask: a rate per key, in memory that is bounded.
//!
//! One number per caller (the generic cell rate algorithm): a burst of N at once, then one each D / N. Unlike the rates of
//! channels it promises nothing to anybody outside; it keeps one caller from taking everything.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::Rate;

/// The most callers that are known apart. Beyond them, newcomers share one allowance until some are forgotten.
const CALLERS: usize = 10_000;

/// One rate for each of many callers.
pub struct Limiter<K> {
    rate: Rate,
    known: Mutex<Known<K>>,
}

/// Until when each caller's allowance is taken, on the clock that the caller of [`Limiter::take`] reads.
struct Known<K> {
    taken_until: HashMap<K, Duration>,
    by_newcomers: Duration,
    swept_at: Duration,
}

impl<K: Hash + Eq> Limiter<K> {
    /// Nobody has asked yet.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let known =
            Known { taken_until: HashMap::new(), by_newcomers: Duration::ZERO, swept_at: Duration::ZERO };
        Self { rate, known: Mutex::new(known) }
    }

    /// The rate that holds for each.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one request of `caller` at `now`.
    ///
    /// # Errors
    /// How long to wait before the next one would be taken.
    pub fn take(&self, caller: K, now: Duration) -> Result<(), Duration> {
        let step = self.rate.window() / self.rate.limit();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.taken_until.len() >= CALLERS && !known.taken_until.contains_key(&caller) {
            known.sweep(now, self.rate.window());
        }
        let full = known.taken_until.len() >= CALLERS;
        let taken_until = match known.taken_until.contains_key(&caller) || !full {
            true => known.taken_until.entry(caller).or_default(),
            false => &mut known.by_newcomers,
        };
        let begins = (*taken_until).max(now);
        let ends = begins + step;
        match (ends - now).checked_sub(self.rate.window()) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *taken_until = ends;
                Ok(())
            }
        }
    }
}

impl<K: Hash + Eq> Known<K> {
    /// Forgets those whose allowance is whole again; at most once in a window, for it looks at all of them.
    fn sweep(&mut self, now: Duration, window: Duration) {
        if now.saturating_sub(self.swept_at) >= window || self.swept_at.is_zero() {
            self.swept_at = now;
            self.taken_until.retain(|_, taken_until| *taken_until > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: &str) -> Limiter<usize> {
        Limiter::new(rate.parse().unwrap())
    }

    fn at(millis: u64) -> Duration {
        Duration::from_secs(1_000) + Duration::from_millis(millis)
    }

    #[test]
    fn a_burst_is_taken_then_a_steady_stream_and_nobody_pays_for_another() {
        let limiter = limiter("10/1s");
        for _ in 0..10 {
            assert_eq!(limiter.take(1, at(0)), Ok(()));
        }
        assert_eq!(limiter.take(1, at(0)), Err(Duration::from_millis(100)));
        assert_eq!(limiter.take(1, at(40)), Err(Duration::from_millis(60)));
        // What was refused costs nothing.
        assert_eq!(limiter.take(1, at(100)), Ok(()));
        assert_eq!(limiter.take(1, at(100)), Err(Duration::from_millis(100)));
        assert_eq!(limiter.take(2, at(100)), Ok(()));
        let taken = (0..10_000).filter(|ms| limiter.take(3, at(*ms)).is_ok()).count();
        assert!((100..=110).contains(&taken), "{taken} in ten seconds");
    }

    #[test]
    fn a_crowd_takes_no_more_memory_and_is_limited_as_one() {
        let limiter = limiter("10/1s");
        for caller in 0..CALLERS {
            assert_eq!(limiter.take(caller, at(0)), Ok(()));
        }
        let newcomers = CALLERS..CALLERS + 50;
        let taken = newcomers.filter(|caller| limiter.take(*caller, at(1)).is_ok()).count();
        assert_eq!(taken, 10);
        assert_eq!(limiter.known.lock().unwrap().taken_until.len(), CALLERS);
        // Those who were there first are served as before.
        assert_eq!(limiter.take(7, at(1)), Ok(()));
        // When the crowd is gone, a newcomer has a place again.
        for _ in 0..10 {
            assert_eq!(limiter.take(CALLERS, at(5_000)), Ok(()));
        }
        assert!(limiter.known.lock().unwrap().taken_until.len() < 10);
    }

    #[test]
    fn one_in_a_long_window_is_one() {
        let limiter = limiter("1/1h");
        assert_eq!(limiter.take(1, at(0)), Ok(()));
        assert_eq!(limiter.take(1, at(1_000)), Err(Duration::from_secs(3_599)));
    }
}
