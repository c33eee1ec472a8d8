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

    /// What must be kept: pairs of (end of slice, attempts), at most about two hundred, and those of the time by which
    /// moments are dated ahead.
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

    /// Records `attempts` that begin at `now`, and forgets those that no longer counted `lead` before: so far ahead of the
    /// clock `now` lies, and others go by the clock.
    pub fn take(&mut self, now: Timestamp, lead: Duration, attempts: u32) {
        let gone = self.taken.len() - self.counting(now.minus(lead)).count();
        self.taken.drain(..gone);
        if attempts == 0 {
            return;
        }
        let end = self.end_of_slice(now);
        match self.taken.back_mut() {
            Some(last) if last.0 >= end => last.1 = last.1.saturating_add(attempts),
            _ => self.taken.push_back((end, attempts)),
        }
    }

    /// Counts one attempt no more that was recorded at `taken_at` and has not begun and never will. `seen` is the latest
    /// moment at which anybody has looked.
    pub fn give_back(&mut self, taken_at: Timestamp, seen: Timestamp) {
        self.take_out(taken_at, Timestamp(i64::MAX), seen);
    }

    /// Counts an attempt from its end instead of the moment `taken_at` at which it was recorded, when it took longer than
    /// the margin allows for: the other side may have counted it at any moment in between. Where nobody knows that
    /// moment, it counts from both. `seen` is the latest moment at which anybody has looked.
    pub fn ended(
        &mut self,
        taken_at: Option<Timestamp>,
        (started_at, ended_at): (Timestamp, Timestamp),
        seen: Timestamp,
    ) {
        if ended_at.since(started_at) <= self.rate.window / 100 {
            return;
        }
        let to = self.end_of_slice(ended_at);
        if let Some(taken_at) = taken_at {
            self.take_out(taken_at, to, seen);
        }
        match self.taken.binary_search_by_key(&to, |(at, _)| *at) {
            Ok(found) => self.taken[found].1 = self.taken[found].1.saturating_add(1),
            Err(place) => self.taken.insert(place, (to, 1)),
        }
    }

    /// Takes out one of the first entry behind `taken_at`, if that is no later than `latest`. What was recorded then is in
    /// that entry or in a later one: whoever's it is counts by the later one, and never for too short. What no longer
    /// counted when last somebody looked may be forgotten already; then an entry behind its own slice tells of others alone.
    fn take_out(&mut self, taken_at: Timestamp, latest: Timestamp, seen: Timestamp) {
        let latest = match taken_at.plus(self.rate.counted_for()) > seen {
            true => latest,
            false => latest.min(self.end_of_slice(taken_at)),
        };
        let first = self.taken.partition_point(|(at, _)| *at <= taken_at);
        match self.taken.get_mut(first) {
            Some((at, _)) if *at > latest => {}
            Some((_, n)) if *n > 1 => *n -= 1,
            _ => drop(self.taken.remove(first)),
        }
    }

    fn end_of_slice(&self, at: Timestamp) -> Timestamp {
        let slice = self.rate.slice();
        Timestamp((at.0.div_euclid(slice) + 1).saturating_mul(slice))
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

    /// At a moment that is not dated ahead.
    fn take(window: &mut RateWindow, now: Timestamp, attempts: u32) {
        window.take(now, Duration::ZERO, attempts);
    }

    /// What took from one moment to another, and is written at once.
    fn ended(window: &mut RateWindow, taken_at: i64, started_at: i64, ended_at: i64) {
        let [taken_at, started_at, ended_at] = [taken_at, started_at, ended_at].map(Timestamp);
        window.ended(Some(taken_at), (started_at, ended_at), ended_at);
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
        take(&mut window, Timestamp(3_600_000), 2);
        let window = RateWindow::restore(rate, &window.entries(), Timestamp(0));
        assert_eq!(window.free(Timestamp(0)), 0);
        assert_eq!(window.free(Timestamp(10_500)), 2);
    }

    #[test]
    fn a_clock_that_is_set_back_takes_its_attempts_along() {
        let mut window = RateWindow::new(rate("2/10s"));
        take(&mut window, Timestamp(86_400_000), 2);
        window.set_back(Duration::from_secs(86_400));
        assert_eq!([9_000, 10_500].map(|now| window.free(Timestamp(now))), [0, 2]);
    }

    #[test]
    fn what_another_process_recorded_while_we_waited_is_not_moved() {
        let rate = rate("2/10s");
        let mut window = RateWindow::new(rate);
        take(&mut window, Timestamp(5_000), 2);
        let restored = RateWindow::restore(rate, &window.entries(), Timestamp(1_000));
        assert_eq!(restored, window);
        assert_eq!(restored.free(Timestamp(1_000)), 0);
    }

    #[test]
    fn a_slow_attempt_counts_from_its_end() {
        let mut window = RateWindow::new(rate("2/10s"));
        take(&mut window, Timestamp(1_000), 2);
        ended(&mut window, 1_000, 1_000, 1_050);
        ended(&mut window, 1_000, 1_000, 4_000);
        assert_eq!(window.used(Timestamp(11_000)), 2);
        assert_eq!(window.used(Timestamp(12_000)), 1, "the quick one counts no more");
        assert_eq!(window.used(Timestamp(14_000)), 1);
        assert_eq!(window.used(Timestamp(15_000)), 0);
    }

    #[test]
    fn a_slow_attempt_that_began_a_little_late_takes_no_other_ones_moment() {
        let mut window = RateWindow::new(rate("2/10s"));
        take(&mut window, Timestamp(0), 1);
        take(&mut window, Timestamp(90), 1);
        ended(&mut window, 0, 100, 300);
        assert_eq!(window.next_free(Timestamp(9_000)), Timestamp(10_300), "a window after the second one");
    }

    #[test]
    fn what_ended_longer_ago_than_it_counts_takes_no_other_ones_moment() {
        let mut window = RateWindow::new(rate("2/10s"));
        take(&mut window, Timestamp(0), 1);
        take(&mut window, Timestamp(11_000), 1);
        window.ended(Some(Timestamp(0)), (Timestamp(0), Timestamp(12_000)), Timestamp(13_000));
        assert_eq!(window.used(Timestamp(20_000)), 2);
        window.ended(None, (Timestamp(5_000), Timestamp(12_000)), Timestamp(13_000));
        assert_eq!(window.used(Timestamp(20_000)), 3, "and one of which nothing is known counts too");
    }

    #[test]
    fn what_never_began_counts_no_more_and_all_else_as_before() {
        let mut window = RateWindow::new(rate("3/10s"));
        for at in [1_000, 2_000, 3_000] {
            take(&mut window, Timestamp(at), 1);
        }
        window.give_back(Timestamp(2_000), Timestamp(4_000));
        let left: Vec<i64> = window.entries().into_iter().map(|(at, _)| at.0).collect();
        assert_eq!((left, window.free(Timestamp(4_000))), (vec![1_050, 3_050], 1));
        window.give_back(Timestamp(2_000), Timestamp(12_200));
        assert_eq!(window.entries().len(), 2, "it counts no longer by itself, and is forgotten");
        window.give_back(Timestamp(4_000), Timestamp(5_000));
        assert_eq!(window.entries().len(), 2, "none is so late");
    }

    #[test]
    fn who_dates_ahead_forgets_nothing_that_still_counts_for_others() {
        let mut window = RateWindow::new(rate("2/10s"));
        take(&mut window, Timestamp(0), 2);
        let (now, lead) = (Timestamp(9_300), Duration::from_secs(1));
        window.take(now.plus(lead), lead, 1);
        assert_eq!([window.free(now), window.free(now.plus(lead))], [0, 1]);
    }

    #[test]
    fn next_free_names_the_first_moment_at_which_one_is_free() {
        let mut window = RateWindow::new(rate("2/10s"));
        take(&mut window, Timestamp(1_000), 2);
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
                take(&mut window, now, granted);
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

        /// P5 on the other side's clock: an attempt begins up to half of the margin after its recorded moment, or is
        /// given back then; the other side counts it at some moment between its beginning and its end.
        #[test]
        fn no_window_on_the_other_sides_clock_holds_more_than_the_limit(
            limit in 1u32..20,
            attempts in prop::collection::vec((0i64..900, 0i64..=100, 0i64..9_000, 0.0f64..1.0, 0u8..5), 1..200),
        ) {
            let rate = Rate::new(limit, Duration::from_secs(10)).unwrap();
            let mut window = RateWindow::new(rate);
            let mut now = Timestamp(0);
            // When it is over, when it was taken, and when it began, if it did.
            let mut under_way: Vec<(i64, Timestamp, Option<Timestamp>)> = Vec::new();
            let mut seen: Vec<i64> = Vec::new();
            for (gap, late, took, moment, kind) in attempts {
                now = Timestamp(now.0 + gap);
                under_way.sort_unstable();
                while let Some(&(over, taken, started)) = under_way.first().filter(|(over, ..)| *over <= now.0) {
                    under_way.remove(0);
                    match started {
                        Some(started) => ended(&mut window, taken.0, started.0, over),
                        None => window.give_back(taken, Timestamp(over)),
                    }
                }
                if window.free(now) == 0 {
                    continue;
                }
                take(&mut window, now, 1);
                let started = now.0 + late;
                let took = if kind == 1 { took / 90 } else { took };
                match kind {
                    0 => under_way.push((started, now, None)),
                    _ => {
                        under_way.push((started + took, now, Some(Timestamp(started))));
                        seen.push(started + (took as f64 * moment) as i64);
                    }
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
                take(&mut window, now, free);
                sent += u64::from(free);
                now = window.next_free(now).max(Timestamp(now.0 + 1));
            }
            prop_assert!(sent as f64 >= 0.95 * 100.0 * f64::from(limit), "{sent} of {}", limit * 100);
        }
    }
}
