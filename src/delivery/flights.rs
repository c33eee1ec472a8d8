//! The conductor and the attempts: how they begin, how they end, and what a lane in trouble does.

use std::sync::Arc;

use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;

use super::LOG_TARGET;
use super::attempt::{Ended, attempt, envelope, unknown};
use super::conductor::{Conductor, Phase};
use super::outbox::Origin;
use super::places::Flight;
use super::round::is_trouble;
use crate::model::{Reason, Verdict};

impl Conductor {
    /// Begins attempts while there are permits and places.
    pub(super) fn begin_attempts(&mut self, now: Instant) {
        // What is sent while results find no room would be sent again.
        if self.is_draining() || self.trouble.is_some() {
            return;
        }
        for number in 0..self.lanes.len() {
            while self.begin_one(number, now) {}
        }
    }

    /// Begins one attempt on a lane, if there is a place and one that waits. Says whether to go on.
    fn begin_one(&mut self, number: usize, now: Instant) -> bool {
        let Some(place) = self.places.next_free() else { return false };
        let lane = &mut self.lanes[number];
        let Some(mut claimed) = lane.next_ready(now) else { return false };
        let started_at = self.clock.now();
        if lane.is_late(started_at) {
            // It would begin so long after the moment that counts that a window could hold too many.
            self.give_back(claimed);
            self.give_back_ready_of(number);
            return false;
        }
        if claimed.expires_at.is_some_and(|at| at <= started_at) {
            self.give_back(claimed);
            self.care.sweep_at(now);
            return true;
        }
        if let Err(error) = self.worker.begin(place, claimed.id) {
            // Nothing may begin that is not on record; what has begun is finished.
            self.give_back(claimed);
            self.failure = Some(error);
            self.drain(None);
            return false;
        }
        // Asked after it was put on record: who takes us for hung from here on sees it there.
        if self.heed_hang() {
            self.give_back(claimed);
            return false;
        }
        let envelope = envelope(&mut claimed, &self.identity);
        let lane = &mut self.lanes[number];
        lane.began();
        let lane = Arc::clone(&lane.lane);
        self.places.occupy(Flight { lane: number, claimed, started_at, since: now, task: None });
        let task = self.attempts.spawn(attempt(lane, place, envelope));
        self.places.set_task(place, task.id());
        true
    }

    /// An attempt has ended, and perhaps others with it.
    pub(super) fn collect(&mut self, first: Result<(task::Id, Ended), JoinError>) {
        let now = Instant::now();
        let mut next = Some(first);
        while let Some(ended) = next {
            match ended {
                Ok((_, ended)) => self.ended(ended.place, ended.verdict, now),
                Err(error) => self.broke(&error, now),
            }
            next = self.attempts.try_join_next_with_id();
        }
    }

    /// An attempt's task ended without a verdict: its channel panicked while it was being cleared away.
    fn broke(&mut self, error: &JoinError, now: Instant) {
        let place = self.places.occupied().find(|(_, flight)| flight.task == Some(error.id()));
        if let Some((place, _)) = place {
            self.ended(place, unknown(Reason::LocalError, "the channel panicked after the attempt"), now);
        }
    }

    fn ended(&mut self, place: usize, verdict: Verdict, now: Instant) {
        let Some(flight) = self.places.end(place) else { return };
        let Flight { lane, claimed, started_at, since, .. } = flight;
        self.lanes[lane].ended();
        if verdict.reason == Reason::Gone {
            self.switch_off(lane, &verdict);
        } else if is_trouble(&verdict) {
            self.stop_lane(lane);
        }
        let worker = self.worker.id();
        let settlement = self.decide(lane, claimed, worker, started_at, verdict);
        let took = now.saturating_duration_since(since);
        self.outbox.settle(settlement, Origin::Place { lane, place, took });
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

    /// Abandons what is under way; nobody will see its end.
    pub(super) fn abandon(&mut self) {
        self.phase = Phase::Abandoned;
        self.give_back_ready();
        // Dropping it drops the attempts.
        self.attempts = JoinSet::new();
        let now = Instant::now();
        let places: Vec<_> = self.places.occupied().map(|(place, _)| place).collect();
        for place in places {
            self.ended(place, unknown(Reason::NoAnswer, "abandoned: the worker had to end"), now);
        }
    }
}
