//! The floors: as little as does the same durable work, in the same build.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::pass;

/// `floor insert FILE`: one command's worth. `floor pass FOLDER`: what is due there, over a channel that does nothing.
pub fn main(args: &[String]) {
    match args {
        [insert, file] if insert == "insert" => one_insert(Path::new(file)),
        [pass, folder] if pass == "pass" => {
            pass::pass(pass::open(Path::new(folder)));
        }
        other => panic!("no such floor: {other:?}"),
    }
}

/// Opens, inserts one row durably, closes: as a minimal program would. It makes its log anew each time, and the name
/// of a new file is durable when its directory is.
fn one_insert(file: &Path) {
    let connection = Connection::open(file).expect("open");
    connection
        .execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = full;
             CREATE TABLE IF NOT EXISTS notifications
                 (id INTEGER PRIMARY KEY, user_id TEXT, recipient TEXT, message TEXT, status TEXT, created_at INTEGER)",
        )
        .expect("prepare");
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).expect("sync the folder");
    connection
        .execute(
            "INSERT INTO notifications (user_id, recipient, message, status, created_at) VALUES (?1, ?2, ?3, 'pending', ?4)",
            (Option::<String>::None, "ops@example.org", "hello", 1_800_000_000_000_i64),
        )
        .expect("insert");
}

/// Rows into our own schema by a prepared statement, `per` a transaction, without any check.
pub fn insert_loop(connection: &mut Connection, rows: usize, per: usize) {
    let statement = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/sqlite/enqueue.sql"));
    let message = "x".repeat(250);
    let mut left = rows;
    while left > 0 {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("begin");
        for n in 0..per.min(left) {
            let mut insert = transaction.prepare_cached(statement).expect("prepare");
            let recipient = format!("user{n}@example.org");
            insert
                .execute(rusqlite::params![
                    Option::<String>::None,
                    message,
                    "noop",
                    recipient,
                    "subject",
                    Option::<String>::None,
                    0,
                    2,
                    Option::<i64>::None,
                    1_800_000_000_000_i64,
                    Option::<i64>::None,
                    Option::<i64>::None,
                    1_800_000_000_000_i64,
                ])
                .expect("insert");
        }
        transaction.commit().expect("commit");
        left -= per.min(left);
    }
}

/// Claims and settles everything pending, 500 at a time, in two commits each; no attempts, no counters, no limits.
pub fn claim_and_settle(connection: &mut Connection) -> usize {
    let mut done = 0;
    loop {
        let ids = claim(connection);
        if ids.is_empty() {
            return done;
        }
        done += ids.len();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("begin");
        for id in &ids {
            let mut settle = transaction
                .prepare_cached(
                    "UPDATE notifications SET status = 'sent', settled_at = 1800000000001, lease_token = NULL WHERE id = ?1",
                )
                .expect("prepare");
            settle.execute([id]).expect("settle");
        }
        transaction.commit().expect("commit");
    }
}

fn claim(connection: &mut Connection) -> Vec<i64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("begin");
    let ids: Vec<i64> = {
        let mut claim = transaction
            .prepare_cached(
                "UPDATE notifications SET status = 'sending', attempts = attempts + 1, lease_token = 1 WHERE id IN (
                     SELECT id FROM notifications WHERE status = 'pending' AND channel = 'noop' AND priority = 2 AND (retries > 0) = 0
                     AND next_attempt_at <= 1800000000000 ORDER BY next_attempt_at LIMIT 500)
                 RETURNING id, recipient, subject, message",
            )
            .expect("prepare");
        let rows = claim
            .query_map([], |row| {
                let content: (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
                std::hint::black_box(content);
                row.get(0)
            })
            .expect("claim");
        rows.collect::<rusqlite::Result<_>>().expect("rows")
    };
    transaction.commit().expect("commit");
    ids
}
