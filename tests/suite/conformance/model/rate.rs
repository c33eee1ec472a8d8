//! What a rate allows, without the slices in which the store remembers it: between two bounds.
//!
//! P5: no window of length D, wherever it starts, holds more than N attempts, and a saturated limit is used to
//! at least 95 %. So an attempt counts for D at least, and for D and 2.5 % at most, from its beginning; from
//! its end when it took longer than a hundredth of D. A clock that was set back never lets more through in real
//! time; what lies more than ten seconds ahead of it counts as made when it is looked at.

use std::time::Duration;

use notifyctl::model::{Rate, Timestamp};

/// What lies further ahead than this was made before the clock was set back.
const AHEAD: Duration = Duration::from_secs(10);

/// The attempts of one channel against one of its rates.
pub struct Used {
    rate: Rate,
    /// Each attempt: the earliest and the latest moment from which it may count, as the wall clock says.
    counted: Vec<(Timestamp, Timestamp)>,
    /// When each began, in time that nobody sets back.
    begun: Vec<Timestamp>,
    /// The clock was set back, or an end was reported twice: the earliest moments say nothing.
    blurred: bool,
}

impl Used {
    pub fn new(rate: Rate) -> Self {
        Self { rate, counted: Vec::new(), begun: Vec::new(), blurred: false }
    }

    pub fn rate(&self) -> Rate {
        self.rate
    }

    fn longest(&self) -> Duration {
        self.rate.window() + self.rate.window() / 40
    }

    /// How many may begin at `now`: at least, and at most.
    pub fn free(&self, now: Timestamp) -> (u32, u32) {
        let may_count = self.counted.iter().filter(|(_, late)| late.plus(self.longest()) > now).count();
        let must_count = match self.blurred {
            true => 0,
            false => self.counted.iter().filter(|(early, _)| early.plus(self.rate.window()) > now).count(),
        };
        let left = |count: usize| self.rate.limit().saturating_sub(u32::try_from(count).expect("few"));
        (left(may_count), left(must_count))
    }

    /// The moment by which the next one may begin, when none may now.
    pub fn free_by(&self) -> Timestamp {
        let mut late: Vec<_> = self.counted.iter().map(|(_, late)| *late).collect();
        late.sort_unstable_by(|a, b| b.cmp(a));
        let last = late.get(self.rate.limit() as usize - 1).copied().unwrap_or_default();
        last.plus(self.longest())
    }

    /// `attempts` begin.
    pub fn take(&mut self, now: Timestamp, real: Timestamp, attempts: usize) -> Result<(), String> {
        let longest = self.longest();
        self.counted.retain(|(_, late)| late.plus(longest) > now);
        self.blurred &= !self.counted.is_empty();
        let latest = self.counted.iter().map(|(_, late)| *late).max().unwrap_or(now).max(now);
        self.counted.extend(std::iter::repeat_n((now, latest), attempts));
        self.begun.extend(std::iter::repeat_n(real, attempts));
        let window = self.begun.iter().filter(|at| at.plus(self.rate.window()) > real).count();
        match window > self.rate.limit() as usize {
            true => Err(format!("{window} attempts within one window of {}", self.rate)),
            false => Ok(()),
        }
    }

    /// One that was claimed at `taken` (`really`, in time that nobody sets back) never began.
    pub fn give_back(&mut self, taken: Timestamp, really: Timestamp) {
        let begun = self.begun.iter().position(|at| *at == really).expect("it was recorded");
        self.begun.swap_remove(begun);
        // Where the moments are blurred the store may be sure of it or not.
        let its = self.counted.iter().position(|moments| *moments == (taken, taken));
        if let Some(its) = its.filter(|_| !self.blurred) {
            self.counted.swap_remove(its);
        }
    }

    /// The store looks at the window: what lies ahead of the clock counts from now.
    pub fn seen(&mut self, now: Timestamp) {
        let margin = self.rate.window() / 200;
        for (early, late) in &mut self.counted {
            if early.since(now) > AHEAD {
                (*early, *late) = (now, now);
            } else if late.plus(margin).since(now) > AHEAD {
                *early = (*early).min(now);
            }
        }
    }

    /// The clock was set back by so much, and what was recorded by it moves along.
    pub fn moved_back(&mut self, by: Duration) {
        for (early, late) in &mut self.counted {
            (*early, *late) = (early.minus(by), late.minus(by));
        }
    }

    /// The clock is set back: from now on nobody can tell what must count.
    pub fn set_back(&mut self) {
        self.blurred = !self.counted.is_empty();
    }

    /// An attempt took long. `known` when nobody had reported another end of it.
    pub fn ended(&mut self, started: Timestamp, ended: Timestamp, known: bool) {
        if ended.since(started) <= self.rate.window() / 100 {
            return;
        }
        match self.counted.iter_mut().find(|moments| **moments == (started, started)) {
            Some(moments) if known && !self.blurred => *moments = (ended, ended),
            // Which of them it was cannot be told any more.
            _ => {
                self.blurred = true;
                self.counted.push((ended, ended));
                for (early, late) in &mut self.counted {
                    (*early, *late) = ((*early).min(ended), (*late).max(ended));
                }
            }
        }
    }
}
