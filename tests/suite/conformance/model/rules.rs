//! The rules of the queue over a plain map: what every step must lead to, whatever the database.
//!
//! Shared with the store are only the pure decisions of `notifyctl::model` (what follows an outcome, how long a
//! channel in trouble pauses, how large a handicap is), which have tests of their own. Everything that a store
//! adds is stated here once more: who is eligible, in which order, who may settle, what is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use notifyctl::model::priority::RETRIED_HANDICAP;
use notifyctl::model::{Breaker, Content, Id, NewNotification, Rate, Reason, Status, Timestamp};
use notifyctl::store::{
    Attempt, Batch, Changed, ChannelCounts, Claim, ClaimReply, Claimed, Counts, Due, Enqueued, Exchange,
    Filter, GiveBack, LimitedBy, NewBatch, Orphan, Portion, Purge, Purged, RequestKey, Selection, Settlement,
    Summary, Taken,
};

use super::rate::Used;
use super::row::{Lease, Row};
use super::{Agreed, agree};

/// A claim that gave nothing.
fn nothing(limited_by: LimitedBy) -> ClaimReply {
    ClaimReply { claimed: Vec::new(), unreadable: Vec::new(), limited_by }
}

/// A channel as a whole.
#[derive(Default)]
pub struct Channel {
    pub accepted: u64,
    pub purged: u64,
    /// The latest moment at which a notification of it was touched.
    pub seen: Timestamp,
    pub held: Option<(Timestamp, String)>,
    pub breaker: Breaker,
    pub used: Vec<Used>,
}

/// The duplicate guard of one key for one recipient.
struct Key {
    id: Id,
    until: Timestamp,
    /// Its window was over when another key came: it may have been forgotten, even if the clock is set back.
    stale: bool,
}

/// The key of a whole request.
struct Asked {
    sha256: [u8; 32],
    ids: Vec<Id>,
    at: Timestamp,
    until: Timestamp,
    /// As that of a [`Key`].
    stale: bool,
}

pub struct Model {
    /// What the wall clock says.
    pub now: Timestamp,
    /// The same, had nobody set it back.
    pub real: Timestamp,
    pub rows: BTreeMap<Id, Row>,
    pub batches: BTreeMap<Id, (Batch, u64)>,
    pub channels: BTreeMap<String, Channel>,
    /// Every id ever given, in order.
    pub ids: Vec<Id>,
    keys: BTreeMap<(String, String), Key>,
    requests: BTreeMap<String, Asked>,
}

impl Model {
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            real: now,
            rows: BTreeMap::new(),
            batches: BTreeMap::new(),
            channels: BTreeMap::new(),
            ids: Vec::new(),
            keys: BTreeMap::new(),
            requests: BTreeMap::new(),
        }
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self.real = self.real.plus(Duration::from_secs(seconds));
    }

    pub fn set_back(&mut self, seconds: u64) {
        self.now = self.now.minus(Duration::from_secs(seconds));
        self.channels.values_mut().flat_map(|channel| &mut channel.used).for_each(Used::set_back);
    }

    /// One was handed in, and `answer` came back: the same key for the same recipient is accepted once in its
    /// window, ids rise and are never used again.
    pub fn enqueue(
        &mut self,
        batch: Option<Id>,
        key_until: Timestamp,
        new: &NewNotification,
        answer: Enqueued,
    ) -> Agreed {
        let now = self.now;
        let guard = new.idempotency_key.clone().map(|key| (key, new.content.recipient.clone()));
        if let Some(known) = guard.as_ref().and_then(|guard| self.keys.get(guard)) {
            let within = known.until > now;
            if within && !(known.stale && answer.created) {
                return agree("a known key", &answer, &Enqueued { id: known.id, created: false });
            }
        }
        agree("accepted anew", &answer.created, &true)?;
        if self.ids.last().is_some_and(|last| *last >= answer.id) {
            return Err(format!("id {} after {:?}", answer.id, self.ids.last()));
        }
        self.ids.push(answer.id);
        if let Some(guard) = guard {
            self.forget_by(now);
            self.keys.insert(guard, Key { id: answer.id, until: key_until, stale: false });
        }
        let channel = self.channels.entry(new.channel.clone()).or_default();
        channel.accepted += 1;
        channel.touched(now);
        if let Some(batch) = batch {
            self.batches.get_mut(&batch).expect("begun").0.counts.accepted += 1;
        }
        self.rows.insert(answer.id, Row::accepted(now, answer.id, batch, new));
        Ok(())
    }

    /// The keys whose window was over then may be forgotten from now on.
    fn forget_by(&mut self, then: Timestamp) {
        self.keys.values_mut().for_each(|key| key.stale |= key.until <= then);
        self.requests.values_mut().for_each(|key| key.stale |= key.until <= then);
    }

    /// Whether the answer to a request is due to what had its key: as that one was, if it is the same, else a refusal. Where
    /// that key may have been forgotten, and those of its notifications not, it may be refused for these.
    pub fn knows(&self, portion: &Portion, taken: &Taken) -> Result<bool, String> {
        let Some(request) = &portion.request else { return Ok(false) };
        let held = self.requests.get(&request.key).filter(|held| held.until > self.now);
        if let Some(held) = held {
            let due = match held.sha256 == request.sha256 {
                true => {
                    let new = held.ids.iter().map(|&id| Enqueued { id, created: false }).collect();
                    Taken::Whole { batch: None, new }
                }
                false => Taken::KeyUsed { since: Some(held.at) },
            };
            if *taken == due || !held.stale {
                return agree("a known request", taken, &due).map(|()| true);
            }
        }
        let of_it = |key: &str| key.strip_prefix(&request.key).is_some_and(|rest| rest.starts_with('/'));
        let left = self.keys.iter().any(|((key, _), held)| of_it(key) && held.until > self.now && held.stale);
        Ok(left && matches!(taken, Taken::Conflict { .. } | Taken::KeyUsed { since: None }))
    }

    /// A request was accepted: its key belongs to all of it, unless every row was known.
    pub fn remember(&mut self, request: &RequestKey, until: Timestamp, answers: &[Enqueued]) -> Agreed {
        let ids: Vec<Id> = answers.iter().filter(|one| one.created).map(|one| one.id).collect();
        agree("whole or not at all", &(ids.is_empty() || ids.len() == answers.len()), &true)?;
        if !ids.is_empty() {
            let asked = Asked { sha256: request.sha256, ids, at: self.now, until, stale: false };
            self.requests.insert(request.key.clone(), asked);
        }
        Ok(())
    }

    /// A batch is begun; its rows follow.
    pub fn load(&mut self, id: Id, batch: &NewBatch) {
        let counts = ChannelCounts::default();
        let batch = Batch { id, created_at: self.now, source: batch.source.clone(), counts };
        self.batches.insert(id, (batch, 0));
    }

    /// The id that the key of `new` stands for.
    pub fn known(&self, new: &NewNotification) -> Id {
        let guard = new.idempotency_key.clone().map(|key| (key, new.content.recipient.clone()));
        guard.and_then(|guard| self.keys.get(&guard)).map_or(0, |key| key.id)
    }

    /// A worker that comes to a channel finds that the clock was set back: what was reckoned by the clock as it
    /// was moves back with it, but for what a user asked for by the clock. Ten seconds are no setting back:
    /// others may have waited so long for the store.
    pub fn heed(&mut self, exchange: &Exchange) {
        let (now, settled) = (self.now, exchange.settle.iter().map(|settlement| &settlement.channel));
        let unused = exchange.give_back.iter().map(|unused| &unused.channel);
        for name in settled.chain(unused).chain(exchange.claim.iter().map(|wish| &wish.channel)) {
            let Some(channel) = self.channels.get_mut(name) else { continue };
            let by = channel.seen.since(now);
            if by <= Duration::from_secs(10) {
                continue;
            }
            channel.seen = now;
            channel.breaker.set_back(by);
            channel.used.iter_mut().for_each(|used| used.moved_back(by));
            for Row { shown, lease, .. } in self.rows.values_mut() {
                let one = &mut shown.summary;
                if let Some(lease) = lease.as_mut().filter(|_| one.channel == *name) {
                    lease.claimed_at = lease.claimed_at.minus(by);
                }
                if one.status == Status::Pending && one.channel == *name && one.next_attempt_at > now {
                    let earliest = shown.not_before.unwrap_or_default();
                    one.next_attempt_at = one.next_attempt_at.minus(by).max(earliest);
                }
            }
        }
    }

    /// Due and not expired, in order of due time and handicap: priority first, age makes up for it, and what
    /// was deferred before waits a little behind what is new.
    fn eligible(&self, channel: &str) -> Vec<Id> {
        let now = self.now;
        let mut eligible: Vec<(Timestamp, Id)> = Vec::new();
        for (id, Row { shown, .. }) in &self.rows {
            let Summary { status, next_attempt_at, expires_at, priority, .. } = shown.summary;
            let useful = expires_at.is_none_or(|at| at > now);
            if status == Status::Pending
                && shown.summary.channel == channel
                && next_attempt_at <= now
                && useful
            {
                let retried = if shown.retries > 0 { RETRIED_HANDICAP } else { Duration::ZERO };
                eligible.push((next_attempt_at.plus(priority.handicap() + retried), *id));
            }
        }
        eligible.sort_unstable();
        eligible.into_iter().map(|(_, id)| id).collect()
    }

    fn next_due(&self, channel: &str) -> Option<Timestamp> {
        self.pending(channel).filter(|at| *at > self.now).min()
    }

    fn pending(&self, channel: &str) -> impl Iterator<Item = Timestamp> {
        self.rows
            .values()
            .map(|row| &row.shown.summary)
            .filter(move |one| one.status == Status::Pending && one.channel == channel)
            .map(|one| one.next_attempt_at)
    }

    /// A worker asked, and the store gave `reply`: as many of the eligible as were wanted and as rates and
    /// trouble allow, from the head of the queue on.
    pub fn claim(&mut self, (worker, name): (Id, &str), wish: &Claim, reply: &ClaimReply) -> Agreed {
        let (now, taken) = (self.now, reply.claimed.len());
        if !self.channels.contains_key(&wish.channel) {
            let limited_by = LimitedBy::Due(None);
            return agree("a claim of nothing", reply, &nothing(limited_by));
        }
        let (eligible, next_due) = (self.eligible(&wish.channel), self.next_due(&wish.channel));
        let channel = self.channels.get_mut(&wish.channel).expect("known");
        let free = channel.breaker.free(now);
        let stopped = match (&channel.held, free, channel.breaker.clears_at()) {
            (Some(_), ..) => Some(LimitedBy::Held),
            (None, 0, Some(at)) => Some(LimitedBy::Paused(at)),
            _ => None,
        };
        if let Some(limited_by) = stopped {
            return agree("a claim of nothing", reply, &nothing(limited_by));
        }
        channel.look(&wish.rates, now);
        let (least, most) = channel.within_rates(now);
        let (least, most) =
            (least.min(free).min(wish.limit) as usize, most.min(free).min(wish.limit) as usize);
        if taken < least.min(eligible.len()) || taken > most.min(eligible.len()) {
            let there = eligible.len();
            return Err(format!("{taken} claimed of {there} eligible, where {least} to {most} may begin"));
        }
        if taken > 0 {
            channel.touched(now);
            channel.breaker.begin(now, wish.lease);
            for used in &mut channel.used {
                used.take(now, self.real, taken)?;
            }
        }
        let full = taken as u32 == wish.limit;
        let fits = match reply.limited_by {
            LimitedBy::Nothing => full,
            LimitedBy::Due(at) => taken == eligible.len() && at == next_due && taken < most,
            LimitedBy::Paused(at) => !full && taken as u32 == free && channel.breaker.clears_at() == Some(at),
            LimitedBy::Rate(at) => !full && taken >= least && at > now && at <= channel.free_by(),
            LimitedBy::Held => false,
        };
        if !fits {
            return Err(format!("limited by {:?} after {taken} of {eligible:?}", reply.limited_by));
        }
        for (id, one) in eligible.into_iter().zip(&reply.claimed) {
            let row = self.rows.get_mut(&id).expect("eligible");
            let (token, really) = (wish.lease_token, self.real);
            let lease = Lease { worker, name: name.into(), token, claimed_at: now, really };
            row.shown.worker = Some(name.into());
            row.shown.lease_expires_at = Some(now.plus(wish.lease));
            row.shown.summary.status = Status::Sending;
            row.shown.summary.attempts += 1;
            row.lease = Some(lease);
            row.probes = free == 1;
            agree("claimed", one, &row.claimed(row.shown.content.clone()))?;
        }
        Ok(())
    }

    /// A result counts when its lease is still that of the claim; a late one leaves evidence and no more.
    pub fn settle(&mut self, settlement: &Settlement, jitter: f64) -> bool {
        let Settlement { verdict, transition, .. } = settlement;
        let own = self.rows.get_mut(&settlement.id);
        let Some(row) = own else { return false };
        if !row.is_leased(settlement.attempt, settlement.lease_token) {
            let late = row.tried.iter_mut().find(|attempt| attempt.number == settlement.attempt);
            // What a second heir says of the same death is none.
            let heir = verdict.reason.is_of_the_worker();
            if let Some(attempt) = late.filter(|_| !heir) {
                let words = format!("{} {} {}", verdict.outcome, verdict.reason, verdict.detail);
                attempt.late.get_or_insert(words.trim_end().into());
            }
            return false;
        }
        let lease = row.lease.take().expect("leased");
        row.tried.push(Attempt {
            number: settlement.attempt,
            worker: lease.name,
            started_at: settlement.started_at,
            ended_at: Some(settlement.ended_at),
            outcome: Some(verdict.outcome),
            reason: Some(verdict.reason),
            detail: verdict.detail.clone(),
            late: None,
        });
        row.becomes(transition.status, Some(transition.reason), settlement.ended_at);
        row.shown.summary.next_attempt_at = transition.next_attempt_at;
        (row.shown.retries, row.shown.crashes) = (transition.retries, transition.crashes);
        let first =
            row.deferred_since.map_or(settlement.started_at, |first| first.min(settlement.started_at));
        // A worker's end defers nothing.
        let first = if verdict.reason.is_of_the_worker() { row.deferred_since } else { Some(first) };
        row.deferred_since = first.filter(|_| transition.status == Status::Pending);
        let channel = self.channels.get_mut(&settlement.channel).expect("known");
        channel.touched(self.now);
        channel.breaker.record(verdict, self.now, jitter);
        true
    }

    /// The rates count what took long from its end.
    pub fn ended(&mut self, settlement: &Settlement, known: bool) {
        let channel = self.channels.get_mut(&settlement.channel).expect("known");
        for used in &mut channel.used {
            used.ended(settlement.started_at, settlement.ended_at, known);
        }
    }

    /// As if never claimed; for the rates too, where nobody can have heard of it.
    pub fn give_back(&mut self, unused: &GiveBack) {
        let Some(row) = self.rows.get_mut(&unused.id) else { return };
        if row.is_leased(unused.attempt, unused.lease_token) {
            let lease = row.lease.take().expect("leased");
            let channel = self.channels.get_mut(&unused.channel).expect("known");
            channel.touched(self.now);
            channel.breaker.give_back(lease.claimed_at);
            for used in channel.used.iter_mut().filter(|_| unused.uncounted) {
                used.give_back(lease.claimed_at, lease.really);
            }
            row.shown.summary.status = Status::Pending;
            row.shown.summary.attempts -= 1;
            (row.shown.worker, row.shown.lease_expires_at) = (None, None);
        }
    }

    /// What `lost` workers have in hand; `begun` says what of it may have begun.
    pub fn orphans(&self, lost: &BTreeMap<Id, Vec<Id>>) -> Vec<Orphan> {
        let mut orphans = Vec::new();
        for (id, row) in &self.rows {
            let Some(lease) = &row.lease else { continue };
            if let Some(begun) = lost.get(&lease.worker) {
                orphans.push(Orphan {
                    worker: lease.worker,
                    claimed_at: lease.claimed_at,
                    begun: Some(begun.contains(id)),
                    claimed: Claimed { probes: false, ..row.claimed(Content::default()) },
                });
            }
        }
        orphans
    }

    pub fn extend(&mut self, worker: Id, until: Timestamp) {
        for row in self.rows.values_mut() {
            if row.lease.as_ref().is_some_and(|lease| lease.worker == worker) {
                row.shown.lease_expires_at = Some(until);
            }
        }
    }

    /// What waits and has passed its last useful moment expires, the longest past first.
    pub fn expire(&mut self, limit: usize) -> usize {
        let now = self.now;
        let mut past: Vec<_> = self
            .rows
            .iter()
            .map(|(id, row)| (row.shown.summary.expires_at, *id, row.shown.summary.status))
            .filter(|(_, _, status)| matches!(status, Status::Pending | Status::Held))
            .filter_map(|(at, id, _)| at.filter(|at| *at <= now).map(|at| (at, id)))
            .collect();
        past.sort_unstable();
        past.truncate(limit);
        for (_, id) in &past {
            let row = self.rows.get_mut(id).expect("it is there");
            row.becomes(Status::Expired, Some(Reason::Expired), now);
            self.channels.get_mut(&row.shown.summary.channel).expect("known").touched(now);
        }
        past.len()
    }

    /// Lets a channel go and forgets its trouble; says whether anything held it back.
    pub fn release_channel(&mut self, name: &str) -> bool {
        let Some(channel) = self.channels.get_mut(name) else { return false };
        let trouble = std::mem::take(&mut channel.breaker);
        channel.held.take().is_some()
            || trouble.failures > 0
            || trouble.paused_until.is_some()
            || trouble.probing_until.is_some()
    }

    /// A verb applies where the status machine lets it, and names what it could not change.
    pub fn steer(
        &mut self,
        (from, which): (&[Status], &Selection),
        change: impl Fn(&mut Row, Timestamp),
    ) -> Changed {
        let mut changed = Changed::default();
        let ids = match which {
            Selection::Ids(ids) => once(ids),
            Selection::Matching { filter, limit } => {
                let fits = |row: &&Row| {
                    from.contains(&row.shown.summary.status) && matches(filter, &row.shown.summary)
                };
                self.rows.values().filter(fits).map(|row| row.shown.summary.id).take(*limit).collect()
            }
        };
        for id in ids {
            match self.rows.get_mut(&id) {
                None => changed.missing.push(id),
                Some(row) if from.contains(&row.shown.summary.status) => {
                    change(row, self.now);
                    self.channels.get_mut(&row.shown.summary.channel).expect("known").touched(self.now);
                    changed.changed.push(id);
                }
                Some(row) => changed.refused.push((id, row.shown.summary.status)),
            }
        }
        changed
    }

    /// One bite: rows by rising id, up to the first that is too young to have been settled so long ago.
    pub fn purge(&mut self, purge: &Purge) -> Purged {
        self.forget_by(purge.settled_before);
        let bite: Vec<Id> = self
            .rows
            .range(purge.from..)
            .take(purge.limit)
            .take_while(|(_, row)| {
                let created_at = row.shown.summary.created_at;
                // One from a time to come tells of a clock that was wrong, and not of those behind it.
                created_at < purge.settled_before || created_at > purge.now
            })
            .map(|(id, _)| *id)
            .collect();
        let mut removed = 0;
        for id in &bite {
            let Summary { status, settled_at, .. } = self.rows[id].shown.summary;
            if purge.statuses.contains(&status) && settled_at.is_some_and(|at| at < purge.settled_before) {
                let row = self.rows.remove(id).expect("it is there");
                self.channels.get_mut(&row.shown.summary.channel).expect("known").purged += 1;
                if let Some(batch) = row.shown.summary.batch_id {
                    self.batches.get_mut(&batch).expect("known").1 += 1;
                }
                removed += 1;
            }
        }
        let whole = bite.len() == purge.limit;
        Purged { removed, next: bite.last().filter(|_| whole).map(|id| id + 1), took: Duration::ZERO }
    }

    /// P2, counted: where everything stands, per channel.
    pub fn counts(&self) -> Counts {
        let of = |(name, channel): (&String, &Channel)| {
            let rows = self.rows.values().filter(|row| row.shown.summary.channel == *name);
            (name.clone(), counted(channel.accepted, channel.purged, rows))
        };
        Counts { channels: self.channels.iter().map(of).collect(), wrong: Vec::new() }
    }

    pub fn batch(&self, id: Id) -> Batch {
        let (batch, purged) = &self.batches[&id];
        let rows = self.rows.values().filter(|row| row.shown.summary.batch_id == Some(id));
        Batch { counts: counted(batch.counts.accepted, *purged, rows), ..batch.clone() }
    }

    pub fn due(&self) -> Vec<Due> {
        let of = |channel: &String| {
            let oldest = self.pending(channel).min()?;
            let oldest_due_at = Some(oldest).filter(|at| *at <= self.now);
            Some(Due { channel: channel.clone(), oldest_due_at, next_due_at: self.next_due(channel) })
        };
        self.channels.keys().filter_map(of).collect()
    }

    /// The key that may be shown of a notification, and whether it must be.
    pub fn key_of(&self, id: Id) -> Option<(&str, bool)> {
        let (guard, key) = self.keys.iter().find(|(_, key)| key.id == id)?;
        Some((&guard.0, key.until > self.now && !key.stale))
    }
}

impl Channel {
    fn touched(&mut self, now: Timestamp) {
        self.seen = self.seen.max(now);
    }

    fn look(&mut self, rates: &[Rate], now: Timestamp) {
        if self.used.is_empty() {
            self.used = rates.iter().map(|rate| Used::new(*rate)).collect();
        }
        self.used.iter_mut().for_each(|used| used.seen(now));
    }

    /// How many may begin: at least, and at most.
    fn within_rates(&self, now: Timestamp) -> (u32, u32) {
        let all = self.used.iter().map(|used| used.free(now));
        all.fold((u32::MAX, u32::MAX), |(a, b), (least, most)| (a.min(least), b.min(most)))
    }

    fn free_by(&self) -> Timestamp {
        self.used.iter().map(Used::free_by).max().unwrap_or_default()
    }
}

fn counted<'a>(accepted: u64, purged: u64, rows: impl Iterator<Item = &'a Row>) -> ChannelCounts {
    let mut counts = ChannelCounts { accepted, purged, ..ChannelCounts::default() };
    for row in rows {
        counts.statuses[row.shown.summary.status as usize] += 1;
    }
    counts
}

/// Each id counts once.
fn once(ids: &[Id]) -> Vec<Id> {
    let mut seen = BTreeSet::new();
    ids.iter().copied().filter(|id| seen.insert(*id)).collect()
}

fn matches(filter: &Filter, one: &Summary) -> bool {
    (filter.statuses.is_empty() || filter.statuses.contains(&one.status))
        && filter.channel.as_ref().is_none_or(|channel| *channel == one.channel)
        && filter.batch_id.is_none_or(|batch| Some(batch) == one.batch_id)
}
