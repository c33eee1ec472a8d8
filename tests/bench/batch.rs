//! A batch of 100,000 rows from a file, against a prepared-insert loop on the same schema.

use std::io::Write;
use std::path::Path;

use crate::floor;
use crate::measure::{Budget, Row, notifyctl, pairs, succeed, time};

const ROWS: usize = 100_000;

/// Rows of about 300 bytes.
pub fn write_rows(file: &Path, rows: usize) {
    let mut out = std::io::BufWriter::new(std::fs::File::create(file).expect("create"));
    let message = "x".repeat(250);
    for n in 0..rows {
        writeln!(out, r#"{{"to":"user{n}@example.org","subject":"subject","message":"{message}"}}"#)
            .expect("write");
    }
    out.flush().expect("write");
}

pub fn run() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("rows.ndjson");
    write_rows(&rows, ROWS);
    let fresh = || {
        let store = tempfile::tempdir().expect("a folder");
        // One command makes the store, outside the measured time.
        succeed(notifyctl(store.path(), "").args(["enqueue", "--to", "a@example.org", "first"]));
        store
    };
    let ours = || {
        let store = fresh();
        let mut command = notifyctl(store.path(), "");
        command.args(["enqueue", "--batch"]).arg(&rows);
        time(|| succeed(&mut command))
    };
    let insert_loop = || {
        let store = fresh();
        let mut connection = rusqlite::Connection::open(store.path().join("n.db")).expect("open");
        connection.execute_batch("PRAGMA synchronous = full").expect("settings");
        time(|| floor::insert_loop(&mut connection, ROWS, 1_000))
    };
    let (a, b, ratio) = pairs(15, ours, insert_loop);
    let rate = |seconds: f64| format!("{:.0}/s", ROWS as f64 / seconds);
    vec![Row {
        work: format!("batch of {ROWS} NDJSON rows"),
        ours: rate(a),
        floor: rate(b),
        against: "prepared inserts, same schema, 1,000 a transaction".into(),
        ratio: 1.0 / ratio,
        budget: Budget::AtLeast(0.7),
    }]
}
