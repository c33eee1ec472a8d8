//! The counts per channel and per batch, and what is told of it, gathered over a transaction and written once at its end.

use std::collections::BTreeMap;

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

/// Reads the nine counts that stand in a row from column `first`.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<ChannelCounts> {
    let mut counts =
        ChannelCounts { accepted: row.get(first)?, purged: row.get(first + 1)?, ..Default::default() };
    for (i, count) in counts.statuses.iter_mut().enumerate() {
        *count = row.get(first + 2 + i)?;
    }
    Ok(counts)
}
