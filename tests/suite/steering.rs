//! Steering: cancel, hold, release, requeue, purge, channel and db, through the binary.

use std::process::Output;

use notifyctl::model::{Id, Status};
use notifyctl::store::Filter;
use serde_json::Value;

use crate::support::Sandbox;
use crate::support::queue::Queue;

fn run(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.run(args, b"")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("an exit code")
}

fn json(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// (verb, from where it applies, where it leads)
const VERBS: [(&str, &[Status], Status); 4] = [
    ("cancel", &[Status::Pending, Status::Held], Status::Cancelled),
    ("hold", &[Status::Pending], Status::Held),
    ("release", &[Status::Held], Status::Pending),
    ("requeue", &[Status::Dead, Status::Expired, Status::Cancelled], Status::Pending),
];

#[test]
fn each_verb_applies_to_its_statuses_and_refuses_the_others() {
    for (verb, from, to) in VERBS {
        let sandbox = Sandbox::new();
        let mut queue = Queue::new(&sandbox);
        for status in Status::ALL {
            let id = queue.at(status, "outbox");
            // What it would do, and what it does, agree.
            for dry in [true, false] {
                let name = id.to_string();
                let args: &[&str] =
                    if dry { &[verb, "--json", "--dry-run", &name] } else { &[verb, "--json", &name] };
                let output = run(&sandbox, args);
                let (result, exit, left) = if from.contains(&status) {
                    (if dry { "would_change" } else { "changed" }, 0, to)
                } else if status == to {
                    ("unchanged", 0, status)
                } else {
                    ("refused", 1, status)
                };
                let what = format!("{verb} {status} {dry}: {}", stderr(&output));
                assert_eq!(code(&output), exit, "{what}");
                let line = &json(&output)[0];
                assert_eq!((&line["id"], &line["result"]), (&id.into(), &result.into()), "{what}");
                assert_eq!(line["status"], left.as_str(), "{what}");
                let expected = if dry { status } else { left };
                assert_eq!(queue.status(id), Some(expected), "{what}");
            }
        }
        assert_eq!(queue.hand.store.check().expect("check"), []);
    }
}

#[test]
fn what_changed_is_printed_and_the_rest_is_explained() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let pending = queue.pending("outbox", "a@example.org");
    let sent = queue.at(Status::Sent, "outbox");
    let (pending, sent) = (pending.to_string(), sent.to_string());
    let output = run(&sandbox, &["hold", &sent, &pending, &pending, "99"]);
    assert_eq!((code(&output), stdout(&output)), (66, format!("{pending}\n")));
    insta::assert_snapshot!(stderr(&output));
    let output = run(&sandbox, &["requeue", &pending]);
    assert_eq!(code(&output), 1);
    insta::assert_snapshot!(stderr(&output));
}

#[test]
fn ids_come_from_standard_input_too() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let ids: Vec<Id> = (0..3).map(|_| queue.pending("outbox", "a@example.org")).collect();
    let input = format!("{}\n\n{}\r\n{}", ids[0], ids[2], ids[0]);
    let output = sandbox.run(&["cancel", "-"], input.as_bytes());
    assert_eq!((code(&output), stdout(&output)), (0, format!("{}\n{}\n", ids[0], ids[2])));
    assert_eq!(queue.status(ids[1]), Some(Status::Pending));

    let output = sandbox.run(&["cancel", "-"], format!("{}\nall\n", ids[1]).as_bytes());
    assert_eq!(code(&output), 65, "{}", stderr(&output));
    assert!(stderr(&output).contains("standard input, line 2"), "{}", stderr(&output));
    assert_eq!(queue.status(ids[1]), Some(Status::Pending), "nothing half-done");
}

#[test]
fn a_large_selection_changes_whole_and_once() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let batch = queue.batch("outbox", 2_500).to_string();
    let other = queue.pending("outbox", "a@example.org");
    let dry = sandbox.ok(&["hold", "--batch", &batch, "--dry-run"]);
    let done = sandbox.ok(&["hold", "--batch", &batch]);
    assert_eq!(dry, done);
    let mut ids: Vec<&str> = done.lines().collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2_500);
    assert_eq!(queue.status(other), Some(Status::Pending));
    let counts = queue.hand.store.counts().expect("counts");
    assert_eq!((counts.of(Status::Held), counts.of(Status::Pending)), (2_500, 1));

    let cancelled = sandbox.ok(&["cancel", "--all"]);
    assert_eq!(cancelled.lines().count(), 2_501);
    let requeued = sandbox.ok(&["requeue", "--status", "cancelled", "--to", "user7@example.org"]);
    assert_eq!(requeued.lines().count(), 1);
    assert_eq!(queue.hand.store.check().expect("check"), []);
}

#[test]
fn a_selection_changes_whole_though_nobody_reads_which() {
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;
    for way in ["filter", "ids"] {
        let sandbox = Sandbox::new();
        let mut queue = Queue::new(&sandbox);
        let batch = queue.batch("outbox", 5_000).to_string();
        let ids: String = (1..=5_000).map(|id| format!("{id}\n")).collect();
        let (args, input) = match way {
            "filter" => (["hold", "--batch", &batch], ""),
            _ => (["hold", "-", "--json"], ids.as_str()),
        };
        let mut command = sandbox.notifyctl();
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("run notifyctl");
        // As `| head -1` reads.
        let stdout = child.stdout.take().expect("a pipe");
        let mut stdin = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, input.as_bytes()).expect("write ids");
        drop(stdin);
        BufReader::with_capacity(16, stdout).read_line(&mut String::new()).expect("a line");
        let output = child.wait_with_output().expect("wait for notifyctl");
        assert_eq!((code(&output), stderr(&output).as_str()), (0, "notifyctl: 5,000 notifications held\n"));

        let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let release = sandbox.notifyctl().args(["release", "--all"]).stdout(full).output().expect("run it");
        assert_eq!(code(&release), 74, "{}", stderr(&release));
        assert!(stderr(&release).starts_with("notifyctl: 5,000 notifications released\n"), "{release:?}");
        let counts = queue.hand.store.counts().expect("counts");
        assert_eq!((counts.of(Status::Held), counts.of(Status::Pending)), (0, 5_000), "{way}");
    }
}

#[test]
fn help_that_nobody_got_is_not_said_to_have_been_given() {
    for args in [&["--help"][..], &["list", "--help"], &["--version"], &["completions", "bash"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let output = Sandbox::new().notifyctl().args(args).stdout(full).output().expect("run it");
        assert_eq!(code(&output), 74, "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).starts_with("notifyctl: write standard output: No space left"), "{output:?}");
    }
}

#[test]
fn a_selection_is_narrowed_by_every_filter() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let plain = crate::support::queue::plain("outbox", "ann@example.org");
    let first = queue.enqueue(plain.clone());
    queue.enqueue(notifyctl::model::NewNotification { user_id: Some("u1".into()), ..plain });
    queue.pending("other", "ann@example.org");
    let none = |args: &[&str]| {
        let output = run(&sandbox, &[&["hold"], args].concat());
        assert_eq!((code(&output), stdout(&output)), (0, String::new()), "{args:?}: {}", stderr(&output));
        stderr(&output)
    };
    none(&["--status", "dead"]);
    none(&["--status", "held", "--channel", "outbox"]);
    none(&["--to", "bob@example.org"]);
    none(&["--until", "1h"]);
    none(&["--retrying"]);
    assert!(none(&["--channel", "outbux"]).contains("did you mean `outbox`?"));
    assert_eq!(sandbox.ok(&["hold", "--user", "u1"]), format!("{}\n", first + 1));
    assert_eq!(sandbox.ok(&["hold", "--channel", "other"]), format!("{}\n", first + 2));
    assert_eq!(sandbox.ok(&["hold", "--since", "1h", "--to", "ann@example.org"]), format!("{first}\n"));
    assert!(sandbox.fails(66, &["hold", "--batch", "9"]).contains("batch 9 does not exist"));
}

#[test]
fn a_bulk_verb_wants_to_be_told_what() {
    let sandbox = Sandbox::new();
    Queue::new(&sandbox).pending("outbox", "a@example.org");
    for args in [&["cancel"][..], &["cancel", "1", "--all"], &["cancel", "1", "--channel", "outbox"]] {
        let said = sandbox.fails(64, args);
        assert!(said.contains("--all"), "{said}");
    }
    for args in [
        &["cancel", "0"][..],
        &["cancel", "x"],
        &["cancel", "--status", "failed", "--all"],
        &["cancel", "--all", "--since", "soon"],
        &["cancel", "--all", "--since", "2099-01-01"],
    ] {
        sandbox.fails(64, args);
    }
    let store = Sandbox::new();
    assert!(store.fails(66, &["cancel", "1"]).contains("there is no store yet"));
    assert!(!store.db().exists(), "steering makes no store");
}

#[test]
fn purge_removes_what_is_old_and_settled_and_nothing_else() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    let ids = Status::ALL.map(|status| (status, queue.at(status, "outbox")));
    let young = sandbox.ok(&["purge", "--older-than", "1d", "--json"]);
    assert!(young.contains("\"removed\":0"), "{young}");
    let dry = sandbox.ok(&["purge", "--older-than", "0s", "--dry-run"]);
    assert_eq!(
        dry,
        "4 notifications would be removed that were settled more than 0s ago: sent, dead, expired, cancelled\n"
    );
    let dead = sandbox.ok(&["purge", "--older-than", "0s", "--status", "dead", "--json"]);
    assert!(dead.contains("\"removed\":1"), "{dead}");
    // Quiet where nobody looks.
    assert_eq!(sandbox.ok(&["purge", "--older-than", "0s"]), "");
    for (status, id) in ids {
        assert_eq!(queue.status(id), (!status.is_final()).then_some(status));
    }
    let said = sandbox.ok(&["db", "check"]);
    assert_eq!(
        said,
        "ok: accepted 7 = 1 pending + 1 held + 1 sending + 0 sent + 0 dead + 0 expired + 0 cancelled + 4 purged\n"
    );
    let said = sandbox.fails(64, &["purge", "--older-than", "1d", "--status", "pending"]);
    assert!(said.contains("[possible values: sent, dead, expired, cancelled]"), "{said}");
    sandbox.fails(64, &["purge", "--older-than", "30"]);
}

#[test]
fn purge_without_an_age_goes_by_the_retention() {
    let sandbox = Sandbox::new();
    sandbox.configure("[retention]\nsent = \"0s\"\nexpired = \"1d\"\n");
    let mut queue = Queue::new(&sandbox);
    let [sent, dead, expired] =
        [Status::Sent, Status::Dead, Status::Expired].map(|status| queue.at(status, "outbox"));
    assert_eq!(
        sandbox.ok(&["purge", "--dry-run"]),
        "1 notification would be removed that were settled more than 0s ago: sent\n\
         0 notifications would be removed that were settled more than 1d ago: expired\n\
         0 notifications would be removed that were settled more than 30d ago: cancelled\n"
    );
    assert_eq!(sandbox.ok(&["purge"]), "");
    let left = [sent, dead, expired].map(|id| queue.status(id));
    assert_eq!(left, [None, Some(Status::Dead), Some(Status::Expired)]);
}

#[test]
fn purge_goes_on_until_nothing_old_is_left() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    queue.batch("outbox", 2_345);
    sandbox.ok(&["cancel", "--all"]);
    let kept = queue.pending("outbox", "a@example.org");
    let said = sandbox.ok(&["purge", "--older-than", "0s", "--json"]);
    assert!(said.contains("\"removed\":2345"), "{said}");
    let left = queue.hand.store.list(&Filter::default(), &first_page()).expect("list");
    assert_eq!(left.iter().map(|row| row.id).collect::<Vec<_>>(), [kept]);
    assert_eq!(queue.hand.store.check().expect("check"), []);
}

fn first_page() -> notifyctl::store::Page {
    notifyctl::store::Page { order: notifyctl::store::Order::OldestFirst, after: None, limit: 10 }
}

#[test]
fn a_channel_is_held_and_released_by_its_name() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    queue.pending("outbox", "a@example.org");
    let said = run(&sandbox, &["channel", "hold", "outbox", "--reason", "the relay moves"]);
    assert_eq!((code(&said), stdout(&said)), (0, String::new()), "{}", stderr(&said));
    assert!(stderr(&said).contains("with 1 pending"), "{}", stderr(&said));
    let listed: Value = serde_json::from_str(&sandbox.ok(&["channel", "list", "--json"])).expect("JSON");
    assert_eq!(listed["name"], "outbox");
    assert_eq!(listed["held"]["reason"], "the relay moves");
    sandbox.ok(&["send-pending"]);
    assert_eq!(queue.hand.store.counts().expect("counts").of(Status::Pending), 1);

    sandbox.ok(&["channel", "release", "outbox"]);
    let again = run(&sandbox, &["channel", "release", "outbox"]);
    assert_eq!(code(&again), 0);
    assert!(stderr(&again).contains("nothing held outbox back"), "{}", stderr(&again));
    sandbox.ok(&["send-pending"]);
    assert_eq!(queue.hand.store.counts().expect("counts").of(Status::Sent), 1);

    for verb in ["hold", "release"] {
        let said = sandbox.fails(66, &["channel", verb, "outbux"]);
        assert!(said.contains("did you mean `outbox`?"), "{said}");
    }
}

#[test]
fn channels_are_listed_before_there_is_a_store() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "[channels.pager]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\nrate = [\"50/10s\", \"300/min\"]\n",
    );
    insta::assert_snapshot!(sandbox.ok(&["channel", "list"]));
    assert!(!sandbox.db().exists());
}

#[test]
fn a_test_of_a_channel_makes_one_attempt_past_the_queue() {
    let sandbox = Sandbox::new();
    let channel = |name: &str, script: &str| {
        format!("[channels.{name}]\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"{script}\"]\n")
    };
    // The program runs in `/`: its place is told in full.
    let got = sandbox.path().join("got.json");
    let good = channel("good", &format!("cat > {}", got.display()));
    let text = good + &channel("busy", "exit 75") + &channel("bad", "exit 65");
    sandbox.configure(&text);
    let said = sandbox.ok(&["channel", "test", "good", "--to", "ops"]);
    assert!(said.starts_with("sent in "), "{said}");
    let handed = std::fs::read_to_string(&got).expect("what the program was handed");
    let handed: Value = serde_json::from_str(&handed).expect("JSON");
    assert_eq!(handed["recipient"], "ops");
    for (name, exit, outcome) in [("busy", 75, "deferred"), ("bad", 1, "rejected")] {
        let output = run(&sandbox, &["channel", "test", name, "--to", "ops", "--json"]);
        assert_eq!(code(&output), exit, "{}", stderr(&output));
        assert_eq!(json(&output)[0]["outcome"], outcome);
    }
    assert!(!sandbox.db().exists(), "nothing is stored");
    assert!(sandbox.fails(66, &["channel", "test", "god", "--to", "x"]).contains("did you mean `good`?"));
    sandbox.fails(64, &["channel", "test", "good"]);
}

#[test]
fn a_backup_is_a_store_of_its_own_and_never_overwrites() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    Queue::new(&sandbox).pending("outbox", "a@example.org");
    sandbox.ok(&["db", "backup", "copy.db"]);
    let copy = sandbox.path().join("copy.db");
    assert_eq!(std::fs::metadata(&copy).expect("the copy").permissions().mode() & 0o777, 0o600);
    sandbox.fails(73, &["db", "backup", "copy.db"]);
    // Whoever meant a pipe has no copy, and must not think so.
    assert!(sandbox.fails(64, &["db", "backup", "-"]).contains("not to standard output"));
    assert!(!sandbox.path().join("-").exists());
    let said = sandbox.fails(73, &["db", "backup", "nowhere/copy.db"]);
    assert!(said.contains("hint: make its folder first"), "{said}");
    let other = Sandbox::new();
    std::fs::create_dir(other.db().parent().expect("a folder")).expect("make it");
    std::fs::rename(&copy, other.db()).expect("move it");
    assert!(other.ok(&["db", "check"]).starts_with("ok: accepted 1 = 1 pending"));
}

#[test]
fn a_damaged_count_is_found() {
    let sandbox = Sandbox::new();
    Queue::new(&sandbox).pending("outbox", "a@example.org");
    let damage = rusqlite::Connection::open(sandbox.db()).expect("open the file");
    damage.execute_batch("UPDATE channels SET accepted = accepted + 1").expect("damage it");
    let output = run(&sandbox, &["db", "check"]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).starts_with("accounting: "), "{}", stdout(&output));
    let output = run(&sandbox, &["db", "check", "--json"]);
    assert_eq!((code(&output), &json(&output)[0]["ok"]), (1, &false.into()));
}

#[test]
fn a_damaged_file_is_a_finding_and_no_failure_of_the_check() {
    let sandbox = Sandbox::new();
    Queue::new(&sandbox).batch("outbox", 3_000);
    sandbox.ok(&["db", "backup", "copy.db"]);
    let mut bytes = std::fs::read(sandbox.path().join("copy.db")).expect("read the copy");
    bytes[80 * 1_024..200 * 1_024].fill(0xa5);
    let other = Sandbox::new();
    std::fs::create_dir(other.db().parent().expect("a folder")).expect("make it");
    std::fs::write(other.db(), bytes).expect("write it damaged");
    let output = run(&other, &["db", "check"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stdout(&output).starts_with("integrity: "), "{}", stdout(&output));
    assert!(stderr(&output).contains("restore a backup"), "{}", stderr(&output));
    let output = run(&other, &["db", "check", "--json"]);
    assert_eq!((code(&output), &json(&output)[0]["findings"][0]["check"]), (1, &"integrity".into()));
    let said = other.fails(65, &["db", "backup", "copy.db"]);
    assert!(said.contains("restore a backup"), "{said}");
    for left in ["copy.db", "copy.db.partial", "copy.db.partial-journal"] {
        assert!(!other.path().join(left).exists(), "{left}");
    }
    let output = run(&other, &["db", "check", "--repair"]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("not repaired: the file itself is damaged"), "{}", stderr(&output));
}

#[test]
fn the_store_is_made_and_measured_on_request() {
    let sandbox = Sandbox::new();
    assert!(sandbox.ok(&["db", "migrate"]).starts_with("made a store with schema version "));
    assert!(sandbox.ok(&["db", "migrate"]).ends_with(": nothing to do\n"));
    let stats = sandbox.ok(&["db", "stats"]);
    for name in ["table or index", "notifications", "attempts", "file"] {
        assert!(stats.contains(name), "{stats}");
    }
    let rows = run(&sandbox, &["db", "stats", "--json"]);
    assert!(json(&rows).iter().any(|row| row["name"] == "notifications" && row["rows"] == 0));
    let none = Sandbox::new();
    for verb in ["check", "stats"] {
        assert!(none.fails(66, &["db", verb]).contains("`notifyctl enqueue` makes it"));
    }
}
