//! Jumps in the middle of a pass that is kept waiting by a rate.

use std::process::Stdio;
use std::time::{Duration, Instant};

use super::fake::FakeClock;
use super::receiver::{Receiver, Request};
use crate::finding::Finding;
use crate::ground::Ground;

const LIMIT: usize = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// Runs it.
pub fn part(ground: &Ground) -> Vec<Finding> {
    let due = ground.scale(40, 300);
    let calm = deliver(ground, due, &[]);
    let hours: Vec<f64> = [1.0, -5.0, 3.0, -0.01, 24.0 * 30.0, 0.0].map(|hours| hours * 3_600.0).to_vec();
    let wild = deliver(ground, due, &hours);
    vec![
        Finding::counted("clock jumps while a pass ran", wild.jumps),
        Finding::none("not sent, or sent twice", wild.lost_or_twice + calm.lost_or_twice),
        Finding::at_most("most in a window of a rate of 10 that no jump touched", calm.most(0), LIMIT),
        Finding::none("windows with more than 10 and 10 for each jump ahead in it", wild.over(1)),
        Finding::at_least(
            "control: windows with more than 10 at twice the pace",
            calm.twice_as_fast().over(0),
            1,
        ),
        Finding::at_most("seconds that a pass took, with jumps", wild.took.as_secs_f64().round(), 60.0),
    ]
}

/// What came of it.
struct Delivered {
    /// When each request came.
    came: Vec<Instant>,
    lost_or_twice: u64,
    jumps: u64,
    /// When the clock was set ahead.
    ahead: Vec<Instant>,
    took: Duration,
}

impl Delivered {
    /// For each window that begins with a request: how many it holds beyond the limit, when each jump ahead that
    /// touches it allows for `per_jump` more limits.
    fn beyond(&self, per_jump: usize) -> impl Iterator<Item = usize> {
        self.came.iter().enumerate().map(move |(first, &from)| {
            let held = self.came[first..].iter().take_while(|at| **at < from + WINDOW).count();
            let jumps = self.ahead.iter().filter(|at| **at >= from && **at < from + WINDOW).count();
            held.saturating_sub(LIMIT * (1 + per_jump * jumps))
        })
    }

    /// What would have come if each had come in half the time.
    fn twice_as_fast(&self) -> Self {
        let first = self.came[0];
        let came = self.came.iter().map(|at| first + (*at - first) / 2).collect();
        Self { came, ahead: Vec::new(), ..*self }
    }

    fn over(&self, per_jump: usize) -> u64 {
        self.beyond(per_jump).filter(|beyond| *beyond > 0).count() as u64
    }

    fn most(&self, per_jump: usize) -> usize {
        LIMIT + self.beyond(per_jump).max().unwrap_or(0)
    }
}

/// Delivers `due` in one pass, and sets the clock to each of `jumps` in turn meanwhile.
fn deliver(ground: &Ground, due: usize, jumps: &[f64]) -> Delivered {
    let receiver = Receiver::start(|_, _| "204 No Content".into());
    let url = receiver.url("/rate");
    let sandbox = ground.sandbox(|_| {
        format!(
            "[channels.hook]\nkind = \"webhook\"\nurl = \"{url}\"\nrate = \"{LIMIT}/{}s\"\n",
            WINDOW.as_secs()
        )
    });
    let clock = FakeClock::new(sandbox.path());
    let rows: String =
        (0..due).map(|n| format!("{{\"channel\":\"hook\",\"to\":\"ops\",\"message\":\"{n}\"}}\n")).collect();
    assert!(sandbox.run(&["enqueue", "--batch", "-"], rows.as_bytes()).status.success());
    let begun = Instant::now();
    let mut pass = clock.notifyctl(&sandbox);
    let mut pass = pass.arg("send-pending").stdout(Stdio::null()).spawn().expect("a pass");
    let (mut ahead, mut set, mut done) = (Vec::new(), 0.0, 0);
    let ended = |pass: &mut std::process::Child| pass.try_wait().expect("wait").is_some();
    for &offset in jumps.iter().cycle() {
        std::thread::sleep(Duration::from_millis(650));
        if ended(&mut pass) {
            break;
        }
        if offset > set {
            ahead.push(Instant::now());
        }
        clock.set(offset);
        (set, done) = (offset, done + 1);
    }
    assert!(pass.wait().expect("wait").success());
    // A pass may leave a rate that is far from free to the next one.
    clock.set(0.0);
    clock.ok(&sandbox, &["send-pending"]);
    let took = begun.elapsed();
    sandbox.ok(&["db", "check"]);
    let requests: Vec<Request> = receiver.requests();
    let ids: std::collections::BTreeSet<_> = requests.iter().map(|request| &request.id).collect();
    let lost_or_twice = (due.abs_diff(ids.len()) + requests.len().abs_diff(ids.len())) as u64;
    let mut came: Vec<_> = requests.iter().map(|request| request.at).collect();
    came.sort_unstable();
    Delivered { came, lost_or_twice, jumps: done, ahead, took }
}
