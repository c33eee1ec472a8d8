//! A disk without a free byte: new work is refused, and an operator can still do what brings order.

use std::os::unix::fs::MetadataExt;

use crate::support::Sandbox;
use crate::support::queue::Queue;
use crate::support::small_disk::{SmallDisk, may_mount};

/// Whether `notifyctl` with these arguments was refused for want of room.
fn refused(sandbox: &Sandbox, args: &[&str]) -> bool {
    let output = sandbox.run(args, b"");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => false,
        Some(75) if said.contains("no space left") => true,
        _ => panic!("{args:?}: {}: {said}", output.status),
    }
}

/// What somebody does at a shell at night, each of it once.
fn bring_order(sandbox: &Sandbox, ids: [&str; 3]) {
    sandbox.ok(&["status"]);
    sandbox.ok(&["hold", ids[0]]);
    sandbox.ok(&["release", ids[0]]);
    sandbox.ok(&["cancel", ids[1]]);
    sandbox.ok(&["requeue", ids[1]]);
    sandbox.ok(&["channel", "hold", "outbox"]);
    sandbox.ok(&["channel", "release", "outbox"]);
    let cancelled = sandbox.ok(&["cancel", "--channel", "outbox"]);
    assert!(cancelled.lines().any(|id| id == ids[2]), "{cancelled}");
    assert_eq!(sandbox.ok(&["list", "--status", "pending", "--json"]), "");
}

#[test]
fn an_operator_holds_cancels_and_purges_where_not_a_byte_is_free() {
    if !may_mount() {
        // Only root can have a disk of its own.
        return;
    }
    let disk = SmallDisk::mount(24 << 20);
    let sandbox = Sandbox::within(disk.path());
    let enqueue = |text: &str| refused(&sandbox, &["enqueue", "--to", "ann@example.org", text]);
    assert!((0..30).all(|_| !enqueue("hello")));
    sandbox.ok(&["token", "create", "--name", "shop", "--scope", "enqueue"]);
    sandbox.ok(&["send-pending"]);
    assert!((0..30).all(|_| !enqueue("hello")));
    disk.fill();
    // What the log holds makes the database longer: it can neither be moved nor be followed by more.
    let long = "a".repeat(5_000);
    assert!((0..500).any(|_| enqueue(&long)), "the disk is never full");
    assert!(enqueue(&long), "new work gets none of what is kept");

    bring_order(&sandbox, ["31", "32", "33"]);
    sandbox.ok(&["token", "revoke", "1"]);
    let purged = sandbox.ok(&["purge", "--older-than", "1ms", "--json"]);
    let purged: serde_json::Value = serde_json::from_str(&purged).expect("JSON");
    assert!(purged["removed"].as_u64().is_some_and(|removed| removed >= 60), "{purged}");
    sandbox.ok(&["db", "check"]);

    // With room again all is as before, what is kept for the next time too.
    disk.empty();
    assert!(!enqueue("hello"));
    sandbox.ok(&["send-pending"]);
    disk.fill();
    assert!((0..2_000).any(|_| enqueue(&long)), "the disk is never full");
    sandbox.ok(&["cancel", "--channel", "outbox"]);
    sandbox.ok(&["db", "check"]);
}

#[test]
fn where_the_last_one_took_the_log_away_a_full_disk_is_opened_and_purged_in_small_bites() {
    if !may_mount() {
        // Only root can have a disk of its own.
        return;
    }
    let disk = SmallDisk::mount(40 << 20);
    let sandbox = Sandbox::within(disk.path());
    // Each takes a page or more of its own.
    Queue::new(&sandbox).batch("outbox", 3);
    let long = "a".repeat(5_000);
    let rows: String =
        (0..1_500).map(|_| format!("{{\"to\":\"ann@example.org\",\"message\":\"{long}\"}}\n")).collect();
    assert!(
        sandbox.run(&["enqueue", "--batch", "-", "--format", "ndjson"], rows.as_bytes()).status.success()
    );
    sandbox.ok(&["send-pending", "--limit", "1000"]);
    let log = format!("{}-wal", sandbox.db().display());
    assert!(!std::path::Path::new(&log).exists(), "a long log is taken away by the last one");
    disk.fill();
    // A monitoring system looks every minute: it leaves nearly all of what is kept.
    for _ in 0..2 {
        assert_eq!(sandbox.run(&["check"], b"").status.code(), Some(2), "the disk is full");
    }
    let kept = std::fs::metadata(sandbox.db().with_file_name("notifyctl.db.workers/reserve"));
    assert!(kept.is_ok_and(|kept| kept.blocks() * 512 >= 768 << 10));
    bring_order(&sandbox, ["1500", "1501", "1502"]);
    let purged = sandbox.ok(&["purge", "--older-than", "1ms", "--json"]);
    let purged: serde_json::Value = serde_json::from_str(&purged).expect("JSON");
    assert_eq!(purged["removed"], 1_503, "{purged}");
    sandbox.ok(&["db", "check"]);
}
