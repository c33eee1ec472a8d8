//! A courier: the task that carries one notification after another over one permit of a lane.
//!
//! It fetches the next one itself and brings back what came of it, so that nobody has to be woken between
//! two. Whatever ends it (a panic of the channel, its last limit of time), what it held is accounted for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::conductor::Office;
use super::lane::Lane;
use crate::channel::{Envelope, Supply};
use crate::model::{Id, Outcome, Reason, Verdict};

/// How long after its own limit a channel is still waited for. It keeps its limits itself; this is the last resort.
const GRACE: Duration = Duration::from_secs(5);

/// How many a courier holds at most: one under way, one announced behind it.
const HELD: usize = 2;

/// Carries what there is on lane `number`, and ends when there is nothing more to begin.
pub(super) async fn courier(office: Arc<Office>, number: usize, lane: Arc<Lane>) {
    let start = Instant::now();
    let began = Arc::new(AtomicU64::new(0));
    let mut satchel = Satchel {
        office,
        lane: number,
        held: VecDeque::with_capacity(HELD),
        start,
        began: Arc::clone(&began),
    };
    let limit = lane.longest_attempt + GRACE;
    tokio::select! {
        () = lane.channel.carry(&mut satchel) => {}
        () = overdue(start, &began, limit) => {}
    }
}

/// Waits until the attempt that began at `start + began` (milliseconds) has taken longer than `limit`.
async fn overdue(start: Instant, began: &AtomicU64, limit: Duration) {
    let mut seen = 0;
    loop {
        sleep_until(start + Duration::from_millis(seen) + limit).await;
        let now = began.load(Ordering::Relaxed);
        if now == seen {
            return;
        }
        seen = now;
    }
}

/// What a courier holds.
struct Satchel {
    office: Arc<Office>,
    lane: usize,
    /// Ids and places, the one under way first.
    held: VecDeque<(Id, usize)>,
    start: Instant,
    /// When the one under way came up, in milliseconds after `start`.
    began: Arc<AtomicU64>,
}

impl Satchel {
    fn take(&mut self, id: Id) -> Option<usize> {
        let at = self.held.iter().position(|(held, _)| *held == id)?;
        self.held.remove(at).map(|(_, place)| place)
    }

    fn comes_up(&self, now: Instant) {
        let millis = now.saturating_duration_since(self.start).as_millis();
        self.began.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Supply for Satchel {
    fn next(&mut self) -> Option<Envelope> {
        if self.held.len() >= HELD {
            return None;
        }
        let now = Instant::now();
        let mut conductor = self.office.conductor();
        let (place, envelope) = conductor.begin(self.lane, now, !self.held.is_empty())?;
        let rings = conductor.wants_more(now);
        drop(conductor);
        if rings {
            self.office.ring();
        }
        if self.held.is_empty() {
            self.comes_up(now);
        }
        self.held.push_back((envelope.id, place));
        Some(envelope)
    }

    fn ended(&mut self, id: Id, verdict: Verdict) {
        let Some(place) = self.take(id) else { return };
        let now = Instant::now();
        let mut conductor = self.office.conductor();
        conductor.ended(place, verdict, now);
        if let Some((_, place)) = self.held.front() {
            conductor.places.comes_up(*place);
        }
        let rings = conductor.wants_round(now);
        drop(conductor);
        self.comes_up(now);
        if rings {
            self.office.ring();
        }
    }

    fn untried(&mut self, id: Id) {
        let Some(place) = self.take(id) else { return };
        self.office.conductor().untried(place);
        self.office.ring();
    }
}

impl Drop for Satchel {
    fn drop(&mut self) {
        let verdict = || match std::thread::panicking() {
            true => unknown(Reason::LocalError, "the channel panicked during the attempt"),
            false => unknown(Reason::NoAnswer, "the attempt did not end within its limit of time"),
        };
        let now = Instant::now();
        let mut conductor = self.office.conductor();
        for (under_way, (_, place)) in
            std::iter::once(true).chain(std::iter::repeat(false)).zip(self.held.drain(..))
        {
            match under_way {
                true => conductor.ended(place, verdict(), now),
                false => conductor.untried(place),
            }
        }
        conductor.lanes[self.lane].couriers -= 1;
        drop(conductor);
        self.office.ring();
    }
}

/// Nobody saw the end: the other side may have accepted it.
pub(super) fn unknown(reason: Reason, detail: &str) -> Verdict {
    Verdict::new(Outcome::Unknown, reason, detail)
}
