//! What waits for the next call to the store: results, and claims that are given back.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Claimed, GiveBack, Settlement};

/// What waits for the next call to the store.
#[derive(Default)]
pub(super) struct Outbox {
    /// Results, each with its origin at the same index.
    pub(super) settle: Vec<Settlement>,
    pub(super) origins: Vec<Origin>,
    pub(super) give_back: Vec<GiveBack>,
    /// Since when the first of them waits.
    pub(super) since: Option<Instant>,
}

/// Whose attempt a result is of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// One of ours.
    Place {
        /// Its lane's number.
        lane: usize,
        /// Its place.
        place: usize,
        /// How long it took.
        took: Duration,
        /// How long ago its notification was enqueued when it ended.
        age: Duration,
    },
    /// One of a dead worker's.
    Orphan {
        /// Its lane's number; none has that of a channel that is not configured any more.
        lane: Option<usize>,
    },
}

impl Origin {
    pub(super) fn lane(self) -> Option<usize> {
        match self {
            Self::Place { lane, .. } => Some(lane),
            Self::Orphan { lane } => lane,
        }
    }
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.settle.is_empty() && self.give_back.is_empty()
    }

    pub(super) fn settle(&mut self, settlement: Settlement, origin: Origin, now: Instant) {
        self.since.get_or_insert(now);
        self.settle.push(settlement);
        self.origins.push(origin);
    }

    pub(super) fn give_back(&mut self, claimed: Claimed, uncounted: bool) {
        self.give_back.push(GiveBack {
            id: claimed.id,
            attempt: claimed.attempt,
            lease_token: claimed.lease_token,
            channel: claimed.channel,
            batch_id: claimed.batch_id,
            uncounted,
        });
    }

    /// Puts back what a call that failed had taken, in front of what has come since.
    pub(super) fn restore(&mut self, mut taken: Self) {
        taken.settle.append(&mut self.settle);
        taken.origins.append(&mut self.origins);
        taken.give_back.append(&mut self.give_back);
        taken.since = taken.since.or(self.since);
        *self = taken;
    }
}
