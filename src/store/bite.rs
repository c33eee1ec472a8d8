//! How much a purge does at once: bites of bounded time, and a pause after each in which others write.

use std::time::Duration;

/// What a bite should take: about as long as anybody may have to wait behind it.
const TARGET: Duration = Duration::from_millis(10);

/// The fewest and the most rows of a bite. A sync costs what it costs: fewer rows would only mean more of them.
const ROWS: (usize, usize) = (1_000, 5_000);

/// The size of the next bite of a purge; follows from how long the ones before it kept others out.
#[derive(Debug, Clone, Copy)]
pub struct Bite(usize);

impl Bite {
    /// Between two bites, so that others find the store free: who has waited for long is let in anyway.
    pub const PAUSE: Duration = Duration::from_millis(5);

    /// How many rows it looks at, at most.
    #[must_use]
    pub fn rows(self) -> usize {
        self.0
    }

    /// Learns from one that kept others out for `took`.
    pub fn learn(&mut self, took: Duration) {
        let next = match took {
            took if took > TARGET => self.0 / 2,
            took if took < TARGET / 2 => self.0 * 3 / 2,
            _ => self.0,
        };
        self.0 = next.clamp(ROWS.0, ROWS.1);
    }
}

impl Default for Bite {
    fn default() -> Self {
        Self(ROWS.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bites_grow_while_they_are_quick_and_shrink_when_they_take_too_long() {
        let mut bite = Bite::default();
        for _ in 0..20 {
            bite.learn(Duration::from_millis(1));
        }
        assert_eq!(bite.rows(), 5_000);
        bite.learn(Duration::from_millis(7));
        assert_eq!(bite.rows(), 5_000);
        bite.learn(Duration::from_millis(11));
        assert_eq!(bite.rows(), 2_500);
        for _ in 0..20 {
            bite.learn(Duration::from_secs(1));
        }
        assert_eq!(bite.rows(), 1_000);
    }
}
