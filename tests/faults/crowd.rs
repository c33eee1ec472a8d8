//! Many processes on one store: fifty shells enqueue, four passes deliver, and somebody reads a long listing slowly.
//!
//! Nobody is killed here; nobody may be turned away either, nothing may come twice, and the log stays short.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use notifyctl::model::Status;

use crate::finding::Finding;
use crate::ground::Ground;
use crate::receiver::Receiver;
use crate::support::Sandbox;
use crate::support::queue::{Queue, plain};

const SHELLS: usize = 50;
const PASSES: usize = 4;

/// The longest that the log may become, in MiB.
const LOG_LIMIT: f64 = 24.0;

/// What everybody is busy on.
struct Place<'a> {
    sandbox: &'a Sandbox,
    /// Whether the shells are done.
    over: AtomicBool,
    /// The longest that the log was, in bytes.
    log: AtomicU64,
    /// What was said by those who were turned away.
    refusals: Mutex<Vec<String>>,
}

pub fn scenario(ground: &Ground) -> Vec<Finding> {
    let each = ground.scale(6, 60);
    let listed = ground.scale(3_000, 30_000);
    let receiver = Receiver::start(Duration::from_millis(2));
    // In the short form the disk may be busy with something else for longer than the five seconds that are the default.
    let patience = ground.scale("busy_timeout = \"30s\"\n", "");
    let sandbox = ground.sandbox(|_| {
        format!(
            "{patience}[channels.mail]\n{}max_in_flight = 8\n[channels.hook]\n{}max_in_flight = 8\n",
            receiver.smtp(),
            receiver.webhook()
        )
    });
    let rows: String = (0..listed)
        .map(|n| format!("{{\"channel\":\"mail\",\"to\":\"a{n}@example.org\",\"message\":\"listed {n}\"}}\n"))
        .collect();
    std::fs::write(sandbox.path().join("rows.ndjson"), rows).expect("write a batch");
    sandbox.ok(&["enqueue", "--batch", "rows.ndjson"]);

    let place = Place {
        sandbox: &sandbox,
        over: AtomicBool::new(false),
        log: AtomicU64::new(0),
        refusals: Mutex::default(),
    };
    let begun = Instant::now();
    let (mut times, mut expected): (Vec<Duration>, Vec<String>) = <_>::default();
    let mut pages = 0;
    std::thread::scope(|scope| {
        let place = &place;
        let shells: Vec<_> =
            (0..SHELLS).map(|shell| scope.spawn(move || place.enqueue(shell, each))).collect();
        for _ in 0..PASSES {
            scope.spawn(|| place.deliver());
        }
        let reader = scope.spawn(|| place.read());
        scope.spawn(|| place.watch());
        for shell in shells {
            let (took, accepted) = shell.join().expect("a shell");
            times.extend(took);
            expected.extend(accepted);
        }
        place.over.store(true, Relaxed);
        pages = reader.join().expect("a reader");
    });
    let took = begun.elapsed();
    sandbox.ok(&["send-pending"]);
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for arrival in receiver.arrivals() {
        *copies.entry(arrival.message.trim_end().to_owned()).or_default() += 1;
    }
    expected.extend((0..listed).map(|n| format!("listed {n}")));
    let lost = expected.iter().filter(|text| !copies.contains_key(*text)).count();
    let twice = copies.values().filter(|copies| **copies > 1).count();
    let refusals = std::mem::take(&mut *place.refusals.lock().expect("whole"));
    for refusal in refusals.iter().take(5) {
        println!("turned away: {refusal}");
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    let check = sandbox.notifyctl().args(["db", "check"]).output().expect("check");
    let mut findings = vec![
        Finding::counted("enqueue commands, 50 at a time", times.len()),
        Finding::counted(
            "  a second, beside 4 passes and a reader",
            format!("{:.0}", times.len() as f64 / took.as_secs_f64()),
        ),
        Finding::counted("  p50, ms", format!("{:.0}", at(0.5))),
        Finding::at_most("  p99, ms", at(0.99).round(), ground.scale(20_000.0, 1_000.0)),
        Finding::counted("  longest, ms", format!("{:.0}", at(1.0))),
        Finding::counted("rows read through `list`", pages),
        Finding::none("turned away (75, locked, or anything else)", refusals.len() as u64),
        Finding::none("lost", lost as u64),
        Finding::none("twice", twice as u64),
        Finding::none(
            "not sent in the end",
            expected.len() as u64 - sandbox.store().counts().expect("count").of(Status::Sent),
        ),
        Finding::at_most("longest log, MiB", mib(place.log.load(Relaxed)), LOG_LIMIT),
        Finding::none("store unsound (db check)", u64::from(!check.status.success())),
    ];
    findings.extend(log_controls(ground));
    findings
}

/// The log without a reader, and beside one that keeps its view: the bench sees a listing that would do so.
fn log_controls(ground: &Ground) -> [Finding; 2] {
    [true, false].map(|pinned| {
        let sandbox = ground.sandbox(|_| String::new());
        let mut queue = Queue::new(&sandbox);
        queue.pending("mail", "first@example.org");
        let reader = rusqlite::Connection::open(sandbox.db()).expect("open");
        if pinned {
            reader.execute_batch("BEGIN; SELECT count(*) FROM notifications").expect("a view");
        }
        // As much as makes the log too long, if nothing of it is ever moved into the file.
        let mut row = plain("mail", "ops@example.org");
        row.content.message = "x".repeat(64 << 10);
        let mut longest = 0.0_f64;
        for _ in 0..(LOG_LIMIT * 16.0) as usize {
            queue.enqueue(row.clone());
            longest = longest.max(mib(log_of(&sandbox)));
        }
        match pinned {
            true => {
                Finding::at_least("control: log beside a reader that keeps its view, MiB", longest, LOG_LIMIT)
            }
            false => Finding::at_most("  the same without it, MiB", longest, LOG_LIMIT),
        }
    })
}

fn log_of(sandbox: &Sandbox) -> u64 {
    let mut log = sandbox.db().into_os_string();
    log.push("-wal");
    std::fs::metadata(&log).map_or(0, |log| log.len())
}

/// To a tenth.
fn mib(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 10.0).round() / 10.0
}

impl Place<'_> {
    /// One shell: a command after the other. Says how long each took, and what was accepted.
    fn enqueue(&self, shell: usize, commands: usize) -> (Vec<Duration>, Vec<String>) {
        let (mut times, mut accepted) = (Vec::new(), Vec::new());
        for n in 0..commands {
            let channel = ["mail", "hook"][n % 2];
            let text = format!("shell {shell}, command {n}");
            let begun = Instant::now();
            let done = self.run(&["enqueue", "--channel", channel, "--to", "ops@example.org", &text]);
            times.push(begun.elapsed());
            accepted.extend(done.then_some(text));
        }
        (times, accepted)
    }

    fn deliver(&self) {
        while !self.over.load(Relaxed) {
            self.run(&["send-pending"]);
        }
    }

    /// Reads the whole listing again and again, as slowly as a person with a pager. Says how many rows it saw.
    fn read(&self) -> usize {
        let mut rows = 0;
        while !self.over.load(Relaxed) {
            let mut command = self.sandbox.notifyctl();
            command.args(["list", "--all", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = command.spawn().expect("list");
            let mut stdout = child.stdout.take().expect("a pipe");
            let mut bite = vec![0; 64 << 10];
            loop {
                match stdout.read(&mut bite).expect("read") {
                    0 => break,
                    n => rows += bite[..n].iter().filter(|byte| **byte == b'\n').count(),
                }
                if !self.over.load(Relaxed) {
                    std::thread::sleep(Duration::from_millis(30));
                }
            }
            let output = child.wait_with_output().expect("wait");
            self.heed(&["list"], &output);
        }
        rows
    }

    fn watch(&self) {
        while !self.over.load(Relaxed) {
            self.log.fetch_max(log_of(self.sandbox), Relaxed);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether it did what it was asked for.
    fn run(&self, args: &[&str]) -> bool {
        let output = self.sandbox.notifyctl().args(args).output().expect("run notifyctl");
        self.heed(args, &output);
        output.status.success()
    }

    fn heed(&self, args: &[&str], output: &std::process::Output) {
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || !said.is_empty() {
            self.refusals.lock().expect("whole").push(format!("{args:?}: {}: {said}", output.status));
        }
    }
}
