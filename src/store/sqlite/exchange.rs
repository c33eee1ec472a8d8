//! One round of a worker: results back, unused claims back, new claims out, in one transaction.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::counters::Counters;
use super::failure::no_room;
use super::sql::sql;
use super::{Sqlite, claim, enqueue, set_back, trouble, windows};
use crate::model::{Breaker, Status, Timestamp};
use crate::store::{Exchange, Exchanged, GiveBack, Portion, Result, Settlement, Taken};

/// The breakers that this round has read, as they were (if that could be read) and as they are.
pub(super) type Breakers = BTreeMap<String, (Option<Breaker>, Breaker)>;

impl Sqlite {
    /// The exchange by itself.
    pub(super) fn exchange_alone(&mut self, exchange: &Exchange) -> Result<Exchanged> {
        let begun = Cell::new(Instant::now());
        let work = |connection: &Connection| self.exchange_in(connection, exchange, &begun);
        // Who claims wants more; and what is under way must find what was set aside for it.
        let room = (exchange.claim.is_empty() && exchange.outstanding == 0).then_some(&self.room);
        let answer = self.write_hard("write results to", work, room)?;
        self.hold_limit();
        Ok(self.timed(answer, &begun))
    }

    /// The exchange behind what is accepted, which it may claim already. No room is looked for: where there is none, each
    /// is to find its own.
    pub(super) fn exchange_behind(
        &mut self,
        now: Timestamp,
        portions: &[Portion],
        exchange: &Exchange,
    ) -> Result<(Vec<Taken>, Exchanged)> {
        let begun = Cell::new(Instant::now());
        let (taken, answer) = self.write("enqueue, and write results to", |connection| {
            let taken = enqueue::portions(connection, now, portions)?;
            Ok((taken, self.exchange_in(connection, exchange, &begun)?))
        })?;
        self.hold_limit();
        Ok((taken, self.timed(answer, &begun)))
    }

    /// Does it in the transaction that is open; `begun` is when it began.
    fn exchange_in(
        &self,
        connection: &Connection,
        exchange: &Exchange,
        begun: &Cell<Instant>,
    ) -> rusqlite::Result<Exchanged> {
        begun.set(Instant::now());
        let answer = self::exchange(connection, exchange, self.worker_name(exchange.worker))?;
        self.room.keep(&self.path, exchange, &answer).map_err(|error| no_room(&error))?;
        Ok(answer)
    }

    fn timed(&self, answer: Exchanged, begun: &Cell<Instant>) -> Exchanged {
        Exchanged { held: begun.get().elapsed(), company: self.line.had_company(), ..answer }
    }
}

/// Does all of it in the transaction that is open. `worker` is the name to be kept beside the number.
fn exchange(
    connection: &Connection,
    exchange: &Exchange,
    worker: Option<&str>,
) -> rusqlite::Result<Exchanged> {
    let mut counters = Counters::at(exchange.now);
    let mut breakers = Breakers::new();
    let mut answer = Exchanged::default();
    set_back::heed(connection, exchange, &mut breakers)?;
    for settlement in &exchange.settle {
        let written = settle(connection, settlement, &mut counters)?;
        if written {
            let breaker = trouble::breaker(connection, &mut breakers, &settlement.channel)?;
            breaker.record(&settlement.verdict, exchange.now, exchange.jitter);
        }
        answer.settled.push(written);
    }
    windows::ended(connection, exchange)?;
    for unused in &exchange.give_back {
        give_back(connection, unused, &mut counters)?;
    }
    for wish in &exchange.claim {
        answer.claims.push(claim::claim(connection, exchange, wish, &mut breakers, &mut counters)?);
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

/// Writes one result, if its lease is still that of the claim.
fn settle(
    connection: &Connection,
    settlement: &Settlement,
    counters: &mut Counters,
) -> rusqlite::Result<bool> {
    let Settlement { verdict, transition, .. } = settlement;
    let settled_at = transition.status.is_final().then_some(settlement.ended_at);
    let mut update = connection.prepare_cached(sql!("settle"))?;
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
    ])?;
    if changed == 0 {
        let late = format!("{} {} {}", verdict.outcome, verdict.reason, verdict.detail);
        let mut evidence = connection.prepare_cached(sql!("attempt_late"))?;
        if evidence.execute(params![settlement.id, settlement.attempt, late.trim_end()])? > 0 {
            counters.told.noted(settlement.id);
        }
        return Ok(false);
    }
    let mut attempt = connection.prepare_cached(sql!("attempt"))?;
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

fn give_back(connection: &Connection, unused: &GiveBack, counters: &mut Counters) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(sql!("give_back"))?;
    if update.execute(params![unused.id, unused.attempt, unused.lease_token])? > 0 {
        counters.moved(&unused.channel, unused.batch_id, Status::Sending, Status::Pending);
        counters.told.given_back(unused.id, unused.attempt);
    }
    Ok(())
}

/// How long a probe keeps the others back: as long as its lease lasts.
pub(super) fn probe_limit(lease: Duration) -> Duration {
    lease
}
