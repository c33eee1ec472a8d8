//! What dead or hanging workers left behind, and what has outlived its last useful moment.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, params};

use super::counters::Counters;
use super::sql::sql;
use super::worker::{self, Begun, Seen};
use crate::model::{Content, EventKind, Id, Status, Timestamp};
use crate::store::{Claimed, Orphan};

/// Numbers of the workers that have something in hand, `me` excepted.
pub(super) fn busy_workers(connection: &Connection, me: Id) -> rusqlite::Result<Vec<Id>> {
    let mut query = connection.prepare_cached(sql!("orphan_workers"))?;
    query.query_map([me], |row| row.get(0))?.collect()
}

/// Those of `workers` that are lost, with what of theirs had begun.
pub(super) fn lost(database: &Path, workers: &[Id], lease: Duration) -> io::Result<Vec<(Id, Begun)>> {
    let mut lost = Vec::new();
    for &id in workers {
        if let Seen::Lost(begun) = worker::look(database, id, lease)? {
            lost.push((id, begun));
        }
    }
    Ok(lost)
}

/// Removes the files of those of the `dead` that have nothing left. `busy` was asked for after they were seen dead.
pub(super) fn sweep(dead: &[(Id, PathBuf)], busy: &[Id]) {
    for (_, file) in dead.iter().filter(|(id, _)| !busy.contains(id)) {
        // Left behind, it says the same.
        let _ = std::fs::remove_file(file);
    }
}

/// What a lost worker has in hand.
pub(super) fn left_by(
    connection: &Connection,
    id: Id,
    begun: &Begun,
    limit: usize,
) -> rusqlite::Result<Vec<Orphan>> {
    let mut query = connection.prepare_cached(sql!("orphans"))?;
    let rows = query.query_map(params![id, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        let claimed = Claimed {
            id: row.get(0)?,
            attempt: row.get(1)?,
            lease_token: row.get(2)?,
            channel: row.get(3)?,
            batch_id: row.get(4)?,
            user_id: row.get(5)?,
            priority: row.get(6)?,
            created_at: row.get(7)?,
            expires_at: row.get(8)?,
            retries: row.get(9)?,
            crashes: row.get(10)?,
            deferred_since: row.get(11)?,
            probes: false,
            content: Content::default(),
        };
        Ok(Orphan { worker: id, claimed_at: row.get(12)?, begun: begun.holds(claimed.id), claimed })
    })?;
    rows.collect()
}

/// Expires what is due for it, in the transaction that is open.
pub(super) fn expire(connection: &Connection, now: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let mut counters = Counters::at(now);
    let mut query = connection.prepare_cached(sql!("expiring"))?;
    let rows = query.query_map(params![now, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok((
            row.get::<_, Id>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, Option<Id>>(2)?,
            row.get::<_, Status>(3)?,
        ))
    })?;
    let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    for (id, channel, batch, from) in &rows {
        connection.prepare_cached(sql!("expire"))?.execute(params![id, now])?;
        counters.moved(channel, *batch, *from, Status::Expired);
        counters.told.steered(*id, EventKind::Expired);
    }
    counters.write(connection)?;
    Ok(rows.len())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::Sqlite;
    use super::worker::LocalWorker;
    use super::*;
    use crate::model::NewNotification;
    use crate::store::{Access, Claim, Exchange, Worker, Writer};

    const LEASE: Duration = Duration::from_secs(60);
    const ROUNDS: usize = 150;

    fn open(database: &Path) -> Sqlite {
        Sqlite::open(database, Duration::from_secs(60), Access::Create, Timestamp(1)).unwrap()
    }

    fn new() -> NewNotification {
        NewNotification {
            channel: "c".into(),
            content: Content { recipient: "a@example.org".into(), message: "x".into(), ..Content::default() },
            ..NewNotification::default()
        }
    }

    #[test]
    fn what_a_worker_claimed_just_before_its_death_is_told_from_what_it_had_begun() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("n.db");
        let mut store = open(&database);
        store.enqueue(Timestamp(1), Timestamp(2), &vec![new(); ROUNDS]).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Others look for the dead all the time.
            scope.spawn(|| {
                let mut other = open(&database);
                while !over.load(Ordering::Relaxed) {
                    other.orphans(0, LEASE, 1).unwrap();
                }
            });
            let mut kept = Vec::new();
            for round in 0..ROUNDS {
                let worker = LocalWorker::new(&database, Timestamp(round as i64 + 10), "here:1:2").unwrap();
                let claim =
                    Claim { channel: "c".into(), limit: 1, lease: LEASE, lease_token: 1, rates: Vec::new() };
                let exchange = Exchange {
                    worker: worker.id(),
                    now: Timestamp(10),
                    claim: vec![claim],
                    ..Exchange::default()
                };
                assert_eq!(store.exchange(&exchange).unwrap().claims[0].claimed.len(), 1);
                worker.die();
                kept.push(worker);
            }
            let ids: Vec<Id> = kept.iter().map(|worker| worker.id()).collect();
            let lost = lost(&database, &ids, LEASE);
            over.store(true, Ordering::Relaxed);
            let guessed = lost.unwrap().iter().filter(|(_, begun)| matches!(begun, Begun::Any)).count();
            assert_eq!(guessed, 0, "of {ROUNDS}");
        });
    }
}
