//! Files that are no store of ours, or not now: each is refused with what to do, and left as it was.

use std::os::unix::fs::PermissionsExt;

use crate::support::Sandbox;

/// A store with one notification, changed by `change`; the bytes must survive what is done with it.
fn refused(code: i32, words: &str, change: impl FnOnce(&Sandbox)) {
    let sandbox = Sandbox::new();
    sandbox.ok(&["enqueue", "--to", "a@example.org", "hello"]);
    change(&sandbox);
    let before = std::fs::read(sandbox.db()).expect("read");
    for command in [&["enqueue", "--to", "b@example.org", "x"][..], &["status"], &["send-pending"]] {
        let said = sandbox.fails(code, command);
        assert!(said.contains(words) && said.contains("hint: "), "{command:?}: {said}");
    }
    assert_eq!(std::fs::read(sandbox.db()).expect("read"), before, "it was left untouched");
}

fn raw(sandbox: &Sandbox) -> rusqlite::Connection {
    rusqlite::Connection::open(sandbox.db()).expect("open")
}

#[test]
fn a_store_of_a_newer_schema_is_refused_untouched() {
    refused(78, "schema is version 99", |sandbox| {
        raw(sandbox).pragma_update(None, "user_version", 99).expect("change");
    });
}

#[test]
fn another_programs_database_is_refused_untouched() {
    refused(65, "not one of notifyctl's", |sandbox| {
        raw(sandbox).pragma_update(None, "application_id", 7).expect("change");
    });
}

#[test]
fn what_is_no_database_is_refused_untouched() {
    refused(65, "not a SQLite database", |sandbox| {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", sandbox.db().display()));
        }
        std::fs::write(
            sandbox.db(),
            "a letter to somebody, and long enough to be taken for a header".repeat(20),
        )
        .expect("write");
    });
}

#[test]
fn a_store_on_anothers_lock_is_busy_and_nothing_is_enqueued() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["enqueue", "--to", "a@example.org", "hello"]);
    let other = raw(&sandbox);
    other.execute_batch("BEGIN IMMEDIATE").expect("lock");
    let output = sandbox
        .notifyctl()
        .env("NOTIFYCTL_STORE__BUSY_TIMEOUT", "200ms")
        .args(["enqueue", "--to", "b@example.org", "x"])
        .output()
        .expect("run");
    assert_eq!(output.status.code(), Some(75));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another process is writing"));
    assert!(output.stdout.is_empty(), "no id was promised");
    drop(other);
    assert_eq!(sandbox.ok(&["list", "--json"]).lines().count(), 1);
}

#[test]
fn the_store_is_its_owners_alone() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["enqueue", "--to", "a@example.org", "hello"]);
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&sandbox.db()), 0o600);
    assert_eq!(mode(sandbox.db().parent().expect("a folder")), 0o700);
}
