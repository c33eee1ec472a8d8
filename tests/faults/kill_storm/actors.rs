//! Those who are killed: commands that enqueue, and passes that overlap.

use std::fs::{File, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;

use super::history::{Answer, Order, channel, text};
use crate::receiver::Receiver;
use crate::support::Sandbox;

/// How many of each are at work at once.
const ENQUEUERS: usize = 2;
const PASSES: usize = 2;

/// The longest that a pass lives.
const LIFE: Duration = Duration::from_millis(300);

/// Batches are enqueued while fewer than the first are under way, and nothing at all above the second.
const BACKLOG: (usize, usize) = (200, 600);

/// How long it is looked whether something of the backlog arrives.
const PAUSE: Duration = Duration::from_millis(20);

/// A storm over one store.
pub struct Storm<'a> {
    sandbox: &'a Sandbox,
    receiver: &'a Receiver,
    /// It is over when so many passes and so many commands have been killed.
    goal: usize,
    /// How long a command takes that nobody kills.
    typical: Duration,
    next: AtomicUsize,
    /// How many were ordered without an answer.
    unanswered: AtomicUsize,
    orders: Mutex<Vec<Order>>,
    kills: Mutex<Vec<Instant>>,
    killed: AtomicUsize,
    again: AtomicUsize,
    refused: AtomicUsize,
    failed: AtomicUsize,
}

/// What commands said that were killed, or not.
pub struct Said {
    pub killed: usize,
    /// Run again, since they had a key and had been killed.
    pub again: usize,
    /// Failed without being killed.
    pub refused: usize,
    /// Passes that failed without being killed.
    pub failed: usize,
}

impl<'a> Storm<'a> {
    pub fn new(sandbox: &'a Sandbox, receiver: &'a Receiver, goal: usize) -> Self {
        let mut storm = Self {
            sandbox,
            receiver,
            goal,
            typical: Duration::ZERO,
            next: AtomicUsize::new(0),
            unanswered: AtomicUsize::new(0),
            orders: Mutex::default(),
            kills: Mutex::default(),
            killed: AtomicUsize::new(0),
            again: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
        };
        let begun = Instant::now();
        storm.place_order(&mut Rng::with_seed(0), 0);
        storm.typical = begun.elapsed();
        storm
    }

    /// Rages until the goal is reached.
    pub fn rage(&self, mut random: Rng) {
        std::thread::scope(|scope| {
            for number in 0..ENQUEUERS {
                let mut random = random.fork();
                scope.spawn(move || {
                    while !self.is_over() {
                        self.place_order(&mut random, number);
                    }
                });
            }
            for _ in 0..PASSES {
                let mut random = random.fork();
                scope.spawn(move || {
                    while !self.is_over() {
                        self.pass(LIFE.mul_f64(random.f64()));
                    }
                });
            }
        });
    }

    /// What was ordered and answered, when passes were killed, and what was said.
    pub fn over(self) -> (Vec<Order>, Vec<Instant>, Said) {
        let said = Said {
            killed: self.killed.into_inner(),
            again: self.again.into_inner(),
            refused: self.refused.into_inner(),
            failed: self.failed.into_inner(),
        };
        (self.orders.into_inner().expect("whole"), self.kills.into_inner().expect("whole"), said)
    }

    fn is_over(&self) -> bool {
        self.killed.load(Relaxed) >= self.goal && self.kills.lock().expect("whole").len() >= self.goal
    }

    /// A pass that is killed at the end of its life, unless it came to its own end before.
    fn pass(&self, life: Duration) {
        let mut command = self.sandbox.notifyctl();
        command.arg("send-pending").stdout(Stdio::null()).stderr(self.talk());
        let mut child = command.spawn().expect("run a pass");
        std::thread::sleep(life);
        child.kill().expect("it is ours");
        let status = child.wait().expect("wait for a pass");
        match status.signal() {
            Some(_) => self.kills.lock().expect("whole").push(Instant::now()),
            None => drop(self.failed.fetch_add(usize::from(!ended_well(status)), Relaxed)),
        }
    }

    /// One command, killed or not. One that has a key is run again until it has an answer.
    fn place_order(&self, random: &mut Rng, enqueuer: usize) {
        let settled = self.receiver.count() + self.unanswered.load(Relaxed);
        let backlog = self.next.load(Relaxed).saturating_sub(settled);
        if backlog > BACKLOG.1 {
            std::thread::sleep(PAUSE);
            // What is held never arrives: when nothing does, nothing is under way.
            if self.receiver.count() + self.unanswered.load(Relaxed) > settled {
                return;
            }
        }
        let size = if backlog < BACKLOG.0 && random.bool() { random.usize(5..60) } else { 1 };
        let first = self.next.fetch_add(size, Relaxed);
        let numbers: Vec<usize> = (first..first + size).collect();
        let key = random.bool().then(|| format!("order-{first}"));
        let mut command = self.command(&numbers, key.as_deref(), enqueuer);
        let answer = loop {
            match self.ask(&mut command, random, size) {
                Answer::None if key.is_some() => drop(self.again.fetch_add(1, Relaxed)),
                answer => break answer,
            }
        };
        if !matches!(answer, Answer::Accepted(_)) {
            // Some of them arrive all the same; the others never will.
            self.unanswered.fetch_add(size, Relaxed);
        }
        self.orders.lock().expect("whole").push(Order { numbers, answer });
    }

    fn command(&self, numbers: &[usize], key: Option<&str>, enqueuer: usize) -> Command {
        let mut command = self.sandbox.notifyctl();
        command.arg("enqueue").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(self.talk());
        if let [n] = numbers {
            command.args(["--channel", channel(*n), "--to", "ops@example.org"]);
            if let Some(key) = key {
                command.args(["--key", key]);
            }
            command.arg("--").arg(text(*n));
        } else {
            let file = self.sandbox.path().join(format!("batch-{enqueuer}.ndjson"));
            std::fs::write(&file, rows(numbers, key)).expect("write a batch");
            command.arg("--batch").arg(file);
        }
        command
    }

    /// Runs it, kills every other one at a random moment of its life, and hears what it says.
    fn ask(&self, command: &mut Command, random: &mut Rng, size: usize) -> Answer {
        let mut child = command.spawn().expect("run an enqueue");
        if random.bool() && !self.typical.is_zero() {
            std::thread::sleep(self.typical.mul_f64(1.2 * random.f64()));
            child.kill().expect("it is ours");
        }
        let Output { status, stdout, .. } = child.wait_with_output().expect("wait for an enqueue");
        let killed = status.signal().is_some();
        self.killed.fetch_add(usize::from(killed), Relaxed);
        // A line that was printed is a promise, whatever happened next.
        let printed = String::from_utf8(stdout).expect("UTF-8");
        match printed.strip_suffix('\n') {
            Some(id) if size == 1 => Answer::Accepted(vec![id.parse().expect("an id")]),
            Some(_) => Answer::Accepted(Vec::new()),
            None if killed => Answer::None,
            None => {
                self.refused.fetch_add(1, Relaxed);
                Answer::Refused
            }
        }
    }

    /// Where all of them talk: nobody reads it unless something is wrong.
    fn talk(&self) -> File {
        let path = self.sandbox.path().join("talk");
        OpenOptions::new().create(true).append(true).open(path).expect("a file of our own")
    }
}

/// Whether a pass did its work: 1 says that something died or is held.
pub fn ended_well(status: ExitStatus) -> bool {
    matches!(status.code(), Some(0 | 1))
}

/// A batch of these.
pub fn rows(numbers: &[usize], key: Option<&str>) -> String {
    let row = |n: &usize| {
        let mut row = json!({ "channel": channel(*n), "to": "ops@example.org", "message": text(*n) });
        if let Some(key) = key {
            row["key"] = json!(format!("{key}-{n}"));
        }
        format!("{row}\n")
    };
    numbers.iter().map(row).collect()
}
