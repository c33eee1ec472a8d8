//! A hundred thousand at once, of about 300 bytes; fewer where a peer is slow, and rates are compared.

use super::drivers::{node_driver, python_driver, rate, seconds};
use super::servers::{Postgres, Redis, Sync, folder};
use super::table::Unit;
use super::{Attempt, Choice, Peer, Work};
use crate::batch::write_rows;
use crate::floor;
use crate::measure::{Budget, notifyctl, succeed, time};

const ROWS: usize = 100_000;
const HUEY_ROWS: usize = 5_000;
const CELERY_ROWS: usize = 3_000;
const PAIRS: usize = 5;

pub fn run(choice: &Choice) -> Work<'_> {
    let mut work =
        Work { name: "bulk", title: "100,000 enqueued at once", unit: Unit::Rate, choice, lines: Vec::new() };
    let input = tempfile::tempdir().expect("a folder");
    let rows = input.path().join("rows.ndjson");
    write_rows(&rows, ROWS);
    let mut ours = || {
        let store = fresh();
        let took = seconds(notifyctl(store.path(), "").args(["enqueue", "--batch"]).arg(&rows))?;
        Ok(ROWS as f64 / took)
    };
    work.against(FLOOR, &mut ours, || {
        Ok(|| {
            let store = fresh();
            let mut connection = rusqlite::Connection::open(store.path().join("n.db")).expect("open");
            connection.execute_batch("PRAGMA synchronous = full").expect("settings");
            Ok(ROWS as f64 / time(|| floor::insert_loop(&mut connection, ROWS, 1_000)))
        })
    });
    work.against(GRAPHILE, &mut ours, || {
        let postgres = Postgres::start()?;
        Ok(move || {
            let mut driver = node_driver("graphile_peer.cjs");
            rate(driver.args(["enqueue", &ROWS.to_string()]).env("PG_FOLDER", postgres.folder()), ROWS)
        })
    });
    work.against(BULLMQ, &mut ours, || bullmq(Sync::Always));
    work.against(BULLMQ_EVERY_SECOND, &mut ours, || bullmq(Sync::EverySecond));
    work.against(HUEY, &mut ours, || {
        Ok(|| {
            let folder = folder()?;
            let mut driver = python_driver("huey_peer.py");
            driver.args(["enqueue", &HUEY_ROWS.to_string()]).env("HUEY_FILE", folder.path().join("huey.db"));
            rate(&driver, HUEY_ROWS)
        })
    });
    work.against(CELERY, &mut ours, || {
        let redis = Redis::start(Sync::Always)?;
        Ok(move || {
            let mut driver = python_driver("celery_peer.py");
            driver.args(["enqueue", &CELERY_ROWS.to_string()]).env("REDIS_PORT", redis.port().to_string());
            rate(&driver, CELERY_ROWS)
        })
    });
    work
}

/// A store that one command has made.
fn fresh() -> tempfile::TempDir {
    let store = tempfile::tempdir().expect("a folder");
    succeed(notifyctl(store.path(), "").args(["enqueue", "--to", "a@example.org", "first"]));
    store
}

fn bullmq(sync: Sync) -> Attempt<impl FnMut() -> Attempt<f64>> {
    let redis = Redis::start(sync)?;
    Ok(move || {
        let mut driver = node_driver("bullmq_peer.cjs");
        rate(driver.args(["enqueue", &ROWS.to_string()]).env("REDIS_PORT", redis.port().to_string()), ROWS)
    })
}

const FLOOR: Peer = Peer {
    name: "prepared inserts in a loop",
    packages: &["floor"],
    how: "same schema, 1,000 a transaction, synced",
    budget: Some(Budget::AtLeast(0.7)),
    pairs: PAIRS,
};
const GRAPHILE: Peer = Peer {
    name: "graphile-worker addJobs",
    packages: &["graphile-worker", "postgresql"],
    how: "1,000 a call; PostgreSQL as packaged, synced",
    budget: Some(Budget::AtLeast(2.0)),
    pairs: PAIRS,
};
const BULLMQ: Peer = Peer {
    name: "BullMQ addBulk",
    packages: &["bullmq", "redis"],
    how: "5,000 a call; Redis, appendfsync always",
    budget: Some(Budget::AtLeast(4.0)),
    pairs: 3,
};
const BULLMQ_EVERY_SECOND: Peer = Peer {
    how: "the same, appendfsync everysec: up to a second is lost with the machine",
    budget: None,
    ..BULLMQ
};
const HUEY: Peer = Peer {
    name: "Huey, a call each",
    packages: &["huey"],
    how: "5,000; SQLite, synchronous = full",
    budget: None,
    pairs: PAIRS,
};
const CELERY: Peer = Peer {
    name: "Celery delay",
    packages: &["celery", "redis"],
    how: "3,000; Redis, appendfsync always",
    budget: Some(Budget::AtLeast(50.0)),
    pairs: PAIRS,
};
