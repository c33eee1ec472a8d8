//! A clock that was set back: what was reckoned by the clock as it was moves back with it.
//!
//! Otherwise a retry in half a minute would wait for half a minute and a day. What a user asked for by the clock
//! (`not_before`, `expires_at`) stays where it is.

use rusqlite::{Connection, OptionalExtension, params};

use super::exchange::Breakers;
use super::sql::sql;
use super::{trouble, windows};
use crate::model::Timestamp;
use crate::store::Exchange;

/// Sees to every channel of a round, before anything else is done with it.
pub(super) fn heed(
    connection: &Connection,
    exchange: &Exchange,
    breakers: &mut Breakers,
) -> rusqlite::Result<()> {
    let settled = exchange.settle.iter().map(|settlement| settlement.channel.as_str());
    let unused = exchange.give_back.iter().map(|unused| unused.channel.as_str());
    let claimed = exchange.claim.iter().map(|claim| claim.channel.as_str());
    let mut last = None;
    for channel in settled.chain(unused).chain(claimed) {
        // Results of one channel come in long runs; one that is looked at twice is in order the second time.
        if last.replace(channel) != Some(channel) {
            heed_one(connection, channel, exchange.now, breakers)?;
        }
    }
    Ok(())
}

fn heed_one(
    connection: &Connection,
    channel: &str,
    now: Timestamp,
    breakers: &mut Breakers,
) -> rusqlite::Result<()> {
    let mut seen = connection.prepare_cached(sql!("channel_seen"))?;
    let seen: Option<Timestamp> = seen.query_row([channel], |row| row.get(0)).optional()?;
    let Some((seen, by)) = seen.and_then(|seen| Some((seen, now.set_back_since(seen)?))) else {
        return Ok(());
    };
    trouble::breaker(connection, breakers, channel)?.set_back(by);
    windows::set_back(connection, channel, seen, by)?;
    connection.prepare_cached(sql!("set_back"))?.execute(params![channel, now, seen])?;
    connection.prepare_cached(sql!("set_back_claimed"))?.execute(params![channel, now, seen])?;
    connection.prepare_cached(sql!("channel_set_back"))?.execute(params![channel, now]).map(drop)
}
