//! The conductor: the one task that owns all that changes, and waits for whatever comes first.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::attempt::{Ended, attempt, envelope, unknown};
use super::care::{Care, Chores, Found};
use super::lane::LaneState;
use super::outbox::{Origin, Outbox};
use super::pace::Pace;
use super::places::{Flight, Places};
use super::round::{Round, is_trouble};
use super::trouble::{Severity, Trouble};
use super::{Engine, Error, LOG_TARGET, Lane, Observer, Stop, Tally, Until, record};
use crate::clock::Clock;
use crate::model::{Reason, Verdict};
use crate::store::{self, Exchanged, Handle, Identity, Stopped, Worker};

/// The longest sleep; then everything is looked at again.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What a call to the store answers, with what it was about.
enum Answer {
    Exchange(Box<Round>, Duration, store::Result<Exchanged>),
    Chores(Chores, store::Result<Found>),
}

type Call = Pin<Box<dyn Future<Output = Result<Answer, Stopped>> + Send>>;

/// How far the run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// Nothing more is claimed; what is under way at the given moment is abandoned.
    Draining(Option<Instant>),
    /// What was under way has been abandoned.
    Abandoned,
}

/// The one task that owns all that changes.
pub(super) struct Conductor {
    store: Handle,
    pub(super) worker: Box<dyn Worker>,
    pub(super) worker_name: String,
    identity: Identity,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: fastrand::Rng,
    until: Until,
    stop: Stop,
    wake: Arc<tokio::sync::Notify>,
    pub(super) observer: Observer,
    /// When it stops claiming, whatever is left.
    ends_at: Option<Instant>,
    /// How many more it may claim.
    pub(super) remaining: Option<u64>,
    pub(super) lanes: Vec<LaneState>,
    pub(super) places: Places,
    attempts: JoinSet<Ended>,
    pub(super) outbox: Outbox,
    call: Option<Call>,
    chores_last: bool,
    pub(super) pace: Pace,
    pub(super) care: Care,
    trouble: Option<Trouble>,
    phase: Phase,
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
        let mut drain = pin!(stop.drain.cancelled());
        let mut abandon = pin!(stop.abandon.cancelled());
        let mut woken = pin!(wake.notified());
        let mut alarm = pin!(sleep_until(Instant::now()));
        loop {
            let now = Instant::now();
            self.heed_time(now);
            self.begin_attempts(now)?;
            self.call_store(now);
            if self.is_over(now) {
                return Ok(());
            }
            let next = self.next_alarm(now);
            if alarm.deadline() != next {
                alarm.as_mut().reset(next);
            }
            tokio::select! {
                biased;
                () = &mut abandon, if self.phase != Phase::Abandoned => self.abandon(),
                () = &mut drain, if matches!(self.phase, Phase::Running | Phase::Draining(None)) => {
                    self.drain(Some(Instant::now() + self.stop.bound));
                }
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
        match self.phase {
            // The channels' own limits bound what is under way.
            Phase::Running if self.ends_at.is_some_and(|at| at <= now) => self.drain(None),
            Phase::Draining(Some(at)) if at <= now => self.abandon(),
            _ => {}
        }
    }

    /// Begins attempts while there are permits and places.
    fn begin_attempts(&mut self, now: Instant) -> Result<(), Error> {
        // What is sent while results find no room would be sent again.
        if self.is_draining() || self.trouble.is_some() {
            return Ok(());
        }
        for number in 0..self.lanes.len() {
            while let Some(place) = self.places.next_free() {
                let Some(mut claimed) = self.lanes[number].next_ready(now) else { break };
                let started_at = self.clock.now();
                if claimed.expires_at.is_some_and(|at| at <= started_at) {
                    self.give_back(claimed);
                    self.care.sweep_at(now);
                    continue;
                }
                if let Err(error) = self.worker.begin(place, claimed.id) {
                    self.give_back(claimed);
                    return Err(Error::Worker(error));
                }
                let envelope = envelope(&mut claimed, &self.identity);
                self.lanes[number].began();
                self.places.occupy(Flight { lane: number, claimed, started_at, since: now, task: None });
                let task =
                    self.attempts.spawn(attempt(Arc::clone(&self.lanes[number].lane), place, envelope));
                self.places.set_task(place, task.id());
            }
        }
        Ok(())
    }

    /// Calls the store when it is free and something waits.
    fn call_store(&mut self, now: Instant) {
        if self.call.is_some() || self.trouble.as_ref().is_some_and(|trouble| trouble.retry_at > now) {
            return;
        }
        // By turns, so that neither starves; what a store in trouble takes first are results.
        let chores = match self.outbox.is_empty() || !self.chores_last && self.trouble.is_none() {
            true => self.care.chores(self.worker.id(), now, !self.is_draining()),
            false => None,
        };
        self.chores_last = chores.is_some();
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        if let Some(chores) = chores {
            self.beat();
            self.call = Some(Box::pin(async move {
                let call = store.call(move |store| {
                    let found = chores.perform(store, &clock);
                    Answer::Chores(chores, found)
                });
                call.await
            }));
        } else if let Some(round) = self.load(now) {
            let mut round = Box::new(round);
            self.call = Some(Box::pin(async move {
                let call = store.call(move |store| {
                    let began = std::time::Instant::now();
                    round.exchange.now = clock.now().plus(round.lead);
                    let exchanged = store.exchange(&round.exchange);
                    Answer::Exchange(round, began.elapsed(), exchanged)
                });
                call.await
            }));
        }
    }

    fn beat(&self) {
        if let Err(error) = self.worker.beat() {
            log::warn!(target: LOG_TARGET, "leave a sign of life: {error}");
        }
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
        let mut next = now + LONGEST_SLEEP;
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

    /// The store has answered.
    fn heed(&mut self, answer: Answer) -> Result<(), Error> {
        self.call = None;
        let now = Instant::now();
        match answer {
            Answer::Exchange(round, took, Ok(exchanged)) => {
                self.recovered();
                self.committed(*round, exchanged, took, now);
            }
            Answer::Exchange(round, _, Err(error)) => {
                self.not_committed(*round);
                return self.bear(error, now);
            }
            Answer::Chores(chores, Ok(found)) => {
                self.recovered();
                self.care.done(&chores, &found, now);
                // From here on the store says so.
                chores.switched_off().for_each(|channel| self.start_lane(channel));
                self.found(found, now);
            }
            Answer::Chores(chores, Err(error)) => {
                self.care.failed(chores);
                return self.bear(error, now);
            }
        }
        Ok(())
    }

    /// Bears a call that failed for a while: what was delivered must not be sent again because its
    /// result could not be written at once.
    fn bear(&mut self, error: store::Error, now: Instant) -> Result<(), Error> {
        let severity = Severity::of(&error);
        let at_stake = !self.outbox.settle.is_empty() || self.places.under_way() > 0;
        let daemon = self.until == Until::Shutdown && !self.is_draining();
        let trouble = Trouble::after(self.trouble.take(), severity, now);
        let patient = daemon || now - trouble.since < self.stop.patience;
        let borne = match severity {
            Severity::Busy => patient,
            Severity::Grave => patient && (at_stake || daemon),
            Severity::Final => false,
        };
        if !borne || self.phase == Phase::Abandoned {
            return Err(Error::Store(error));
        }
        if trouble.since == now {
            log::warn!(target: LOG_TARGET, results = self.outbox.settle.len(); "store: {error}; tried again");
        }
        self.trouble = Some(trouble);
        Ok(())
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            log::info!(target: LOG_TARGET, "store: writes again");
        }
    }

    /// An attempt has ended, and perhaps others with it.
    fn collect(&mut self, first: Result<(task::Id, Ended), JoinError>) {
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

    fn start_lane(&mut self, channel: &str) {
        let lane = self.lanes.iter_mut().find(|lane| lane.lane.name == channel);
        if let Some(lane) = lane {
            lane.stopped = false;
        }
    }

    pub(super) fn give_back(&mut self, claimed: store::Claimed) {
        self.remaining = self.remaining.map(|remaining| remaining + 1);
        self.tally.given_back += 1;
        self.outbox.give_back(claimed);
    }

    pub(super) fn give_back_ready(&mut self) {
        (0..self.lanes.len()).for_each(|lane| self.give_back_ready_of(lane));
    }

    pub(super) fn give_back_ready_of(&mut self, lane: usize) {
        for claimed in self.lanes[lane].take_ready() {
            self.give_back(claimed);
        }
    }

    fn drain(&mut self, until: Option<Instant>) {
        self.phase = Phase::Draining(until);
        self.give_back_ready();
    }

    /// Abandons what is under way; nobody will see its end.
    fn abandon(&mut self) {
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

/// Waits for the call that is under way.
async fn answered(call: &mut Option<Call>) -> Result<Answer, Stopped> {
    match call {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}
