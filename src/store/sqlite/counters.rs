//! The counts per channel and per batch, and what is told of it, gathered over a transaction and written once at its end.

use std::collections::BTreeMap;

use rusqlite::types::FromSql;
use rusqlite::{Connection, Row, params};

use super::events::Told;
use super::sql::sql;
use crate::model::{Id, Status, Timestamp};
use crate::store::ChannelCounts;

/// Accepted, purged, and the statuses in their order.
type Delta = [i64; 2 + Status::ALL.len()];

/// What a transaction changes.
#[derive(Default)]
pub(super) struct Counters {
    channels: BTreeMap<String, Delta>,
    batches: BTreeMap<Id, Delta>,
    /// For those who watch.
    pub(super) told: Told,
    /// When it does; the beginning of time where that is of no account.
    now: Timestamp,
}

impl Counters {
    /// Nothing yet, by a transaction at `now`.
    pub(super) fn at(now: Timestamp) -> Self {
        Self { now, ..Self::default() }
    }

    /// `count` were accepted as pending.
    pub(super) fn accepted(&mut self, channel: &str, batch: Option<Id>, count: i64) {
        self.change(channel, batch, |delta| {
            delta[0] += count;
            delta[2 + Status::Pending as usize] += count;
        });
    }

    /// One went from one status to another.
    pub(super) fn moved(&mut self, channel: &str, batch: Option<Id>, from: Status, to: Status) {
        self.change(channel, batch, |delta| {
            delta[2 + from as usize] -= 1;
            delta[2 + to as usize] += 1;
        });
    }

    /// One was removed.
    pub(super) fn purged(&mut self, channel: &str, batch: Option<Id>, from: Status) {
        self.change(channel, batch, |delta| {
            delta[1] += 1;
            delta[2 + from as usize] -= 1;
        });
    }

    fn change(&mut self, channel: &str, batch: Option<Id>, by: impl Fn(&mut Delta)) {
        match self.channels.get_mut(channel) {
            Some(delta) => by(delta),
            None => by(self.channels.entry(channel.to_owned()).or_default()),
        }
        if let Some(batch) = batch {
            by(self.batches.entry(batch).or_default());
        }
    }

    /// Writes all of it: one statement per channel and per batch that changed.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        // Also where they add up to nothing: that something was done, and when, is worth knowing (`set_back`).
        for (channel, d) in &self.channels {
            let mut update = connection.prepare_cached(sql!("channel_count"))?;
            let values = params![channel, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8], self.now];
            if update.execute(values)? == 0 {
                connection.prepare_cached(sql!("channel_create"))?.execute([channel])?;
                update.execute(values)?;
            }
        }
        for (batch, d) in self.batches.iter().filter(|(_, delta)| delta.iter().any(|n| *n != 0)) {
            let mut update = connection.prepare_cached(sql!("batch_count"))?;
            update.execute(params![batch, d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7], d[8]])?;
        }
        self.told.write(connection, self.now)
    }
}

/// Reads the nine counts that stand in a row from column `first`. One that is below nothing counts as nothing:
/// somebody has written it by hand, and nobody's mail must wait for that. The second value tells whether there is one.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<(ChannelCounts, bool)> {
    let mut wrong = false;
    let mut next = |column| {
        let count: i64 = row.get(first + column)?;
        wrong |= count < 0;
        Ok::<_, rusqlite::Error>(u64::try_from(count).unwrap_or(0))
    };
    let mut counts = ChannelCounts { accepted: next(0)?, purged: next(1)?, ..Default::default() };
    for (i, count) in counts.statuses.iter_mut().enumerate() {
        *count = next(2 + i)?;
    }
    Ok((counts, wrong))
}

/// Counts anew what is there, and writes it over what the counters say; what was purged is not there to be counted.
pub(super) fn recount(connection: &Connection) -> rusqlite::Result<()> {
    let mut channels: BTreeMap<String, Standing> = BTreeMap::new();
    let mut batches: BTreeMap<Id, Standing> = BTreeMap::new();
    names(connection, "SELECT name FROM channels", |name| _ = channels.insert(name, Standing::default()))?;
    names(connection, "SELECT id FROM batches", |id| _ = batches.insert(id, Standing::default()))?;
    let mut query = connection.prepare(sql!("recount"))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (status, count): (Status, i64) = (row.get(2)?, row.get(3)?);
        channels.entry(row.get(0)?).or_default()[status as usize] += count;
        if let Some(batch) = row.get(1)? {
            batches.entry(batch).or_default()[status as usize] += count;
        }
    }
    for (channel, n) in channels {
        connection.prepare_cached(sql!("channel_create"))?.execute([&channel])?;
        let values = params![channel, n[0], n[1], n[2], n[3], n[4], n[5], n[6]];
        connection.prepare_cached(sql!("channel_recount"))?.execute(values)?;
    }
    for (batch, n) in batches {
        let values = params![batch, n[0], n[1], n[2], n[3], n[4], n[5], n[6]];
        connection.prepare_cached(sql!("batch_recount"))?.execute(values)?;
    }
    Ok(())
}

/// How many stand where, in the order of [`Status::ALL`].
type Standing = [i64; Status::ALL.len()];

fn names<T: FromSql>(connection: &Connection, query: &str, mut each: impl FnMut(T)) -> rusqlite::Result<()> {
    let mut query = connection.prepare(query)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        each(row.get(0)?);
    }
    Ok(())
}
