//! What the daemon does by itself once a day: on the clock of the place, on the days on which that clock changes, and
//! copies of the store.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::{Killed, enqueue, log, running, status_of};
use crate::support::Sandbox;
use crate::support::daemon::{Daemon, until};
use crate::support::queue::Queue;

/// Looks once, by a clock that shows this instant (seconds since 1970) in this zone.
fn look_at(sandbox: &Sandbox, zone: &str, instant: i64) {
    let machine = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
    let ahead = format!("{:+.3}", instant as f64 - machine);
    let daemon = Daemon::start_with(
        sandbox,
        &[
            ("LD_PRELOAD", faketime().to_str().expect("a path")),
            ("FAKETIME", &ahead),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
            ("TZ", zone),
        ],
    );
    until("it has looked", || log(sandbox).contains("maintenance: has looked"));
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0));
}

fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let library =
        folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|it| it.exists());
    library.expect("libfaketime is missing: `tests/run` installs it")
}

/// When it was done last, in seconds since 1970.
fn done(sandbox: &Sandbox) -> i64 {
    let text = std::fs::read_to_string(sandbox.db().with_extension("db.maintenance")).expect("done once");
    text.trim().parse::<i64>().expect("a moment") / 1_000
}

/// Three seconds, for twelve starts: the two days are what it is about.
#[test]
fn on_the_days_on_which_the_clocks_change_it_is_done_once_and_at_its_moment() {
    // In Berlin 02:00 is skipped on 2027-03-28 (the moment after it is 01:00 UTC), and comes twice on 2027-10-31
    // (00:00 and 01:00 UTC): the day after begins 23 and 25 hours later.
    for (due, hours) in [(1_806_195_600, 23), (1_824_940_800, 25)] {
        let sandbox = Sandbox::new();
        sandbox.configure(&format!("[daemon]\nroles = \"maintenance\"\n{}", running("run", "exit 0")));
        enqueue(&sandbox, "run");
        let day_before = due - 86_400 + 600;
        look_at(&sandbox, "Europe/Berlin", day_before);
        assert!((day_before..due).contains(&done(&sandbox)), "a new store begins with its first look");
        let before = done(&sandbox);
        look_at(&sandbox, "Europe/Berlin", due - 30);
        assert_eq!(done(&sandbox), before, "too early");
        look_at(&sandbox, "Europe/Berlin", due + 5);
        let at = done(&sandbox);
        assert!((due..due + 30).contains(&at), "{at} is not {due}");
        look_at(&sandbox, "Europe/Berlin", due + 3_605);
        assert_eq!(done(&sandbox), at, "once more an hour later");
        let next = due + hours * 3_600;
        look_at(&sandbox, "Europe/Berlin", next - 30);
        assert_eq!(done(&sandbox), at, "before the next day's");
        look_at(&sandbox, "Europe/Berlin", next + 5);
        assert!(done(&sandbox) >= next, "not on the next day");
    }
}

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries: Vec<_> =
        std::fs::read_dir(folder).map(|entries| entries.flatten().collect()).unwrap_or_default();
    let mut names: Vec<_> =
        entries.iter().map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn copies_are_made_whole_once_a_day_and_the_oldest_ones_go() {
    let sandbox = Sandbox::new();
    let to = sandbox.path().join("copies/of mine");
    let config = format!("[backup]\nto = \"{}\"\nat = \"04:00\"\nkeep = 2\n", to.display());
    sandbox.configure(&format!("[daemon]\nroles = \"maintenance\"\n{config}{}", running("run", "exit 0")));
    let id = enqueue(&sandbox, "run");
    let first = 1_806_000_000; // 2027-03-25 18:40 UTC
    look_at(&sandbox, "UTC", first);
    let made = names(&to);
    assert!(made.len() == 1 && made[0].starts_with("notifyctl-20270325T1840"), "{made:?}");

    std::fs::write(to.join("notifyctl-20270325T190000Z.db.partial"), "cut short").expect("write");
    std::fs::write(to.join("notes"), "mine").expect("write");
    look_at(&sandbox, "UTC", first + 3_600);
    assert_eq!(names(&to).len(), 3, "not twice a day");
    for day in 1..=3 {
        look_at(&sandbox, "UTC", first + day * 86_400);
    }
    let kept = names(&to);
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept[0] == "notes" && kept[1].contains("20270327T") && kept[2].contains("20270328T"), "{kept:?}");

    // What was made is a store, of one file, for nobody else to read.
    let copy = to.join(&kept[2]);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&copy).expect("there").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let connection = Connection::open(&copy).expect("open the copy");
    let found: i64 = connection
        .query_row("SELECT count(*) FROM notifications WHERE id = ?1", [&id], |row| row.get(0))
        .expect("read");
    assert_eq!(found, 1);
}

/// A clock that was years ahead (a battery that is empty, a machine that was moved) and is right again.
#[test]
fn what_is_done_once_a_day_goes_on_when_the_clock_is_set_back() {
    const DAY: i64 = 86_400;
    let sandbox = Sandbox::new();
    let to = sandbox.path().join("copies");
    let backup = format!("[backup]\nto = \"{}\"\nkeep = 2\n", to.display());
    sandbox.configure(&format!("[daemon]\nroles = \"maintenance\"\n{backup}{}", running("run", "exit 0")));
    enqueue(&sandbox, "run");
    let now = 1_806_000_000; // 2027-03-25 18:40 UTC
    let ahead = now + 3_650 * DAY;
    look_at(&sandbox, "UTC", ahead);
    look_at(&sandbox, "UTC", ahead + DAY);
    assert!(done(&sandbox) > ahead && names(&to).len() == 2);

    look_at(&sandbox, "UTC", now);
    assert!((now..now + 30).contains(&done(&sandbox)), "{}", done(&sandbox));
    let copies = names(&to);
    assert!(copies.len() == 2 && copies[0].contains("20270325T"), "{copies:?}");
    look_at(&sandbox, "UTC", now + DAY);
    assert!(done(&sandbox) >= now + DAY, "{}", done(&sandbox));
    let copies = names(&to);
    assert!(copies[0].contains("20270325T") && copies[1].contains("20270326T"), "{copies:?}");
}

/// Makes a copy into the folder, and stops the daemon again and again while it does: who writes must come through wherever
/// the copy stands. Gives how many were written so.
fn written_while_copied(sandbox: &Sandbox, to: &Path, written: &AtomicU64) -> u64 {
    let is_under_way = || names(to).iter().any(|name| name.ends_with(".partial"));
    names(to).iter().for_each(|name| std::fs::remove_file(to.join(name)).expect("remove the copy before"));
    let log_file = std::fs::File::create(sandbox.path().join("log")).expect("make the log");
    let mut daemon = Daemon::command(sandbox);
    let daemon = Killed(daemon.stdout(Stdio::null()).stderr(log_file).spawn().expect("start the daemon"));
    let process = Pid::from_child(&daemon.0);
    let signal = |signal| kill_process(process, signal).expect("signal the daemon");
    let mut meanwhile = 0;
    let end = Instant::now() + Duration::from_secs(60);
    while !log(sandbox).contains("maintenance: made a backup") {
        assert!(Instant::now() < end, "no copy was made: {}", log(sandbox));
        if is_under_way() {
            signal(Signal::STOP);
            // It may have ended just before.
            if is_under_way() {
                let before = written.load(Ordering::Relaxed);
                until("written while a copy is under way", || written.load(Ordering::Relaxed) > before + 10);
                meanwhile += written.load(Ordering::Relaxed) - before;
            }
            signal(Signal::CONT);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    meanwhile
}

#[test]
fn a_copy_of_a_store_that_is_written_all_the_time_is_whole_and_delays_nobody() {
    let sandbox = Sandbox::new();
    let to = sandbox.path().join("copies");
    let run = running("run", "exit 0");
    sandbox
        .configure(&format!("[daemon]\nroles = \"maintenance\"\n[backup]\nto = \"{}\"\n{run}", to.display()));
    let mut queue = Queue::new(&sandbox);
    for _ in 0..20 {
        queue.batch("run", 1_000);
    }
    let before = sandbox.accepted();
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let while_copied = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                queue.pending("run", "ops");
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        // However fast it is: one that was over before anybody had looked is made again.
        let while_copied = std::iter::repeat_with(|| written_while_copied(&sandbox, &to, &written))
            .find(|while_copied| *while_copied > 0)
            .expect("without end");
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("it writes");
        while_copied
    });
    assert!(while_copied > 10, "{while_copied} were written meanwhile");
    let written = written.into_inner();

    // What was copied is a store of one moment, on which work goes on.
    let copy = to.join(&names(&to)[0]);
    sandbox.configure(&run);
    let restored = |args: &[&str]| {
        let mut command = sandbox.notifyctl();
        let output = command.args(args).env("NOTIFYCTL_STORE__URL", format!("sqlite://{}", copy.display()));
        let output = output.output().expect("run notifyctl");
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    restored(&["db", "check"]);
    let status: serde_json::Value = restored(&["status", "--json"]).parse().expect("JSON");
    let accepted = status["accepted"].as_u64().expect("a number");
    assert!((before..=before + written).contains(&accepted), "{before} {accepted} {written}");
    let id = restored(&["enqueue", "--channel", "run", "--to", "ops", "hello"]);
    assert_eq!(id.trim(), (accepted + 1).to_string());
}

/// The daemon's clock runs thirty times as fast, so that its minutes are seconds.
#[test]
fn while_nobody_writes_the_log_is_moved_into_the_database() {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!("[daemon]\nroles = \"maintenance\"\n{}", running("run", "exit 0")));
    let fast = [("LD_PRELOAD", faketime()), ("FAKETIME", "+0 x30".into()), ("NO_FAKE_STAT", "1".into())];
    let fast = fast.each_ref().map(|(name, value)| (*name, value.to_str().expect("UTF-8")));
    let daemon = Daemon::start_with(&sandbox, &fast);
    // Who reads what was there before keeps the log where it is, however long the next lines take.
    let reader = Connection::open(sandbox.db()).expect("open");
    reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema").expect("read");
    enqueue(&sandbox, "run");
    // What the file holds without its log. By a process of its own: our closing the file would end the reader's locks.
    let alone = sandbox.path().join("alone.db");
    let held = || {
        let copied = Command::new("cp").arg(sandbox.db()).arg(&alone).status();
        assert!(copied.expect("run cp").success());
        let connection = Connection::open(&alone).expect("open");
        let held = connection.query_row("SELECT count(*) FROM notifications", [], |row| row.get(0));
        // Before the log was ever moved there is no such table.
        held.unwrap_or(0_i64)
    };
    assert_eq!(held(), 0);
    drop(reader);
    // It may have looked while it could move nothing: this is news to it.
    enqueue(&sandbox, "run");
    until("moved", || {
        // Its signs of life come thirty times as fast too, and who does not hear them stops it.
        daemon.hears("WATCHDOG=1");
        held() == 2
    });
    drop(daemon);
}

#[test]
fn a_copy_that_cannot_be_made_is_in_the_log_and_stops_nothing() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("file"), "").expect("write");
    let to = sandbox.path().join("file/below");
    sandbox.configure(&format!("[backup]\nto = \"{}\"\n{}", to.display(), running("run", "exit 0")));
    let daemon = Daemon::start(&sandbox);
    let said = format!("keep backups in {} ([backup] to): Not a directory", to.display());
    until("it is said", || log(&sandbox).contains(&said));
    let id = enqueue(&sandbox, "run");
    until("sent", || sandbox.ok(&["show", &id]).contains("sent"));
    drop(daemon);
}

/// A store that is damaged, or a disk that is full, would else be read whole each minute until somebody comes.
#[test]
fn a_copy_that_cannot_be_made_is_tried_again_in_an_hour_or_when_the_configuration_changed() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("file"), "").expect("write");
    let to = sandbox.path().join("file/below");
    let config = |to: &Path| {
        let backup = format!("[backup]\nto = \"{}\"\n[log]\nlevel = \"debug\"\n", to.display());
        sandbox
            .configure(&format!("[daemon]\nroles = \"maintenance\"\n{backup}{}", running("run", "exit 0")));
    };
    config(&to);
    let fast = [("LD_PRELOAD", faketime()), ("FAKETIME", "+0 x60".into()), ("NO_FAKE_STAT", "1".into())];
    let fast = fast.each_ref().map(|(name, value)| (*name, value.to_str().expect("UTF-8")));
    let daemon = Daemon::start_with(&sandbox, &fast);
    let times = |what: &str| log(&sandbox).matches(what).count();
    let looks = |n: usize| {
        until("it has looked", || {
            daemon.hears("WATCHDOG=1");
            times("maintenance: has looked") >= n
        });
    };
    looks(4);
    assert_eq!(times("([backup] to): Not a directory"), 1, "{}", log(&sandbox));
    config(&sandbox.path().join("folder"));
    daemon.signal("-HUP");
    until("a copy is made", || {
        daemon.hears("WATCHDOG=1");
        times("maintenance: made a backup") > 0
    });
    drop(daemon);
}

/// strace holds whoever opens the folder, as a disk does that is gone: for longer than anything is waited for here.
#[test]
fn a_folder_for_backups_whose_disk_hangs_keeps_nobody_who_sends_waiting_and_no_signal() {
    let sandbox = Sandbox::new();
    let to = sandbox.path().join("copies");
    std::fs::create_dir(&to).expect("make the folder");
    sandbox.configure(&format!("[backup]\nto = \"{}\"\n{}", to.display(), running("run", "exit 0")));
    let told = sandbox.path().join("strace");
    let daemon = Daemon::command(&sandbox);
    let mut strace = Command::new("strace");
    strace.env_clear().envs(daemon.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // The daemon is our child, and strace its grandchild.
    strace.args(["-D", "-f", "-qqq", "-e", "signal=none", "-e", "trace=openat", "-e"]);
    strace.args(["inject=openat:delay_enter=120s", "-P"]).arg(&to).arg("-o").arg(&told);
    strace.arg(daemon.get_program()).args(daemon.get_args()).current_dir(sandbox.path());
    let daemon = Daemon::start_by(&sandbox, &mut strace);
    let tracer = Tracer::of(daemon.id());
    until("it looks into the folder", || {
        std::fs::read_to_string(&told).is_ok_and(|told| told.contains("copies"))
    });
    let id = enqueue(&sandbox, "run");
    until("sent", || status_of(&sandbox, &id) == "sent");
    daemon.signal("-TERM");
    until("its end", || log(&sandbox).contains("daemon ended signal=TERM"));
    // Whoever is held by it is not killed either.
    drop(tracer);
    assert_eq!(daemon.ended(), Some(0));
}

/// Lets go of what it holds when it is dropped, however the test ends.
struct Tracer(Pid);

impl Tracer {
    fn of(process: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
        let tracer =
            status.lines().find_map(|line| line.strip_prefix("TracerPid:")).expect("a line of its tracer");
        Self(Pid::from_raw(tracer.trim().parse().expect("a number")).expect("it is traced"))
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::KILL);
    }
}
