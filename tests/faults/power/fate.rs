//! What becomes of changes that were not synced when the power failed.

use std::fmt;

/// The most that a disk writes at once, or not at all.
pub const SECTOR: usize = 512;

/// Decides of each change that is not durable whether it reached the disk.
pub struct Fate {
    kind: Kind,
    random: fastrand::Rng,
}

/// The kinds of luck.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// All that was not synced is gone.
    Nothing,
    /// All of it is there, as after the death of every process.
    Everything,
    /// Names are, bytes are not: what a journal of names alone leaves.
    Names,
    /// Bytes are, names are not.
    Bytes,
    /// What was changed before this moment is; the last one torn.
    Before(u64),
    /// Each change by itself with this chance, in any order, half of them torn.
    Some(f64),
}

impl Fate {
    /// The `n`th of the fates that are worth trying after `clock` changes: four that are certain, then chance.
    pub fn nth(n: usize, clock: u64, pending: usize, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let recent = clock.saturating_sub(pending as u64 + 1);
        let kind = match n {
            0 => Kind::Nothing,
            1 => Kind::Some([0.15, 0.5, 0.85][random.usize(..3)]),
            2 => Kind::Before(random.u64(recent..=clock)),
            3 => Kind::Everything,
            4 => Kind::Names,
            5 => Kind::Bytes,
            n if n % 3 == 0 => Kind::Before(random.u64(recent..=clock)),
            _ => Kind::Some([0.15, 0.5, 0.85][random.usize(..3)]),
        };
        Self { kind, random }
    }

    /// Whether the bytes that were written, or the length that was set, at this moment are there.
    pub fn keeps_bytes(&mut self, at: u64) -> bool {
        match self.kind {
            Kind::Nothing | Kind::Names => false,
            Kind::Everything | Kind::Bytes => true,
            Kind::Before(end) => at < end,
            Kind::Some(chance) => self.random.f64() < chance,
        }
    }

    /// Whether the name that was given, moved or taken away at this moment is as it was left.
    pub fn keeps_name(&mut self, at: u64) -> bool {
        match self.kind {
            Kind::Nothing | Kind::Bytes => false,
            Kind::Everything | Kind::Names => true,
            Kind::Before(end) => at < end,
            Kind::Some(chance) => self.random.f64() < chance,
        }
    }

    /// Whether a change that is there is there as a whole.
    pub fn is_whole(&mut self, at: u64) -> bool {
        match self.kind {
            Kind::Before(end) => at + 1 < end,
            Kind::Some(_) => self.random.bool(),
            _ => true,
        }
    }

    /// Whether the next sector of a torn write is there.
    pub fn keeps_sector(&mut self) -> bool {
        self.random.bool()
    }

    /// Something else that chance decides.
    pub fn random(&mut self) -> &mut fastrand::Rng {
        &mut self.random
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)
    }
}
