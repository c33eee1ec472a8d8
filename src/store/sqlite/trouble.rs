//! What is kept of a channel as a whole: held, and its trouble.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::LOG_TARGET;
use super::events::Told;
use super::exchange::Breakers;
use super::failure::is_unreadable;
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
        let (_, before) = state(connection, channel)?;
        if before.is_none() {
            log::error!(
                target: LOG_TARGET, channel;
                "what is kept of the channel's trouble cannot be read and is forgotten; see `notifyctl db check`"
            );
        }
        let now = before.clone().unwrap_or_default();
        breakers.insert(channel.to_owned(), (before, now));
    }
    Ok(&mut breakers.get_mut(channel).expect("put there above").1)
}

/// Writes the breakers that changed.
pub(super) fn write(connection: &Connection, breakers: &Breakers) -> rusqlite::Result<()> {
    for (channel, (_, now)) in breakers.iter().filter(|(_, (before, now))| before.as_ref() != Some(now)) {
        connection.prepare_cached(sql!("channel_trouble"))?.execute(params![
            channel,
            now.failures,
            now.paused_until,
            now.reason,
            now.detail,
            now.probing_until,
            now.asked_until
        ])?;
    }
    Ok(())
}

/// Tells where trouble began, and where it is over.
pub(super) fn tell(breakers: &Breakers, told: &mut Told) {
    for (channel, (before, now)) in breakers {
        match (before.as_ref().map_or(0, |before| before.failures), now.failures) {
            (0, 1..) => told.channel(channel, EventKind::Alert, now.reason, ""),
            (1.., 0) => told.channel(channel, EventKind::Alert, Some(Reason::Accepted), ""),
            _ => {}
        }
    }
}

/// A channel's state; one that was never used is free.
pub(super) fn state(connection: &Connection, channel: &str) -> rusqlite::Result<(Held, Option<Breaker>)> {
    let mut query = connection.prepare_cached(sql!("channel_state"))?;
    let found = query.query_row([channel], |row| read(row, 0)).optional()?;
    Ok(found.unwrap_or((None, Some(Breaker::default()))))
}

/// Reads the eight columns of a channel's state from column `first`; no breaker where its columns hold what they
/// cannot hold: somebody has written it by hand, and a limit on speed is no reason to stop sending.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<(Held, Option<Breaker>)> {
    let held_at: Option<Timestamp> = row.get(first)?;
    let reason = || row.get::<_, Option<String>>(first + 1).ok().flatten().unwrap_or_default();
    let breaker = match breaker_of(row, first + 2) {
        Ok(breaker) => Some(breaker),
        Err(error) if is_unreadable(&error) => None,
        Err(error) => return Err(error),
    };
    Ok((held_at.map(|at| (at, reason())), breaker))
}

fn breaker_of(row: &Row<'_>, first: usize) -> rusqlite::Result<Breaker> {
    Ok(Breaker {
        failures: row.get(first)?,
        paused_until: row.get(first + 1)?,
        reason: row.get(first + 2)?,
        detail: row.get(first + 3)?,
        probing_until: row.get(first + 4)?,
        asked_until: row.get(first + 5)?,
    })
}

/// The channels whose trouble cannot be read.
pub(super) fn unreadable(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut query = connection.prepare_cached(sql!("channel_states"))?;
    let states = query.query_map([], |row| Ok((row.get::<_, String>(0)?, read(row, 1)?.1)))?;
    let unreadable = |state: &rusqlite::Result<_>| !matches!(state, Ok((_, Some(_))));
    states.filter(unreadable).map(|state| state.map(|(channel, _)| channel)).collect()
}

/// Writes over what cannot be read.
pub(super) fn forget_unreadable(connection: &Connection) -> rusqlite::Result<()> {
    let forgotten = unreadable(connection)?.into_iter().map(|channel| (channel, (None, Breaker::default())));
    write(connection, &forgotten.collect())
}
