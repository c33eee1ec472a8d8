//! Taking work exclusively: what is due, in order of priority and age, within the channel's limits.

use std::time::Duration;

use rusqlite::{CachedStatement, Connection, Row, ToSql, params, params_from_iter};

use super::counters::Counters;
use super::exchange::{Breakers, probe_limit};
use super::failure::is_unreadable;
use super::sql::sql;
use super::{content, trouble, windows};
use crate::model::priority::RETRIED_HANDICAP;
use crate::model::{Id, NewNotification, Priority, Rate, RateWindow, Status, Timestamp};
use crate::store::{Claim, ClaimReply, Claimed, Exchange, LimitedBy};

/// A claim for one channel that has looked at what waits, in the transaction that is open, and has yet to take it.
///
/// What is accepted in between takes part as if it had waited already; where there is room for all of it, it is
/// inserted as claimed, and does not go through the queue.
pub(super) struct Opening<'e> {
    connection: &'e Connection,
    exchange: &'e Exchange,
    wish: &'e Claim,
    /// Why nothing can be taken, if that is so.
    shut: Option<LimitedBy>,
    /// Those of its rates, then all others of the channel.
    windows: Vec<(Rate, RateWindow)>,
    /// How many the breaker allows, and how many may be taken in all.
    free: u32,
    limit: u32,
    /// What waits, with its turn.
    head: Vec<(Timestamp, Id)>,
    /// How to insert as claimed.
    at_once: Option<CachedStatement<'e>>,
    /// What was inserted so.
    taken: Vec<(Timestamp, Claimed)>,
}

impl<'e> Opening<'e> {
    /// Looks for `wish`.
    pub(super) fn new(
        connection: &'e Connection,
        exchange: &'e Exchange,
        wish: &'e Claim,
        breakers: &mut Breakers,
    ) -> rusqlite::Result<Self> {
        let now = exchange.now;
        let mut opening = Self {
            connection,
            exchange,
            wish,
            shut: None,
            windows: Vec::new(),
            free: 0,
            limit: 0,
            head: Vec::new(),
            at_once: None,
            taken: Vec::new(),
        };
        if trouble::state(connection, &wish.channel)?.0.is_some() {
            opening.shut = Some(LimitedBy::Held);
            return Ok(opening);
        }
        let breaker = trouble::breaker(connection, breakers, &wish.channel)?;
        opening.free = breaker.free(now);
        if let (0, Some(at)) = (opening.free, breaker.clears_at()) {
            opening.shut = Some(LimitedBy::Paused(at));
            return Ok(opening);
        }
        opening.windows = windows::of_claim(connection, wish, now)?;
        let own = &opening.windows[..wish.rates.len()];
        let granted = own.iter().map(|(_, window)| window.free(now)).min().unwrap_or(u32::MAX);
        if granted == 0 {
            opening.shut = Some(LimitedBy::Rate(next_free(own, now)));
            return Ok(opening);
        }
        opening.limit = wish.limit.min(opening.free).min(granted);
        opening.head = head(connection, wish, now, opening.limit)?;
        Ok(opening)
    }

    /// All of `new`, or a part of it, is about to be accepted.
    pub(super) fn expect<'n>(
        &mut self,
        new: impl Iterator<Item = &'n NewNotification>,
    ) -> rusqlite::Result<()> {
        let coming = new.filter(|new| new.channel == self.wish.channel).count();
        if coming > 0 && self.head.len() + coming <= self.limit as usize {
            self.at_once = Some(self.connection.prepare_cached(sql!("enqueue_claimed"))?);
        }
        Ok(())
    }

    /// Whether `new`, which is due at `due`, is for this claim.
    pub(super) fn is_for(&self, new: &NewNotification, due: Timestamp) -> bool {
        let now = self.exchange.now;
        new.channel == self.wish.channel && due <= now && new.expires_at.is_none_or(|at| at > now)
    }

    /// Inserts `row` by `pending`, or as claimed; `claimed` makes of its id what the worker gets.
    pub(super) fn insert(
        &mut self,
        pending: &mut CachedStatement<'_>,
        row: &[&dyn ToSql],
        (due, priority): (Timestamp, Priority),
        claimed: impl FnOnce(Id, &Claim) -> Claimed,
    ) -> rusqlite::Result<Id> {
        let turn = due.plus(priority.handicap());
        let Some(statement) = &mut self.at_once else {
            let id = pending.insert(row)?;
            self.head.push((turn, id));
            return Ok(id);
        };
        let Exchange { now, worker, .. } = self.exchange;
        let lease_expires_at = now.plus(self.wish.lease);
        let lease: [&dyn ToSql; 4] = [now, worker, &self.wish.lease_token, &lease_expires_at];
        let id = statement.insert(params_from_iter(row.iter().chain(&lease)))?;
        self.taken.push((turn, claimed(id, self.wish)));
        Ok(id)
    }

    /// Takes what may be taken.
    pub(super) fn take(
        self,
        breakers: &mut Breakers,
        counters: &mut Counters,
    ) -> rusqlite::Result<ClaimReply> {
        let Self { connection, exchange, wish, mut windows, free, limit, mut head, mut taken, .. } = self;
        if let Some(limited_by) = self.shut {
            return Ok(ClaimReply { claimed: Vec::new(), unreadable: Vec::new(), limited_by });
        }
        let now = exchange.now;
        head.sort_unstable();
        head.truncate(limit as usize - taken.len());
        let found = u32::try_from(head.len() + taken.len()).unwrap_or(u32::MAX);
        let unreadable = take_all(connection, exchange, wish, head, counters, &mut taken)?;
        taken.sort_unstable_by_key(|(turn, claimed)| (*turn, claimed.id));
        let mut claimed: Vec<Claimed> = taken.into_iter().map(|(_, claimed)| claimed).collect();
        let breaker = trouble::breaker(connection, breakers, &wish.channel)?;
        for one in &mut claimed {
            one.probes = breaker.failures > 0;
            counters.moved(&wish.channel, one.batch_id, Status::Pending, Status::Sending);
            counters.told.claimed(one.id, one.attempt);
        }
        let taken = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
        if taken > 0 {
            breaker.begin(now, probe_limit(wish.lease));
            windows::forget(connection, &wish.channel, &mut windows, wish.rates.len())?;
            for (rate, window) in &mut windows {
                window.take(now, exchange.lead, taken);
                windows::keep(connection, &wish.channel, *rate, window)?;
            }
        }
        let limited_by = if found < limit {
            LimitedBy::Due(next_due(connection, &wish.channel, now)?)
        } else if let (true, Some(at)) = (limit < wish.limit && limit == free, breaker.clears_at()) {
            LimitedBy::Paused(at)
        } else if limit < wish.limit {
            LimitedBy::Rate(next_free(&windows[..wish.rates.len()], now))
        } else {
            LimitedBy::Nothing
        };
        Ok(ClaimReply { claimed, unreadable, limited_by })
    }
}

/// The head of the queue: by age, with a handicap for each lower priority, and for what was deferred.
fn head(
    connection: &Connection,
    wish: &Claim,
    now: Timestamp,
    limit: u32,
) -> rusqlite::Result<Vec<(Timestamp, Id)>> {
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
    Ok(heads)
}

/// Takes these into `taken`; one that cannot be read is set aside, and does not stop the rest. Gives those.
fn take_all(
    connection: &Connection,
    exchange: &Exchange,
    wish: &Claim,
    head: Vec<(Timestamp, Id)>,
    counters: &mut Counters,
    taken: &mut Vec<(Timestamp, Claimed)>,
) -> rusqlite::Result<Vec<Id>> {
    let mut unreadable = Vec::new();
    if head.is_empty() {
        return Ok(unreadable);
    }
    taken.reserve(head.len());
    // Looked up once for all of them.
    let mut read = connection.prepare_cached(sql!("claim_read"))?;
    let mut take = connection.prepare_cached(sql!("claim"))?;
    let mut take_one = |id| {
        let (mut claimed, parts) = read.query_row([id], |row| claimed(row, wish, id))?;
        if parts > 0 {
            content::read_parts(connection, id, &mut claimed.content)?;
        }
        let lease_expires_at = exchange.now.plus(wish.lease);
        take.execute(params![id, exchange.now, exchange.worker, wish.lease_token, lease_expires_at])?;
        Ok(claimed)
    };
    for (turn, id) in head {
        match take_one(id) {
            Ok(claimed) => taken.push((turn, claimed)),
            Err(error) if is_unreadable(&error) => {
                connection.prepare_cached(sql!("set_aside"))?.execute(params![id, exchange.now])?;
                let batch = connection.prepare_cached(sql!("one"))?.query_row([id], |row| row.get(2))?;
                counters.moved(&wish.channel, batch, Status::Pending, Status::Dead);
                counters.told.set_aside(id);
                unreadable.push(id);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(unreadable)
}

/// What the row holds, and how many parts belong to it.
fn claimed(row: &Row<'_>, wish: &Claim, id: Id) -> rusqlite::Result<(Claimed, i64)> {
    let (content, parts) = content::read(row, 9)?;
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
        deferred_since: row.get(8)?,
        probes: false,
        content,
    };
    Ok((claimed, parts))
}

fn next_due(connection: &Connection, channel: &str, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    connection.prepare_cached(sql!("next_due"))?.query_row(params![channel, now], |row| row.get(0))
}

fn next_free(windows: &[(Rate, RateWindow)], now: Timestamp) -> Timestamp {
    windows.iter().map(|(_, window)| window.next_free(now)).max().unwrap_or(now)
}
