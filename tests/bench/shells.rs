//! Many shell lines at once; and one at a time beside a pass that runs as fast as it can.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::measure::{Budget, Row, floor, median, notifyctl, pairs, percentile, succeed, time};
use crate::pass;

/// Commands, and how many of them run side by side.
const COMMANDS: usize = 400;
const AT_A_TIME: usize = 8;

/// Commands beside a pass, and as many without one.
const BESIDE: usize = 300;

/// Fewer say nothing about the slowest hundredth.
const ENOUGH: usize = 200;

/// What such a pass has before it.
const DUE: usize = 400_000;

/// Seconds.
const PATIENCE: f64 = 0.050;

pub fn run() -> Vec<Row> {
    let mut rows = vec![crowd()];
    rows.extend(beside_a_pass());
    rows
}

fn crowd() -> Row {
    let folder = tempfile::tempdir().expect("a folder");
    let floor_db = folder.path().join("floor.db");
    let floor_db = floor_db.to_str().expect("UTF-8");
    // Each writes the configuration anew: not while others read it.
    drop(notifyctl(folder.path(), ""));
    let ours = || succeed(one(folder.path()).args(["enqueue", "--to", "ops@example.org", "hello"]));
    let minimal = || succeed(&mut floor(&["insert", floor_db]));
    for _ in 0..20 {
        ours();
        minimal();
    }
    let (a, b, ratio) = pairs(7, || side_by_side(&ours), || side_by_side(&minimal));
    let rate = |seconds: f64| format!("{:.0}/s", COMMANDS as f64 / seconds);
    Row {
        work: format!("enqueue, {COMMANDS} shells, {AT_A_TIME} at a time"),
        ours: rate(a),
        floor: rate(b),
        against: "the same many of the least".into(),
        ratio: 1.0 / ratio,
        budget: Budget::AtLeast(0.8),
    }
}

/// Seconds that all commands take.
fn side_by_side(command: &(impl Fn() + Sync)) -> f64 {
    let begun = AtomicUsize::new(0);
    time(|| {
        std::thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| {
                    while begun.fetch_add(1, Ordering::Relaxed) < COMMANDS {
                        command();
                    }
                });
            }
        });
    })
}

fn beside_a_pass() -> [Row; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    drop(pass::fill(folder, DUE));
    drop(notifyctl(folder, ""));
    // What filled it must not be written back while others wait for the disk.
    succeed(&mut Command::new("sync"));
    let mut alone: Vec<f64> = (0..BESIDE).map(|_| enqueue(folder)).collect();
    let mut pass = floor(&["pass", folder.to_str().expect("UTF-8")]).spawn().expect("a pass");
    while sent(folder) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (begun, before) = (Instant::now(), sent(folder));
    let mut beside = Vec::new();
    while beside.len() < BESIDE {
        let took = enqueue(folder);
        // What the pass was not beside to its end does not count.
        if pass.try_wait().expect("wait").is_some() {
            break;
        }
        beside.push(took);
    }
    let rate = (sent(folder) - before) as f64 / begun.elapsed().as_secs_f64();
    end(&mut pass);
    assert!(beside.len() >= ENOUGH, "the pass was over after {} commands", beside.len());
    let (with, without) = (median(&mut beside), median(&mut alone));
    let slow = percentile(&mut beside, 0.99);
    [
        Row {
            work: format!("enqueue beside a pass ({rate:.0}/s), p50"),
            ours: format!("{:.2} ms", with * 1e3),
            floor: format!("{:.2} ms", without * 1e3),
            against: "the same while nothing else runs".into(),
            ratio: with / without,
            budget: Budget::AtMost(2.0),
        },
        Row {
            work: format!("enqueue beside a pass ({rate:.0}/s), p99"),
            ours: format!("{:.2} ms", slow * 1e3),
            floor: format!("{:.0} ms", PATIENCE * 1e3),
            against: "the bound".into(),
            ratio: slow / PATIENCE,
            budget: Budget::AtMost(1.0),
        },
    ]
}

/// The binary, with the configuration that stands in `folder`.
fn one(folder: &Path) -> Command {
    crate::measure::configured(&folder.join("notifyctl.toml"))
}

/// Seconds that one command takes.
fn enqueue(folder: &Path) -> f64 {
    let mut command = one(folder);
    command.args(["enqueue", "--to", "ops@example.org", "hello"]);
    time(|| succeed(&mut command))
}

/// How many the pass has sent.
fn sent(folder: &Path) -> u64 {
    let store = rusqlite::Connection::open(folder.join("n.db")).expect("open");
    let sent: Option<u64> = store
        .query_row("SELECT sum(sent) FROM channels WHERE name = 'noop'", [], |row| row.get(0))
        .expect("counts");
    sent.unwrap_or_default()
}

/// Ends a pass, if it has not come to its own end.
fn end(pass: &mut Child) {
    if pass.try_wait().expect("wait").is_none() {
        pass.kill().expect("kill");
        pass.wait().expect("wait");
    }
}
