//! `db backup` when it is killed, when two are at work, and on file systems that lack what others have.

use std::process::{Child, Command, Stdio};

use crate::support::Sandbox;
use crate::support::daemon::until;
use crate::support::queue::Queue;
use crate::support::small_disk::{SmallDisk, may_mount};

/// strace kills it, refuses a call, or holds it for a while.
fn backup_with(sandbox: &Sandbox, file: &str, inject: &str) -> Child {
    let call = inject.split_once(':').expect("a call and what becomes of it").0;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qqq", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", "signal=none"]);
    strace.args(["-e", &format!("inject={inject}"), env!("CARGO_BIN_EXE_notifyctl"), "db", "backup", file]);
    let notifyctl = sandbox.notifyctl();
    strace.envs(notifyctl.get_envs().filter_map(|(name, value)| Some((name, value?))));
    strace.current_dir(sandbox.path()).stderr(Stdio::piped());
    strace.spawn().expect("strace, which `tests/run` installs")
}

#[test]
fn what_a_killed_backup_left_is_in_nobodys_way_and_what_is_not_ours_stays() {
    let sandbox = Sandbox::new();
    Queue::new(&sandbox).batch("outbox", 2_000);
    let at = |end: &str| sandbox.path().join(format!("copy.db{end}"));
    // While its pages are written, and when they have all been.
    for death in ["pwrite64:signal=KILL:when=40", "renameat2:signal=KILL"] {
        let ended = backup_with(&sandbox, "copy.db", death).wait_with_output().expect("wait");
        assert!(at(".partial").exists() && !at("").exists(), "{death}: {ended:?}");
        std::fs::write(at(".partial-journal"), "of what was never whole").expect("write");
        sandbox.ok(&["db", "backup", "copy.db"]);
        let left: Vec<_> = std::fs::read_dir(sandbox.path()).expect("list").flatten().collect();
        assert!(
            !left.iter().any(|entry| entry.file_name().to_string_lossy().contains("partial")),
            "{left:?}"
        );
        let copy = rusqlite::Connection::open(at("")).expect("open the copy");
        let whole = "SELECT (SELECT count(*) FROM notifications) || (SELECT * FROM pragma_integrity_check)";
        let whole = copy.query_row(whole, [], |row| row.get::<_, String>(0)).expect("read the copy");
        assert_eq!(whole, "2000ok", "{death}");
        std::fs::remove_file(at("")).expect("remove it");
    }
    std::fs::write(at(".partial"), "a download of somebody's").expect("write");
    let said = sandbox.fails(73, &["db", "backup", "copy.db"]);
    assert!(said.contains("write backup copy.db.partial: ") && said.contains("move it away"), "{said}");
    assert_eq!(std::fs::read(at(".partial")).expect("still there"), b"a download of somebody's");
    std::fs::remove_file(at(".partial")).expect("remove it");
    std::os::unix::fs::symlink("/dev/null", at(".partial")).expect("link");
    let said = sandbox.fails(73, &["db", "backup", "copy.db"]);
    assert!(
        said.contains("write backup copy.db.partial: file exists") && said.contains("move it away"),
        "{said}"
    );
    std::fs::remove_file(at(".partial")).expect("remove it");
    std::fs::create_dir(at(".partial")).expect("make a folder");
    let said = sandbox.fails(73, &["db", "backup", "copy.db"]);
    assert!(
        said.contains("write backup copy.db.partial: file exists") && said.contains("move it away"),
        "{said}"
    );
    std::fs::write(at(""), "somebody's").expect("write");
    let said = sandbox.fails(73, &["db", "backup", "copy.db"]);
    assert!(said.contains("write backup copy.db: file exists"), "{said}");
}

#[test]
fn two_backups_to_one_file_are_told_apart_from_one_that_was_killed() {
    let sandbox = Sandbox::new();
    Queue::new(&sandbox).batch("outbox", 2_000);
    let partial = sandbox.path().join("copy.db.partial");
    // While its pages are written, each of them late, and when all of them are.
    for (call, late, size) in
        [("pwrite64", 20_000, 1), ("fsync", 1_500_000, 200_000), ("renameat2", 1_500_000, 200_000)]
    {
        let first = backup_with(&sandbox, "copy.db", &format!("{call}:delay_enter={late}"));
        let has_begun = || std::fs::metadata(&partial).is_ok_and(|meta| meta.len() >= size);
        until("it has begun", has_begun);
        let said = sandbox.fails(73, &["db", "backup", "copy.db"]);
        assert!(said.contains("another backup to the same file is being made"), "{call}: {said}");
        let ended = first.wait_with_output().expect("wait");
        assert!(ended.status.success(), "{call}: {}", String::from_utf8_lossy(&ended.stderr));
        std::fs::remove_file(sandbox.path().join("copy.db")).expect("it was made");
    }
}

/// As on vfat, and on some network and user-space file systems.
#[test]
fn a_backup_needs_no_hard_links_and_no_renaming_that_looks_first() {
    let sandbox = Sandbox::new();
    Queue::new(&sandbox).pending("outbox", "a@example.org");
    for (n, missing) in
        ["linkat:error=EPERM", "link:error=EPERM", "renameat2:error=EINVAL"].into_iter().enumerate()
    {
        let ended = backup_with(&sandbox, &format!("{n}.db"), missing).wait_with_output().expect("wait");
        assert!(ended.status.success(), "{missing}: {}", String::from_utf8_lossy(&ended.stderr));
        assert!(sandbox.path().join(format!("{n}.db")).exists());
    }
}

#[test]
fn what_keeps_a_copy_from_being_written_has_the_copys_cure_and_not_the_stores() {
    let sandbox = Sandbox::new();
    Queue::new(&sandbox).pending("outbox", "a@example.org");
    for (error, code, cure) in [
        ("EROFS", 73, "name a file elsewhere"),
        ("EACCES", 77, "name a file in a folder in which you may write"),
        ("ENOSPC", 75, "make room on that file system, or name a file on another one"),
        ("EIO", 74, "look at the disk of the copy (dmesg)"),
    ] {
        let inject = format!("renameat2:error={error}");
        let ended = backup_with(&sandbox, "copy.db", &inject).wait_with_output().expect("wait");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(said.contains("write backup copy.db: ") && said.contains(cure), "{error}: {said}");
        assert_eq!(ended.status.code(), Some(code), "{error}: {said}");
        assert!(!sandbox.path().join("copy.db.partial").exists(), "{error}");
    }
}

#[test]
fn a_backup_that_has_no_room_takes_none_from_the_store() {
    if !may_mount() {
        // Only root can have a disk of its own.
        return;
    }
    let disk = SmallDisk::mount(4 << 20);
    let sandbox = Sandbox::within(disk.path());
    let mut queue = Queue::new(&sandbox);
    queue.batch("outbox", 200);
    disk.fill();
    let said = sandbox.fails(75, &["db", "backup", "copy.db"]);
    assert!(said.contains("write backup copy.db.partial: no space left: it takes "), "{said}");
    assert!(!sandbox.path().join("copy.db.partial").exists());
    disk.empty();
    sandbox.ok(&["db", "backup", "copy.db"]);
}
