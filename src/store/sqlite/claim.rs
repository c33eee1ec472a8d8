//! Taking work exclusively: what is due, in order of priority and age, within the channel's limits.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::counters::Counters;
use super::exchange::{Breakers, probe_limit};
use super::sql::sql;
use super::{content, trouble};
use crate::model::time::millis;
use crate::model::{Priority, Rate, RateWindow, Status, Timestamp};
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
    let mut windows = read_windows(connection, wish, now)?;
    let granted = windows.iter().map(|window| window.free(now)).min().unwrap_or(u32::MAX);
    if granted == 0 {
        return nothing(LimitedBy::Rate(next_free(&windows, now)));
    }
    let limit = wish.limit.min(free).min(granted);
    let claimed = take(connection, exchange, wish, limit)?;
    let taken = u32::try_from(claimed.len()).unwrap_or(u32::MAX);
    for one in &claimed {
        counters.moved(&wish.channel, one.batch_id, Status::Pending, Status::Sending);
    }
    if taken > 0 {
        breaker.begin(now, probe_limit(wish.lease));
        keep_windows(connection, wish, &mut windows, now, taken)?;
    }
    let limited_by = if taken < limit {
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

fn take(
    connection: &Connection,
    exchange: &Exchange,
    wish: &Claim,
    limit: u32,
) -> rusqlite::Result<Vec<Claimed>> {
    let mut statement = connection.prepare_cached(sql!("claim"))?;
    let mut rows = statement.query(params![
        wish.channel,
        exchange.now,
        limit,
        exchange.worker,
        wish.lease_token,
        exchange.now.plus(wish.lease),
        millis(Priority::High.handicap()),
        millis(Priority::Normal.handicap()),
        millis(Priority::Low.handicap()),
    ])?;
    let mut taken = Vec::with_capacity(limit.min(1024) as usize);
    while let Some(row) = rows.next()? {
        taken.push(read(row, wish)?);
    }
    // SQLite returns updated rows in no promised order.
    taken.sort_unstable_by_key(|one| (one.rank, one.claimed.id));
    drop(rows);
    taken
        .into_iter()
        .map(|Taken { mut claimed, parts, .. }| {
            if parts > 0 {
                content::read_parts(connection, claimed.id, &mut claimed.content)?;
            }
            Ok(claimed)
        })
        .collect()
}

struct Taken {
    rank: Timestamp,
    parts: i64,
    claimed: Claimed,
}

fn read(row: &Row<'_>, wish: &Claim) -> rusqlite::Result<Taken> {
    let (content, parts) = content::read(row, 9)?;
    let priority: Priority = row.get(4)?;
    let due: Timestamp = row.get(14)?;
    let claimed = Claimed {
        id: row.get(0)?,
        attempt: row.get(1)?,
        lease_token: wish.lease_token,
        channel: wish.channel.clone(),
        batch_id: row.get(2)?,
        user_id: row.get(3)?,
        priority,
        created_at: row.get(5)?,
        expires_at: row.get(6)?,
        retries: row.get(7)?,
        crashes: row.get(8)?,
        content,
    };
    Ok(Taken { rank: due.plus(priority.handicap()), parts, claimed })
}

fn next_due(connection: &Connection, channel: &str, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    connection.prepare_cached(sql!("next_due"))?.query_row(params![channel, now], |row| row.get(0))
}

fn next_free(windows: &[RateWindow], now: Timestamp) -> Timestamp {
    windows.iter().map(|window| window.next_free(now)).max().unwrap_or(now)
}

fn read_windows(connection: &Connection, wish: &Claim, now: Timestamp) -> rusqlite::Result<Vec<RateWindow>> {
    wish.rates.iter().map(|rate| read_window(connection, &wish.channel, *rate, now)).collect()
}

fn read_window(
    connection: &Connection,
    channel: &str,
    rate: Rate,
    now: Timestamp,
) -> rusqlite::Result<RateWindow> {
    let mut query = connection.prepare_cached(sql!("rate_window"))?;
    let entries: Option<String> =
        query.query_row(params![channel, rate.to_string()], |row| row.get(0)).optional()?;
    Ok(RateWindow::restore(rate, &parse_entries(entries.as_deref().unwrap_or("[]")), now))
}

/// A window that cannot be read counts as empty: it is a limit on speed, and no reason to stop sending.
pub(super) fn parse_entries(text: &str) -> Vec<(Timestamp, u32)> {
    let entries: Vec<(i64, u32)> = serde_json::from_str(text).unwrap_or_default();
    entries.into_iter().map(|(at, n)| (Timestamp(at), n)).collect()
}

fn keep_windows(
    connection: &Connection,
    wish: &Claim,
    windows: &mut [RateWindow],
    now: Timestamp,
    taken: u32,
) -> rusqlite::Result<()> {
    for (rate, window) in wish.rates.iter().zip(windows) {
        window.take(now, taken);
        let entries: Vec<(i64, u32)> = window.entries().into_iter().map(|(at, n)| (at.0, n)).collect();
        let text = serde_json::to_string(&entries).expect("numbers are JSON");
        let mut keep = connection.prepare_cached(sql!("rate_window_keep"))?;
        keep.execute(params![wish.channel, rate.to_string(), text])?;
    }
    Ok(())
}
