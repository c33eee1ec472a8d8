//! `check` as a monitoring system sees it, and who lives as `status` shows it.

use std::time::Duration;

use notifyctl::model::Status;
use serde_json::Value;

use crate::daemon::running;
use crate::support::Sandbox;
use crate::support::daemon::{Daemon, until};
use crate::support::ports::free_port;
use crate::support::queue::{Queue, now, plain};
use crate::support::small_disk::{ReadOnly, SmallDisk, may_mount};

/// Runs `check` and gives its exit code and its lines.
fn check(sandbox: &Sandbox, args: &[&str]) -> (i32, Vec<String>) {
    let output = sandbox.run(&[&["check"], args].concat(), b"");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    (output.status.code().expect("an exit code"), text.lines().map(str::to_owned).collect())
}

/// The first line's text and its numbers by label: value with unit, warning, critical, minimum.
fn parted(line: &str) -> (&str, Vec<(&str, Vec<&str>)>) {
    let (text, numbers) = line.split_once(" | ").expect("numbers");
    let numbers = numbers.split(' ').map(|one| one.split_once('=').expect("a label"));
    (text, numbers.map(|(label, values)| (label, values.split(';').collect())).collect())
}

fn numbers_of<'a>(line: &'a str, label: &str) -> Vec<&'a str> {
    let found = parted(line).1.into_iter().find(|(name, _)| *name == label);
    found.unwrap_or_else(|| panic!("{label} in {line}")).1
}

#[test]
fn all_is_well_until_a_limit_is_passed_and_the_worst_one_counts() {
    let sandbox = Sandbox::new();
    let mut queue = Queue::new(&sandbox);
    queue.at(Status::Dead, "outbox");
    queue.at(Status::Dead, "outbox");
    queue.at(Status::Held, "outbox");
    queue.pending("outbox", "ann@example.org");

    let (code, lines) = check(&sandbox, &[]);
    assert_eq!(code, 0, "{lines:?}");
    assert!(lines[0].starts_with("NOTIFYCTL OK - due for "), "{lines:?}");
    assert_eq!(numbers_of(&lines[0], "dead"), ["2", "", "", "0"]);
    assert_eq!(numbers_of(&lines[0], "oldest_due")[1..], ["", "900", "0"]);
    assert!(numbers_of(&lines[0], "store_free")[0].ends_with('%'), "{lines:?}");
    assert!(lines[1].starts_with("outbox: 1 pending, 1 held, 0 sending, 2 dead"), "{lines:?}");

    for (args, code, words) in [
        (&["--dead", "0,5"][..], 1, "NOTIFYCTL WARNING - 2 dead (over 0)"),
        (&["--dead", "0,1"], 2, "NOTIFYCTL CRITICAL - 2 dead (over 1)"),
        (&["--dead", "1,", "--held", "0"], 2, "NOTIFYCTL CRITICAL - 1 held (over 0), 2 dead (over 1)"),
        (&["--dead", "2", "--pending", "1"], 0, "NOTIFYCTL OK - "),
        (&["--stopped", "0"], 0, "NOTIFYCTL OK - "),
        (&["--store-free", "100%"], 2, " % of the store's disk is free (below 100 %)"),
        (&["--channel", "outbox", "--pending", "0"], 2, "1 pending (over 0)"),
        (&["--oldest-due", "0s"], 2, "due for "),
    ] {
        let (found, lines) = check(&sandbox, args);
        assert_eq!(found, code, "{args:?}: {lines:?}");
        assert!(parted(&lines[0]).0.contains(words), "{args:?}: {lines:?}");
    }
    queue.hand.store.hold_channel(now(), "outbox", "a | in the reason").expect("hold");
    let (code, lines) = check(&sandbox, &["--stopped", "0,9"]);
    assert_eq!((code, parted(&lines[0]).0), (1, "NOTIFYCTL WARNING - 1 stopped channels (over 0)"));
    assert!(
        lines.iter().skip(1).all(|line| !line.contains('|')) && lines[1].contains("held for"),
        "{lines:?}"
    );
}

#[test]
fn a_store_that_takes_nothing_is_critical_without_any_limit() {
    if !may_mount() {
        // Only root can have a disk of its own.
        return;
    }
    let disk = SmallDisk::mount(16 << 20);
    let sandbox = Sandbox::within(disk.path());
    sandbox.ok(&["enqueue", "--to", "ann@example.org", "hello"]);
    let critical = |what: &str| {
        let (code, lines) = check(&sandbox, &[]);
        let expected = (2, format!("NOTIFYCTL CRITICAL - {what}"));
        assert_eq!((code, parted(&lines[0]).0.to_owned()), expected, "{lines:?}");
    };
    assert_eq!(check(&sandbox, &[]).0, 0);
    disk.fill();
    critical("the disk of the store is full");
    disk.empty();
    assert_eq!(check(&sandbox, &[]).0, 0);
    let covered = ReadOnly::cover(disk.path());
    critical("the file system of the store is read-only");
    drop(covered);
    assert_eq!(check(&sandbox, &[]).0, 0);
}

#[test]
fn a_channel_of_its_own_is_judged_alone() {
    let sandbox = Sandbox::new();
    sandbox.configure(&running("quiet", "exit 0"));
    let mut queue = Queue::new(&sandbox);
    let long_ago = now().minus(Duration::from_secs(900));
    let window = Duration::from_secs(60);
    queue.hand.store.enqueue(long_ago, long_ago.plus(window), &[plain("outbox", "a")]).expect("enqueue");
    let (code, lines) = check(&sandbox, &["--oldest-due", "5m,10m"]);
    assert!(code == 2 && lines[0].contains("due for 15 m on outbox (over 10 m)"), "{lines:?}");
    assert_eq!(check(&sandbox, &["--oldest-due", "5m,10m", "--channel", "quiet"]).0, 0);
}

#[test]
fn a_channel_in_trouble_is_one_that_is_stopped() {
    let sandbox = Sandbox::new();
    // Nobody listens on the port that is given back.
    let port = free_port();
    sandbox.configure(&format!("[channels.hook]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"\n"));
    sandbox.ok(&["enqueue", "--channel", "hook", "--to", "ops", "hello"]);
    assert_eq!(check(&sandbox, &["--stopped", "0"]).0, 0);
    sandbox.run(&["send-pending"], b"");
    let (code, lines) = check(&sandbox, &["--stopped", "0"]);
    assert!(code == 2 && lines[0].contains("1 stopped channels (over 0)"), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.starts_with("hook: ") && line.contains("in trouble (")),
        "{lines:?}"
    );
}

#[test]
fn what_keeps_it_from_looking_is_unknown_and_a_damaged_store_critical() {
    let sandbox = Sandbox::new();
    for args in [
        &["--bad"][..],
        &["--dead", "x"],
        &["--dead", "5,2"],
        &["--oldest-due", "15m,5m"],
        &["--store-free", "5%,10%"],
        &["--channel", "no such"],
        &[],
    ] {
        let (code, lines) = check(&sandbox, args);
        assert_eq!(code, 3, "{args:?}: {lines:?}");
        assert!(lines.len() == 1 && lines[0].starts_with("NOTIFYCTL UNKNOWN - "), "{args:?}: {lines:?}");
    }
    sandbox.configure("[channels.x]\nkind = \"pigeon\"\n");
    assert_eq!(check(&sandbox, &[]).0, 3);
    sandbox.configure("");
    std::fs::create_dir(sandbox.path().join("state")).expect("make the folder");
    std::fs::write(sandbox.db(), vec![b'x'; 8_192]).expect("write");
    let (code, lines) = check(&sandbox, &[]);
    assert!(code == 2 && lines[0].starts_with("NOTIFYCTL CRITICAL - "), "{code} {lines:?}");
}

#[test]
fn who_delivers_is_seen_while_it_lives_and_missed_when_it_is_gone() {
    let sandbox = Sandbox::new();
    sandbox.configure(&running("run", "exit 0"));
    drop(Queue::new(&sandbox));
    let silent = ["--sender-silent", "0s,1m"];
    let (code, lines) = check(&sandbox, &silent);
    assert!(
        code == 2 && lines[0].contains("nobody delivers: there is no daemon, and there was no pass"),
        "{lines:?}"
    );

    let daemon = Daemon::start(&sandbox);
    let (code, lines) = check(&sandbox, &["--sender-silent", "1m"]);
    assert_eq!(code, 0, "{lines:?}");
    let shown = sandbox.ok(&["status"]);
    let process = format!(":{}, http and sender and maintenance, since", daemon.id());
    assert!(shown.contains("daemon") && shown.contains(&process), "{shown}");
    let value: Value = serde_json::from_str(&sandbox.ok(&["status", "--json"])).expect("JSON");
    assert_eq!(value["workers"][0]["roles"], serde_json::json!(["http", "sender", "maintenance"]));
    assert!(value["sender_seen_at"].is_string() && value["workers"][0]["hangs"] == false, "{value}");
    // Under a new configuration it is still one.
    daemon.signal("-HUP");
    daemon.hears("RELOADING=1");
    daemon.hears("READY=1");
    let value: Value = serde_json::from_str(&sandbox.ok(&["status", "--json"])).expect("JSON");
    assert_eq!(value["workers"].as_array().map(Vec::len), Some(1), "{value}");
    // Killed, it is gone at once: no clock has to run out.
    drop(daemon);
    assert_eq!(check(&sandbox, &silent).0, 2);

    sandbox.ok(&["send-pending"]);
    assert_eq!(check(&sandbox, &["--sender-silent", "1m"]).0, 0, "a pass counts too");
    sandbox.configure(&format!("[daemon]\nroles = \"maintenance\"\n{}", running("run", "exit 0")));
    let daemon = Daemon::start(&sandbox);
    until("it appears", || {
        sandbox.ok(&["status"]).contains(&format!(":{}, maintenance, since", daemon.id()))
    });
}
