//! The removal of old final notifications, in bites by rising id, with all that belongs to them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::Sqlite;
use super::counters::Counters;
use super::keys;
use super::sql::sql;
use super::steer::Standing;
use crate::model::{Id, Timestamp};
use crate::store::{ErrorKind, Purge, Purged, Result};

/// How many rows a bite is made of where the disk is short of room; fewer if even they find none.
const FEW: usize = 16;

impl Sqlite {
    /// Removes one bite; on a full disk one that fits into what the log may take.
    pub(super) fn purge_as_fits(&self, wanted: &Purge) -> Result<Purged> {
        let mut bite = wanted.clone();
        if self.is_short_of_room() {
            bite.limit = bite.limit.min(FEW);
        }
        let began = Cell::new(Instant::now());
        loop {
            let purged = self.write_for_operator("purge", |connection| {
                began.set(Instant::now());
                purge(connection, &bite)
            });
            match purged {
                Err(full) if full.kind == ErrorKind::Full && bite.limit > 1 => bite.limit /= 2,
                purged => return Ok(Purged { took: began.get().elapsed(), ..purged? }),
            }
        }
    }
}

/// Removes one bite in the transaction that is open, and leaves it to others to say how long that took.
pub(super) fn purge(connection: &Connection, purge: &Purge) -> rusqlite::Result<Purged> {
    let mut counters = Counters::default();
    let mut query = connection.prepare_cached(sql!("purge_scan"))?;
    let mut rows = query.query(params![purge.from, i64::try_from(purge.limit).unwrap_or(i64::MAX)])?;
    let (mut seen, mut removed, mut next, mut behind) = (0, 0, None, purge.from);
    // Nothing stands between the first and the last id of a run but what goes too: one statement removes it.
    let mut runs: Vec<(Id, Id)> = Vec::new();
    let mut in_run = false;
    while let Some(row) = rows.next()? {
        let one = Standing::read(row)?;
        let (created_at, settled_at): (Timestamp, Option<Timestamp>) = (row.get(4)?, row.get(5)?);
        if (purge.settled_before..=purge.now).contains(&created_at) {
            next = None;
            seen = 0;
            break;
        }
        seen += 1;
        behind = one.id + 1;
        next = Some(behind);
        let doomed =
            purge.statuses.contains(&one.status) && settled_at.is_some_and(|at| at < purge.settled_before);
        if doomed {
            match runs.last_mut().filter(|_| in_run) {
                Some((_, last)) => *last = one.id,
                None => runs.push((one.id, one.id)),
            }
            counters.purged(&one.channel, one.batch, one.status);
            removed += 1;
        }
        in_run = doomed;
    }
    drop(rows);
    for (first, last) in runs {
        for statement in [sql!("purge_attempts"), sql!("purge_parts"), sql!("purge_notifications")] {
            connection.prepare_cached(statement)?.execute([first, last])?;
        }
    }
    counters.write(connection)?;
    // Not all that have expired by now: the clock may be ahead, and their requests come again when it is right.
    let forgotten = keys::forget(connection, purge.settled_before, keys::BITE)?;
    if seen < purge.limit {
        next = (forgotten == keys::BITE).then_some(behind);
    }
    if next.is_none() {
        connection.prepare_cached(sql!("purge_workers"))?.execute([purge.settled_before])?;
    }
    Ok(Purged { removed, next, took: Duration::ZERO })
}
