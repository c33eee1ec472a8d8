//! How often one caller may ask: a rate per key, in memory that is bounded.
//!
//! One number per caller (the generic cell rate algorithm): a burst of N at once, then one each D / N. Unlike the rates of
//! channels it promises nothing to anybody outside; it keeps one caller from taking everything. The rate may change: who has
//! used up half of ten has used up five of the next one.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::model::Rate;

/// The most callers that are known apart. Beyond them, newcomers share one allowance until some are forgotten.
const CALLERS: usize = 10_000;

/// One rate for each of many callers.
pub struct Limiter<K>(Mutex<Known<K>>);

/// Until when each caller's allowance is taken, on the clock that the caller of [`Limiter::take`] reads.
struct Known<K> {
    /// The rate by which that was reckoned; `None` before the first one.
    rate: Option<Rate>,
    taken_until: HashMap<K, Duration>,
    by_newcomers: Duration,
    swept_at: Duration,
}

impl<K> Default for Limiter<K> {
    /// Nobody has asked yet.
    fn default() -> Self {
        let (by_newcomers, swept_at) = (Duration::ZERO, Duration::ZERO);
        Self(Mutex::new(Known { rate: None, taken_until: HashMap::new(), by_newcomers, swept_at }))
    }
}

impl<K: Hash + Eq> Limiter<K> {
    /// Takes one request of `caller` at `now`, where each may ask at this `rate`.
    ///
    /// # Errors
    /// How long to wait before the next one would be taken.
    pub fn take(&self, rate: Rate, caller: K, now: Duration) -> Result<(), Duration> {
        let step = step(rate);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = known.rate.replace(rate).filter(|old| *old != rate) {
            known.reckon_anew(old, rate, now);
        }
        if known.taken_until.len() >= CALLERS && !known.taken_until.contains_key(&caller) {
            known.sweep(now, rate.window());
        }
        let full = known.taken_until.len() >= CALLERS;
        let taken_until = match known.taken_until.contains_key(&caller) || !full {
            true => known.taken_until.entry(caller).or_default(),
            false => &mut known.by_newcomers,
        };
        let begins = (*taken_until).max(now);
        let ends = begins + step;
        match (ends - now).checked_sub(rate.window()) {
            Some(wait) if !wait.is_zero() => Err(wait),
            _ => {
                *taken_until = ends;
                Ok(())
            }
        }
    }
}

/// What one request takes of the time.
fn step(rate: Rate) -> Duration {
    rate.window() / rate.limit()
}

impl<K: Hash + Eq> Known<K> {
    /// As many requests as were taken by the old rate are by the new one, but no more than it allows.
    fn reckon_anew(&mut self, old: Rate, new: Rate, now: Duration) {
        let ratio = step(new).div_duration_f64(step(old));
        for taken_until in self.taken_until.values_mut().chain([&mut self.by_newcomers]) {
            let ahead = taken_until.saturating_sub(now).as_secs_f64() * ratio;
            *taken_until = now + Duration::from_secs_f64(ahead.min(new.window().as_secs_f64()));
        }
    }

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

    /// Takes at this rate.
    struct At(Rate, Limiter<usize>);

    impl At {
        fn take(&self, caller: usize, now: Duration) -> Result<(), Duration> {
            self.1.take(self.0, caller, now)
        }
    }

    fn limiter(rate: &str) -> At {
        At(rate.parse().unwrap(), Limiter::default())
    }

    #[test]
    fn a_rate_that_changes_forgets_nobody() {
        let mut limiter = limiter("2/1h");
        let takes = |limiter: &At, now| (0..1_000).take_while(|_| limiter.take(1, at(now)).is_ok()).count();
        assert_eq!(takes(&limiter, 0), 2);
        for (rate, now, more) in [
            ("4/1h", 0, 2),
            // What was taken is a window ago at most, of the one that holds.
            ("4/1s", 0, 0),
            ("4/1s", 500, 2),
            ("100/1s", 500, 96),
            ("1/1s", 500, 0),
            ("1/1s", 1_500, 1),
        ] {
            limiter.0 = rate.parse().unwrap();
            assert_eq!(takes(&limiter, now), more, "{rate} {now}");
        }
        assert_eq!(limiter.take(2, at(1_500)), Ok(()));
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
        assert_eq!(limiter.1.0.lock().unwrap().taken_until.len(), CALLERS);
        // Those who were there first are served as before.
        assert_eq!(limiter.take(7, at(1)), Ok(()));
        // When the crowd is gone, a newcomer has a place again.
        for _ in 0..10 {
            assert_eq!(limiter.take(CALLERS, at(5_000)), Ok(()));
        }
        assert!(limiter.1.0.lock().unwrap().taken_until.len() < 10);
    }

    #[test]
    fn one_in_a_long_window_is_one() {
        let limiter = limiter("1/1h");
        assert_eq!(limiter.take(1, at(0)), Ok(()));
        assert_eq!(limiter.take(1, at(1_000)), Err(Duration::from_secs(3_599)));
    }
}
