//! The conductor: all that changes in a run, and the loop that waits for whatever comes first.
//!
//! The couriers come to it by themselves for the next notification and with what came of the last
//! ([`super::courier`]); it is locked for the moment that this takes, and never across a wait.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::calls::answered;
use super::care::Care;
use super::courier::courier;
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

/// All that changes in a run.
pub(super) struct Conductor {
    pub(super) store: Handle,
    pub(super) worker: Box<dyn Worker>,
    pub(super) worker_name: String,
    pub(super) identity: Identity,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: fastrand::Rng,
    pub(super) until: Until,
    pub(super) stop: Stop,
    pub(super) observer: Observer,
    /// When it stops claiming, whatever is left.
    ends_at: Option<Instant>,
    /// How many more it may claim.
    pub(super) remaining: Option<u64>,
    pub(super) lanes: Vec<LaneState>,
    /// All channels that are configured, also those without a lane.
    pub(super) configured: BTreeSet<String>,
    pub(super) places: Places,
    /// The most attempts that can be under way.
    pub(super) in_flight: usize,
    pub(super) outbox: Outbox,
    /// Whether a call to the store is under way.
    pub(super) calling: bool,
    /// Whether results come in a stream, so that a round may wait for more of them.
    pub(super) streaming: bool,
    pub(super) chores_last: bool,
    pub(super) pace: Pace,
    pub(super) care: Care,
    pub(super) trouble: Option<Trouble>,
    pub(super) phase: Phase,
    /// Why nothing can begin any more.
    pub(super) failure: Option<std::io::Error>,
    pub(super) tally: Tally,
}

/// Where the couriers find the conductor.
pub(super) struct Office {
    conductor: Mutex<Conductor>,
    /// Rung when the conductor has something to do that nothing else wakes it for.
    bell: Notify,
}

impl Office {
    /// The conductor, for a moment; nobody waits for anything meanwhile.
    pub(super) fn conductor(&self) -> MutexGuard<'_, Conductor> {
        self.conductor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }
}

/// Conducts until it is over.
pub(super) async fn conduct(engine: Engine, identity: Identity) -> Result<Tally, Error> {
    let wake = Arc::clone(&engine.wake);
    let conductor = Mutex::new(Conductor::new(engine, identity));
    let office = Arc::new(Office { conductor, bell: Notify::new() });
    let mut couriers = JoinSet::new();
    let outcome = turn(&office, &wake, &mut couriers).await;
    if outcome.is_err() {
        office.conductor().leave_evidence();
    }
    couriers.shutdown().await;
    let conductor = Arc::into_inner(office).expect("every courier has gone").conductor;
    let conductor = conductor.into_inner().unwrap_or_else(PoisonError::into_inner);
    match outcome {
        Ok(()) => Ok(conductor.tally),
        Err(error) => {
            // Its end must look like a death: the file that tells what had begun stays for others.
            std::mem::forget(conductor.worker);
            Err(error)
        }
    }
}

async fn turn(office: &Arc<Office>, wake: &Notify, couriers: &mut JoinSet<()>) -> Result<(), Error> {
    let stop = office.conductor().stop.clone();
    let mut finish = pin!(stop.finish.cancelled());
    let mut drain = pin!(stop.drain.cancelled());
    let mut abandon = pin!(stop.abandon.cancelled());
    let mut woken = pin!(wake.notified());
    let mut rung = pin!(office.bell.notified());
    let mut alarm = pin!(sleep_until(Instant::now()));
    let mut call = None;
    loop {
        let (next, phase, looks_soon) = {
            let mut conductor = office.conductor();
            let now = Instant::now();
            conductor.heed_time(now);
            for lane in conductor.send_couriers(now) {
                couriers.spawn(courier(Arc::clone(office), lane, Arc::clone(&conductor.lanes[lane].lane)));
            }
            if call.is_none() {
                call = conductor.call_store(now);
                conductor.calling = call.is_some();
            }
            if conductor.is_over(now) {
                return conductor.failure.take().map_or(Ok(()), |error| Err(Error::Worker(error)));
            }
            (conductor.next_alarm(now), conductor.phase, conductor.looks_soon(now))
        };
        if phase == Phase::Abandoned {
            couriers.abort_all();
        }
        // One that rings early does no harm, and leaving it alone costs nothing.
        if next < alarm.deadline() || alarm.is_elapsed() {
            alarm.as_mut().reset(next);
        }
        tokio::select! {
            biased;
            () = &mut abandon, if phase != Phase::Abandoned => office.conductor().abandon(),
            () = &mut drain, if matches!(phase, Phase::Running | Phase::Draining(None)) => {
                let until = Instant::now() + stop.bound;
                office.conductor().drain(Some(until));
            }
            () = &mut finish, if phase == Phase::Running => office.conductor().drain(None),
            answer = answered(&mut call), if call.is_some() => {
                call = None;
                office.conductor().heed(answer?)?;
            }
            Some(_) = couriers.join_next() => {}
            () = &mut rung => rung.set(office.bell.notified()),
            // Who rings meanwhile is heard behind that look, and need not wake this thread for it.
            () = &mut woken, if !looks_soon => {
                woken.set(wake.notified());
                office.conductor().look_again(Instant::now());
            }
            () = &mut alarm => {}
        }
    }
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
            observer: engine.observer,
            ends_at: engine.budget.max_time.map(|time| now + time),
            remaining: engine.budget.limit,
            care: Care::new(&lanes, now),
            lanes,
            configured: engine.configured,
            places: Places::new(places),
            in_flight: wanted.min(places),
            outbox: Outbox::default(),
            calling: false,
            streaming: false,
            chores_last: false,
            pace: Pace::new(),
            trouble: None,
            phase: Phase::Running,
            failure: None,
            tally: Tally { started_at, ended_at: started_at, ..Tally::default() },
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.phase != Phase::Running
    }

    /// Whether more may be claimed. While results might find no room they go first; when none waits, a claim is what
    /// shows that there is room again.
    pub(super) fn may_claim(&self) -> bool {
        let trusts = |trouble: &Trouble| trouble.may_claim || self.outbox.is_empty();
        !self.is_draining() && self.trouble.as_ref().is_none_or(trusts)
    }

    fn heed_time(&mut self, now: Instant) {
        self.heed_hang();
        // Driven by this loop and by nothing else: a conductor that hangs gives no sign of life.
        self.care.beat(&*self.worker, &*self.clock, now);
        for lane in 0..self.lanes.len() {
            for claimed in self.lanes[lane].surplus(now) {
                self.give_back(lane, claimed);
            }
        }
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
        let in_hand = self.calling
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
        if self.calling {
            return next;
        }
        // One that is over, and after which nothing waits, is no reason to wake.
        if let Some(trouble) = self.trouble.as_ref().filter(|trouble| trouble.retry_at > now) {
            return next.min(trouble.retry_at);
        }
        let ripe_at = self.ripe_at(now);
        next = ripe_at.map_or(next, |at| next.min(at));
        next = next.min(self.care.next(!self.is_draining()));
        if self.may_claim() && self.remaining != Some(0) {
            // While a round waits for results, only those that have little left do not wait with it.
            let wants = |lane: &&LaneState| if ripe_at.is_some() { lane.runs_dry() } else { lane.wish() > 0 };
            let looks = self.lanes.iter().filter(wants).map(LaneState::look_at);
            next = looks.fold(next, Instant::min);
        }
        next
    }

    /// Gives back what this lane has claimed, and of which the other side has heard nothing.
    pub(super) fn give_back(&mut self, lane: usize, claimed: Claimed) {
        let rated = !self.lanes[lane].lane.rates.is_empty();
        self.put_back(claimed, rated);
    }

    /// Lets it be pending again; `uncounted` when it no longer counts against the channel's rates.
    pub(super) fn put_back(&mut self, claimed: Claimed, uncounted: bool) {
        self.remaining = self.remaining.map(|remaining| remaining + 1);
        self.tally.given_back += 1;
        self.outbox.give_back(claimed, uncounted);
    }

    pub(super) fn give_back_ready(&mut self) {
        (0..self.lanes.len()).for_each(|lane| self.give_back_ready_of(lane));
    }

    pub(super) fn give_back_ready_of(&mut self, lane: usize) {
        self.lanes[lane].look_by(Instant::now());
        for claimed in self.lanes[lane].take_ready() {
            self.give_back(lane, claimed);
        }
    }

    pub(super) fn drain(&mut self, until: Option<Instant>) {
        self.phase = Phase::Draining(until);
        self.give_back_ready();
    }

    /// Whether every lane asks the store within a moment, whoever rings.
    fn looks_soon(&self, now: Instant) -> bool {
        self.lanes.iter().all(|lane| lane.looks_soon(now))
    }

    fn look_again(&mut self, now: Instant) {
        for lane in &mut self.lanes {
            lane.look_soon(now);
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
