//! Files that are no store of ours, or not now: each is refused with what to do, and left as it was. And whose those are that lie
//! beside one.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::config::powerless;
use crate::support::Sandbox;
use crate::support::daemon::until;
use crate::support::small_disk::{ReadOnly, may_mount};

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
fn a_store_of_somebody_else_is_said_to_be_so() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["enqueue", "--to", "a@example.org", "hello"]);
    std::fs::set_permissions(sandbox.db(), std::fs::Permissions::from_mode(0o000)).expect("take it away");
    for (command, code) in [("status", 77), ("check", 3)] {
        let mut looks = sandbox.notifyctl();
        looks.arg(command);
        let output = powerless(looks).output().expect("run");
        let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8");
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains("permission denied"), "{said}");
    }
}

/// As somebody else than root and its owner.
fn as_a_stranger(sandbox: &Sandbox, args: &[&str]) -> (Option<i32>, String) {
    let alone = sandbox.notifyctl();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid=4712", "--regid=4712", "--clear-groups"]).arg(alone.get_program()).args(args);
    command.env_clear().envs(alone.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.current_dir("/").output().expect("run setpriv");
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8"))
}

#[test]
fn who_may_read_the_store_and_not_write_it_is_told_so() {
    if !rustix::process::geteuid().is_root() {
        // Only root may be somebody else.
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.ok(&["enqueue", "--to", "a@example.org", "hello"]);
    let open = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("open it");
    };
    let beside = |end: &str| std::path::PathBuf::from(format!("{}{end}", sandbox.db().display()));
    let folder = sandbox.db().parent().expect("a folder").to_owned();
    [sandbox.path(), &folder].iter().for_each(|folder| open(folder, 0o755));
    ["", "-wal", "-shm"].iter().for_each(|end| open(&beside(end), 0o644));
    open(&sandbox.path().join("notifyctl.toml"), 0o644);
    let (code, said) = as_a_stranger(&sandbox, &["status"]);
    assert_eq!(code, Some(0), "{said}");
    let change: [&[&str]; 3] =
        [&["enqueue", "--to", "b@example.org", "x"], &["hold", "1"], &["send-pending"]];
    for args in change {
        let (code, said) = as_a_stranger(&sandbox, args);
        assert!(said.contains("permission denied") && said.contains("the user who owns the store"), "{said}");
        assert_eq!(code, Some(77), "{said}");
    }
    // Without a log nobody can read it who cannot make one.
    raw(&sandbox).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("move the log");
    ["-wal", "-shm"].iter().for_each(|end| std::fs::remove_file(beside(end)).unwrap_or_default());
    for args in [&["status"][..], &["enqueue", "--to", "b@example.org", "x"]] {
        let (code, said) = as_a_stranger(&sandbox, args);
        assert!(said.contains("permission denied") && said.contains("the user who owns the store"), "{said}");
        assert_eq!(code, Some(77), "{said}");
    }
}

#[test]
fn a_store_without_a_log_on_a_read_only_file_system_is_said_to_need_one() {
    if !may_mount() {
        // Only root can mount.
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.ok(&["enqueue", "--to", "a@example.org", "hello"]);
    let folder = sandbox.db().parent().expect("a folder").to_owned();
    {
        let _covered = ReadOnly::cover(&folder);
        sandbox.ok(&["status"]);
        let said = sandbox.fails(73, &["enqueue", "--to", "a@example.org", "x"]);
        assert!(said.contains("it cannot be written") && said.contains("hint: remount it"), "{said}");
    }
    raw(&sandbox).query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("move the log");
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", sandbox.db().display()));
    }
    let _covered = ReadOnly::cover(&folder);
    for args in [&["status"][..], &["enqueue", "--to", "b@example.org", "x"]] {
        let said = sandbox.fails(73, args);
        let log = format!("make the log of {}: read-only file system", sandbox.db().display());
        assert!(said.contains(&log) && said.contains("hint: remount it"), "{said}");
    }
}

#[test]
fn the_store_is_its_owners_alone() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["enqueue", "--to", "a@example.org", "hello"]);
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&sandbox.db()), 0o600);
    assert_eq!(mode(sandbox.db().parent().expect("a folder")), 0o700);
}

/// In a container without root on its host, who owns the folder may be somebody whom the container does not know.
#[test]
fn a_store_is_made_in_the_folder_of_somebody_who_is_nobody_here() {
    if !rustix::process::geteuid().is_root() {
        // Only root may give a folder to somebody else.
        return;
    }
    let sandbox = Sandbox::new();
    let folder = sandbox.db().parent().expect("a folder").to_owned();
    std::fs::create_dir(&folder).expect("make it");
    std::os::unix::fs::chown(&folder, Some(4711), Some(4711)).expect("give it away");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).expect("open it");
    let alone = sandbox.notifyctl();
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user"]).arg(alone.get_program());
    command.args(["enqueue", "--to", "ann@example.org", "hello"]);
    command.env_clear().current_dir(sandbox.path());
    command.envs(alone.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", "/usr/bin:/bin");
    let output = command.output().expect("run unshare");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::metadata(sandbox.db()).expect("made").uid(), 0, "it stays whose it is");
}

/// A daemon with a user of its own is neither shut out nor stopped by what root's shells and cron passes leave beside its store.
#[test]
fn what_root_leaves_beside_the_store_of_another_user_is_theirs() {
    if !rustix::process::geteuid().is_root() {
        // Only root may act for somebody else.
        return;
    }
    let (sandbox, owner) = (Sandbox::new(), 4711);
    // As long as the folder is there: however slow this machine is, it is seen under way.
    let waits = format!("while [ -e {} ]; do sleep 0.1; done", sandbox.path().display());
    sandbox.configure(&format!(
        "[channels.slow]\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"{waits}\"]\n"
    ));
    let folder = sandbox.db().parent().expect("a folder").to_owned();
    std::fs::create_dir(&folder).expect("make it");
    std::os::unix::fs::chown(&folder, Some(owner), Some(owner)).expect("give it away");
    sandbox
        .run(&["enqueue", "--batch", "-"], b"{\"channel\": \"slow\", \"to\": \"x\", \"message\": \"x\"}\n");
    let mut pass = sandbox.notifyctl().arg("send-pending").spawn().expect("start a pass");
    until("it has begun", || sandbox.ok(&["show", "1"]).contains("under way"));
    // What it has in its folder stays there.
    pass.kill().and_then(|()| pass.wait()).expect("kill it");
    sandbox.store().take_turn().expect("to tidy up");
    let mut seen = Vec::new();
    for place in [&folder, &folder.join("notifyctl.db.workers")] {
        for entry in std::fs::read_dir(place).expect("read it") {
            let entry = entry.expect("an entry");
            assert_eq!(entry.metadata().expect("whose").uid(), owner, "{}", entry.path().display());
            seen.push(entry.file_name().into_string().expect("UTF-8"));
        }
    }
    for name in ["", "-wal", "-shm", ".workers", ".batch", ".maintenance"] {
        assert!(seen.contains(&format!("notifyctl.db{name}")), "{name}: {seen:?}");
    }
    assert!(
        seen.iter().any(|name| name.parse::<i64>().is_ok()) && seen.contains(&"line".to_owned()),
        "{seen:?}"
    );
}
