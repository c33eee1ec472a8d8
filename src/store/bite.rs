//! How much a purge does at once: bites of bounded time, and a pause after each in which others write.

use std::time::Duration;

/// What a bite should take: about as long as anybody may have to wait behind it.
const TARGET: Duration = Duration::from_millis(10);

/// The fewest and the most rows of a bite.
const ROWS: (usize, usize) = (100, 10_000);

/// The size of the next bite of a purge; follows from how long the ones before it kept others out.
#[derive(Debug, Clone, Copy)]
pub struct Bite(usize);

impl Bite {
    /// Between two bites: longer than anybody who waits for the store sleeps before looking again, or a purge
    /// would take it from them every time.
    pub const PAUSE: Duration = Duration::from_millis(15);

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
        Self(1_000)
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
        assert_eq!(bite.rows(), 10_000);
        bite.learn(Duration::from_millis(7));
        assert_eq!(bite.rows(), 10_000);
        bite.learn(Duration::from_millis(11));
        assert_eq!(bite.rows(), 5_000);
        for _ in 0..20 {
            bite.learn(Duration::from_secs(1));
        }
        assert_eq!(bite.rows(), 100);
    }
}
