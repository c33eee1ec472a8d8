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
    /// The end of a pause that the other side asked for.
    pub asked_until: Option<Timestamp>,
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
        let all = [&mut self.paused_until, &mut self.probing_until, &mut self.asked_until];
        for at in all.into_iter().flatten() {
            *at = at.minus(by);
        }
    }

    /// Records that attempts begin at `now`; one that probes keeps the others back for at most `longest`.
    pub fn begin(&mut self, now: Timestamp, longest: Duration) {
        if self.failures > 0 {
            self.probing_until = Some(now.plus(longest));
        }
    }

    /// What was claimed then did not begin. If it was to probe, the next one does: nothing that was claimed before the
    /// pause was over is meant to.
    pub fn give_back(&mut self, claimed_at: Timestamp) {
        if self.paused_until.is_none_or(|until| until <= claimed_at) {
            self.probing_until = None;
        }
    }

    /// Records what an attempt came to.
    pub fn record(&mut self, verdict: &Verdict, now: Timestamp, jitter: f64) {
        let asked = verdict.retry_after.map(|wait| now.plus(wait));
        if verdict.scope == Scope::Notification {
            if verdict.outcome == Outcome::Unknown {
                self.see_nothing(now, jitter);
            } else if verdict.reason == Reason::Unsendable {
                // The other side was not asked; another one probes.
                self.probing_until = None;
            } else if self.asked_until.is_none_or(|until| until <= now) {
                // Whatever the other side thinks of this one, it was there and answered.
                let reason = asked.map(|_| verdict.reason);
                *self = Self { paused_until: asked, asked_until: asked, reason, ..Self::default() };
            } else {
                // While it wants to be left alone, that says nothing: the attempt had begun before. But for how long
                // it wants that may be news.
                self.paused_until = self.paused_until.max(asked);
                self.asked_until = self.asked_until.max(asked);
            }
            return;
        }
        // A burst that was in flight together counts once: only what began after the pause tells more.
        if self.paused_until.is_none_or(|until| until <= now) {
            self.failures = self.failures.saturating_add(1);
        }
        let pause = match verdict.retry_after {
            // What is asked again and again is no longer believed to be enough: some ask for a second all weekend.
            Some(wait) => wait.max(Self::pause(self.failures.saturating_sub(1), jitter)),
            None => Self::pause(self.failures, jitter),
        };
        self.paused_until = self.paused_until.max(Some(now.plus(pause)));
        self.asked_until = self.asked_until.max(asked);
        self.probing_until = None;
        self.reason = Some(verdict.reason);
        self.detail = Some(verdict.detail.clone());
    }

    /// The pause after so many failures in a row.
    fn pause(failures: u32, jitter: f64) -> Duration {
        let Some(step) = (failures as usize).checked_sub(1) else { return Duration::ZERO };
        spread(Duration::from_secs(Self::PAUSES[step.min(Self::PAUSES.len() - 1)]), jitter)
    }

    /// Nobody saw how an attempt ended, which says nothing about the channel. If it probed, nobody does any more:
    /// another one does after one more pause, and not only when the longest attempt would be over.
    fn see_nothing(&mut self, now: Timestamp, jitter: f64) {
        if self.probing_until.take().is_some() {
            self.paused_until = self.paused_until.max(Some(now.plus(Self::pause(self.failures, jitter))));
        }
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
        let mut asked = Breaker::default();
        asked.record(&trouble().after(Duration::from_secs(90)), NOW, 0.5);
        asked.set_back(day);
        assert_eq!(asked.asked_until, Some(then.plus(Duration::from_secs(90))));
    }

    #[test]
    fn a_probe_whose_end_nobody_saw_is_followed_by_another_after_one_more_pause() {
        let mut breaker = Breaker::default();
        breaker.record(&trouble(), NOW, 0.5);
        let probed = NOW.plus(Duration::from_secs(6));
        breaker.begin(probed, Duration::from_secs(1_000));
        let died = Verdict::new(Outcome::Unknown, Reason::WorkerDied, "");
        breaker.record(&died, probed, 0.5);
        let again = probed.plus(Duration::from_secs(5));
        assert_eq!((breaker.clears_at(), breaker.free(again), breaker.failures), (Some(again), 1, 1));
        assert_eq!(breaker.reason, Some(Reason::Unreachable));
        let mut sound = Breaker::default();
        sound.record(&died, NOW, 0.5);
        assert_eq!(sound, Breaker::default());
    }

    #[test]
    fn who_got_through_before_does_not_end_a_pause_that_the_other_side_asked_for() {
        let mut breaker = Breaker::default();
        breaker.record(&trouble().after(Duration::from_secs(90)), NOW, 0.5);
        breaker.record(&Verdict::sent("ok"), NOW.plus(Duration::from_secs(1)), 0.5);
        breaker.record(&trouble(), NOW.plus(Duration::from_secs(2)), 0.5);
        let over = NOW.plus(Duration::from_secs(90));
        assert_eq!((breaker.clears_at(), breaker.free(over)), (Some(over), 1));
        let limited = Verdict::new(Outcome::Deferred, Reason::RateLimited, "429");
        for (asked, until) in [(10, 90), (100, 103)] {
            breaker.record(
                &limited.clone().after(Duration::from_secs(asked)),
                NOW.plus(Duration::from_secs(3)),
                0.5,
            );
            assert_eq!(
                breaker.clears_at(),
                Some(NOW.plus(Duration::from_secs(until))),
                "the longest that was asked for"
            );
        }
        let over = NOW.plus(Duration::from_secs(103));
        breaker.record(&Verdict::sent("ok"), over, 0.5);
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn who_asks_for_a_second_again_and_again_is_asked_less_and_less_often() {
        let (mut breaker, mut now) = (Breaker::default(), NOW);
        for seconds in [1, 5, 15, 30, 60, 120, 300, 300] {
            breaker.record(&trouble().after(Duration::from_secs(1)), now, 0.5);
            assert_eq!(breaker.clears_at(), Some(now.plus(Duration::from_secs(seconds))));
            now = now.plus(Duration::from_secs(seconds));
        }
        breaker.record(&Verdict::sent("ok"), now, 0.5);
        breaker.record(&trouble().after(Duration::from_secs(1)), now, 0.5);
        assert_eq!(breaker.clears_at(), Some(now.plus(Duration::from_secs(1))));
    }

    #[test]
    fn what_never_left_says_nothing_of_the_other_side() {
        let mut breaker = Breaker::default();
        breaker.record(&trouble(), NOW, 0.5);
        let probed = NOW.plus(Duration::from_secs(6));
        breaker.begin(probed, Duration::from_secs(60));
        breaker.record(&Verdict::new(Outcome::Rejected, Reason::Unsendable, "no such header"), probed, 0.5);
        assert_eq!((breaker.failures, breaker.free(probed)), (1, 1), "another one probes");
    }

    #[test]
    fn what_the_other_side_asks_for_is_kept() {
        let mut breaker = Breaker::default();
        breaker.record(&trouble().after(Duration::from_secs(90)), NOW, 0.5);
        assert_eq!(breaker.paused_until, Some(NOW.plus(Duration::from_secs(90))));
        assert_eq!(breaker.free(NOW.plus(Duration::from_secs(90))), 1);
    }
}
