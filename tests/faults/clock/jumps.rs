//! Jumps between passes: each kind of wait on a channel of its own, under a clock that is then set back or ahead.

use std::time::Instant;

use super::fake::FakeClock;
use super::receiver::Receiver;
use crate::finding::Finding;
use crate::ground::Ground;
use crate::support::Sandbox;

const HOUR: f64 = 3_600.0;
const DAY: f64 = 86_400.0;

/// 2038-01-19T03:14:00Z, eight seconds before 32 bits are used up.
const Y2038: f64 = 2_147_483_640.0;

/// What waits for what. The first request to each path is answered so that the wait begins.
const CHANNELS: [(&str, &str); 4] = [
    ("retry", "503 Service Unavailable"),
    ("trouble", "401 Unauthorized"),
    ("asked", "429 Too Many Requests\r\nRetry-After: 40"),
    ("rate", "204 No Content"),
];

/// How much went wrong, over all jumps.
#[derive(Default)]
struct Count {
    jumps: u64,
    stalled: u64,
    waits_for_the_clock: u64,
    early: u64,
    over_rate: u64,
    unprintable: u64,
    expired_wrongly: u64,
}

/// Runs it.
pub fn part(ground: &Ground) -> Vec<Finding> {
    let mut random = ground.random();
    let mut back = vec![30.0, HOUR, DAY, 365.0 * DAY];
    back.extend((0..ground.scale(0, 60)).map(|_| random.f64() * 40.0 * DAY + 15.0));
    let mut count = Count::default();
    for (number, by) in back.into_iter().enumerate() {
        // Every other one begins where 32 bits end.
        let from = if number % 2 == 0 { 0.0 } else { Y2038 };
        // On a slow disk a pass comes too late for a rate's moment, and nothing waits as it should: once more.
        assert!((0..5).any(|_| Stage::set(ground).jump_back(from, by, &mut count)), "nothing begins to wait");
    }
    for by in [HOUR, 30.0 * DAY] {
        Stage::set(ground).jump_ahead(by, &mut count);
    }
    vec![
        Finding::counted("clock jumps between passes", count.jumps),
        Finding::none("still waiting when its wait, not counting the jump, was over", count.stalled),
        Finding::at_least(
            "control: still waiting then, as asked for by the clock",
            count.waits_for_the_clock,
            1,
        ),
        Finding::none("sent before its time by the clock of that moment", count.early),
        Finding::none("attempts beyond a rate after a clock was set back", count.over_rate),
        Finding::none("expired before, or sent after its last moment", count.expired_wrongly),
        Finding::none("status, list, show or why that did not print", count.unprintable),
    ]
}

/// A store with all the channels, and the clock that its commands go by.
struct Stage {
    sandbox: Sandbox,
    clock: FakeClock,
    receiver: Receiver,
}

impl Stage {
    fn set(ground: &Ground) -> Self {
        let receiver = Receiver::start(|path, before| {
            let first = CHANNELS.iter().find(|(name, _)| *name == &path[1..]).filter(|_| before == 0);
            first.map_or("204 No Content", |(_, answer)| answer).to_owned()
        });
        let channel = |name: &str, more: &str| {
            format!(
                "[channels.{name}]\nkind = \"webhook\"\nurl = \"{}\"\n{more}",
                receiver.url(&format!("/{name}"))
            )
        };
        let config = [
            channel("fresh", ""),
            channel("retry", "retry = \"30s, 5m\"\n"),
            channel("trouble", ""),
            channel("asked", ""),
            channel("rate", "rate = \"2/10s\"\n"),
        ];
        let sandbox = ground.sandbox(|_| config.concat());
        let clock = FakeClock::new(sandbox.path());
        Self { sandbox, clock, receiver }
    }

    fn enqueue(&self, channel: &str, more: &[&str]) -> String {
        let args = [&["enqueue", "--channel", channel, "--to", "ops"], more, &["x"]].concat();
        self.clock.ok(&self.sandbox, &args).trim().to_owned()
    }

    /// A pass that does not wait for rates.
    fn pass(&self, channels: &[&str]) {
        let mut args = vec!["send-pending", "--fail-on", "never", "--max-time", "500ms"];
        channels.iter().for_each(|channel| args.extend(["--channel", channel]));
        self.clock.ok(&self.sandbox, &args);
    }

    fn status(&self, id: &str) -> String {
        let shown = self.clock.ok(&self.sandbox, &["show", id, "--json"]);
        let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        shown["status"].as_str().expect("a status").to_owned()
    }

    /// How many of the commands that look do not print.
    fn looks(&self, id: &str) -> u64 {
        let looks: [&[&str]; 5] =
            [&["status"], &["status", "--json"], &["list"], &["show", id], &["why", id]];
        let fails = |args: &&&[&str]| {
            let output = self.clock.notifyctl(&self.sandbox).args(**args).output().expect("run it");
            !output.status.success() || output.stdout.is_empty()
        };
        looks.iter().filter(fails).count() as u64
    }

    /// Everything begins to wait under a clock that is then set back by `by` seconds. Says whether it did begin.
    fn jump_back(&self, from: f64, by: f64, count: &mut Count) -> bool {
        const WAITING: [&str; 4] = ["retry", "trouble", "asked", "rate"];
        let came = |channel: &str| self.receiver.count(&format!("/{channel}"));
        let base = if from > 0.0 { self.clock.set_to(from) } else { 0.0 };
        self.clock.set(base + by);
        for channel in WAITING {
            (0..if channel == "rate" { 4 } else { 1 }).for_each(|_| drop(self.enqueue(channel, &[])));
        }
        self.pass(&WAITING);
        if WAITING.map(came) != [1, 1, 1, 2] {
            return false;
        }
        count.jumps += 1;
        let fresh = self.enqueue("fresh", &[]);
        let appointed = self.enqueue("fresh", &["--in", "2h"]);
        let lasting = self.enqueue("fresh", &["--ttl", "1h"]);
        // Back: what is due at once is due at once, the rest waits for as long as it should.
        let jumped = Instant::now();
        let now = |elapsed: f64| self.clock.set(base + elapsed - jumped.elapsed().as_secs_f64());
        now(0.0);
        self.pass(&[]);
        count.stalled += u64::from(self.status(&fresh) != "sent");
        count.expired_wrongly += u64::from(self.status(&lasting) != "sent");
        count.over_rate += self.receiver.count("/rate").saturating_sub(2) as u64;
        count.unprintable += self.looks(&appointed);
        // (seconds after the jump, channel, how many came before, how many should have by then)
        let expected = [
            (1.0, "trouble", 1, 1),
            (7.5, "trouble", 1, 2),
            (7.6, "rate", 2, 2),
            (11.5, "rate", 2, 4),
            (20.0, "retry", 1, 1),
            (37.5, "retry", 1, 2),
            (37.6, "asked", 1, 1),
            (41.5, "asked", 1, 2),
        ];
        for (elapsed, channel, before, by_then) in expected {
            now(elapsed);
            self.pass(&[channel]);
            let came = came(channel);
            count.early += u64::from(by_then == before && came > by_then);
            if came < by_then {
                count.stalled += 1;
                println!(
                    "clock: set back by {by:.0} s, {elapsed} s later {channel} has been sent {came} times"
                );
            }
        }
        // What was asked for by the clock waits for the clock.
        count.waits_for_the_clock += u64::from(self.status(&appointed) == "pending");
        now(by + 2.0 * HOUR - 5.0);
        self.pass(&[]);
        count.early += u64::from(self.status(&appointed) != "pending");
        now(by + 2.0 * HOUR + 5.0);
        self.pass(&[]);
        count.stalled += u64::from(self.status(&appointed) != "sent");
        self.sandbox.ok(&["db", "check"]);
        true
    }

    /// A clock that is set ahead makes things due, and expires what has a last moment.
    fn jump_ahead(&self, by: f64, count: &mut Count) {
        count.jumps += 1;
        let later = self.enqueue("fresh", &["--in", &format!("{}s", by + 60.0)]);
        let short = self.enqueue("fresh", &["--in", "30m", "--ttl", "10m"]);
        self.enqueue("trouble", &[]);
        self.pass(&[]);
        self.clock.set(by);
        self.pass(&[]);
        count.early += u64::from(self.status(&later) != "pending");
        count.expired_wrongly += u64::from(self.status(&short) != "expired");
        count.stalled += u64::from(self.receiver.count("/trouble") != 2);
        count.unprintable += self.looks(&later);
        self.clock.set(by + 61.0);
        self.pass(&[]);
        count.stalled += u64::from(self.status(&later) != "sent");
        self.sandbox.ok(&["db", "check"]);
    }
}
