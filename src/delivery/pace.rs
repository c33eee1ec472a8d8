//! How long a round may take: while it lasts, results wait.

use std::time::Duration;

/// What a round should take at most, where the disk allows it.
const ROUND: Duration = Duration::from_millis(4);

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
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { quickest: Duration::MAX }
    }

    /// Judges a round that took `took`. What the disk costs in any case is no reason to carry less.
    pub(super) fn judge(&mut self, took: Duration) -> Fit {
        // Forgets slowly, for a disk that gets slower.
        self.quickest = took.min(self.quickest.saturating_add(self.quickest / 64));
        let target = ROUND.max(2 * self.quickest);
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
        pace.judge(Duration::from_millis(millis))
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
    fn a_slow_disk_is_no_reason_to_carry_less() {
        let mut pace = Pace::new();
        assert_eq!([30, 40, 35, 50].map(|ms| judge(&mut pace, ms)), [Fit::Short; 4]);
        assert_eq!([100, 300].map(|ms| judge(&mut pace, ms)), [Fit::Right, Fit::TooLong]);
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
