//! Taking work exclusively: what is due, in order of priority and age, within the channel's limits.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::counters::Counters;
use super::exchange::{Breakers, probe_limit};
use super::failure::is_unreadable;
use super::sql::sql;
use super::{content, trouble, windows};
use crate::model::priority::RETRIED_HANDICAP;
use crate::model::{Id, Priority, RateWindow, Status, Timestamp};
use crate::store::{Claim, ClaimReply, Claimed, Exchange, LimitedBy};

/// Claims for one channel in the transaction that is open.
pub(super) fn claim(
    connection: &Connection,
    exchange: &Exchange,
    wish: &Claim,
    breakers: &mut Breakers,
    counters: &mut Counters,
) -> rusqlite::Result<ClaimReply> {
    let now = exchange.now;
    let nothing = |limited_by| Ok(ClaimReply { claimed: Vec::new(), limited_by });
    if trouble::state(connection, &wish.channel)?.0.is_some() {
        return nothing(LimitedBy::Held);
    }
    let breaker = trouble::breaker(connection, breakers, &wish.channel)?;
    let free = breaker.free(now);
    if let (0, Some(at)) = (free, breaker.clears_at()) {
        return nothing(LimitedBy::Paused(at));
    }
    let mut windows = windows::of_claim(connection, wish, now)?;
    let granted = windows.iter().map(|window| window.free(now)).min().unwrap_or(u32::MAX);
    if granted == 0 {
        return nothing(LimitedBy::Rate(next_free(&windows, now)));
    }
    let limit = wish.limit.min(free).min(granted);
    let head = head(connection, wish, now, limit)?;
    let found = u32::try_from(head.len()).unwrap_or(u32::MAX);
    let claimed = take(connection, exchange, wish, head, counters)?;
    let taken = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
    for one in &claimed {
        counters.moved(&wish.channel, one.batch_id, Status::Pending, Status::Sending);
        counters.told.claimed(one.id, one.attempt);
    }
    if taken > 0 {
        breaker.begin(now, probe_limit(wish.lease));
        for (rate, window) in wish.rates.iter().zip(&mut windows) {
            window.take(now, taken);
            windows::keep(connection, &wish.channel, *rate, window)?;
        }
    }
    let limited_by = if found < limit {
        LimitedBy::Due(next_due(connection, &wish.channel, now)?)
    } else if let (true, Some(at)) = (limit < wish.limit && limit == free, breaker.clears_at()) {
        LimitedBy::Paused(at)
    } else if limit < wish.limit {
        LimitedBy::Rate(next_free(&windows, now))
    } else {
        LimitedBy::Nothing
    };
    Ok(ClaimReply { claimed, limited_by })
}

/// The head of the queue: by age, with a handicap for each lower priority, and for what was deferred.
fn head(connection: &Connection, wish: &Claim, now: Timestamp, limit: u32) -> rusqlite::Result<Vec<Id>> {
    let mut heads = Vec::new();
    let mut head = connection.prepare_cached(sql!("claim_head"))?;
    for (priority, retried) in
        Priority::ALL.into_iter().flat_map(|priority| [(priority, false), (priority, true)])
    {
        let handicap = priority.handicap() + if retried { RETRIED_HANDICAP } else { Duration::ZERO };
        let mut rows = head.query(params![wish.channel, priority, retried, now, limit])?;
        while let Some(row) = rows.next()? {
            let (id, due): (Id, Timestamp) = (row.get(0)?, row.get(1)?);
            heads.push((due.plus(handicap), id));
        }
    }
    heads.sort_unstable();
    heads.truncate(limit as usize);
    Ok(heads.into_iter().map(|(_, id)| id).collect())
}

/// Takes these; one that cannot be read is set aside, and does not stop the rest.
fn take(
    connection: &Connection,
    exchange: &Exchange,
    wish: &Claim,
    ids: Vec<Id>,
    counters: &mut Counters,
) -> rusqlite::Result<Vec<Claimed>> {
    let mut taken = Vec::with_capacity(ids.len());
    for id in ids {
        match take_one(connection, exchange, wish, id) {
            Ok(claimed) => taken.push(claimed),
            Err(error) if is_unreadable(&error) => {
                connection.prepare_cached(sql!("set_aside"))?.execute(params![id, exchange.now])?;
                let batch = connection.prepare_cached(sql!("one"))?.query_row([id], |row| row.get(2))?;
                counters.moved(&wish.channel, batch, Status::Pending, Status::Dead);
                counters.told.set_aside(id);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

fn take_one(connection: &Connection, exchange: &Exchange, wish: &Claim, id: Id) -> rusqlite::Result<Claimed> {
    let mut read = connection.prepare_cached(sql!("claim_read"))?;
    let (mut claimed, parts) = read.query_row([id], |row| claimed(row, wish, id))?;
    if parts > 0 {
        content::read_parts(connection, id, &mut claimed.content)?;
    }
    let mut take = connection.prepare_cached(sql!("claim"))?;
    let lease_expires_at = exchange.now.plus(wish.lease);
    take.execute(params![id, exchange.now, exchange.worker, wish.lease_token, lease_expires_at])?;
    Ok(claimed)
}

/// What the row holds, and how many parts belong to it.
fn claimed(row: &Row<'_>, wish: &Claim, id: Id) -> rusqlite::Result<(Claimed, i64)> {
    let (content, parts) = content::read(row, 8)?;
    let claimed = Claimed {
        id,
        attempt: row.get(0)?,
        lease_token: wish.lease_token,
        channel: wish.channel.clone(),
        batch_id: row.get(1)?,
        user_id: row.get(2)?,
        priority: row.get(3)?,
        created_at: row.get(4)?,
        expires_at: row.get(5)?,
        retries: row.get(6)?,
        crashes: row.get(7)?,
        content,
    };
    Ok((claimed, parts))
}

fn next_due(connection: &Connection, channel: &str, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    connection.prepare_cached(sql!("next_due"))?.query_row(params![channel, now], |row| row.get(0))
}

fn next_free(windows: &[RateWindow], now: Timestamp) -> Timestamp {
    windows.iter().map(|window| window.next_free(now)).max().unwrap_or(now)
}
