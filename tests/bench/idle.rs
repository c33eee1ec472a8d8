//! A daemon that has nothing to do, and how soon it begins what a shell enqueues. The floor is the bound itself.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::measure::{Budget, Row, median, notifyctl, percentile, succeed};

/// The part of a core that it may take while nothing happens, in percent.
const CORE: f64 = 0.5;

/// For how long it is watched.
const IDLE: Duration = Duration::from_secs(60);

/// From the enqueueing to the begin of the attempt, in milliseconds: the median, and the 99th of a hundred.
const BEGINS: (f64, f64) = (100.0, 300.0);

/// How many are enqueued, and the pause between two.
const SHELLS: (usize, Duration) = (200, Duration::from_millis(150));

const CONFIG: &str = "[daemon]\nroles = [\"sender\", \"maintenance\"]\n\
    [channels.run]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\n";

pub fn run() -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder");
    let enqueue = || {
        let mut enqueue = notifyctl(folder.path(), CONFIG);
        enqueue.args(["enqueue", "--channel", "run", "--to", "ops", "hello"]).stdout(Stdio::null());
        succeed(&mut enqueue);
    };
    enqueue();
    let mut daemon = notifyctl(folder.path(), CONFIG).arg("daemon").spawn().expect("start the daemon");
    std::thread::sleep(Duration::from_secs(2));
    for _ in 0..SHELLS.0 {
        enqueue();
        std::thread::sleep(SHELLS.1);
    }
    std::thread::sleep(Duration::from_secs(5));
    let before = ticks(daemon.id());
    std::thread::sleep(IDLE);
    let used = (ticks(daemon.id()) - before) / ticks_per_second() / IDLE.as_secs_f64() * 100.0;
    daemon.kill().expect("end the daemon");
    daemon.wait().expect("its end");
    let mut waits = waits(folder.path());
    assert!(waits.len() > SHELLS.0 / 2, "{} of {} were attempted", waits.len(), SHELLS.0);
    let row = |work: &str, ours: f64, unit: &str, bound: f64| Row {
        work: format!("daemon: {work}"),
        ours: format!("{ours:.2} {unit}"),
        floor: format!("{bound} {unit}"),
        against: "the bound".into(),
        ratio: ours / bound,
        budget: Budget::AtMost(1.0),
    };
    vec![
        row("of a core, idle for a minute", used, "%", CORE),
        row("enqueue until its attempt begins, median", median(&mut waits), "ms", BEGINS.0),
        row("the same, 99 of 100", percentile(&mut waits, 0.99), "ms", BEGINS.1),
    ]
}

/// The processor time that a process has taken, in ticks.
fn ticks(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the daemon lives");
    let (_, behind_its_name) = stat.rsplit_once(") ").expect("a name");
    let fields: Vec<&str> = behind_its_name.split(' ').collect();
    // utime and stime are the fields 14 and 15, of which two stand before (proc(5)).
    [11, 12].map(|field: usize| fields[field].parse::<f64>().expect("a number")).iter().sum()
}

fn ticks_per_second() -> f64 {
    let output = Command::new("getconf").arg("CLK_TCK").output().expect("run getconf");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}

/// From the enqueueing to the begin of the first attempt of each but the first, in milliseconds.
fn waits(folder: &Path) -> Vec<f64> {
    let database = folder.join("n.db");
    let connection =
        Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("open the store");
    let mut query = connection
        .prepare(
            "SELECT a.started_at - n.created_at FROM attempts a JOIN notifications n ON n.id = a.notification_id
             WHERE a.number = 1 AND n.id > 1",
        )
        .expect("ask");
    let waits = query.query_map([], |row| row.get::<_, f64>(0)).expect("ask");
    waits.map(|wait| wait.expect("a number")).collect()
}
