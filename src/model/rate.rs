//! A rate as a promise: no window of length D, wherever it starts, holds more than N attempts.
//!
//! An exact sliding window, not a bucket and not a fixed window: those let up to 2 N through in some
//! window of length D. Attempts are remembered in slices of a two-hundredth of the window, each at the
//! end of its slice, so that memory is bounded and rounding only ever errs on the slow side.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::time::{Timestamp, millis};

/// At most `limit` attempts in any window of length `window`; written `"50/10s"` or `"300/min"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    limit: u32,
    window: Duration,
}

impl Rate {
    /// The shortest and the longest window.
    pub const WINDOWS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(31 * 86_400));

    /// A rate, if the limit is at least one and the window is within [`Rate::WINDOWS`].
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Option<Self> {
        let (shortest, longest) = Self::WINDOWS;
        (limit > 0 && window >= shortest && window <= longest).then_some(Self { limit, window })
    }

    /// The most attempts in a window.
    #[must_use]
    pub fn limit(self) -> u32 {
        self.limit
    }

    /// The length of the window.
    #[must_use]
    pub fn window(self) -> Duration {
        self.window
    }

    /// How long an attempt counts: the window and two hundredths of it.
    ///
    /// The margin covers what passes between the moment that is recorded and the moment at which the
    /// other side counts (a commit, a connection), and costs 2 % of the rate.
    #[must_use]
    pub fn counted_for(self) -> Duration {
        self.window + self.window / 50
    }

    fn slice(self) -> i64 {
        (millis(self.window) / 200).max(1)
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || RateError(text.to_owned());
        let (limit, window) = text.split_once('/').ok_or_else(bad)?;
        let limit = limit.trim().parse().map_err(|_| bad())?;
        let window = window.trim();
        // "300/min" means "300/1min".
        let window = match window.starts_with(|c: char| c.is_ascii_digit()) {
            true => humantime::parse_duration(window),
            false => humantime::parse_duration(&format!("1{window}")),
        };
        Self::new(limit, window.map_err(|_| bad())?).ok_or_else(bad)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = humantime::format_duration(self.window).to_string().replace(' ', "");
        write!(f, "{}/{}", self.limit, window)
    }
}

/// A rate that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a rate like `50/10s` or `300/min` (at least 1, over one second to 31 days)")]
pub struct RateError(pub String);

/// The attempts that still count against one rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateWindow {
    rate: Rate,
    /// (end of slice, attempts), rising in time.
    taken: VecDeque<(Timestamp, u32)>,
}

impl RateWindow {
    /// An empty window.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, taken: VecDeque::new() }
    }

    /// A window as [`RateWindow::entries`] gave it. Entries that lie in the future, because the clock was
    /// set back, count as if made `now`: the limit still holds, and nothing stays frozen for the hour.
    ///
    /// Those that lie ahead by a moment only are kept as they are: another process recorded them while
    /// this one, whose `now` is older, waited for the store.
    #[must_use]
    pub fn restore(rate: Rate, entries: &[(Timestamp, u32)], now: Timestamp) -> Self {
        let latest = Timestamp(now.0.saturating_add(rate.slice()));
        let set_back = |at: Timestamp| now.set_back_since(at).is_some();
        let mut entries: Vec<_> =
            entries.iter().map(|&(at, n)| if set_back(at) { (latest, n) } else { (at, n) }).collect();
        entries.sort_unstable();
        Self { rate, taken: entries.into() }
    }

    /// What must be kept: pairs of (end of slice, attempts), at most about two hundred.
    #[must_use]
    pub fn entries(&self) -> Vec<(Timestamp, u32)> {
        self.taken.iter().copied().collect()
    }

    /// The clock was set back by so much: what was recorded by it moves along, and counts for as long as it should.
    pub fn set_back(&mut self, by: Duration) {
        for (at, _) in &mut self.taken {
            *at = at.minus(by);
        }
    }

    /// How many attempts count at `now`.
    #[must_use]
    pub fn used(&self, now: Timestamp) -> u32 {
        self.counting(now).map(|&(_, n)| n).sum()
    }

    /// How many attempts may begin at `now`.
    #[must_use]
    pub fn free(&self, now: Timestamp) -> u32 {
        self.rate.limit.saturating_sub(self.used(now))
    }

    /// When the next attempt may begin; `now` when one may begin at once.
    #[must_use]
    pub fn next_free(&self, now: Timestamp) -> Timestamp {
        let mut over = i64::from(self.used(now)) - i64::from(self.rate.limit) + 1;
        if over <= 0 {
            return now;
        }
        for &(at, n) in self.counting(now) {
            over -= i64::from(n);
            if over <= 0 {
                return at.plus(self.rate.counted_for());
            }
        }
        now
    }

    /// Records `attempts` that begin at `now`, and forgets those that no longer count.
    pub fn take(&mut self, now: Timestamp, attempts: u32) {
        let gone = self.taken.len() - self.counting(now).count();
        self.taken.drain(..gone);
        if attempts == 0 {
            return;
        }
        let slice = self.rate.slice();
        let end = Timestamp((now.0.div_euclid(slice) + 1).saturating_mul(slice));
        match self.taken.back_mut() {
            Some(last) if last.0 >= end => last.1 = last.1.saturating_add(attempts),
            _ => self.taken.push_back((end, attempts)),
        }
    }

    /// Counts an attempt from its end instead of its beginning, when the time between is longer than the
    /// margin allows for: the other side may have counted it at any moment in between.
    pub fn ended(&mut self, started_at: Timestamp, ended_at: Timestamp) {
        if ended_at.since(started_at) <= self.rate.window / 100 {
            return;
        }
        let slice = self.rate.slice();
        let end = |at: Timestamp| Timestamp((at.0.div_euclid(slice) + 1).saturating_mul(slice));
        let (from, to) = (end(started_at), end(ended_at));
        if let Some(begun) = self.taken.iter_mut().rev().find(|(at, n)| *at <= from && *n > 0) {
            begun.1 -= 1;
        }
        match self.taken.binary_search_by_key(&to, |(at, _)| *at) {
            Ok(found) => self.taken[found].1 = self.taken[found].1.saturating_add(1),
            Err(place) => self.taken.insert(place, (to, 1)),
        }
        self.taken.retain(|(_, n)| *n > 0);
    }

    fn counting(&self, now: Timestamp) -> impl Iterator<Item = &(Timestamp, u32)> {
        let counted_for = self.rate.counted_for();
        self.taken.iter().skip_while(move |(at, _)| at.plus(counted_for) <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn rates_are_read_and_written() {
        assert_eq!(rate("50/10s").to_string(), "50/10s");
        assert_eq!(rate("300/min").window(), Duration::from_secs(60));
        assert_eq!(rate("5 / 2h").limit(), 5);
        for bad in ["", "50", "0/10s", "50/0s", "50/500ms", "50/40d", "-1/10s", "50/ten", "x/10s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_clock_set_back_freezes_nothing_for_longer_than_a_window() {
        let rate = rate("2/10s");
        let mut window = RateWindow::new(rate);
        window.take(Timestamp(3_600_000), 2);
        let window = RateWindow::restore(rate, &window.entries(), Timestamp(0));
        assert_eq!(window.free(Timestamp(0)), 0);
        assert_eq!(window.free(Timestamp(10_500)), 2);
    }

    #[test]
    fn a_clock_that_is_set_back_takes_its_attempts_along() {
        let mut window = RateWindow::new(rate("2/10s"));
        window.take(Timestamp(86_400_000), 2);
        window.set_back(Duration::from_secs(86_400));
        assert_eq!([9_000, 10_500].map(|now| window.free(Timestamp(now))), [0, 2]);
    }

    #[test]
    fn what_another_process_recorded_while_we_waited_is_not_moved() {
        let rate = rate("2/10s");
        let mut window = RateWindow::new(rate);
        window.take(Timestamp(5_000), 2);
        let restored = RateWindow::restore(rate, &window.entries(), Timestamp(1_000));
        assert_eq!(restored, window);
        assert_eq!(restored.free(Timestamp(1_000)), 0);
    }

    #[test]
    fn a_slow_attempt_counts_from_its_end() {
        let mut window = RateWindow::new(rate("2/10s"));
        window.take(Timestamp(1_000), 2);
        window.ended(Timestamp(1_000), Timestamp(1_050));
        window.ended(Timestamp(1_000), Timestamp(4_000));
        assert_eq!(window.used(Timestamp(11_000)), 2);
        assert_eq!(window.used(Timestamp(12_000)), 1, "the quick one counts no more");
        assert_eq!(window.used(Timestamp(14_000)), 1);
        assert_eq!(window.used(Timestamp(15_000)), 0);
    }

    #[test]
    fn next_free_names_the_first_moment_at_which_one_is_free() {
        let mut window = RateWindow::new(rate("2/10s"));
        window.take(Timestamp(1_000), 2);
        let at = window.next_free(Timestamp(2_000));
        assert_eq!(window.free(Timestamp(at.0 - 1)), 0);
        assert_eq!(window.free(at), 2);
    }

    proptest! {
        /// P5, on a simulated clock: greedy senders at arbitrary moments never exceed the limit in any
        /// window, wherever it starts, whatever is stored and restored in between.
        #[test]
        fn no_window_wherever_it_starts_holds_more_than_the_limit(
            limit in 1u32..60,
            seconds in 1u64..60,
            steps in prop::collection::vec((0i64..3_000, 1u32..40), 1..300),
        ) {
            let rate = Rate::new(limit, Duration::from_secs(seconds)).unwrap();
            let mut window = RateWindow::new(rate);
            let mut now = Timestamp(0);
            let mut begun: Vec<i64> = Vec::new();
            for (gap, wish) in steps {
                now = Timestamp(now.0 + gap);
                let granted = wish.min(window.free(now));
                window.take(now, granted);
                begun.extend(std::iter::repeat_n(now.0, granted as usize));
                window = RateWindow::restore(rate, &window.entries(), now);
                prop_assert!(window.entries().len() <= 210);
            }
            let length = millis(rate.window());
            for (i, &start) in begun.iter().enumerate() {
                let held = begun[i..].iter().take_while(|&&at| at < start + length).count();
                prop_assert!(held <= limit as usize, "{held} of {limit} from {start}");
            }
        }

        /// P5 on the other side's clock: it counts each attempt at some moment between its beginning and its
        /// end, and attempts are shorter than the window.
        #[test]
        fn no_window_on_the_other_sides_clock_holds_more_than_the_limit(
            limit in 1u32..20,
            attempts in prop::collection::vec((0i64..900, 0i64..9_000, 0.0f64..1.0), 1..200),
        ) {
            let rate = Rate::new(limit, Duration::from_secs(10)).unwrap();
            let mut window = RateWindow::new(rate);
            let mut now = Timestamp(0);
            let mut under_way: Vec<(i64, Timestamp)> = Vec::new();
            let mut seen: Vec<i64> = Vec::new();
            for (gap, took, moment) in attempts {
                now = Timestamp(now.0 + gap);
                under_way.sort_unstable();
                while let Some(&(end, started)) = under_way.first().filter(|(end, _)| *end <= now.0) {
                    under_way.remove(0);
                    window.ended(started, Timestamp(end));
                }
                if window.free(now) > 0 {
                    window.take(now, 1);
                    under_way.push((now.0 + took, now));
                    seen.push(now.0 + (took as f64 * moment) as i64);
                }
            }
            seen.sort_unstable();
            for (i, &start) in seen.iter().enumerate() {
                let held = seen[i..].iter().take_while(|&&at| at < start + 10_000).count();
                prop_assert!(held <= limit as usize, "{held} of {limit} from {start}");
            }
        }

        /// P5: a saturated limit is used to at least 95 %.
        #[test]
        fn a_saturated_limit_is_used_to_at_least_95_percent(limit in 1u32..500, seconds in 1u64..120) {
            let rate = Rate::new(limit, Duration::from_secs(seconds)).unwrap();
            let mut window = RateWindow::new(rate);
            let (mut now, mut sent) = (Timestamp(0), 0u64);
            let end = Timestamp(millis(rate.window()) * 100);
            while now < end {
                let free = window.free(now);
                window.take(now, free);
                sent += u64::from(free);
                now = window.next_free(now).max(Timestamp(now.0 + 1));
            }
            prop_assert!(sent as f64 >= 0.95 * 100.0 * f64::from(limit), "{sent} of {}", limit * 100);
        }
    }
}
