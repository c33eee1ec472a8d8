//! One pass with one notification for each peer, all at once: what each attempt came to.

use std::process::{Child, Stdio};
use std::time::Duration;

use notifyctl::model::Outcome;

use super::{http, smtp, tls};
use crate::finding::Finding;
use crate::ground::Ground;
use crate::support::Sandbox;
use crate::support::webhooks::Peer;

/// The most memory of a pass over all of them, in MiB, in a build without optimisation.
const MEMORY: f64 = 64.0;

/// A peer, the channel to it, and what an attempt should come to.
pub struct Case {
    name: String,
    config: String,
    outcome: Outcome,
    /// Listens for as long as this is kept.
    _peer: Peer,
}

impl Case {
    pub fn new(name: String, peer: Peer, config: &str, outcome: Outcome) -> Self {
        Self { name, config: config.to_owned(), outcome, _peer: peer }
    }
}

/// Runs it.
pub fn part(ground: &Ground) -> Vec<Finding> {
    let mut cases = Vec::new();
    let sandbox = ground.sandbox(|folder| {
        let pipelining = ground.scale(
            &["250-relay\r\n250 PIPELINING\r\n"][..],
            &["250-relay\r\n250 PIPELINING\r\n", "250 relay\r\n"],
        );
        cases.extend(pipelining.iter().flat_map(|offers| smtp::cases(offers)));
        cases.extend(http::cases());
        cases.extend(tls::cases(folder));
        cases.iter().enumerate().map(|(n, case)| format!("[channels.c{n}]\n{}", case.config)).collect()
    });
    let rows: String =
        (0..cases.len()).map(|n| format!("{{\"channel\":\"c{n}\",\"message\":\"x\"}}\n")).collect();
    assert!(sandbox.run(&["enqueue", "--batch", "-"], rows.as_bytes()).status.success());
    let mut pass = sandbox.notifyctl();
    // Nobody is trusted beside those whom a channel names: reading the system's hundreds takes a while in a build
    // without optimisation.
    pass.env("SSL_CERT_FILE", sandbox.path().join("1.pem"));
    pass.args(["send-pending", "--fail-on", "never"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut pass = pass.spawn().expect("a pass");
    let peak = peak_mib(&mut pass);
    let said = String::from_utf8(pass.wait_with_output().expect("it ends").stderr).expect("UTF-8");
    sandbox.ok(&["db", "check"]);
    let mut count = Count::default();
    for (case, id) in cases.iter().zip(1..) {
        count.look(&sandbox, case, id);
    }
    vec![
        Finding::counted("relays and endpoints that misbehave, each in its way", cases.len()),
        Finding::none("another outcome than the rules say", count.wrong),
        Finding::none("sent although nothing was accepted", count.sent),
        Finding::none("unknown although the other side cannot have it", count.unknown),
        Finding::at_least("control: accepted by the one that behaves but for its body", count.accepted, 1),
        Finding::at_most(
            "longest attempt, in seconds, with limits of 3 s",
            seconds(count.longest),
            ground.scale(6.0, 3.3),
        ),
        Finding::at_most("peak memory of the pass, in MiB", peak.round(), MEMORY),
        Finding::none("panics", said.matches("panicked").count() as u64),
    ]
}

#[derive(Default)]
struct Count {
    wrong: u64,
    sent: u64,
    unknown: u64,
    accepted: u64,
    longest: Duration,
}

impl Count {
    fn look(&mut self, sandbox: &Sandbox, case: &Case, id: i64) {
        let attempts = sandbox.store().attempts(id).expect("read");
        let attempt = attempts.first().expect("an attempt");
        let outcome = attempt.outcome.expect("an end");
        let took = attempt.ended_at.expect("an end").since(attempt.started_at);
        self.longest = self.longest.max(took);
        if outcome == case.outcome {
            self.accepted += u64::from(outcome == Outcome::Sent);
            return;
        }
        let detail = &attempt.detail;
        eprintln!("{}: {outcome} and not {}, after {took:?}: {detail}", case.name, case.outcome);
        self.wrong += 1;
        self.sent += u64::from(outcome == Outcome::Sent);
        self.unknown += u64::from(outcome == Outcome::Unknown);
    }
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}

/// The kernel's own high-water mark, looked at until the process ends.
fn peak_mib(pass: &mut Child) -> f64 {
    let mut peak = 0.0;
    while pass.try_wait().expect("wait").is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", pass.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        peak = kib.map_or(peak, |kib| kib / 1_024.0);
        std::thread::sleep(Duration::from_millis(5));
    }
    peak
}
