//! A pass that is stopped (SIGSTOP) in the middle of attempts for longer than its lease, and goes on later.
//!
//! The lease is counted by a clock that nobody can set (CLOCK_BOOTTIME). In the short form the pass that takes over lives
//! in a time namespace an hour ahead; the whole form waits the lease out, so that the one that was stopped knows of it too.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use notifyctl::model::{Outcome, Reason, Status};
use rustix::process::{Pid, Signal, kill_process};

use super::receiver::Receiver;
use crate::finding::Finding;
use crate::ground::Ground;
use crate::support::Sandbox;
use crate::support::channels::wait_until;

/// How long a worker with short attempts may be silent.
const LEASE: Duration = Duration::from_secs(60);

/// Runs it.
pub fn part(ground: &Ground) -> Vec<Finding> {
    if ground.scale(false, true) {
        return std::thread::scope(|scope| {
            let slept = scope.spawn(|| a_daemon_that_slept(ground));
            let mut findings = passes(ground);
            findings.push(slept.join().expect("a part that ends"));
            findings
        });
    }
    passes(ground)
}

/// A daemon that stood still for longer than its lease goes on under a new name, in the same process.
fn a_daemon_that_slept(ground: &Ground) -> Finding {
    let sandbox = ground.sandbox(|_| "[channels.run]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\n".into());
    let mut daemon = sandbox
        .notifyctl()
        .arg("daemon")
        .env("NOTIFYCTL_HTTP__LISTEN", "127.0.0.1:0")
        .stderr(Stdio::null())
        .spawn()
        .expect("a daemon");
    let sends = || {
        sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", "x"]);
        wait_until("it is sent", || sandbox.store().counts().expect("count").of(Status::Pending) == 0);
    };
    sends();
    stop(&daemon);
    std::thread::sleep(LEASE + Duration::from_secs(2));
    kill_process(Pid::from_child(&daemon), Signal::CONT).expect("go on");
    sends();
    let ended = daemon.try_wait().expect("look").is_some();
    kill_process(Pid::from_child(&daemon), Signal::TERM).expect("end it");
    let failed = !daemon.wait().expect("wait").success();
    Finding::none("daemons that did not outlive a sleep", u64::from(ended || failed))
}

fn passes(ground: &Ground) -> Vec<Finding> {
    // All of them under way when it is stopped.
    let mut taken = Taken::by(ground, 3, 3, Wait::Pretended);
    if ground.scale(false, true) {
        // One under way, the rest claimed and not begun.
        taken.add(Taken::by(ground, 6, 1, Wait::Real));
    }
    vec![
        Finding::counted("attempts under way in passes that were stopped past their lease", taken.in_flight),
        Finding::none("control: taken over before the lease was over", taken.too_early),
        Finding::none("lost: not sent in the end", taken.lost),
        Finding::at_least("results of the stopped pass that were refused", taken.refused, taken.in_flight),
        Finding::at_least(
            "of these on record as late, after an attempt of unknown end",
            taken.late,
            taken.in_flight,
        ),
        Finding::none("settled twice", taken.settled_twice),
        Finding::at_most("sent twice (at most what was under way)", taken.twice, taken.in_flight),
    ]
}

/// How the other pass comes to see the lease as over.
#[derive(Clone, Copy, PartialEq)]
enum Wait {
    Pretended,
    Real,
}

#[derive(Clone, Copy, Default)]
struct Taken {
    in_flight: u64,
    too_early: u64,
    lost: u64,
    refused: u64,
    late: u64,
    settled_twice: u64,
    twice: u64,
}

impl Taken {
    fn add(&mut self, more: Self) {
        self.in_flight += more.in_flight;
        self.too_early += more.too_early;
        self.lost += more.lost;
        self.refused += more.refused;
        self.late += more.late;
        self.settled_twice += more.settled_twice;
        self.twice += more.twice;
    }

    fn by(ground: &Ground, due: usize, in_flight: usize, wait: Wait) -> Self {
        let gate = Arc::new(Gate::default());
        let receiver = {
            let gate = Arc::clone(&gate);
            Receiver::start(move |_, before| {
                if before < in_flight {
                    gate.pass();
                }
                "204 No Content".into()
            })
        };
        let url = receiver.url("/");
        let sandbox = ground.sandbox(|_| {
            format!("[channels.hook]\nkind = \"webhook\"\nurl = \"{url}\"\nmax_in_flight = {in_flight}\ntimeout = \"20s\"\n")
        });
        (0..due).for_each(|_| drop(sandbox.ok(&["enqueue", "--channel", "hook", "--to", "ops", "x"])));
        let mut stopped = sandbox.notifyctl();
        let stopped = stopped.args(["send-pending", "--json"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let stopped = stopped.spawn().expect("a pass");
        let sending = || sandbox.store().counts().expect("count").of(Status::Sending) as usize;
        wait_until("some are under way, and more are claimed where there are more", || {
            receiver.requests().len() == in_flight && sending() > in_flight.min(due - 1)
        });
        // Not in the middle of a claim: who is stopped there keeps the store from everybody.
        std::thread::sleep(Duration::from_millis(300));
        stop(&stopped);
        let unclaimed = due - sending();
        // Nobody takes what a living pass has in hand.
        let other = |command: &mut Command| tally(&command.output().expect("a pass").stdout);
        let before = other(sandbox.notifyctl().args(["send-pending", "--json"]));
        let too_early = before["orphans"].as_u64().expect("a number")
            + (receiver.requests().len() - in_flight - unclaimed) as u64;
        match wait {
            Wait::Pretended => drop(other(&mut an_hour_later(&sandbox))),
            Wait::Real => {
                let over = Instant::now() + LEASE + Duration::from_secs(2);
                std::thread::sleep(over - Instant::now());
                other(sandbox.notifyctl().args(["send-pending", "--json"]));
            }
        }
        // The answers come, and then the pass that waited for them goes on.
        gate.open();
        kill_process(Pid::from_child(&stopped), Signal::CONT).expect("go on");
        let late = tally(&stopped.wait_with_output().expect("it ends").stdout);
        sandbox.ok(&["send-pending"]);
        sandbox.ok(&["db", "check"]);
        let mut taken = Self::found(&sandbox, due);
        let requests = receiver.requests().len() as u64;
        taken.twice = requests - due as u64;
        taken.refused = late["leases_lost"].as_u64().expect("a number");
        Self { in_flight: in_flight as u64, too_early, ..taken }
    }

    fn found(sandbox: &Sandbox, due: usize) -> Self {
        let store = sandbox.store();
        let mut found = Self::default();
        for id in 1..=due as i64 {
            let status = store.get(id).expect("read").expect("there").summary.status;
            let attempts = store.attempts(id).expect("read");
            let sent = attempts.iter().filter(|attempt| attempt.outcome == Some(Outcome::Sent)).count();
            found.lost += u64::from(status != Status::Sent);
            found.settled_twice += u64::from(sent > 1);
            let is_late = |attempt: &notifyctl::store::Attempt| {
                attempt.reason == Some(Reason::WorkerDied) && attempt.late.is_some()
            };
            found.late += attempts.iter().filter(|attempt| is_late(attempt)).count() as u64;
        }
        found
    }
}

/// Lets nobody pass until it is opened.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let is_open = self.is_open.lock().expect("whole");
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).expect("whole"));
    }

    fn open(&self) {
        *self.is_open.lock().expect("whole") = true;
        self.opened.notify_all();
    }
}

/// Stops it, and waits until it is.
fn stop(pass: &Child) {
    kill_process(Pid::from_child(pass), Signal::STOP).expect("stop it");
    let stat = format!("/proc/{}/stat", pass.id());
    wait_until("it stands still", || std::fs::read_to_string(&stat).expect("its state").contains(") T "));
}

/// A pass in a time namespace where an hour more has gone by since the machine was started.
fn an_hour_later(sandbox: &Sandbox) -> Command {
    let pass = sandbox.notifyctl();
    let mut later = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        later.args(["--user", "--map-current-user"]);
    }
    later.args(["--time", "--boottime", "3600"]).arg(pass.get_program()).args(["send-pending", "--json"]);
    later.env_clear().envs(pass.get_envs().filter_map(|(name, value)| Some((name, value?))));
    later
}

fn tally(json: &[u8]) -> serde_json::Value {
    serde_json::from_slice(json).expect("a tally")
}
