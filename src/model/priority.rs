//! Which notification goes first, and how age makes up for a low priority.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How much later than a new one, due at the same moment, a deferred one goes: new work does not wait behind
/// a backlog of what has failed before, and the backlog does not wait for ever.
pub const RETRIED_HANDICAP: Duration = Duration::from_secs(2 * 60);

/// How much a notification hurries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Before everything that is not an hour late.
    Critical,
    /// Before normal ones.
    High,
    /// What is meant when nothing is said.
    #[default]
    Normal,
    /// When nothing else is due, or when it has waited long enough.
    Low,
}

impl Priority {
    /// Every priority, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// The word used in options, JSON and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    /// The number kept in the store: 0 (critical) to 3 (low).
    #[must_use]
    pub fn rank(self) -> i64 {
        match self {
            Self::Critical => 0,
            Self::High => 1,
            Self::Normal => 2,
            Self::Low => 3,
        }
    }

    /// The priority of a stored number, if it is one.
    #[must_use]
    pub fn from_rank(rank: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.rank() == rank)
    }

    /// How much later than a critical one, due at the same moment, this one goes.
    ///
    /// The queue is ordered by `next_attempt_at + handicap`: a low notification that has been due for
    /// an hour goes before a critical one that is due now, so none starves.
    #[must_use]
    pub fn handicap(self) -> Duration {
        match self {
            Self::Critical => Duration::ZERO,
            Self::High => Duration::from_secs(5 * 60),
            Self::Normal => Duration::from_secs(20 * 60),
            Self::Low => Duration::from_secs(60 * 60),
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Priority {
    type Err = UnknownPriority;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|priority| priority.as_str() == text)
            .ok_or_else(|| UnknownPriority(text.to_owned()))
    }
}

/// A word that names no priority.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a priority (one of critical, high, normal, low)")]
pub struct UnknownPriority(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_words_read_back() {
        for priority in Priority::ALL {
            assert_eq!(Priority::from_rank(priority.rank()), Some(priority));
            assert_eq!(priority.as_str().parse::<Priority>().unwrap(), priority);
        }
        assert_eq!(Priority::from_rank(4), None);
    }

    #[test]
    fn a_lower_priority_always_has_the_larger_handicap() {
        for pair in Priority::ALL.windows(2) {
            assert!(pair[0].handicap() < pair[1].handicap());
        }
    }
}
