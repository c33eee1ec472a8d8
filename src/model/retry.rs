//! When a deferred notification is tried again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A list of waits: the n-th retry comes after the n-th wait, and after the last one there is none.
///
/// Written as `"30s, 5m*2, 1h*6"`: 30 seconds, twice five minutes, six times an hour: nine retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Vec<Duration>);

impl RetrySchedule {
    /// The most retries that a schedule may hold.
    pub const LIMIT: usize = 1000;

    /// The longest wait: a hundred years. More is a slip, and would not fit a time of the store.
    pub const LONGEST: Duration = Duration::from_secs(36_525 * 86_400);

    /// A schedule of these waits, in this order; an empty one never retries.
    #[must_use]
    pub fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }

    /// How many retries there are at most.
    #[must_use]
    pub fn retries(&self) -> usize {
        self.0.len()
    }

    /// The wait before the next retry when `used` of them are used up, or `None` when none is left.
    ///
    /// `jitter` in 0..1 spreads a burst that failed together over 80 % to 120 % of the wait.
    #[must_use]
    pub fn wait(&self, used: u32, jitter: f64) -> Option<Duration> {
        let wait = self.0.get(usize::try_from(used).ok()?)?;
        Some(spread(*wait, jitter))
    }
}

/// `wait` scaled to 80 % (jitter 0) to 120 % (jitter 1), or as long as can be told.
#[must_use]
pub fn spread(wait: Duration, jitter: f64) -> Duration {
    let seconds = wait.as_secs_f64() * (0.8 + 0.4 * jitter.clamp(0.0, 1.0));
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

impl FromStr for RetrySchedule {
    type Err = RetryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "never" {
            return Ok(Self(Vec::new()));
        }
        let mut waits = Vec::new();
        for step in text.split(',') {
            let (wait, times) = read_step(step.trim())?;
            if waits.len() + times > Self::LIMIT {
                return Err(RetryError::TooMany);
            }
            waits.extend(std::iter::repeat_n(wait, times));
        }
        Ok(Self(waits))
    }
}

fn read_step(step: &str) -> Result<(Duration, usize), RetryError> {
    let bad = || RetryError::Step(step.to_owned());
    let (wait, times) = match step.split_once('*') {
        Some((wait, times)) => (wait.trim(), times.trim().parse().map_err(|_| bad())?),
        None => (step, 1),
    };
    let wait = humantime::parse_duration(wait).map_err(|_| bad())?;
    if times == 0 || wait.is_zero() {
        return Err(bad());
    }
    if wait > RetrySchedule::LONGEST {
        return Err(RetryError::TooLong(step.to_owned()));
    }
    Ok((wait, times))
}

impl fmt::Display for RetrySchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("never");
        }
        for (i, run) in self.0.chunk_by(|a, b| a == b).enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            let wait = humantime::format_duration(run[0]).to_string().replace(' ', "");
            match run.len() {
                1 => write!(f, "{separator}{wait}")?,
                times => write!(f, "{separator}{wait}*{times}")?,
            }
        }
        Ok(())
    }
}

/// A schedule that cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RetryError {
    /// A step that is not a wait, or not a wait and a count.
    #[error("`{0}` is not a wait like `30s` or `5m*2` (write `never` for no retry)")]
    Step(String),
    /// A wait that is longer than [`RetrySchedule::LONGEST`].
    #[error("`{0}` is longer than a hundred years")]
    TooLong(String),
    /// More than [`RetrySchedule::LIMIT`] retries.
    #[error("a schedule holds at most {} retries", RetrySchedule::LIMIT)]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_read_and_written_in_the_same_words() {
        let schedule: RetrySchedule = "30s, 5m*2, 1h * 6".parse().unwrap();
        assert_eq!(schedule.retries(), 9);
        assert_eq!(schedule.to_string(), "30s, 5m*2, 1h*6");
        assert_eq!("never".parse::<RetrySchedule>().unwrap().retries(), 0);
    }

    #[test]
    fn what_is_not_a_schedule_is_refused_with_the_step() {
        for bad in ["", "30", "5m*0", "0s", "1h*x", "30s,,5m", "-5m"] {
            assert!(matches!(bad.parse::<RetrySchedule>(), Err(RetryError::Step(_))), "{bad}");
        }
        assert_eq!("1s*1001".parse::<RetrySchedule>(), Err(RetryError::TooMany));
        let century = |more| format!("{}s", RetrySchedule::LONGEST.as_secs() + more).parse::<RetrySchedule>();
        assert_eq!(century(0).map(|schedule| schedule.retries()), Ok(1));
        assert!(matches!(century(1), Err(RetryError::TooLong(_))));
    }

    #[test]
    fn the_last_wait_is_followed_by_none() {
        let schedule: RetrySchedule = "10s, 20s".parse().unwrap();
        assert_eq!(schedule.wait(0, 0.5), Some(Duration::from_secs(10)));
        assert_eq!(schedule.wait(1, 0.0), Some(Duration::from_secs(16)));
        assert_eq!(schedule.wait(1, 1.0), Some(Duration::from_secs(24)));
        assert_eq!(schedule.wait(2, 0.5), None);
    }
}
