//! One round of a worker: results back, unused claims back, new claims out, in one transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::counters::Counters;
use super::sql::sql;
use super::{claim, set_back, trouble, windows};
use crate::model::{Breaker, Status};
use crate::store::{Exchange, Exchanged, GiveBack, Settlement};

/// The breakers that this round has read, as they were (if that could be read) and as they are.
pub(super) type Breakers = BTreeMap<String, (Option<Breaker>, Breaker)>;

/// Does all of it in the transaction that is open. `worker` is the name to be kept beside the number.
pub(super) fn exchange(
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
