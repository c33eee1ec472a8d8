//! The conductor: the one task that owns all that changes, and waits for whatever comes first.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::attempt::Ended;
use super::calls::{Call, answered};
use super::care::Care;
use super::lane::LaneState;
use super::outbox::{Origin, Outbox};
use super::pace::Pace;
use super::places::Places;
use super::trouble::Trouble;
use super::{Engine, Error, LOG_TARGET, Lane, Observer, Stop, Tally, Until, record};
use crate::clock::Clock;
use crate::store::{Claimed, Handle, Identity, Worker};

/// The longest sleep; then everything is looked at again.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How far the run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Nothing more is claimed; what is under way at the given moment is abandoned.
    Draining(Option<Instant>),
    /// What was under way has been abandoned.
    Abandoned,
}

/// The one task that owns all that changes.
pub(super) struct Conductor {
    pub(super) store: Handle,
    pub(super) worker: Box<dyn Worker>,
    pub(super) worker_name: String,
    pub(super) identity: Identity,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: fastrand::Rng,
    pub(super) until: Until,
    pub(super) stop: Stop,
    wake: Arc<Notify>,
    pub(super) observer: Observer,
    /// When it stops claiming, whatever is left.
    ends_at: Option<Instant>,
    /// How many more it may claim.
    pub(super) remaining: Option<u64>,
    pub(super) lanes: Vec<LaneState>,
    pub(super) places: Places,
    pub(super) attempts: JoinSet<Ended>,
    pub(super) outbox: Outbox,
    pub(super) call: Option<Call>,
    pub(super) chores_last: bool,
    pub(super) pace: Pace,
    pub(super) care: Care,
    pub(super) trouble: Option<Trouble>,
    pub(super) phase: Phase,
    /// Why nothing can begin any more.
    pub(super) failure: Option<std::io::Error>,
    pub(super) tally: Tally,
}

impl Conductor {
    pub(super) fn new(engine: Engine, identity: Identity) -> Self {
        let now = Instant::now();
        let started_at = engine.clock.now();
        let places = engine.worker.places();
        // No lane can take the places of another (P7).
        let wanted: usize = engine.lanes.iter().map(|lane| lane.max_in_flight).sum();
        let share = |lane: &Lane| (places * lane.max_in_flight / wanted.max(1)).max(1);
        let lanes: Vec<_> = engine
            .lanes
            .into_iter()
            .map(|lane| {
                let share = share(&lane);
                LaneState::new(lane, share, now)
            })
            .collect();
        Self {
            store: engine.store,
            worker: engine.worker,
            worker_name: engine.worker_name,
            identity,
            clock: engine.clock,
            random: engine.random,
            until: engine.until,
            stop: engine.stop,
            wake: engine.wake,
            observer: engine.observer,
            ends_at: engine.budget.max_time.map(|time| now + time),
            remaining: engine.budget.limit,
            care: Care::new(&lanes, now),
            lanes,
            places: Places::new(places),
            attempts: JoinSet::new(),
            outbox: Outbox::default(),
            call: None,
            chores_last: false,
            pace: Pace::new(),
            trouble: None,
            phase: Phase::Running,
            failure: None,
            tally: Tally { started_at, ended_at: started_at, ..Tally::default() },
        }
    }

    /// Conducts until it is over.
    pub(super) async fn conduct(mut self) -> Result<Tally, Error> {
        match self.turn().await {
            Ok(()) => Ok(self.tally),
            Err(error) => {
                self.leave_evidence();
                // Its end must look like a death: the file that tells what had begun stays for others.
                std::mem::forget(self.worker);
                Err(error)
            }
        }
    }

    async fn turn(&mut self) -> Result<(), Error> {
        let (stop, wake) = (self.stop.clone(), Arc::clone(&self.wake));
        let mut finish = pin!(stop.finish.cancelled());
        let mut drain = pin!(stop.drain.cancelled());
        let mut abandon = pin!(stop.abandon.cancelled());
        let mut woken = pin!(wake.notified());
        let mut alarm = pin!(sleep_until(Instant::now()));
        loop {
            let now = Instant::now();
            self.heed_time(now);
            self.begin_attempts(now);
            self.call_store(now);
            if self.is_over(now) {
                return self.failure.take().map_or(Ok(()), |error| Err(Error::Worker(error)));
            }
            let next = self.next_alarm(now);
            // One that rings early does no harm, and leaving it alone costs nothing.
            if next < alarm.deadline() || alarm.is_elapsed() {
                alarm.as_mut().reset(next);
            }
            tokio::select! {
                biased;
                () = &mut abandon, if self.phase != Phase::Abandoned => self.abandon(),
                () = &mut drain, if matches!(self.phase, Phase::Running | Phase::Draining(None)) => {
                    self.drain(Some(Instant::now() + self.stop.bound));
                }
                () = &mut finish, if self.phase == Phase::Running => self.drain(None),
                answer = answered(&mut self.call), if self.call.is_some() => self.heed(answer?)?,
                Some(ended) = self.attempts.join_next_with_id() => self.collect(ended),
                () = &mut woken => {
                    woken.set(wake.notified());
                    self.look_again(Instant::now());
                }
                () = &mut alarm => {}
            }
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.phase != Phase::Running
    }

    pub(super) fn may_claim(&self) -> bool {
        !self.is_draining() && self.trouble.as_ref().is_none_or(|trouble| trouble.may_claim)
    }

    fn heed_time(&mut self, now: Instant) {
        self.heed_hang();
        // Driven by this loop and by nothing else: a conductor that hangs gives no sign of life.
        self.care.beat(&*self.worker, &*self.clock, now);
        match self.phase {
            // The channels' own limits bound what is under way.
            Phase::Running if self.ends_at.is_some_and(|at| at <= now) => self.drain(None),
            Phase::Draining(Some(at)) if at <= now => self.abandon(),
            _ => {}
        }
    }

    /// Others may be just about to take what we had in hand: nothing of it begins any more, and nothing is claimed
    /// under a name that they have given up. What has begun is finished; the store knows whose result counts.
    pub(super) fn heed_hang(&mut self) -> bool {
        let hung = self.care.has_hung(&*self.clock);
        if hung && !self.is_draining() {
            log::warn!(target: LOG_TARGET, "stood still for longer than {:?}; the rest is left to others", self.care.lease);
            self.drain(None);
        }
        hung
    }

    /// Whether nothing is in hand, and nothing is waited for.
    fn is_over(&self, now: Instant) -> bool {
        let in_hand = self.call.is_some()
            || !self.outbox.is_empty()
            || !self.care.switched_off.is_empty()
            || self.places.under_way() > 0
            || self.lanes.iter().any(LaneState::has_ready);
        if in_hand {
            return false;
        }
        self.is_draining()
            || self.remaining == Some(0)
            || self.until == Until::Idle && self.care.swept && self.lanes.iter().all(|lane| lane.is_idle(now))
    }

    fn next_alarm(&self, now: Instant) -> Instant {
        let mut next = self.care.next_beat().min(now + LONGEST_SLEEP);
        if let Some(at) = self.ends_at.filter(|_| self.phase == Phase::Running) {
            next = next.min(at);
        }
        if let Phase::Draining(Some(at)) = self.phase {
            next = next.min(at);
        }
        let begins = self.lanes.iter().filter_map(|lane| lane.begins_at(now));
        next = begins.fold(next, Instant::min);
        if self.call.is_some() {
            return next;
        }
        if let Some(trouble) = &self.trouble {
            return next.min(trouble.retry_at);
        }
        next = next.min(self.care.next(!self.is_draining()));
        if self.may_claim() && self.remaining != Some(0) {
            let looks = self.lanes.iter().filter(|lane| lane.wish() > 0).map(LaneState::look_at);
            next = looks.fold(next, Instant::min);
        }
        next
    }

    pub(super) fn give_back(&mut self, claimed: Claimed) {
        self.remaining = self.remaining.map(|remaining| remaining + 1);
        self.tally.given_back += 1;
        self.outbox.give_back(claimed);
    }

    pub(super) fn give_back_ready(&mut self) {
        (0..self.lanes.len()).for_each(|lane| self.give_back_ready_of(lane));
    }

    pub(super) fn give_back_ready_of(&mut self, lane: usize) {
        self.lanes[lane].look_by(Instant::now());
        for claimed in self.lanes[lane].take_ready() {
            self.give_back(claimed);
        }
    }

    pub(super) fn drain(&mut self, until: Option<Instant>) {
        self.phase = Phase::Draining(until);
        self.give_back_ready();
    }

    fn look_again(&mut self, now: Instant) {
        for lane in &mut self.lanes {
            lane.look_by(now);
        }
    }

    /// What could not be written is at least in the log.
    fn leave_evidence(&mut self) {
        self.abandon();
        for (settlement, origin) in self.outbox.settle.iter().zip(&self.outbox.origins) {
            if let Origin::Place { took, .. } = *origin {
                let what = "attempt whose result could not be written";
                record::attempt(log::Level::Error, settlement, took, &self.worker_name, what);
            }
        }
    }
}
