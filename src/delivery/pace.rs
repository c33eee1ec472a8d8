//! How long a round may take, since results wait while it lasts; and how far ahead a round is dated, since a
//! rate counts from a moment that is recorded before the attempts can begin.

use std::time::Duration;

use crate::model::Timestamp;

/// What a round should take at most, where the disk allows it; and while others wait to write, who wait for its end.
const ROUND: Duration = Duration::from_millis(4);
const ROUND_IN_COMPANY: Duration = Duration::from_millis(2);

/// For how many rounds others are still reckoned with after one of them waited: where a script enqueues once, it does so
/// again, and each time would find the rounds grown long.
const COMPANY_LASTS: u32 = 16;

/// What a round is dated ahead at most, and at least if at all.
const LONGEST_LEAD: Duration = Duration::from_secs(1);
const SHORTEST_LEAD: Duration = Duration::from_millis(1);

/// The moment that is recorded for a round, and how far ahead of its departure that lay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dated {
    pub(super) at: Timestamp,
    pub(super) lead: Duration,
}

/// How long a round took, as it should be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// It may carry more.
    Short,
    Right,
    /// It should carry less.
    TooLong,
}

/// The pace of the rounds.
pub(super) struct Pace {
    /// What a small round takes here: what the disk costs, however little is written.
    quickest: Duration,
    /// For how many more rounds others are reckoned with.
    company: u32,
    /// How far ahead of its departure a round with a rate is dated.
    lead: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { quickest: Duration::MAX, company: 0, lead: Duration::ZERO }
    }

    /// How far ahead of its departure a round with a rate is dated; what it claims begins no earlier.
    pub(super) fn lead(&self) -> Duration {
        self.lead
    }

    /// Learns from a round that came back after `latency` (a wait for other writers, a commit) although
    /// attempts must begin within `margin` of the recorded moment: where that is too close, the next
    /// ones are dated ahead.
    pub(super) fn learn(&mut self, latency: Duration, margin: Duration) {
        self.lead = match latency > margin / 2 {
            true => self.lead.max(latency * 3 / 2).min(LONGEST_LEAD),
            false => self.lead * 7 / 8,
        };
        if self.lead < SHORTEST_LEAD {
            self.lead = Duration::ZERO;
        }
    }

    /// Judges a round that kept other writers out for `took`, with or without others who waited for its end. What the disk costs in
    /// any case is no reason to carry less.
    pub(super) fn judge(&mut self, took: Duration, company: bool) -> Fit {
        // Forgets slowly, for a disk that gets slower.
        self.quickest = took.min(self.quickest.saturating_add(self.quickest / 64));
        self.company = if company { COMPANY_LASTS } else { self.company.saturating_sub(1) };
        let target = if self.company > 0 { ROUND_IN_COMPANY } else { ROUND }.max(2 * self.quickest);
        if took <= target {
            Fit::Short
        } else if took <= 2 * target {
            Fit::Right
        } else {
            Fit::TooLong
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(pace: &mut Pace, millis: u64) -> Fit {
        pace.judge(Duration::from_millis(millis), false)
    }

    #[test]
    fn a_few_milliseconds_are_short_on_any_disk() {
        let mut pace = Pace::new();
        assert_eq!(
            [1, 4, 6, 9].map(|ms| judge(&mut pace, ms)),
            [Fit::Short, Fit::Short, Fit::Right, Fit::TooLong]
        );
    }

    #[test]
    fn rounds_are_shorter_while_others_wait_to_write() {
        let mut pace = Pace::new();
        judge(&mut pace, 1);
        let company = [2, 4, 5].map(|ms| pace.judge(Duration::from_millis(ms), true));
        assert_eq!(company, [Fit::Short, Fit::Right, Fit::TooLong]);
        for _ in 1..COMPANY_LASTS {
            assert_eq!(judge(&mut pace, 4), Fit::Right, "whoever came may come again");
        }
        assert_eq!(judge(&mut pace, 4), Fit::Short);
    }

    #[test]
    fn a_slow_disk_is_no_reason_to_carry_less() {
        let mut pace = Pace::new();
        assert_eq!([30, 40, 35, 50].map(|ms| judge(&mut pace, ms)), [Fit::Short; 4]);
        assert_eq!([100, 300].map(|ms| judge(&mut pace, ms)), [Fit::Right, Fit::TooLong]);
    }

    #[test]
    fn rounds_are_dated_ahead_only_while_they_take_too_long_for_a_rate() {
        let (mut pace, margin) = (Pace::new(), Duration::from_millis(20));
        pace.learn(Duration::from_millis(3), margin);
        assert_eq!(pace.lead(), Duration::ZERO);
        pace.learn(Duration::from_millis(40), margin);
        assert_eq!(pace.lead(), Duration::from_millis(60));
        pace.learn(Duration::from_secs(9), margin);
        assert_eq!(pace.lead(), Duration::from_secs(1));
        for _ in 0..60 {
            pace.learn(Duration::from_millis(3), margin);
        }
        assert_eq!(pace.lead(), Duration::ZERO);
    }

    #[test]
    fn a_disk_that_gets_slower_is_recognised() {
        let mut pace = Pace::new();
        judge(&mut pace, 1);
        for _ in 0..400 {
            judge(&mut pace, 30);
        }
        assert_eq!(judge(&mut pace, 30), Fit::Short);
    }
}
