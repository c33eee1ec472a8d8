//! How a whole channel waits when the trouble is the channel's and not a notification's.
//!
//! After trouble the channel pauses; then one attempt probes it, and only when that one got through to
//! the other side does the rest follow. Kept in the store, so that passes side by side share it.

use std::time::Duration;

use super::outcome::{Outcome, Reason, Scope, Verdict};
use super::retry::spread;
use super::time::Timestamp;

/// What is remembered of a channel's trouble. The default is a channel without any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Breaker {
    /// Attempts in a row that ended in channel trouble.
    pub failures: u32,
    /// Nothing begins before this.
    pub paused_until: Option<Timestamp>,
    /// Why it is paused, or why the last attempt failed.
    pub reason: Option<Reason>,
    /// The other side's words at the last trouble.
    pub detail: Option<String>,
    /// Set while one attempt probes a channel that had trouble; nothing else begins before this.
    pub probing_until: Option<Timestamp>,
}

impl Breaker {
    /// The pauses after the first, second … attempt in a row that ended in channel trouble, in seconds.
    const PAUSES: [u64; 6] = [5, 15, 30, 60, 120, 300];

    /// How many attempts may begin at `now`: none while paused or probing, one to probe, else any number.
    #[must_use]
    pub fn free(&self, now: Timestamp) -> u32 {
        if self.clears_at().is_some_and(|at| at > now) {
            0
        } else if self.failures > 0 {
            1
        } else {
            u32::MAX
        }
    }

    /// When it next lets something through, if it holds anything back.
    #[must_use]
    pub fn clears_at(&self) -> Option<Timestamp> {
        self.paused_until.max(self.probing_until)
    }

    /// The clock was set back by so much: what was reckoned by it moves along.
    pub fn set_back(&mut self, by: Duration) {
        for at in [&mut self.paused_until, &mut self.probing_until].into_iter().flatten() {
            *at = at.minus(by);
        }
    }

    /// Records that attempts begin at `now`; one that probes keeps the others back for at most `longest`.
    pub fn begin(&mut self, now: Timestamp, longest: Duration) {
        if self.failures > 0 {
            self.probing_until = Some(now.plus(longest));
        }
    }

    /// Records what an attempt came to.
    pub fn record(&mut self, verdict: &Verdict, now: Timestamp, jitter: f64) {
        if verdict.scope == Scope::Notification {
            // Whatever the other side thinks of this one, it was there and answered. An unknown end says
            // nothing about the channel.
            if verdict.outcome != Outcome::Unknown {
                let pause = verdict.retry_after.map(|wait| now.plus(wait));
                *self =
                    Self { paused_until: pause, reason: pause.map(|_| verdict.reason), ..Self::default() };
            }
            return;
        }
        // A burst that was in flight together counts once: only what began after the pause tells more.
        if self.paused_until.is_none_or(|until| until <= now) {
            self.failures = self.failures.saturating_add(1);
        }
        let step = (self.failures as usize).saturating_sub(1).min(Self::PAUSES.len() - 1);
        let wait = match verdict.retry_after {
            Some(asked) => asked,
            None => spread(Duration::from_secs(Self::PAUSES[step]), jitter),
        };
        self.paused_until = self.paused_until.max(Some(now.plus(wait)));
        self.probing_until = None;
        self.reason = Some(verdict.reason);
        self.detail = Some(verdict.detail.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn trouble() -> Verdict {
        Verdict::channel_trouble(Reason::Unreachable, "connection refused")
    }

    #[test]
    fn a_burst_that_fails_together_counts_as_one_failure() {
        let mut breaker = Breaker::default();
        for _ in 0..50 {
            breaker.record(&trouble(), NOW, 0.5);
        }
        assert_eq!(breaker.failures, 1);
        assert_eq!(breaker.paused_until, Some(NOW.plus(Duration::from_secs(5))));
        assert_eq!(breaker.free(NOW), 0);
    }

    #[test]
    fn after_the_pause_one_attempt_probes_before_the_rest_follow() {
        let mut breaker = Breaker::default();
        breaker.record(&trouble(), NOW, 0.5);
        let later = NOW.plus(Duration::from_secs(6));
        assert_eq!(breaker.free(later), 1);
        breaker.begin(later, Duration::from_secs(60));
        assert_eq!(breaker.free(later), 0);
        breaker.record(&Verdict::sent("ok"), later, 0.5);
        assert_eq!(breaker.free(later), u32::MAX);
    }

    #[test]
    fn pauses_grow_up_to_five_minutes() {
        let mut breaker = Breaker::default();
        let mut now = NOW;
        for seconds in [5, 15, 30, 60, 120, 300, 300] {
            breaker.record(&trouble(), now, 0.5);
            assert_eq!(breaker.paused_until, Some(now.plus(Duration::from_secs(seconds))));
            now = now.plus(Duration::from_secs(seconds));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_takes_pause_and_probe_along() {
        let mut breaker = Breaker::default();
        breaker.record(&trouble(), NOW, 0.5);
        breaker.begin(NOW, Duration::from_secs(60));
        let day = Duration::from_secs(86_400);
        breaker.set_back(day);
        let then = NOW.minus(day);
        assert_eq!(breaker.paused_until, Some(then.plus(Duration::from_secs(5))));
        assert_eq!(breaker.probing_until, Some(then.plus(Duration::from_secs(60))));
    }

    #[test]
    fn what_the_other_side_asks_for_is_kept() {
        let mut breaker = Breaker::default();
        breaker.record(&trouble().after(Duration::from_secs(90)), NOW, 0.5);
        assert_eq!(breaker.paused_until, Some(NOW.plus(Duration::from_secs(90))));
        assert_eq!(breaker.free(NOW.plus(Duration::from_secs(90))), 1);
    }
}
