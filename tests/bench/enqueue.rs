//! One shell line, from the start of the process to durable, over hundreds of commands on a store that grows.

use crate::measure::{Budget, Row, floor, notifyctl, pairs, succeed, time};

const COMMANDS: usize = 400;

pub fn run() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let floor_db = folder.path().join("floor.db");
    let ours = || {
        let mut command = notifyctl(folder.path(), "");
        command.args(["enqueue", "--to", "ops@example.org", "hello"]);
        time(|| succeed(&mut command))
    };
    let minimal = || {
        let mut command = floor(&["insert", floor_db.to_str().expect("UTF-8")]);
        time(|| succeed(&mut command))
    };
    for _ in 0..20 {
        ours();
        minimal();
    }
    let (a, b, ratio) = pairs(COMMANDS, ours, minimal);
    vec![Row {
        work: format!("enqueue, one command ({COMMANDS} in turn)"),
        ours: format!("{:.2} ms", a * 1e3),
        floor: format!("{:.2} ms", b * 1e3),
        against: "the least that Rust and SQLite can do".into(),
        ratio,
        budget: Budget::AtMost(1.25),
    }]
}
