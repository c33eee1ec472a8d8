//! What is kept of a channel as a whole: held, and its trouble.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::events::Told;
use super::exchange::Breakers;
use super::sql::sql;
use crate::model::{Breaker, EventKind, Reason, Timestamp};

/// Since when, and why, a channel is held.
pub(super) type Held = Option<(Timestamp, String)>;

/// The breaker of a channel, read once per round.
pub(super) fn breaker<'a>(
    connection: &Connection,
    breakers: &'a mut Breakers,
    channel: &str,
) -> rusqlite::Result<&'a mut Breaker> {
    if !breakers.contains_key(channel) {
        let (_, breaker) = state(connection, channel)?;
        breakers.insert(channel.to_owned(), (breaker.clone(), breaker));
    }
    Ok(&mut breakers.get_mut(channel).expect("put there above").1)
}

/// Writes the breakers that changed.
pub(super) fn write(connection: &Connection, breakers: &Breakers) -> rusqlite::Result<()> {
    for (channel, (_, now)) in breakers.iter().filter(|(_, (before, now))| before != now) {
        connection.prepare_cached(sql!("channel_trouble"))?.execute(params![
            channel,
            now.failures,
            now.paused_until,
            now.reason,
            now.detail,
            now.probing_until
        ])?;
    }
    Ok(())
}

/// Tells where trouble began, and where it is over.
pub(super) fn tell(breakers: &Breakers, told: &mut Told) {
    for (channel, (before, now)) in breakers {
        match (before.failures, now.failures) {
            (0, 1..) => told.channel(channel, EventKind::Alert, now.reason, ""),
            (1.., 0) => told.channel(channel, EventKind::Alert, Some(Reason::Accepted), ""),
            _ => {}
        }
    }
}

/// A channel's state; one that was never used is free.
pub(super) fn state(connection: &Connection, channel: &str) -> rusqlite::Result<(Held, Breaker)> {
    let mut query = connection.prepare_cached(sql!("channel_state"))?;
    Ok(query.query_row([channel], |row| read(row, 0)).optional()?.unwrap_or_default())
}

/// Reads the seven columns of a channel's state from column `first`.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<(Held, Breaker)> {
    let held_at: Option<Timestamp> = row.get(first)?;
    let reason: Option<String> = row.get(first + 1)?;
    let breaker = Breaker {
        failures: row.get(first + 2)?,
        paused_until: row.get(first + 3)?,
        reason: row.get(first + 4)?,
        detail: row.get(first + 5)?,
        probing_until: row.get(first + 6)?,
    };
    Ok((held_at.map(|at| (at, reason.unwrap_or_default())), breaker))
}
