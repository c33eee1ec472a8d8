//! Claimed, nothing done, settled.

use super::drivers::{node_driver, python_driver, rate};
use super::servers::{Postgres, Redis, Sync, folder};
use super::table::Unit;
use super::{Attempt, Choice, Peer, Work};
use crate::floor;
use crate::measure::{Budget, time};
use crate::pass;

/// Ours, the floor's, and those of the peers: fewer where they are slow, and rates are compared.
const ROWS: usize = 50_000;
const GRAPHILE_ROWS: usize = 50_000;
const BULLMQ_ROWS: usize = 20_000;
const HUEY_ROWS: usize = 5_000;
const CELERY_ROWS: usize = 2_000;
const PAIRS: usize = 5;

pub fn run(choice: &Choice) -> Work<'_> {
    let mut work = Work {
        name: "work",
        title: "Claimed, nothing done, settled",
        unit: Unit::Rate,
        choice,
        lines: Vec::new(),
    };
    let rows = ROWS as f64;
    let mut ours = || {
        let folder = tempfile::tempdir().expect("a folder");
        let store = pass::fill(folder.path(), ROWS);
        Ok(rows / time(|| assert_eq!(pass::pass(store), ROWS as u64)))
    };
    work.against(FLOOR, &mut ours, || {
        Ok(|| {
            let folder = tempfile::tempdir().expect("a folder");
            drop(pass::fill(folder.path(), ROWS));
            let mut connection = rusqlite::Connection::open(folder.path().join("n.db")).expect("open");
            connection.execute_batch("PRAGMA synchronous = full").expect("settings");
            Ok(rows / time(|| assert_eq!(floor::claim_and_settle(&mut connection), ROWS)))
        })
    });
    work.against(GRAPHILE, &mut ours, || {
        let postgres = Postgres::start()?;
        Ok(move || {
            let mut driver = node_driver("graphile_peer.cjs");
            driver.args(["work", &GRAPHILE_ROWS.to_string()]).env("PG_FOLDER", postgres.folder());
            rate(&driver, GRAPHILE_ROWS)
        })
    });
    work.against(BULLMQ, &mut ours, || bullmq(Sync::Always, "100"));
    work.against(BULLMQ_EVERY_SECOND, &mut ours, || bullmq(Sync::EverySecond, "200"));
    work.against(HUEY, &mut ours, || {
        Ok(|| {
            let folder = folder()?;
            let mut driver = python_driver("huey_peer.py");
            driver.args(["work", &HUEY_ROWS.to_string()]).env("HUEY_FILE", folder.path().join("huey.db"));
            rate(&driver, HUEY_ROWS)
        })
    });
    work.against(CELERY, &mut ours, || celery(Sync::Always));
    work.against(CELERY_EVERY_SECOND, &mut ours, || celery(Sync::EverySecond));
    work
}

fn bullmq(sync: Sync, concurrency: &'static str) -> Attempt<impl FnMut() -> Attempt<f64>> {
    let redis = Redis::start(sync)?;
    Ok(move || {
        let mut driver = node_driver("bullmq_peer.cjs");
        driver.args(["work", &BULLMQ_ROWS.to_string()]);
        driver.env("REDIS_PORT", redis.port().to_string()).env("CONCURRENCY", concurrency);
        rate(&driver, BULLMQ_ROWS)
    })
}

fn celery(sync: Sync) -> Attempt<impl FnMut() -> Attempt<f64>> {
    let redis = Redis::start(sync)?;
    Ok(move || {
        let mut driver = python_driver("celery_peer.py");
        driver.args(["work", &CELERY_ROWS.to_string()]).env("REDIS_PORT", redis.port().to_string());
        rate(&driver, CELERY_ROWS)
    })
}

const FLOOR: Peer = Peer {
    name: "a bare claim-and-settle loop",
    packages: &["floor"],
    how: "same schema, 500 a commit, synced; no attempts, counts or limits",
    budget: Some(Budget::AtLeast(0.35)),
    pairs: PAIRS,
};
const GRAPHILE: Peer = Peer {
    name: "graphile-worker",
    packages: &["graphile-worker", "postgresql"],
    how: "local queue of 500, 10 at a time, settled in batches; PostgreSQL as packaged, synced",
    budget: Some(Budget::AtLeast(2.5)),
    pairs: PAIRS,
};
const BULLMQ: Peer = Peer {
    name: "BullMQ",
    packages: &["bullmq", "redis"],
    how: "100 at a time; Redis, appendfsync always",
    budget: Some(Budget::AtLeast(5.0)),
    pairs: 3,
};
const BULLMQ_EVERY_SECOND: Peer =
    Peer { how: "200 at a time; appendfsync everysec: up to a second is lost with the machine", ..BULLMQ };
const HUEY: Peer = Peer {
    name: "Huey",
    packages: &["huey"],
    how: "one thread; SQLite, synchronous = full; deleted before it runs: a crash loses it",
    budget: Some(Budget::AtLeast(15.0)),
    pairs: PAIRS,
};
const CELERY: Peer = Peer {
    name: "Celery",
    packages: &["celery", "redis"],
    how: "one pool, many prefetched; Redis, appendfsync always; acknowledged before it runs: a crash loses it",
    budget: Some(Budget::AtLeast(70.0)),
    pairs: 3,
};
const CELERY_EVERY_SECOND: Peer =
    Peer { how: "the same, appendfsync everysec: up to a second is lost with the machine", ..CELERY };
