//! Does each step to the store and to the model, and looks for where they come apart.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use notifyctl::model::{Id, OnUnknown, Outcome, Policy, Reason, Timestamp, Tried, Verdict, settle};
use notifyctl::store::{Claimed, Exchange, GiveBack, Portion, Settlement, Store, Taken};

use super::desk::told;
use super::rules::Model;
use super::step::{CHANNELS, End, Round, Step, WORKERS};
use super::{Agreed, agree};
use crate::conformance::{LEASE, Place, T};
use crate::support::hand::{Hand, result, unused};

/// The limits of the first channel; the second one has none.
const RATES: [&str; 2] = ["3/10s", "7/1m"];

const JITTER: f64 = 0.5;

fn rates_of(channel: &str) -> &'static [&'static str] {
    if channel == CHANNELS[0] { &RATES } else { &[] }
}

pub struct Machine<'a> {
    place: &'a dyn Place,
    /// An operator's connection.
    pub(super) desk: Box<dyn Store>,
    workers: Vec<Slot>,
    /// Dead workers, and what each had begun.
    dead: BTreeMap<Id, Vec<Id>>,
    lives: usize,
    pub(super) model: Model,
    /// What was done, for people.
    pub story: Vec<String>,
}

/// One process.
struct Slot {
    hand: Hand,
    name: String,
    in_hand: Vec<InHand>,
    /// What it has settled.
    past: Vec<Claimed>,
    /// What it left on record as begun, by place.
    begun: BTreeMap<usize, Id>,
    hangs: bool,
}

struct InHand {
    claimed: Claimed,
    place: Option<usize>,
    since: Timestamp,
}

impl<'a> Machine<'a> {
    pub fn new(place: &'a dyn Place) -> Self {
        let mut machine = Self {
            place,
            desk: place.open(),
            workers: Vec::new(),
            dead: BTreeMap::new(),
            lives: 0,
            model: Model::new(T),
            story: Vec::new(),
        };
        for _ in 0..WORKERS {
            let slot = machine.born();
            machine.workers.push(slot);
        }
        machine
    }

    fn born(&mut self) -> Slot {
        self.lives += 1;
        let name = format!("host:{}:1", self.lives);
        let hand = Hand::new(self.place.open(), self.model.now, &name, LEASE);
        Slot { hand, name, in_hand: Vec::new(), past: Vec::new(), begun: BTreeMap::new(), hangs: false }
    }

    pub(super) fn tell(&mut self, what: impl Display) {
        let at = self.model.now.since(T).as_secs();
        self.story.push(format!("{:4}. at {at} s: {what}", self.story.len() + 1));
    }

    pub fn step(&mut self, step: &Step) -> Agreed {
        match step {
            Step::Wait(seconds) => {
                self.model.wait(*seconds);
                self.tell(format!("{seconds} s have passed"));
                Ok(())
            }
            Step::SetBack(seconds) => {
                self.model.set_back(*seconds);
                self.tell(format!("the clock was set back by {seconds} s"));
                Ok(())
            }
            Step::Enqueue(new) => self.enqueue(new),
            Step::Batch { rows, commit } => self.batch(rows, *commit),
            Step::Round(round) => self.round(round),
            Step::Begin(worker, which) => self.begin(*worker, *which),
            Step::Again(worker, which, end) => self.again(*worker, *which, *end),
            Step::Extend(worker) => self.extend(*worker),
            Step::Die(worker) => self.die(*worker),
            Step::Hang(worker) => {
                self.place.silence(&*self.workers[*worker].hand.worker);
                self.workers[*worker].hangs = true;
                self.tell(format!("{} hangs", self.workers[*worker].name));
                Ok(())
            }
            Step::Beat(worker) => {
                self.workers[*worker].hangs = false;
                self.tell(format!("{} gives a sign of life", self.workers[*worker].name));
                said(self.workers[*worker].hand.worker.beat(LEASE))
            }
            Step::Recover(worker, limit) => self.recover(*worker, *limit),
            Step::Expire(limit) => {
                let expired = said(self.desk.expire(self.model.now, *limit))?;
                self.tell(format!("{expired} expire, of at most {limit}"));
                agree("expired", &expired, &self.model.expire(*limit))
            }
            Step::Steer(verb, which) => self.steer(*verb, which),
            Step::HoldChannel(channel) => {
                let (name, now) = (CHANNELS[*channel], self.model.now);
                self.tell(format!("channel {name} is held"));
                self.model.channels.entry(name.into()).or_default().held = Some((now, "410".into()));
                said(self.desk.hold_channel(now, name, "410"))
            }
            Step::ReleaseChannel(channel) => {
                let (name, now) = (CHANNELS[*channel], self.model.now);
                self.tell(format!("channel {name} is released"));
                let released = said(self.desk.release_channel(now, name))?;
                agree("released", &released, &self.model.release_channel(name))
            }
            Step::Purge { statuses, age, bite } => self.purge(statuses, *age, *bite),
        }
    }

    fn round(&mut self, round: &Round) -> Agreed {
        let now = self.model.now;
        let mut settlements = Vec::new();
        for (which, end) in &round.settle {
            if let Some(InHand { claimed, since, .. }) = self.workers[round.worker].take(*which) {
                let worker = self.workers[round.worker].hand.worker.id();
                settlements.push(self.decide(&claimed, worker, since, end.verdict()));
                self.workers[round.worker].past.push(claimed);
            }
        }
        let posts: Vec<Portion> = round.posts.iter().map(|(key, new)| self.portion(*key, new)).collect();
        let slot = &mut self.workers[round.worker];
        let mut give_back = Vec::new();
        for which in &round.give_back {
            let uncounted = |one: &InHand| one.place.is_none() && !rates_of(&one.claimed.channel).is_empty();
            let unused = |one: InHand| GiveBack { uncounted: uncounted(&one), ..unused(&one.claimed) };
            give_back.extend(slot.take(*which).map(unused));
        }
        let wish = |&(channel, limit): &(usize, u32)| {
            slot.hand.wish(CHANNELS[channel], limit, rates_of(CHANNELS[channel]))
        };
        let claim = round.claim.iter().map(wish).collect();
        let exchange = Exchange { settle: settlements, give_back, claim, ..slot.hand.exchange(now) };
        self.exchange_with(round.worker, &posts, &exchange)
    }

    /// One exchange, on both sides.
    fn exchange(&mut self, worker: usize, exchange: &Exchange) -> Agreed {
        self.exchange_with(worker, &[], exchange)
    }

    /// One exchange with what is accepted in the same transaction, as if that had been there before.
    fn exchange_with(&mut self, worker: usize, posts: &[Portion], exchange: &Exchange) -> Agreed {
        let slot = &mut self.workers[worker];
        let store = &mut slot.hand.store;
        let (taken, answer) = match posts {
            [] => (Vec::new(), said(store.exchange(exchange))?),
            posts => said(store.enqueue_and_exchange(exchange.now, posts, exchange))?,
        };
        let (id, name) = (slot.hand.worker.id(), slot.name.clone());
        for one in answer.claims.iter().flat_map(|reply| &reply.claimed) {
            slot.in_hand.push(InHand { claimed: one.clone(), place: None, since: exchange.now });
        }
        let settle = exchange.settle.iter().zip(&answer.settled).map(|(one, written)| {
            let not = if *written { "" } else { ", refused" };
            format!(" settles {} as {} {}{not};", one.id, one.verdict.outcome, one.transition.status)
        });
        let give_back = exchange.give_back.iter().map(|one| {
            let counts = if one.uncounted { ", which counts no more" } else { "" };
            format!(" gives {} back{counts};", one.id)
        });
        let claim = exchange.claim.iter().zip(&answer.claims).map(|(wish, reply)| {
            let ids: Vec<Id> = reply.claimed.iter().map(|one| one.id).collect();
            format!(" claims {} of {}: {ids:?}, limited by {:?};", wish.limit, wish.channel, reply.limited_by)
        });
        let all: String = settle.chain(give_back).chain(claim).collect();
        self.tell(format!("{name}{all}"));
        self.model.heed(exchange);
        agree("requests", &taken.len(), &posts.len())?;
        for (portion, taken) in posts.iter().zip(taken) {
            if self.model.knows(portion, &taken)? {
                self.tell(format!(
                    "with it came again, or with another one's key, {:?}: {taken:?}",
                    portion.request
                ));
                continue;
            }
            let Taken::Whole { batch: None, new: answers } = taken else { return Err(format!("{taken:?}")) };
            self.tell(format!("with it came {}", told(&portion.new, &answers)));
            agree("answers", &answers.len(), &portion.new.len())?;
            for (new, answer) in portion.new.iter().zip(&answers) {
                self.model.enqueue(None, portion.key_expires_at, new, *answer)?;
            }
            if let Some(request) = &portion.request {
                self.model.remember(request, portion.key_expires_at, &answers)?;
            }
        }
        let settled: Vec<bool> =
            exchange.settle.iter().map(|settlement| self.model.settle(settlement, JITTER)).collect();
        agree("settled", &answer.settled, &settled)?;
        for (settlement, written) in exchange.settle.iter().zip(settled) {
            self.model.ended(settlement, written);
        }
        for unused in &exchange.give_back {
            self.model.give_back(unused);
        }
        agree("replies", &answer.claims.len(), &exchange.claim.len())?;
        for (wish, reply) in exchange.claim.iter().zip(&answer.claims) {
            self.model.claim((id, &name), wish, reply)?;
        }
        Ok(())
    }

    /// As delivery decides: by the channel's policy.
    fn decide(&self, claimed: &Claimed, worker: Id, since: Timestamp, verdict: Verdict) -> Settlement {
        let on_unknown = if claimed.channel == CHANNELS[0] { OnUnknown::Retry } else { OnUnknown::Hold };
        let policy = Policy {
            retry: "30s, 5m*2".parse().expect("a schedule"),
            on_unknown,
            give_up_after: Duration::from_secs(9_000),
        };
        let tried = Tried {
            deferred_since: claimed.deferred_since.map_or(since, |first| first.min(since)),
            expires_at: claimed.expires_at,
            retries: claimed.retries,
            crashes: claimed.crashes,
            others_pass: claimed.deferred_since.is_some() && !claimed.probes,
        };
        let now = self.model.now;
        let transition = settle(&tried, &verdict, &policy, now, JITTER);
        result(claimed, worker, (since, now), verdict, transition)
    }

    fn begin(&mut self, worker: usize, which: usize) -> Agreed {
        let slot = &mut self.workers[worker];
        if slot.in_hand.is_empty() {
            return Ok(());
        }
        let place = (0..).find(|place| slot.in_hand.iter().all(|one| one.place != Some(*place)));
        let place = place.expect("there are enough");
        let which = which % slot.in_hand.len();
        let one = &mut slot.in_hand[which];
        let (id, place) = (one.claimed.id, *one.place.get_or_insert(place));
        slot.begun.insert(place, id);
        let begun = slot.hand.worker.begin(place, id);
        let name = slot.name.clone();
        self.tell(format!("{name} begins {id}"));
        said(begun)
    }

    fn again(&mut self, worker: usize, which: usize, end: End) -> Agreed {
        let slot = &self.workers[worker];
        if slot.past.is_empty() {
            return Ok(());
        }
        let claimed = &slot.past[which % slot.past.len()];
        let settlement = self.decide(claimed, slot.hand.worker.id(), self.model.now, end.verdict());
        let exchange = Exchange { settle: vec![settlement], ..slot.hand.exchange(self.model.now) };
        self.exchange(worker, &exchange)
    }

    fn extend(&mut self, worker: usize) -> Agreed {
        let until = self.model.now.plus(LEASE);
        let slot = &mut self.workers[worker];
        let id = slot.hand.worker.id();
        let extended = slot.hand.store.extend(id, until);
        let name = slot.name.clone();
        self.tell(format!("{name} extends its leases"));
        self.model.extend(id, until);
        said(extended)
    }

    fn die(&mut self, worker: usize) -> Agreed {
        let heir = self.born();
        let died = std::mem::replace(&mut self.workers[worker], heir);
        self.tell(format!("{} dies, {} is started", died.name, self.workers[worker].name));
        self.dead.insert(died.hand.worker.id(), died.begun.into_values().collect());
        self.place.kill(died.hand.worker);
        Ok(())
    }

    /// P3 and P4: what a lost worker had is found by each other one; what had begun has an unknown end, the
    /// rest is given back.
    fn recover(&mut self, worker: usize, limit: usize) -> Agreed {
        let me = self.workers[worker].hand.worker.id();
        let found = said(self.workers[worker].hand.store.orphans(me, LEASE, limit))?;
        let ids: Vec<Id> = found.iter().map(|orphan| orphan.claimed.id).collect();
        self.tell(format!("{} finds orphans, of at most {limit}: {ids:?}", self.workers[worker].name));
        let mut lost = self.dead.clone();
        for slot in self.workers.iter().filter(|slot| slot.hangs && slot.hand.worker.id() != me) {
            lost.insert(slot.hand.worker.id(), slot.begun.values().copied().collect());
        }
        let orphans = self.model.orphans(&lost);
        agree("orphans", &found.len(), &orphans.len().min(limit))?;
        let (mut settlements, mut give_back): (_, Vec<GiveBack>) = (Vec::new(), Vec::new());
        for orphan in &found {
            let expected = orphans.iter().find(|one| one.claimed.id == orphan.claimed.id);
            agree("an orphan", &Some(orphan), &expected)?;
            let verdict = Verdict::new(Outcome::Unknown, Reason::WorkerDied, "");
            match orphan.begun {
                Some(false) => give_back.push(unused(&orphan.claimed)),
                _ => {
                    settlements.push(self.decide(&orphan.claimed, orphan.worker, orphan.claimed_at, verdict));
                }
            }
        }
        let slot = &self.workers[worker];
        let exchange = Exchange { settle: settlements, give_back, ..slot.hand.exchange(self.model.now) };
        self.exchange(worker, &exchange)
    }
}

impl Slot {
    fn take(&mut self, which: usize) -> Option<InHand> {
        match self.in_hand.len() {
            0 => None,
            n => Some(self.in_hand.remove(which % n)),
        }
    }
}

/// A store never fails here.
pub fn said<T, E: Display>(result: Result<T, E>) -> Result<T, String> {
    result.map_err(|error| format!("the store failed: {error}"))
}
