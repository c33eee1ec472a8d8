//! What a run does beside delivering: signs of life, leases, what dead workers left, what has expired.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::LOG_TARGET;
use super::lane::LaneState;
use crate::clock::Clock;
use crate::model::Id;
use crate::store::{Orphan, Result, Store, Worker};

/// How often dead workers and expired notifications are looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// How many expire in one transaction.
const EXPIRE_BITE: usize = 500;

/// How many of a dead worker's notifications are looked at in one sweep.
const ORPHANS: usize = 1_000;

/// The shortest lease, and by how much it outlasts the longest attempt.
const LEASE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(30));

/// The longest time between two signs of life. A service manager's patience should be several of these.
pub const BEAT: Duration = Duration::from_secs(10);

/// What is due when.
pub(super) struct Care {
    /// How long a claim is ours without a sign of life.
    pub(super) lease: Duration,
    next_beat: Instant,
    /// Until when, since the machine's start, nobody takes us for hung.
    alive_until: Duration,
    next_extend: Instant,
    next_sweep: Instant,
    /// Whether the first sweep is done.
    pub(super) swept: bool,
    /// Channels whose destination is switched off, and in whose words.
    pub(super) switched_off: Vec<(String, String)>,
}

/// What one call to the store does.
pub(super) struct Chores {
    worker: Id,
    lease: Duration,
    extend: bool,
    sweep: bool,
    switched_off: Vec<(String, String)>,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Found {
    pub(super) orphans: Vec<Orphan>,
    pub(super) expired: usize,
}

impl Care {
    pub(super) fn new(lanes: &[LaneState], now: Instant) -> Self {
        let longest = lanes.iter().map(|lane| lane.lane.longest_attempt).max().unwrap_or_default();
        let lease = LEASE.0.max(longest + LEASE.1);
        Self {
            lease,
            next_beat: now,
            alive_until: Duration::MAX,
            next_extend: now + lease / 3,
            next_sweep: now,
            swept: false,
            switched_off: Vec::new(),
        }
    }

    /// When something is due next.
    pub(super) fn next(&self, sweeps: bool) -> Instant {
        if sweeps { self.next_extend.min(self.next_sweep) } else { self.next_extend }
    }

    /// When a sign of life is due next.
    pub(super) fn next_beat(&self) -> Instant {
        self.next_beat
    }

    /// Leaves a sign of life when one is due.
    pub(super) fn beat(&mut self, worker: &dyn Worker, clock: &dyn Clock, now: Instant) {
        if self.next_beat > now {
            return;
        }
        self.next_beat = now + (self.lease / 6).min(BEAT);
        // Read before, so that we never think ourselves alive for longer than others do.
        let alive_until = clock.since_boot() + self.lease;
        match worker.beat(self.lease) {
            Ok(()) => self.alive_until = alive_until,
            Err(error) => log::warn!(target: LOG_TARGET, "leave a sign of life: {error}"),
        }
    }

    /// Whether this process stood still for so long (stopped, or on a machine that slept) that others may have
    /// taken what it has in hand for their own.
    pub(super) fn has_hung(&self, clock: &dyn Clock) -> bool {
        clock.since_boot() > self.alive_until
    }

    /// Something has expired in our hands: look for more of the kind.
    pub(super) fn sweep_at(&mut self, at: Instant) {
        self.next_sweep = self.next_sweep.min(at);
    }

    /// What is to be done now, if anything.
    pub(super) fn chores(&mut self, worker: Id, now: Instant, sweeps: bool) -> Option<Chores> {
        let extend = self.next_extend <= now;
        let sweep = sweeps && self.next_sweep <= now;
        if !extend && !sweep && self.switched_off.is_empty() {
            return None;
        }
        let switched_off = std::mem::take(&mut self.switched_off);
        Some(Chores { worker, lease: self.lease, extend, sweep, switched_off })
    }

    /// The chores are done; what is due again follows.
    pub(super) fn done(&mut self, chores: &Chores, found: &Found, now: Instant) {
        if chores.extend {
            self.next_extend = now + self.lease / 3;
        }
        if chores.sweep {
            self.swept = true;
            self.next_sweep = if found.expired == EXPIRE_BITE { now } else { now + SWEEP };
        }
    }

    /// The chores could not be done: all of them are still due.
    pub(super) fn failed(&mut self, chores: Chores) {
        self.switched_off.extend(chores.switched_off);
    }
}

impl Chores {
    /// The channels that it holds.
    pub(super) fn switched_off(&self) -> impl Iterator<Item = &str> {
        self.switched_off.iter().map(|(channel, _)| channel.as_str())
    }

    /// Does them. Each is a transaction of its own; what was done before one that fails stays done.
    pub(super) fn perform(&self, store: &mut dyn Store, clock: &Arc<dyn Clock>) -> Result<Found> {
        let now = clock.now();
        for (channel, reason) in &self.switched_off {
            store.hold_channel(now, channel, reason)?;
        }
        if self.extend {
            store.extend(self.worker, now.plus(self.lease))?;
        }
        if !self.sweep {
            return Ok(Found::default());
        }
        let orphans = store.orphans(self.worker, self.lease, ORPHANS)?;
        let expired = store.expire(now, EXPIRE_BITE)?;
        Ok(Found { orphans, expired })
    }
}
