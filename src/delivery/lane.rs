//! One channel in the engine: its permits, its places, what it has claimed, and when it looks for more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::pace::{Dated, Fit};
use crate::channel::Channel;
use crate::model::{Policy, Rate, Timestamp};
use crate::store::{ClaimReply, Claimed, LimitedBy};

/// One channel as the engine sees it.
#[derive(Clone)]
pub struct Lane {
    /// The channel's configured name.
    pub name: String,
    /// How one envelope leaves.
    pub channel: Arc<dyn Channel>,
    /// How it treats what could not be sent.
    pub policy: Policy,
    /// Its limits, all of which hold.
    pub rates: Vec<Rate>,
    /// How many attempts may be under way at once in this process.
    pub max_in_flight: usize,
    /// The longest that one attempt may take; the lease outlasts it.
    pub longest_attempt: Duration,
}

/// The most that one claim takes, however fast the channel is.
const LARGEST_WINDOW: usize = 1024;

/// The most bytes of content that wait for a permit, estimated from what was claimed before.
const WAITING_BYTES: usize = 8 << 20;

/// What a notification takes in memory beside its content, roughly.
const BESIDE: usize = 256;

/// A store is asked again at least this often, whatever it said: wall clocks jump.
const LOOK: Duration = Duration::from_secs(60);

/// The shortest time between two looks that others ring for, while a look finds few: they are claimed together, and who
/// enqueues one after the other does not wait for a round each time. The first one after a rest is claimed at once, and
/// so is what comes in such numbers that each look finds enough.
const BREATH: Duration = Duration::from_millis(10);
const ENOUGH: usize = 32;

/// For how long a lane that lives on what it has keeps more of it than a slow channel needs: who enqueues something urgent,
/// holds the channel, or serves it too would wait for all of it.
const IN_HAND: Duration = Duration::from_secs(5);

/// A channel that met no trouble for so long, and then does, is news. In one that lasts attempts are pauses apart, and a
/// notification that meets it again and again while others get through comes as often.
const NEWS: Duration = Duration::from_secs(3_600);

/// A pass does not wait longer than this for one rate: in a crontab the next pass comes sooner.
const RATE_PATIENCE: Duration = Duration::from_secs(61);

/// What the conductor keeps of a lane.
pub(super) struct LaneState {
    pub(super) lane: Arc<Lane>,
    /// Claimed, waiting for a permit.
    ready: VecDeque<Claimed>,
    ready_bytes: usize,
    /// The size of what was claimed last, on average.
    typical_bytes: usize,
    /// Couriers that have set out; each carries one at a time.
    pub(super) couriers: usize,
    /// Attempts under way, those announced behind another one included.
    under_way: usize,
    /// Places taken: attempts under way, and results on their way into the store.
    occupied: usize,
    /// Places it may take.
    places: usize,
    /// How many it wants to have waiting; follows the channel's speed.
    window: usize,
    /// What the store said at the last claim.
    limited_by: LimitedBy,
    /// How far the moment was that the store named then.
    wait: Duration,
    /// When to ask the store again.
    look_at: Instant,
    /// Whether it is being asked; and when to ask once more, for something of which the answer does not know yet.
    asking: bool,
    again_at: Option<Instant>,
    /// When the store answered last, with few or nothing.
    few_at: Option<Instant>,
    /// The moment that the store recorded for what waits: nothing of it begins before.
    dated: Timestamp,
    begins_at: Instant,
    /// When the store last gave something.
    given_at: Instant,
    /// When it met trouble last.
    troubled_at: Option<Instant>,
    /// Whether it has met trouble that the store has yet to hear of; nothing begins until then.
    pub(super) stopped: bool,
}

impl LaneState {
    pub(super) fn new(lane: Lane, places: usize, now: Instant) -> Self {
        let window = 2 * lane.max_in_flight.clamp(1, LARGEST_WINDOW / 2);
        Self {
            lane: Arc::new(lane),
            ready: VecDeque::new(),
            ready_bytes: 0,
            typical_bytes: 0,
            couriers: 0,
            under_way: 0,
            occupied: 0,
            places,
            window,
            limited_by: LimitedBy::Nothing,
            wait: Duration::ZERO,
            look_at: now,
            asking: false,
            again_at: None,
            few_at: None,
            dated: Timestamp::default(),
            begins_at: now,
            given_at: now,
            troubled_at: None,
            stopped: false,
        }
    }

    /// How many couriers may set out: there is a permit and something to carry for each.
    pub(super) fn couriers_wanted(&self, now: Instant) -> usize {
        if self.begins_at > now {
            return 0;
        }
        let permits = self.lane.max_in_flight.saturating_sub(self.couriers);
        permits.min(self.ready.len()).min(self.places.saturating_sub(self.occupied))
    }

    /// The next one to attempt, if it may begin and there is a place.
    pub(super) fn next_ready(&mut self, now: Instant) -> Option<Claimed> {
        if self.begins_at > now || self.occupied >= self.places {
            return None;
        }
        let claimed = self.ready.pop_front()?;
        self.ready_bytes = self.ready_bytes.saturating_sub(BESIDE + claimed.content.bytes());
        Some(claimed)
    }

    pub(super) fn began(&mut self) {
        self.under_way += 1;
        self.occupied += 1;
    }

    pub(super) fn ended(&mut self) {
        self.under_way -= 1;
    }

    pub(super) fn committed(&mut self) {
        self.occupied -= 1;
    }

    /// Everything that waits for a permit; nothing waits afterwards.
    pub(super) fn take_ready(&mut self) -> VecDeque<Claimed> {
        self.ready_bytes = 0;
        std::mem::take(&mut self.ready)
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many are claimed and have not begun.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// When what waits may begin, if it waits for a moment at all.
    pub(super) fn begins_at(&self, now: Instant) -> Option<Instant> {
        Some(self.begins_at).filter(|at| *at > now && self.has_ready())
    }

    /// By how much an attempt may begin after the moment that is recorded for its rates: half of what a
    /// rate allows for; the other half is for the way to the other side.
    pub(super) fn margin(&self) -> Option<Duration> {
        self.lane.rates.iter().map(|rate| (rate.counted_for() - rate.window()) / 2).min()
    }

    /// Whether what waits can no longer begin close enough to its recorded moment.
    pub(super) fn is_late(&self, wall: Timestamp) -> bool {
        self.margin().is_some_and(|margin| wall.since(self.dated) > margin)
    }

    /// How many it would claim at `now`, whatever it waits for.
    pub(super) fn wish(&self) -> usize {
        if self.stopped {
            return 0;
        }
        let free = (self.lane.max_in_flight.saturating_sub(self.under_way))
            .min(self.places.saturating_sub(self.occupied));
        if !self.lane.rates.is_empty() {
            // The store records the moment of the claim as the one at which the attempt begins.
            return if self.ready.is_empty() { free } else { 0 };
        }
        if self.ready.len() > self.window / 2 {
            return 0;
        }
        let room = match self.typical_bytes {
            0 => self.lane.max_in_flight,
            bytes => WAITING_BYTES.saturating_sub(self.ready_bytes) / bytes,
        };
        (self.window - self.ready.len()).min(room.max(free.saturating_sub(self.ready.len())))
    }

    /// Whether it has little left, and should ask the store for more without waiting for anything else.
    pub(super) fn runs_dry(&self) -> bool {
        self.ready.len() <= self.window / 4 && self.wish() > 0
    }

    /// When it wants to ask the store again.
    pub(super) fn look_at(&self) -> Instant {
        self.look_at
    }

    /// Asks the store again at `at`, if not before.
    pub(super) fn look_by(&mut self, at: Instant) {
        match self.asking {
            true => self.again_at = Some(self.again_at.map_or(at, |again| again.min(at))),
            false => self.look_at = self.look_at.min(at),
        }
    }

    /// The store is being asked.
    pub(super) fn asks(&mut self) {
        (self.asking, self.again_at) = (true, None);
    }

    /// It has answered; what it says follows.
    pub(super) fn answered(&mut self) {
        self.asking = false;
    }

    /// It has failed to answer.
    pub(super) fn unanswered(&mut self) {
        self.asking = false;
        if let Some(at) = self.again_at.take() {
            self.look_by(at);
        }
    }

    /// Asks the store again soon: somebody has enqueued something.
    pub(super) fn look_soon(&mut self, now: Instant) {
        self.look_by(self.few_at.map_or(now, |at| now.max(at + BREATH)));
    }

    /// Whether it asks within the time that it would wait for who rings.
    pub(super) fn looks_soon(&self, now: Instant) -> bool {
        self.look_at <= now + BREATH
    }

    /// Meets trouble; says whether that is known: the log has told of it.
    pub(super) fn meets_trouble(&mut self, now: Instant) -> bool {
        let before = self.troubled_at.replace(now);
        before.is_some_and(|before| now.saturating_duration_since(before) < NEWS)
    }

    /// Whether the channel's trouble kept the last claim back; every result may have changed that.
    pub(super) fn is_paused(&self) -> bool {
        matches!(self.limited_by, LimitedBy::Paused(_))
    }

    /// Takes what the store gave; `wall` is what the wall clock says `now`.
    pub(super) fn receive(
        &mut self,
        reply: ClaimReply,
        fit: Fit,
        dated: Dated,
        (now, wall): (Instant, Timestamp),
    ) {
        self.fit_window(&reply, fit);
        self.few_at = (reply.claimed.len() < ENOUGH).then_some(now);
        if !reply.claimed.is_empty() {
            let bytes: usize = reply.claimed.iter().map(|claimed| BESIDE + claimed.content.bytes()).sum();
            self.typical_bytes = bytes / reply.claimed.len();
            self.ready_bytes += bytes;
            self.ready.extend(reply.claimed);
            self.given_at = now;
            self.dated = dated.at;
            // Not as far ahead as the moment itself, which the wall clock may have left far behind or ahead since.
            self.begins_at = now + dated.at.since(wall).min(dated.lead);
        }
        self.limited_by = reply.limited_by;
        self.wait = match reply.limited_by {
            LimitedBy::Nothing => Duration::ZERO,
            LimitedBy::Due(None) | LimitedBy::Held => LOOK,
            // Never at once, or a store that answers with the past would be asked without a pause.
            LimitedBy::Due(Some(at)) | LimitedBy::Rate(at) | LimitedBy::Paused(at) => {
                at.since(wall).max(Duration::from_millis(1))
            }
        };
        // Ahead of the moment by as much as the next round may be dated ahead.
        let ahead = if matches!(reply.limited_by, LimitedBy::Rate(_)) { dated.lead } else { Duration::ZERO };
        let look_at = now + self.wait.saturating_sub(ahead).clamp(Duration::ZERO, LOOK);
        self.look_at = self.again_at.take().map_or(look_at, |again| again.min(look_at));
    }

    /// How many it wants to have waiting at least.
    fn least(&self) -> usize {
        2 * self.lane.max_in_flight.clamp(1, LARGEST_WINDOW / 2)
    }

    /// What waits beyond the least where the channel has become slow; it wants no more than that from here on. The store
    /// has them again and is asked for them as soon as there is room, whatever it said last: that it had no more.
    pub(super) fn surplus(&mut self, now: Instant) -> VecDeque<Claimed> {
        let least = self.least();
        if self.ready.len() <= least || now.saturating_duration_since(self.given_at) <= IN_HAND {
            return VecDeque::new();
        }
        self.window = least;
        self.look_by(now);
        let surplus = self.ready.split_off(least);
        let bytes = surplus.iter().map(|claimed| BESIDE + claimed.content.bytes()).sum();
        self.ready_bytes = self.ready_bytes.saturating_sub(bytes);
        surplus
    }

    /// Asks for more at a time when the channel ran dry meanwhile, and for less when calls take too long.
    fn fit_window(&mut self, reply: &ClaimReply, fit: Fit) {
        let least = self.least();
        let ran_dry = self.ready.is_empty() && reply.limited_by == LimitedBy::Nothing;
        match fit {
            Fit::TooLong => self.window = (self.window / 2).max(least),
            Fit::Short if ran_dry => self.window = (self.window * 2).min(LARGEST_WINDOW),
            Fit::Short | Fit::Right => {}
        }
    }

    /// Whether a pass has nothing to wait for here.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        match self.limited_by {
            LimitedBy::Nothing => false,
            LimitedBy::Rate(_) => self.gives_way(now),
            LimitedBy::Due(_) | LimitedBy::Paused(_) | LimitedBy::Held => self.look_at > now,
        }
    }

    /// Whether it is better to leave a rate to others: to a later pass when it is far from free, or to
    /// those beside us when they have used it up for two windows without leaving us anything. Otherwise
    /// the passes of a crontab would pile up behind a slow rate.
    fn gives_way(&self, now: Instant) -> bool {
        if now >= self.look_at {
            return false;
        }
        let longest = self.lane.rates.iter().map(|rate| rate.window()).max().unwrap_or_default();
        self.wait > RATE_PATIENCE || now - self.given_at > 2 * longest
    }
}

#[cfg(test)]
mod tests;
