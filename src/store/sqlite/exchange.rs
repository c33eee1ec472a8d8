//! One round of a worker: results back, unused claims back, new claims out, in one transaction.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rusqlite::{CachedStatement, Connection, params};

use super::claim::Opening;
use super::counters::Counters;
use super::failure::no_room;
use super::sql::sql;
use super::{Sqlite, enqueue, set_back, trouble, windows};
use crate::clock::since_boot;
use crate::model::{Breaker, Status, Timestamp};
use crate::store::{Exchange, Exchanged, GiveBack, Portion, Result, Settlement, Taken};

/// The breakers that this round has read, as they were (if that could be read) and as they are.
pub(super) type Breakers = BTreeMap<String, (Option<Breaker>, Breaker)>;

impl Sqlite {
    /// The exchange by itself.
    pub(super) fn exchange_alone(&mut self, exchange: &Exchange) -> Result<Exchanged> {
        let begun = Begun::asked();
        let work = |connection: &Connection| self.exchange_in(connection, exchange, &begun, |_, _| Ok(()));
        // Who claims wants more; and what is under way must find what was set aside for it.
        let room = (exchange.claim.is_empty() && exchange.outstanding == 0).then_some(&self.room);
        let answer = self.write_hard("write results to", work, room)?;
        self.hold_limit();
        Ok(self.timed(answer, &begun))
    }

    /// The exchange with what is accepted, which it may claim already. No room is looked for: where there is none, each
    /// is to find its own.
    pub(super) fn exchange_with(
        &mut self,
        now: Timestamp,
        portions: &[Portion],
        exchange: &Exchange,
    ) -> Result<(Vec<Taken>, Exchanged)> {
        let begun = Begun::asked();
        let mut accepting = Duration::ZERO;
        let (taken, answer) = self.write("enqueue, and write results to", |connection| {
            let mut taken = Vec::new();
            let answer = self.exchange_in(connection, exchange, &begun, |openings, counters| {
                let began = Instant::now();
                for opening in &mut *openings {
                    opening.expect(portions.iter().flat_map(|portion| &portion.new))?;
                }
                taken = enqueue::portions_for(connection, now, portions, openings, counters)?;
                accepting = began.elapsed();
                Ok(())
            })?;
            Ok((taken, answer))
        })?;
        self.hold_limit();
        let answer = self.timed(answer, &begun);
        Ok((taken, Exchanged { held: answer.held.saturating_sub(accepting), ..answer }))
    }

    /// Does it in the transaction that is open, and notes when that has begun.
    fn exchange_in(
        &self,
        connection: &Connection,
        exchange: &Exchange,
        begun: &Begun,
        accept: impl FnOnce(&mut [Opening<'_>], &mut Counters) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<Exchanged> {
        begun.at.set(Instant::now());
        let mut breakers = Breakers::new();
        set_back::heed(connection, exchange, begun.waited(), &mut breakers)?;
        let worker = self.worker_name(exchange.worker);
        let answer = self::exchange(connection, exchange, (worker, breakers), accept)?;
        self.room.keep(&self.path, exchange, &answer).map_err(|error| no_room(&error))?;
        Ok(answer)
    }

    fn timed(&self, answer: Exchanged, begun: &Begun) -> Exchanged {
        Exchanged { held: begun.at.get().elapsed(), company: self.line.had_company(), ..answer }
    }
}

/// When an exchange was asked for, and when the transaction began that does it.
struct Begun {
    /// By a clock that goes on while the machine sleeps, as that goes on by which the others date what they do.
    asked: Duration,
    at: Cell<Instant>,
}

impl Begun {
    fn asked() -> Self {
        Self { asked: since_boot(), at: Cell::new(Instant::now()) }
    }

    /// How long ago it was asked for.
    fn waited(&self) -> Duration {
        since_boot().saturating_sub(self.asked)
    }
}

/// Does all of it in the transaction that is open. `worker` is the name to be kept beside the number, `breakers` are those
/// that have been read already; `accept` is called when the claims have looked what waits, and before they take it.
fn exchange(
    connection: &Connection,
    exchange: &Exchange,
    (worker, mut breakers): (Option<&str>, Breakers),
    accept: impl FnOnce(&mut [Opening<'_>], &mut Counters) -> rusqlite::Result<()>,
) -> rusqlite::Result<Exchanged> {
    let mut counters = Counters::at(exchange.now);
    let mut answer = Exchanged::default();
    // Before the results are written: with them goes the moment of the claim.
    windows::ended(connection, exchange)?;
    answer.settled = settle_all(connection, exchange, &mut breakers, &mut counters)?;
    give_back_all(connection, exchange, &mut breakers, &mut counters)?;
    // Who wishes once more for the same channel has to see what was taken before.
    let mut channels = BTreeSet::new();
    let once = exchange.claim.iter().take_while(|wish| channels.insert(&wish.channel)).count();
    let look = |wish| Opening::new(connection, exchange, wish, &mut breakers);
    let mut openings = exchange.claim[..once].iter().map(look).collect::<rusqlite::Result<Vec<_>>>()?;
    accept(&mut openings, &mut counters)?;
    for opening in openings {
        answer.claims.push(opening.take(&mut breakers, &mut counters)?);
    }
    for wish in &exchange.claim[once..] {
        let opening = Opening::new(connection, exchange, wish, &mut breakers)?;
        answer.claims.push(opening.take(&mut breakers, &mut counters)?);
    }
    let claimed = answer.claims.iter().any(|reply| !reply.claimed.is_empty());
    if let (true, Some(name)) = (claimed, worker) {
        let mut remember = connection.prepare_cached(sql!("worker_remember"))?;
        remember.execute(params![exchange.worker, name, exchange.now])?;
    }
    trouble::tell(&breakers, &mut counters.told);
    // The counters make the channel's row, which the breaker then changes.
    counters.write(connection)?;
    trouble::write(connection, &breakers)?;
    Ok(answer)
}

/// Writes the results; says of each whether it was still to be written.
fn settle_all(
    connection: &Connection,
    exchange: &Exchange,
    breakers: &mut Breakers,
    counters: &mut Counters,
) -> rusqlite::Result<Vec<bool>> {
    if exchange.settle.is_empty() {
        return Ok(Vec::new());
    }
    // Looked up once for all of them.
    let mut update = connection.prepare_cached(sql!("settle"))?;
    let mut attempt = connection.prepare_cached(sql!("attempt"))?;
    let write = |settlement: &Settlement| {
        let written = settle(connection, (&mut update, &mut attempt), settlement, counters)?;
        if written {
            let breaker = trouble::breaker(connection, breakers, &settlement.channel)?;
            breaker.record(&settlement.verdict, exchange.now, exchange.jitter);
        }
        Ok(written)
    };
    exchange.settle.iter().map(write).collect()
}

/// Writes one result, if its lease is still that of the claim.
fn settle(
    connection: &Connection,
    (update, attempt): (&mut CachedStatement<'_>, &mut CachedStatement<'_>),
    settlement: &Settlement,
    counters: &mut Counters,
) -> rusqlite::Result<bool> {
    let Settlement { verdict, transition, .. } = settlement;
    let settled_at = transition.status.is_final().then_some(settlement.ended_at);
    // Patience begins with what the other side has had before it.
    let tried_at = (!verdict.reason.is_of_the_worker()).then_some(settlement.started_at);
    let changed = update.execute(params![
        settlement.id,
        settlement.attempt,
        settlement.lease_token,
        transition.status,
        transition.reason,
        transition.next_attempt_at,
        settled_at,
        transition.retries,
        transition.crashes,
        tried_at,
    ])?;
    if changed == 0 {
        if verdict.reason.is_of_the_worker() {
            // Another heir was first. What counts as evidence is what the worker itself may yet say.
            return Ok(false);
        }
        let late = format!("{} {} {}", verdict.outcome, verdict.reason, verdict.detail);
        let mut evidence = connection.prepare_cached(sql!("attempt_late"))?;
        if evidence.execute(params![settlement.id, settlement.attempt, late.trim_end()])? > 0 {
            counters.told.noted(settlement.id);
        }
        return Ok(false);
    }
    attempt.execute(params![
        settlement.id,
        settlement.attempt,
        settlement.worker,
        settlement.started_at,
        settlement.ended_at,
        verdict.outcome,
        verdict.reason,
        verdict.detail,
    ])?;
    counters.moved(&settlement.channel, settlement.batch_id, Status::Sending, transition.status);
    counters.told.settled(settlement.id, settlement.attempt, transition.status);
    Ok(true)
}

fn give_back_all(
    connection: &Connection,
    exchange: &Exchange,
    breakers: &mut Breakers,
    counters: &mut Counters,
) -> rusqlite::Result<()> {
    let mut uncounted: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    for unused in &exchange.give_back {
        let claimed_at = give_back(connection, unused, breakers, counters)?;
        if let Some(at) = claimed_at.filter(|_| unused.uncounted) {
            uncounted.entry(&unused.channel).or_default().push(at);
        }
    }
    windows::given_back(connection, exchange.now, uncounted)
}

/// Gives one back; says when it was claimed, if its lease was still that of the claim and somebody wants to know.
fn give_back(
    connection: &Connection,
    unused: &GiveBack,
    breakers: &mut Breakers,
    counters: &mut Counters,
) -> rusqlite::Result<Option<Timestamp>> {
    let lease = params![unused.id, unused.attempt, unused.lease_token];
    let breaker = trouble::breaker(connection, breakers, &unused.channel)?;
    let probing = breaker.probing_until.is_some();
    let claimed_at = match probing || unused.uncounted {
        true => windows::claimed_at(connection, lease)?,
        false => None,
    };
    if let Some(at) = claimed_at.filter(|_| probing) {
        breaker.give_back(at);
    }
    let mut update = connection.prepare_cached(sql!("give_back"))?;
    if update.execute(lease)? > 0 {
        counters.moved(&unused.channel, unused.batch_id, Status::Sending, Status::Pending);
        counters.told.given_back(unused.id, unused.attempt);
    }
    Ok(claimed_at)
}

/// How long a probe keeps the others back: as long as its lease lasts.
pub(super) fn probe_limit(lease: Duration) -> Duration {
    lease
}
