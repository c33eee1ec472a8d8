//! History is free (P12): the same work behind millions of finished notifications and behind none, in turn, and the
//! removal of a million while a pass runs.
//!
//! A million finished ones take about half a GB in the temporary folder; all of it is gone at the end.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use notifyctl::clock::{Clock, SystemClock};
use notifyctl::model::Timestamp;
use notifyctl::store::Store;
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::measure::{Budget, Row, median, notifyctl, pairs, succeed, time};
use crate::pass::{fill, open, pass, row};

/// What is due, in front of any history.
const DUE: usize = 10_000;

/// How many are finished.
const MILLION: usize = 1_000_000;
const HISTORIES: [usize; 2] = [MILLION, 5 * MILLION];

/// How much more anything may cost for it.
const BUDGET: f64 = 1.1;

/// How old the first million is, and how old the rest.
const OLD: Duration = Duration::from_secs(60 * 86_400);
const YOUNG: Duration = Duration::from_secs(86_400);

/// What an enqueue may have to wait for while a million are removed and a pass runs, in ms.
const LONGEST_MS: f64 = 100.0;

pub fn run() -> Vec<Row> {
    let none = Past::new();
    let mut past = Past::new();
    let mut rows = Vec::new();
    for finished in HISTORIES {
        past.grow(finished);
        rows.extend(compare(&past, &none));
    }
    rows.extend(purge(&past));
    rows
}

/// A store with a past.
struct Past {
    folder: TempDir,
    finished: usize,
}

impl Past {
    fn new() -> Self {
        let past = Self { folder: tempfile::tempdir().expect("a folder"), finished: 0 };
        drop(past.store());
        past
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn store(&self) -> Box<dyn Store> {
        open(self.path())
    }

    /// Adds finished ones up to `finished`, with their attempts and counters, as passes would have left them.
    fn grow(&mut self, finished: usize) {
        let connection = Connection::open(self.path().join("n.db")).expect("open");
        connection
            .execute_batch("PRAGMA journal_mode = off; PRAGMA synchronous = off; PRAGMA cache_size = -200000")
            .expect("in haste: this is not what is measured");
        let now = SystemClock.now();
        while self.finished < finished {
            let age = if self.finished < MILLION { OLD } else { YOUNG };
            batch(&connection, now.minus(age), MILLION.min(finished - self.finished));
            self.finished += MILLION.min(finished - self.finished);
        }
        connection.execute_batch("PRAGMA journal_mode = wal").expect("as it was");
        drop(connection);
        // What was written in haste is on its way to the disk, which others need now.
        let file = std::fs::File::open(self.path().join("n.db")).expect("the file");
        file.sync_all().expect("sync");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = notifyctl(self.path(), "");
        command.args(args);
        command
    }
}

/// A batch of `count`, one in fifty of which died, each with one attempt.
fn batch(connection: &Connection, at: Timestamp, count: usize) {
    connection.execute_batch("BEGIN").expect("begin");
    let first: i64 = connection
        .query_row("SELECT coalesce(max(id), 0) + 1 FROM notifications", [], |row| row.get(0))
        .expect("the last id");
    let last = first + count as i64 - 1;
    let (at, dead) = (at.0, count as i64 / 50);
    let batch: i64 = connection
        .query_row(
            "INSERT INTO batches (created_at, source, first_id, last_id, accepted, sent, dead)
             VALUES (?1, 'history', ?2, ?3, ?4, ?4 - ?5, ?5) RETURNING id",
            params![at, first, last, count as i64, dead],
            |row| row.get(0),
        )
        .expect("a batch");
    let steps = [
        "WITH RECURSIVE n (id) AS (VALUES (?1) UNION ALL SELECT id + 1 FROM n WHERE id < ?2)
         INSERT INTO notifications (id, message, status, channel, recipient, subject, parts, priority, batch_id, created_at,
             next_attempt_at, settled_at, reason, attempts)
         SELECT id, printf('%.250c', 'x'), iif((id - ?1) % 50 = 0, 'dead', 'sent'), 'noop', 'user' || id || '@example.org',
             'subject', 0, 2, ?3, ?4, ?4, ?4, iif((id - ?1) % 50 = 0, 'recipient_rejected', 'sent'), 1 FROM n",
        "INSERT INTO attempts (notification_id, number, worker_id, started_at, ended_at, outcome, reason, detail)
         SELECT id, 1, 1, ?4, ?4, iif(status = 'dead', 'rejected', 'sent'), reason, '250 2.0.0 Ok: queued as 4F2Zx91' FROM notifications
         WHERE id BETWEEN ?1 AND ?2 AND ?3",
    ];
    for step in steps {
        connection.execute(step, params![first, last, batch, at]).expect("rows");
    }
    connection
        .execute(
            "INSERT INTO channels (name, accepted, sent, dead) VALUES ('noop', ?1, ?1 - ?2, ?2) ON CONFLICT DO UPDATE
             SET accepted = accepted + excluded.accepted, sent = sent + excluded.sent, dead = dead + excluded.dead",
            params![count as i64, dead],
        )
        .expect("counters");
    connection
        .execute("INSERT OR IGNORE INTO workers (id, name, started_at) VALUES (1, 'bench:1:1', ?1)", [at])
        .expect("a worker");
    connection.execute_batch("COMMIT").expect("commit");
}

/// The same work on both, in turn.
fn compare(past: &Past, none: &Past) -> Vec<Row> {
    let of = |past: &Past| drop(fill(past.path(), DUE));
    of(past);
    of(none);
    let behind = format!("{} million finished", past.finished / MILLION);
    let line = |work: &str, unit: f64, digits: usize, (a, b, ratio): (f64, f64, f64)| Row {
        work: format!("{work}, {behind}"),
        ours: format!("{:.digits$} ms", a * unit),
        floor: format!("{:.digits$} ms", b * unit),
        against: "the same behind none".into(),
        ratio,
        budget: Budget::AtMost(BUDGET),
    };
    let command = |args: &[&str], count: usize| {
        let one = |past: &Past| time(|| succeed(&mut past.command(args)));
        for _ in 0..10 {
            one(past);
            one(none);
        }
        pairs(count, || one(past), || one(none))
    };
    let enqueue = command(&["enqueue", "--channel", "outbox", "--to", "ops@example.org", "hello"], 150);
    let status = command(&["status"], 60);
    let (mut with, mut without) = (past.store(), none.store());
    let library = pairs(300, || enqueue_one(&mut *with), || enqueue_one(&mut *without));
    drop((with, without));
    let through = |past: &Past| {
        let store = past.store();
        let took = time(|| assert_eq!(pass(store), DUE as u64));
        of(past);
        took
    };
    let claim = pairs(11, || through(past), || through(none));
    for past in [past, none] {
        assert_eq!(pass(past.store()), DUE as u64);
    }
    vec![
        line("enqueue", 1e3, 2, enqueue),
        line("enqueue by the library", 1e3, 3, library),
        line("claim + settle 10,000", 1e3, 1, claim),
        line("status", 1e3, 2, status),
    ]
}

fn enqueue_one(store: &mut dyn Store) -> f64 {
    let new = [notifyctl::model::NewNotification { channel: "outbox".into(), ..row(1) }];
    let now = SystemClock.now();
    time(|| drop(store.enqueue(now, now.plus(YOUNG), &new).expect("enqueue")))
}

/// The oldest million goes, while passes run one after the other and somebody enqueues.
fn purge(past: &Past) -> Vec<Row> {
    let (alone, idle) = busy(past, || std::thread::sleep(Duration::from_secs(3)));
    let mut took = 0.0;
    let (beside, waits) = busy(past, || {
        took = time(|| succeed(&mut past.command(&["purge", "--older-than", "30d"])));
    });
    let left = past.store().counts().expect("count").channels["noop"].purged;
    assert_eq!(left, MILLION as u64, "a million is gone");
    let ms = |seconds: &[f64], share: f64| seconds[((seconds.len() - 1) as f64 * share) as usize] * 1e3;
    let row = |work: String, ours: String, floor: String, against: &str, ratio: f64, budget: Budget| Row {
        work,
        ours,
        floor,
        against: against.into(),
        ratio,
        budget,
    };
    vec![
        row(
            format!("pass beside a purge of a million ({took:.1} s)"),
            format!("{:.0}/s", DUE as f64 / beside),
            format!("{:.0}/s", DUE as f64 / alone),
            "a pass alone",
            alone / beside,
            Budget::AtLeast(0.5),
        ),
        row(
            format!("enqueue beside both, longest of {}", waits.len()),
            format!("{:.0} ms", ms(&waits, 1.0)),
            format!("{LONGEST_MS} ms"),
            "the bound",
            ms(&waits, 1.0) / LONGEST_MS,
            Budget::AtMost(1.0),
        ),
        row(
            "enqueue beside both, p99".into(),
            format!("{:.1} ms", ms(&waits, 0.99)),
            format!("{:.1} ms", ms(&idle, 0.99)),
            "the same beside the pass alone",
            ms(&waits, 0.99) / ms(&idle, 0.99),
            Budget::AtMost(5.0),
        ),
    ]
}

/// Passes, one after the other, and a command's worth of enqueueing every few ms, while `work` lasts: how long a pass
/// took (the median), and each enqueue, sorted.
fn busy(past: &Past, work: impl FnOnce()) -> (f64, Vec<f64>) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let passes = scope.spawn(|| {
            let mut took = Vec::new();
            while !over.load(Relaxed) {
                let store = fill(past.path(), DUE);
                took.push(time(|| assert_eq!(pass(store), DUE as u64)));
            }
            median(&mut took)
        });
        let shell = scope.spawn(|| {
            let mut store = past.store();
            let mut waits = Vec::new();
            while !over.load(Relaxed) {
                waits.push(enqueue_one(&mut *store));
                std::thread::sleep(Duration::from_millis(5));
            }
            waits.sort_by(f64::total_cmp);
            waits
        });
        work();
        over.store(true, Relaxed);
        (passes.join().expect("passes"), shell.join().expect("a shell"))
    })
}
