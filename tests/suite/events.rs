//! `notifyctl events`: what other processes do, as a person and a program see it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use notifyctl::model::{Reason, Status, Verdict};
use serde_json::Value;

use crate::support::Sandbox;
use crate::support::queue::{Queue, now};

/// Longer than anything takes here, on a machine that has better things to do too.
const PATIENCE: Duration = Duration::from_secs(30);

/// `events --follow`, and what it writes.
struct Follower {
    child: Child,
    lines: Receiver<String>,
}

impl Follower {
    fn start(sandbox: &Sandbox, args: &[&str]) -> Self {
        let mut command = sandbox.notifyctl();
        command.args(["events", "--follow"]).args(args).stdout(Stdio::piped());
        let mut child = command.spawn().expect("run notifyctl");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (said, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    fn events(&self, n: usize) -> Vec<Value> {
        (0..n).map(|_| serde_json::from_str(&self.line()).expect("JSON")).collect()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure("[channels.hook]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\n");
    sandbox
}

fn json(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn steps(events: &[Value]) -> Vec<(&str, i64, &str)> {
    events
        .iter()
        .map(|event| {
            let text = |key: &str| event[key].as_str().unwrap_or("-");
            (text("type"), event["id"].as_i64().unwrap_or(0), text("status"))
        })
        .collect()
}

#[test]
fn what_other_processes_do_is_followed_in_order_and_resumed_by_cursor() {
    let sandbox = sandbox();
    sandbox.ok(&["enqueue", "--to", "a@example.org", "first"]);
    let follower = Follower::start(&sandbox, &["--json", "--since", "1h"]);
    assert_eq!(steps(&follower.events(1)), [("enqueued", 1, "pending")]);
    sandbox.ok(&["enqueue", "--to", "b@example.org", "second"]);
    sandbox.ok(&["hold", "2"]);
    sandbox.ok(&["send-pending"]);
    sandbox.ok(&["cancel", "2"]);
    let seen = follower.events(5);
    assert_eq!(
        steps(&seen),
        [
            ("enqueued", 2, "pending"),
            ("held", 2, "held"),
            ("attempt", 1, "sending"),
            ("settled", 1, "sent"),
            ("cancelled", 2, "cancelled")
        ]
    );
    assert_eq!((&seen[3]["outcome"], &seen[3]["recipient"]), (&"sent".into(), &"a@example.org".into()));
    for (n, event) in seen.iter().enumerate() {
        let rest = json(&sandbox.ok(&["events", "--json", "--since", event["cursor"].as_str().unwrap()]));
        assert_eq!(rest, seen[n + 1..]);
    }
    assert_eq!(json(&sandbox.ok(&["events", "--json"])).len(), 6, "the last hour");
    assert_eq!(json(&sandbox.ok(&["events", "--json", "--id", "2", "--status", "held"])), seen[1..2]);
    assert_eq!(json(&sandbox.ok(&["events", "--json", "--channel", "other"])), Vec::<Value>::new());
    let of_type = |types: &str| json(&sandbox.ok(&["events", "--json", "--type", types]));
    assert_eq!(of_type("held,settled"), [seen[1].clone(), seen[3].clone()]);
    assert_eq!(of_type("attempt"), seen[2..3]);
    assert!(sandbox.fails(64, &["events", "--type", "held,sent"]).contains("settled"));
}

#[test]
fn who_follows_ends_when_its_reader_leaves_though_nothing_happens() {
    let sandbox = sandbox();
    sandbox.ok(&["enqueue", "--to", "a@example.org", "first"]);
    let mut command = sandbox.notifyctl();
    command.args(["events", "--follow", "--since", "1h"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("run notifyctl");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("a line");
    assert!(line.contains("enqueued"), "{line}");
    drop(stdout);
    let until = Instant::now() + PATIENCE;
    let ended = loop {
        match child.try_wait().expect("wait") {
            Some(ended) => break ended,
            None if Instant::now() > until => {
                let _ = child.kill();
                panic!("it goes on writing for nobody");
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    let said = child.wait_with_output().expect("read").stderr;
    assert_eq!((ended.code(), String::from_utf8_lossy(&said).as_ref()), (Some(0), ""));
}

#[test]
fn a_person_reads_a_line_per_event() {
    let sandbox = sandbox();
    let mut queue = Queue::new(&sandbox);
    for status in [Status::Sent, Status::Dead, Status::Held] {
        queue.at(status, "mail");
    }
    let trouble = Verdict::channel_trouble(Reason::Unreachable, "connection refused");
    let id = queue.pending("relay", "ops@example.org");
    queue.settle(id, "relay", Status::Pending, trouble);
    queue.hand.store.hold_channel(now(), "relay", "moves \u{1b}[2J").expect("hold");
    queue.hand.store.release_channel(now(), "relay").expect("release");
    let text = sandbox.ok(&["events"]);
    let without_time: Vec<&str> = text.lines().map(|line| line.split_once("  ").expect("a time").1).collect();
    insta::assert_snapshot!(without_time.join("\n"), @r"
    enqueued        1  mail        sent@example.org
    attempt         1  mail        sent@example.org          attempt 1
    settled         1  mail        sent@example.org          sent, attempt 1
    enqueued        2  mail        dead@example.org
    attempt         2  mail        dead@example.org          attempt 1
    settled         2  mail        dead@example.org          dead: recipient_rejected, attempt 1
    enqueued        3  mail        held@example.org
    held            3  mail        held@example.org
    enqueued        4  relay       ops@example.org
    attempt         4  relay       ops@example.org           attempt 1
    settled         4  relay       ops@example.org           pending: unreachable, attempt 1
    alert           -  relay                                 in trouble: unreachable
    held            -  relay                                 the channel: moves �[2J
    released        -  relay                                 the channel
    ");
}

#[test]
fn a_place_that_is_none_is_answered() {
    let sandbox = sandbox();
    sandbox.ok(&["enqueue", "--to", "a@example.org", "first"]);
    let said = sandbox.fails(64, &["events", "--since", "12-x"]);
    assert!(said.contains("--since:") && said.contains("cursor"), "{said}");
    let gap = json(&sandbox.ok(&["events", "--json", "--since", "99-0"]));
    assert_eq!((&gap[0]["type"], &gap[0]["cursor"], gap.len()), (&"gap".into(), &"1-0".into(), 1));
    let output = sandbox.run(&["events", "--since", "99-0"], b"");
    assert!(String::from_utf8_lossy(&output.stderr).contains("not kept any more"));
}
