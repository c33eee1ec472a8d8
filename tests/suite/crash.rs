//! P2 and P4: a pass that is killed at any moment loses nothing and repeats only what was in flight, under
//! the same id.
//!
//! The receiver is a file of JSON lines: what stands in it has been delivered.

use std::collections::BTreeMap;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use notifyctl::clock::{Clock, SystemClock};
use notifyctl::model::{Id, Reason, Status};
use notifyctl::store::{Access, Options, Store, open};

use crate::support::Sandbox;

/// How many attempts the channel lets be under way at once.
const IN_FLIGHT: usize = 4;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let sink = sandbox.path().join("sink.jsonl");
    sandbox.configure(&format!(
        "[channels.sink]\nkind = \"file\"\nformat = \"jsonl\"\npath = \"{}\"\nmax_in_flight = {IN_FLIGHT}\n",
        sink.display()
    ));
    sandbox
}

fn enqueue(sandbox: &Sandbox, n: usize) {
    let rows: String =
        (0..n).map(|n| format!("{{\"channel\":\"sink\",\"to\":\"ops\",\"message\":\"m{n}\"}}\n")).collect();
    let file = sandbox.path().join("batch.ndjson");
    std::fs::write(&file, rows).unwrap();
    sandbox.ok(&["enqueue", "--batch", file.to_str().unwrap()]);
}

/// The stable ids that were delivered, by id, in their order.
fn delivered(sandbox: &Sandbox) -> BTreeMap<Id, Vec<String>> {
    let mut delivered: BTreeMap<Id, Vec<String>> = BTreeMap::new();
    let text = std::fs::read_to_string(sandbox.path().join("sink.jsonl")).unwrap_or_default();
    for line in text.lines() {
        let json: serde_json::Value = serde_json::from_str(line).expect("a whole line");
        let stable_id = json["stable_id"].as_str().unwrap().to_owned();
        delivered.entry(json["id"].as_i64().unwrap()).or_default().push(stable_id);
    }
    delivered
}

fn store(sandbox: &Sandbox) -> Box<dyn Store> {
    let url = format!("sqlite://{}", sandbox.db().display()).parse().unwrap();
    let options = Options { url, busy_timeout: Duration::from_secs(5) };
    open(&options, Access::Existing, SystemClock.now()).unwrap()
}

/// Nothing is lost, every repetition is of an attempt whose worker died during it, and the store is sound.
/// Says how many were repeated.
fn judge(sandbox: &Sandbox, enqueued: usize) -> usize {
    let delivered = delivered(sandbox);
    let store = store(sandbox);
    assert_eq!(store.counts().unwrap().of(Status::Sent), enqueued as u64, "all are sent");
    assert_eq!(delivered.len(), enqueued, "all are delivered");
    let mut repeated = 0;
    for (id, copies) in &delivered {
        assert!(copies.iter().all(|copy| *copy == copies[0]), "{id} under several ids: {copies:?}");
        let attempts = store.attempts(*id).unwrap();
        let died = attempts.iter().filter(|attempt| attempt.reason == Some(Reason::WorkerDied)).count();
        assert!(copies.len() <= 1 + died, "{id} came {} times, with {died} deaths", copies.len());
        repeated += copies.len() - 1;
    }
    sandbox.ok(&["db", "check"]);
    repeated
}

#[test]
fn passes_killed_at_random_moments_lose_nothing_and_repeat_only_what_was_in_flight() {
    let sandbox = sandbox();
    let enqueued = 1_500;
    enqueue(&sandbox, enqueued);
    let mut random = fastrand::Rng::with_seed(0x5eed);
    let mut kills = 0;
    // Kept while much is left, so that nobody is hit three times in a row and taken for poison.
    while kills < 25 && delivered(&sandbox).len() < enqueued * 4 / 5 {
        let mut pass = sandbox.notifyctl().arg("send-pending").stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.u64(10..120)));
        pass.kill().unwrap();
        pass.wait().unwrap();
        kills += 1;
    }
    sandbox.ok(&["send-pending"]);
    let repeated = judge(&sandbox, enqueued);
    assert!(kills > 5, "{kills} kills are not a storm");
    // In flight are those under way, and those whose results were on their way into the store.
    assert!(repeated <= kills * 2 * IN_FLIGHT, "{repeated} repeated after {kills} kills");
}

#[test]
fn a_pass_killed_at_every_stage_is_made_good_by_the_next_one() {
    let sandbox = sandbox();
    let mut enqueued = 0;
    // Opening and claiming, the first byte, results, the end: each call that writes, in turn.
    let stages =
        [("pwrite64", 1..=24), ("write", 1..=9), ("fdatasync", 1..=6), ("fsync", 1..=6), ("unlink", 1..=2)];
    let (mut killed, mut survived) = (0, 0);
    for (call, times) in stages {
        for nth in times {
            enqueue(&sandbox, 2);
            enqueued += 2;
            match killed_at(&sandbox, call, nth) {
                true => killed += 1,
                false => survived += 1,
            }
            sandbox.ok(&["send-pending"]);
            judge(&sandbox, enqueued);
        }
    }
    assert!(killed >= 20, "only {killed} passes were killed; {survived} never came to that call");
}

#[test]
fn a_disk_that_is_full_for_a_moment_makes_nothing_go_out_twice() {
    let sandbox = sandbox();
    let (mut enqueued, mut ended_early) = (0, 0);
    for first in (1..40).step_by(3) {
        enqueue(&sandbox, 12);
        enqueued += 12;
        let full = format!("pwrite64:error=ENOSPC:when={first}..{}", first + 4);
        let log = sandbox.path().join("state/notifyctl.db-wal");
        let status = traced(&sandbox, &full, &["-P", log.to_str().unwrap()]);
        assert!(matches!(status.code(), Some(0 | 75)), "{status} with {full}");
        ended_early += u32::from(!status.success());
        sandbox.ok(&["send-pending"]);
        assert_eq!(judge(&sandbox, enqueued), 0, "repeated, with {full}");
    }
    assert!(ended_early > 0, "the disk was never full");
}

/// Runs a pass that dies when a thread of it makes its `nth` such call; says whether it did.
fn killed_at(sandbox: &Sandbox, call: &str, nth: u32) -> bool {
    // strace ends as its child did.
    !traced(sandbox, &format!("{call}:signal=KILL:when={nth}"), &[]).success()
}

/// Runs a pass into which strace injects a fault.
fn traced(sandbox: &Sandbox, fault: &str, options: &[&str]) -> ExitStatus {
    let pass = sandbox.notifyctl();
    let call = fault.split(':').next().expect("a call");
    Command::new("strace")
        .args(["-f", "-qqq", "-o", "/dev/null"])
        .args(options)
        .args(["-e", &format!("trace={call}"), "-e", &format!("inject={fault}")])
        .arg(pass.get_program())
        .arg("send-pending")
        .env_clear()
        .envs(pass.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .stderr(Stdio::null())
        .status()
        .expect("strace, which `tests/run` installs")
}
