//! The conductor and the attempts: how they begin, how they end, and what a lane in trouble does.

use tokio::time::Instant;

use super::LOG_TARGET;
use super::conductor::{Conductor, Phase};
use super::courier::unknown;
use super::outbox::Origin;
use super::places::Flight;
use super::round::is_trouble;
use crate::channel::Envelope;
use crate::model::{Reason, Verdict, stable_id};
use crate::store::{Claimed, Identity};

impl Conductor {
    /// The lanes for which couriers set out now, each as often as one does.
    pub(super) fn send_couriers(&mut self, now: Instant) -> Vec<usize> {
        let mut out = Vec::new();
        if !self.may_begin() {
            return out;
        }
        let mut free = self.places.free();
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            let wanted = lane.couriers_wanted(now).min(free);
            free -= wanted;
            lane.couriers += wanted;
            out.extend(std::iter::repeat_n(number, wanted));
        }
        out
    }

    /// Whether anything may begin. What is sent while results find no room would be sent again.
    fn may_begin(&self) -> bool {
        !self.is_draining() && self.trouble.is_none()
    }

    /// Begins the next attempt on a lane, if one waits and there is a place; `ahead` of its turn behind
    /// one that is under way.
    pub(super) fn begin(&mut self, number: usize, now: Instant, ahead: bool) -> Option<(usize, Envelope)> {
        loop {
            if !self.may_begin() {
                return None;
            }
            let place = self.places.next_free()?;
            let lane = &mut self.lanes[number];
            let mut claimed = lane.next_ready(now)?;
            let started_at = self.clock.now();
            if lane.is_late(started_at) {
                // It would begin so long after the moment that counts that a window could hold too many.
                self.give_back(number, claimed);
                self.give_back_ready_of(number);
                return None;
            }
            if claimed.expires_at.is_some_and(|at| at <= started_at) {
                self.give_back(number, claimed);
                self.care.sweep_at(now);
                continue;
            }
            if let Err(error) = self.worker.begin(place, claimed.id) {
                // Nothing may begin that is not on record; what has begun is finished.
                self.give_back(number, claimed);
                self.failure = Some(error);
                self.drain(None);
                return None;
            }
            // Asked after it was put on record: who takes us for hung from here on sees it there.
            if self.heed_hang() {
                self.give_back(number, claimed);
                return None;
            }
            let envelope = envelope(&mut claimed, &self.identity);
            self.lanes[number].began();
            self.places.occupy(Flight { lane: number, claimed, started_at, since: now, ahead });
            return Some((place, envelope));
        }
    }

    /// The attempt at `place` has ended.
    pub(super) fn ended(&mut self, place: usize, verdict: Verdict, now: Instant) {
        let Some(flight) = self.places.end(place) else { return };
        let Flight { lane, claimed, started_at, since, .. } = flight;
        self.lanes[lane].ended();
        if verdict.reason == Reason::Gone {
            self.switch_off(lane, &verdict);
        } else if is_trouble(&verdict) {
            self.stop_lane(lane);
        }
        let (worker, created_at) = (self.worker.id(), claimed.created_at);
        let settlement = self.decide(Some(lane), claimed, worker, started_at, verdict);
        let age = settlement.ended_at.since(created_at);
        let took = now.saturating_duration_since(since);
        self.outbox.settle(settlement, Origin::Place { lane, place, took, age }, now);
    }

    /// Nothing was sent of what is at `place`: it goes back as if it had never begun.
    pub(super) fn untried(&mut self, place: usize) {
        let Some(Flight { lane, claimed, .. }) = self.places.end(place) else { return };
        self.lanes[lane].ended();
        self.lanes[lane].committed();
        self.lanes[lane].look_by(Instant::now());
        // Where that cannot be written, a crash before the next commit makes it unknown instead.
        if let Err(error) = self.worker.forget(place) {
            log::warn!(target: LOG_TARGET, "take back what had not begun: {error}");
        }
        self.places.release(place);
        // The other side may have counted what it was told of it.
        self.put_back(claimed, false);
    }

    /// Whether the conductor should look, since the results that wait should leave now.
    pub(super) fn wants_round(&self, now: Instant) -> bool {
        // The first one of a stream sets the alarm for all of them.
        !self.calling && (self.outbox.settle.len() == 1 || self.ripe_at(now).is_none())
    }

    /// Whether the conductor should look, since a lane has little left.
    pub(super) fn wants_more(&self, now: Instant) -> bool {
        !self.calling && self.lanes.iter().any(|lane| lane.look_at() <= now && lane.runs_dry())
    }

    /// The other side has gone for good: the channel is held, and what waits for it is not burnt.
    fn switch_off(&mut self, lane: usize, verdict: &Verdict) {
        let name = self.lanes[lane].lane.name.clone();
        if self.care.switched_off.iter().all(|(channel, _)| *channel != name) {
            log::error!(target: LOG_TARGET, channel = name.as_str(); "destination is gone; the channel is held");
            self.care.switched_off.push((name, format!("{}: {}", verdict.reason, verdict.detail)));
        }
        self.stop_lane(lane);
    }

    /// Begins nothing more on the lane until the store has heard of its trouble.
    fn stop_lane(&mut self, lane: usize) {
        self.lanes[lane].stopped = true;
        self.give_back_ready_of(lane);
    }

    pub(super) fn start_lane(&mut self, channel: &str) {
        let lane = self.lanes.iter_mut().find(|lane| lane.lane.name == channel);
        if let Some(lane) = lane {
            lane.stopped = false;
        }
    }

    /// Abandons what is under way; nobody will see its end. What was only announced has not been sent.
    pub(super) fn abandon(&mut self) {
        self.phase = Phase::Abandoned;
        self.give_back_ready();
        let now = Instant::now();
        let places: Vec<_> = self.places.occupied().map(|(place, flight)| (place, flight.ahead)).collect();
        for (place, ahead) in places {
            match ahead {
                true => self.untried(place),
                false => {
                    let verdict = unknown(Reason::NoAnswer, "abandoned: the worker had to end");
                    self.ended(place, verdict, now);
                }
            }
        }
    }
}

/// Moves what is to be told out of `claimed`.
fn envelope(claimed: &mut Claimed, identity: &Identity) -> Envelope {
    Envelope {
        id: claimed.id,
        stable_id: stable_id(&identity.store_id, claimed.id),
        message_domain: identity.message_domain.clone(),
        channel: claimed.channel.clone(),
        attempt: claimed.attempt,
        created_at: claimed.created_at,
        user_id: claimed.user_id.take(),
        priority: claimed.priority,
        content: std::mem::take(&mut claimed.content),
    }
}
