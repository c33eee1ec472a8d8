//! The windows of the channels' rates: read before a claim, kept after it, and moved when attempts end late.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Params, params};

use super::sql::sql;
use crate::model::{Rate, RateWindow, Timestamp};
use crate::store::{Claim, Exchange, Settlement};

/// Shorter attempts are within every rate's margin (`model::rate`): a hundredth of the shortest window.
const QUICK: Duration = Duration::from_millis(10);

/// The most windows of a channel that are kept beside those of its rates.
const OTHERS: usize = 16;

/// The windows in which a claim counts: those of its rates, in their order, and behind them all others that are kept of
/// the channel. Other processes may go by those, or by none of them yet: a rate holds over all.
pub(super) fn of_claim(
    connection: &Connection,
    wish: &Claim,
    now: Timestamp,
) -> rusqlite::Result<Vec<(Rate, RateWindow)>> {
    if wish.rates.is_empty() {
        return Ok(Vec::new());
    }
    let kept = of_channel(connection, &wish.channel, now)?;
    let its = |rate: &Rate| {
        let known = kept.iter().find(|(known, _)| known == rate).map(|(_, window)| window.clone());
        (*rate, known.unwrap_or_else(|| of_new_rate(*rate, &kept, now)))
    };
    let mut windows: Vec<_> = wish.rates.iter().map(its).collect();
    windows.extend(kept.into_iter().filter(|(rate, _)| !wish.rates.contains(rate)));
    Ok(windows)
}

/// The window of a rate that was never used: what was attempted under the channel's other rates counts, or a rate that
/// is changed would let all of it through once more. Of several windows the fullest knows most.
fn of_new_rate(rate: Rate, others: &[(Rate, RateWindow)], now: Timestamp) -> RateWindow {
    let known = others.iter().map(|(_, other)| RateWindow::restore(rate, &other.entries(), now));
    known.max_by_key(|window| window.used(now)).unwrap_or_else(|| RateWindow::new(rate))
}

/// All windows that are kept of a channel, also those of rates that are no longer configured.
pub(super) fn of_channel(
    connection: &Connection,
    channel: &str,
    now: Timestamp,
) -> rusqlite::Result<Vec<(Rate, RateWindow)>> {
    let mut query = connection.prepare_cached(sql!("rate_windows"))?;
    let rows = query.query_map([channel], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut windows = Vec::new();
    for row in rows {
        let (rate, entries) = row?;
        if let Ok(rate) = rate.parse() {
            windows.push((rate, RateWindow::restore(rate, &parse(&entries), now)));
        }
    }
    Ok(windows)
}

/// Forgets those of the windows of a claim that are too many, behind its `own`: each reload may bring another rate, and each
/// claim counts in all of them. The longest stay, for they know most: whoever still goes by another begins with what they know.
pub(super) fn forget(
    connection: &Connection,
    channel: &str,
    windows: &mut Vec<(Rate, RateWindow)>,
    own: usize,
) -> rusqlite::Result<()> {
    if windows.len() - own <= OTHERS {
        return Ok(());
    }
    windows[own..].sort_by_key(|(rate, _)| std::cmp::Reverse(rate.window()));
    for (rate, _) in windows.drain(own + OTHERS..) {
        connection.prepare_cached(sql!("rate_window_forget"))?.execute(params![channel, rate.to_string()])?;
    }
    Ok(())
}

/// Keeps a window.
pub(super) fn keep(
    connection: &Connection,
    channel: &str,
    rate: Rate,
    window: &RateWindow,
) -> rusqlite::Result<()> {
    let entries: Vec<(i64, u32)> = window.entries().into_iter().map(|(at, n)| (at.0, n)).collect();
    let text = serde_json::to_string(&entries).expect("numbers are JSON");
    connection
        .prepare_cached(sql!("rate_window_keep"))?
        .execute(params![channel, rate.to_string(), text])
        .map(drop)
}

/// The clock was set back by so much.
pub(super) fn set_back(
    connection: &Connection,
    channel: &str,
    seen: Timestamp,
    by: Duration,
) -> rusqlite::Result<()> {
    for (rate, mut window) in of_channel(connection, channel, seen)? {
        window.set_back(by);
        keep(connection, channel, rate, &window)?;
    }
    Ok(())
}

/// When the one with this id, attempt and token was claimed, if nobody else has had it since: as the windows have it,
/// by a clock that may have been set back since.
pub(super) fn claimed_at(connection: &Connection, lease: impl Params) -> rusqlite::Result<Option<Timestamp>> {
    connection.prepare_cached(sql!("claimed_at"))?.query_row(lease, |row| row.get(0)).optional()
}

/// Lets the attempts of a round that took long count from their end; their results are still to be written.
pub(super) fn ended(connection: &Connection, exchange: &Exchange) -> rusqlite::Result<()> {
    let mut slow: BTreeMap<&str, Vec<&Settlement>> = BTreeMap::new();
    for settlement in exchange.settle.iter().filter(|one| one.ended_at.since(one.started_at) > QUICK) {
        slow.entry(&settlement.channel).or_default().push(settlement);
    }
    for (channel, settlements) in slow {
        let windows = of_channel(connection, channel, exchange.now)?;
        if windows.is_empty() {
            continue;
        }
        let taken = |one: &&Settlement| claimed_at(connection, params![one.id, one.attempt, one.lease_token]);
        let taken = settlements.iter().map(taken).collect::<rusqlite::Result<Vec<_>>>()?;
        let seen = last_seen(connection, channel, exchange.now)?;
        change(connection, channel, windows, |window| {
            for (one, taken_at) in settlements.iter().zip(&taken) {
                window.ended(*taken_at, (one.started_at, one.ended_at), seen);
            }
        })?;
    }
    Ok(())
}

/// Lets what was claimed at these moments, by channel, count no more.
pub(super) fn given_back(
    connection: &Connection,
    now: Timestamp,
    claims: BTreeMap<&str, Vec<Timestamp>>,
) -> rusqlite::Result<()> {
    for (channel, claimed) in claims {
        let windows = of_channel(connection, channel, now)?;
        let seen = last_seen(connection, channel, now)?;
        change(connection, channel, windows, |window| {
            claimed.iter().for_each(|taken_at| window.give_back(*taken_at, seen));
        })?;
    }
    Ok(())
}

/// The latest moment at which anybody may have forgotten what counted no more then: a clock that was set back a little,
/// or was read before a long wait for the store, shows an earlier one.
fn last_seen(connection: &Connection, channel: &str, now: Timestamp) -> rusqlite::Result<Timestamp> {
    let mut query = connection.prepare_cached(sql!("channel_seen"))?;
    let seen: Option<Timestamp> = query.query_row([channel], |row| row.get(0)).optional()?;
    Ok(seen.map_or(now, |seen| seen.max(now)))
}

/// Changes the windows of a channel, and keeps those that became other ones.
fn change(
    connection: &Connection,
    channel: &str,
    windows: Vec<(Rate, RateWindow)>,
    change: impl Fn(&mut RateWindow),
) -> rusqlite::Result<()> {
    for (rate, mut window) in windows {
        let before = window.clone();
        change(&mut window);
        if window != before {
            keep(connection, channel, rate, &window)?;
        }
    }
    Ok(())
}

/// A window that cannot be read counts as empty: it is a limit on speed, and no reason to stop sending.
fn parse(text: &str) -> Vec<(Timestamp, u32)> {
    let entries: Vec<(i64, u32)> = serde_json::from_str(text).unwrap_or_default();
    entries.into_iter().map(|(at, n)| (Timestamp(at), n)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Content, NewNotification};
    use crate::store::sqlite::Sqlite;
    use crate::store::{Access, Writer};

    /// A reload a day, each with another rate, and a notification in between.
    #[test]
    fn rates_that_are_no_longer_configured_do_not_become_more_and_more_and_what_was_sent_counts() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        let patience = Duration::from_secs(5);
        let now = Timestamp(1_800_000_000_000);
        let mut store = Sqlite::open(&database, patience, Access::Create, now).unwrap();
        let claim = |store: &mut Sqlite, rate: &str| {
            let content = Content { recipient: "a".into(), message: "x".into(), ..Content::default() };
            let new = NewNotification { channel: "c".into(), content, ..NewNotification::default() };
            store.enqueue(now, now, &[new]).unwrap();
            let rates = vec![rate.parse().unwrap()];
            let claim = Claim { channel: "c".into(), limit: 1, rates, lease: patience, lease_token: 1 };
            let exchange = Exchange { now, claim: vec![claim], ..Exchange::default() };
            store.exchange(&exchange).unwrap().claims[0].claimed.len()
        };
        for hours in 1..=365 {
            assert_eq!(claim(&mut store, &format!("1000/{hours}h")), 1);
        }
        let kept = || of_channel(&Connection::open(&database).unwrap(), "c", now).unwrap();
        assert!(kept().len() <= 1 + OTHERS, "{}", kept().len());
        assert_eq!(claim(&mut store, "366/1h"), 1);
        assert_eq!(claim(&mut store, "366/1h"), 0, "all of them count");
        assert!(kept().len() <= 1 + OTHERS, "{}", kept().len());
    }
}
