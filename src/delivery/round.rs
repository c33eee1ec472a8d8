//! One round: what waits is loaded into one exchange with the store, and what comes back is applied.

use std::time::Duration;

use tokio::time::Instant;

use super::conductor::Conductor;
use super::lane::LaneState;
use super::outbox::{Origin, Outbox};
use super::pace::{Dated, Fit};
use super::{LOG_TARGET, Seen, Times, care::Found, record};
use crate::model::{
    Id, OnUnknown, Outcome, Policy, Reason, RetrySchedule, Scope, Status, Timestamp, Tried, Verdict, settle,
};
use crate::store::{Claim, ClaimReply, Claimed, Exchange, Exchanged, LimitedBy, Orphan, Settlement};

/// How long a result waits for others while they come in a stream.
const LINGER: Duration = Duration::from_millis(4);

/// How many results make a stream, when one round has carried them; and how many leave at once.
const STREAM: usize = 32;
const ENOUGH: usize = 384;

/// Whether the whole channel is kept back after this verdict (model::Breaker).
pub(super) fn is_trouble(verdict: &Verdict) -> bool {
    verdict.scope == Scope::Channel || verdict.retry_after.is_some()
}

/// How long after its begin nobody else is waited for who might know the channel of an attempt whose worker died.
const NOBODYS: Duration = Duration::from_secs(86_400);

/// An exchange that is under way.
pub(super) struct Round {
    pub(super) exchange: Exchange,
    origins: Vec<Origin>,
    /// The lane of each claim.
    claimers: Vec<usize>,
}

impl Conductor {
    /// When the next round leaves, if it waits for more results and for nothing else.
    ///
    /// Under load each commit should carry many, for what it costs is mostly the same; a few
    /// milliseconds are what a crash may then repeat. Otherwise a result leaves at once.
    pub(super) fn ripe_at(&self, now: Instant) -> Option<Instant> {
        let waits = self.streaming
            && self.outbox.settle.len() < ENOUGH
            && self.outbox.give_back.is_empty()
            && !self.is_draining()
            && !self.lanes.iter().any(|lane| lane.look_at() <= now && lane.runs_dry());
        self.outbox.since.filter(|_| waits).map(|since| since + LINGER).filter(|at| *at > now)
    }

    /// Loads what waits at `now`; `None` when nothing does.
    pub(super) fn load(&mut self, now: Instant) -> Option<Round> {
        if self.ripe_at(now).is_some() {
            return None;
        }
        let claimers = self.claimers(now);
        if claimers.is_empty() && self.outbox.is_empty() {
            return None;
        }
        let mut exchange = Exchange {
            worker: self.worker.id(),
            in_flight: self.in_flight,
            outstanding: self.places.under_way() + self.lanes.iter().map(LaneState::ready).sum::<usize>(),
            jitter: self.random.f64(),
            ..Exchange::default()
        };
        exchange.claim = claimers.iter().map(|&(lane, limit)| self.claim(lane, limit)).collect();
        let outbox = std::mem::take(&mut self.outbox);
        exchange.settle = outbox.settle;
        exchange.give_back = outbox.give_back;
        let claimers: Vec<usize> = claimers.into_iter().map(|(lane, _)| lane).collect();
        claimers.iter().for_each(|&lane| self.lanes[lane].asks());
        let rated = |lane: &usize| self.lanes[*lane].margin().is_some();
        if claimers.iter().any(rated) {
            exchange.lead = self.pace.lead();
        }
        Some(Round { exchange, origins: outbox.origins, claimers })
    }

    /// The lanes that claim at `now`, and how many each; the budget is taken at once.
    fn claimers(&mut self, now: Instant) -> Vec<(usize, u32)> {
        if !self.may_claim() {
            return Vec::new();
        }
        let mut claimers = Vec::new();
        for (number, lane) in self.lanes.iter_mut().enumerate() {
            let looks = lane.look_at() <= now
                || lane.is_paused() && self.outbox.origins.iter().any(|origin| origin.lane() == Some(number));
            if !looks {
                continue;
            }
            let wish = u32::try_from(lane.wish()).unwrap_or(u32::MAX);
            let limit =
                self.remaining.map_or(wish, |remaining| wish.min(u32::try_from(remaining).unwrap_or(wish)));
            if limit > 0 {
                self.remaining = self.remaining.map(|remaining| remaining - u64::from(limit));
                claimers.push((number, limit));
            }
        }
        claimers
    }

    fn claim(&mut self, lane: usize, limit: u32) -> Claim {
        let lane = &self.lanes[lane].lane;
        Claim {
            channel: lane.name.clone(),
            limit,
            rates: lane.rates.clone(),
            lease: self.care.lease,
            lease_token: self.random.i64(1..),
        }
    }

    /// The exchange is committed.
    pub(super) fn committed(&mut self, round: Round, exchanged: Exchanged, now: Instant) {
        let Round { exchange, origins, claimers } = round;
        // What its results change, its claims have seen.
        claimers.iter().for_each(|&lane| self.lanes[lane].answered());
        let lead = exchange.lead;
        self.tally.ended_at = self.clock.now();
        let fit = self.pace.judge(exchanged.held, exchanged.company);
        self.streaming = exchange.settle.len() >= STREAM;
        for ((settlement, origin), settled) in exchange.settle.into_iter().zip(origins).zip(exchanged.settled)
        {
            self.settled(&settlement, origin, settled, now);
        }
        for ((lane, claim), reply) in claimers.into_iter().zip(exchange.claim).zip(exchanged.claims) {
            let unused = u64::from(claim.limit) - reply.claimed.len() as u64;
            self.remaining = self.remaining.map(|remaining| remaining + unused);
            self.claimed(lane, reply, fit, Dated { at: exchange.now, lead }, now);
        }
        if self.is_draining() {
            self.give_back_ready();
        }
        (self.observer)(Seen::Round(&self.tally));
    }

    /// The exchange failed, and nothing of it was done.
    pub(super) fn not_committed(&mut self, round: Round) {
        let Round { exchange, origins, claimers } = round;
        claimers.iter().for_each(|&lane| self.lanes[lane].unanswered());
        let claims: u64 = exchange.claim.iter().map(|claim| u64::from(claim.limit)).sum();
        self.remaining = self.remaining.map(|remaining| remaining + claims);
        let Exchange { settle, give_back, .. } = exchange;
        self.outbox.restore(Outbox { settle, origins, give_back, since: None });
    }

    fn settled(&mut self, settlement: &Settlement, origin: Origin, settled: bool, now: Instant) {
        if let Some(lane) = origin.lane() {
            let lane = &mut self.lanes[lane];
            if lane.is_paused() {
                lane.look_by(now);
            }
            if is_trouble(&settlement.verdict) {
                // From here on the store keeps it back.
                lane.stopped = false;
                lane.look_by(now);
            }
            if settlement.transition.status == Status::Pending {
                let wait = settlement.transition.next_attempt_at.since(self.tally.ended_at);
                lane.look_by(now + wait);
            }
        }
        let times = match origin {
            Origin::Place { lane, place, took, age } => {
                self.lanes[lane].committed();
                self.places.release(place);
                Some(Times { took, age })
            }
            // Somebody else was first.
            Origin::Orphan { .. } if !settled => return,
            Origin::Orphan { .. } => None,
        };
        let took = times.map_or(Duration::ZERO, |times| times.took);
        if !settled {
            self.tally.leases_lost += 1;
            (self.observer)(Seen::LeaseLost);
            record::attempt(
                log::Level::Warn,
                settlement,
                took,
                &self.worker_name,
                "attempt after a lost lease",
            );
            return;
        }
        let mut told = false;
        if let (Some(lane), Scope::Channel) = (origin.lane(), settlement.verdict.scope) {
            told = self.lanes[lane].meets_trouble(now);
        }
        let level = record::level(settlement, told);
        record::attempt(level, settlement, took, &self.worker_name, "attempt");
        (self.observer)(Seen::Attempt { settlement, times });
        match (origin, settlement.transition.status) {
            // It was not our attempt that was deferred.
            (Origin::Orphan { .. }, Status::Pending) => self.tally.orphans += 1,
            (Origin::Orphan { .. }, status) => {
                self.tally.orphans += 1;
                self.tally.count(&settlement.channel, status);
            }
            (Origin::Place { .. }, status) => self.tally.count(&settlement.channel, status),
        }
    }

    fn claimed(&mut self, lane: usize, reply: ClaimReply, fit: Fit, dated: Dated, now: Instant) {
        let wall = self.tally.ended_at;
        if let Some(margin) = self.lanes[lane].margin() {
            let latency = (wall.since(dated.at) + dated.lead).saturating_sub(dated.at.since(wall));
            self.pace.learn(latency, margin);
        }
        if matches!(reply.limited_by, LimitedBy::Rate(_)) {
            (self.observer)(Seen::Limited(&self.lanes[lane].lane.name));
        }
        for id in &reply.unreadable {
            let channel = &self.lanes[lane].lane.name;
            log::error!(target: LOG_TARGET, id, channel = channel.as_str(); "cannot be read, and is dead");
            self.tally.count(channel, Status::Dead);
        }
        let held = reply.limited_by == LimitedBy::Held;
        self.lanes[lane].receive(reply, fit, dated, (now, wall));
        if self.lanes[lane].stopped || held && self.lanes[lane].has_ready() {
            self.give_back_ready_of(lane);
        }
    }

    /// What a sweep found: dead workers' notifications, and how many expired.
    pub(super) fn found(&mut self, found: Found, now: Instant) {
        self.tally.expired_waiting += found.expired as u64;
        for orphan in found.orphans {
            self.adopt(orphan, now);
        }
    }

    /// Settles what a dead worker had begun, and gives back what it had not. Of a channel that is not served here,
    /// others know what to do with an unknown end. Of one that is not configured, a person does, once it is plain that
    /// no other configuration has it either.
    fn adopt(&mut self, orphan: Orphan, now: Instant) {
        let lane = self.lanes.iter().position(|lane| lane.lane.name == orphan.claimed.channel);
        if let Some(lane) = lane {
            self.lanes[lane].look_by(now);
        }
        if orphan.begun == Some(false) {
            // Whoever claimed it may have gone by no rate: then it is not among what counts.
            self.outbox.give_back(orphan.claimed, false);
        } else if lane.is_some() || self.is_nobodys(&orphan) {
            let (reason, detail) = match orphan.begun {
                Some(_) => (Reason::WorkerDied, "the worker died during the attempt"),
                None => (
                    Reason::WorkerLost,
                    "the machine went down, or the store was restored; it may have begun",
                ),
            };
            let verdict = Verdict::new(Outcome::Unknown, reason, detail);
            let settlement = self.decide(lane, orphan.claimed, orphan.worker, orphan.claimed_at, verdict);
            self.outbox.settle(settlement, Origin::Orphan { lane }, now);
        }
    }

    fn is_nobodys(&self, orphan: &Orphan) -> bool {
        let left_for = self.clock.now().since(orphan.claimed_at);
        left_for > NOBODYS && !self.configured.contains(&orphan.claimed.channel)
    }

    /// Decides what becomes of a notification whose attempt has ended now; without a lane a person is to decide.
    pub(super) fn decide(
        &mut self,
        lane: Option<usize>,
        claimed: Claimed,
        worker: Id,
        started_at: Timestamp,
        verdict: Verdict,
    ) -> Settlement {
        let ended_at = self.clock.now();
        let first = claimed.deferred_since.map_or(started_at, |since| since.min(started_at));
        let tried = Tried {
            // No attempt begins before it is enqueued, but by a clock that was behind. Where this one does, too, it is the clock
            // by which it was enqueued that was ahead.
            deferred_since: match claimed.created_at <= started_at {
                true => first.max(claimed.created_at),
                false => first,
            },
            expires_at: claimed.expires_at,
            retries: claimed.retries,
            crashes: claimed.crashes,
            others_pass: claimed.deferred_since.is_some() && !claimed.probes,
        };
        let nobodys = Policy {
            retry: RetrySchedule::new(Vec::new()),
            on_unknown: OnUnknown::Hold,
            give_up_after: Duration::MAX,
        };
        let policy = lane.map_or(&nobodys, |lane| &self.lanes[lane].lane.policy);
        let transition = settle(&tried, &verdict, policy, ended_at, self.random.f64());
        Settlement {
            id: claimed.id,
            attempt: claimed.attempt,
            lease_token: claimed.lease_token,
            channel: claimed.channel,
            batch_id: claimed.batch_id,
            worker,
            started_at,
            ended_at,
            verdict,
            transition,
        }
    }
}
