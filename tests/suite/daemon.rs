//! `notifyctl daemon` as a service manager and a shell beside it meet it.

use std::io::{ErrorKind, Read, Write};
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::support::Sandbox;
use crate::support::daemon::{Daemon, until};

/// A channel of kind `exec` called `name`, whose program is this shell line.
pub fn running(name: &str, line: &str) -> String {
    format!(
        "[channels.{name}]\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", '{line}']\nmax_in_flight = 1\n"
    )
}

fn sandbox(config: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure(config);
    sandbox
}

pub fn enqueue(sandbox: &Sandbox, channel: &str) -> String {
    sandbox.ok(&["enqueue", "--channel", channel, "--to", "ops", "hello"]).trim().to_owned()
}

pub fn status_of(sandbox: &Sandbox, id: &str) -> String {
    let shown = sandbox.ok(&["show", id, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    shown["status"].as_str().expect("a status").to_owned()
}

pub fn log(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path().join("log")).expect("read the log")
}

#[test]
fn what_a_shell_enqueues_is_sent_although_nothing_wakes_by_itself_for_a_minute() {
    let sandbox = sandbox(&running("run", "exit 0"));
    let daemon = Daemon::start(&sandbox);
    for _ in 0..3 {
        let id = enqueue(&sandbox, "run");
        until("sent", || status_of(&sandbox, &id) == "sent");
    }
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0));
    sandbox.ok(&["db", "check"]);
}

#[test]
fn its_sending_loop_feeds_the_watchdog() {
    let sandbox = sandbox(&running("run", "exit 0"));
    Daemon::start(&sandbox).hears("WATCHDOG=1");
    sandbox.configure(&format!("[daemon]\nroles = \"maintenance\"\n{}", running("run", "exit 0")));
    Daemon::start(&sandbox).hears("WATCHDOG=1");
}

#[test]
fn a_manager_that_stops_reading_holds_up_nothing_and_hears_later_that_it_is_ready() {
    let sandbox = sandbox(&running("run", "exit 0"));
    let address = sandbox.path().join("manager");
    let manager = std::os::unix::net::UnixDatagram::bind(&address).expect("a socket of our own");
    let fills = std::os::unix::net::UnixDatagram::unbound().expect("another one");
    fills.set_nonblocking(true).expect("without waiting");
    while fills.send_to(b"filler", &address).is_ok() {}
    let mut daemon = Daemon::command(&sandbox);
    daemon.env("NOTIFY_SOCKET", &address).stdout(Stdio::null()).stderr(Stdio::null());
    let _daemon = Killed(daemon.spawn().expect("start"));
    let id = enqueue(&sandbox, "run");
    until("sent", || status_of(&sandbox, &id) == "sent");
    manager.set_read_timeout(Some(Duration::from_secs(30))).expect("set the patience");
    let mut told = [0; 4096];
    loop {
        let length = match manager.recv(&mut told) {
            // A machine that is suspended ends the wait before its time.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            received => received.expect("told that it is ready"),
        };
        if told[..length].starts_with(b"READY=1\n") {
            break;
        }
    }
}

/// Takes all the room that a pipe has.
fn fill(mut pipe: &std::io::PipeWriter) {
    let blocking = fcntl_getfl(pipe).expect("its flags");
    fcntl_setfl(pipe, blocking | OFlags::NONBLOCK).expect("without waiting");
    for block in [4_096, 1] {
        while pipe.write_all(&vec![b'\n'; block]).is_ok() {}
    }
    // The daemon's end is this one.
    fcntl_setfl(pipe, blocking).expect("as it was");
}

/// As where supervisor, which reads it from a pipe, hangs on a dead disk.
#[test]
fn a_log_that_nobody_takes_holds_up_nothing_and_is_told_when_somebody_does() {
    let sandbox = sandbox("");
    let socket = sandbox.path().join("http.sock").display().to_string();
    let config = |name| format!("[http]\nsocket = \"{socket}\"\n{}to = \"ops\"\n", running(name, "exit 0"));
    sandbox.configure(&config("run"));
    let (mut log, stderr) = std::io::pipe().expect("a pipe");
    fill(&stderr);
    let mut daemon = Daemon::command(&sandbox);
    daemon.stdout(Stdio::null()).stderr(stderr);
    let mut process = Killed(daemon.spawn().expect("start"));
    // Its end of the pipe is the only one from now on.
    drop(daemon);
    let ask = |path: &str, args: &[&str]| {
        let mut curl = std::process::Command::new("curl");
        curl.args([
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "--max-time",
            "30",
            "--unix-socket",
            &socket,
        ]);
        let output = curl.arg(format!("http://localhost{path}")).args(args).output().expect("run curl");
        String::from_utf8(output.stdout).expect("digits")
    };
    let id = enqueue(&sandbox, "run");
    until("sent", || status_of(&sandbox, &id) == "sent");
    for _ in 0..20 {
        assert_eq!(ask("/v1/notifications", &["--json", r#"{"channel": "run", "message": "hello"}"#]), "202");
    }
    assert_eq!(ask("/readyz", &[]), "200");
    sandbox.configure(&config("new"));
    let signal = |name: &str| {
        let kill = std::process::Command::new("kill").args([name, &process.0.id().to_string()]).status();
        assert!(kill.expect("run kill").success());
    };
    signal("-HUP");
    let id = enqueue(&sandbox, "new");
    until("sent after the reload", || status_of(&sandbox, &id) == "sent");

    // Somebody reads it again.
    let told = std::thread::spawn(move || {
        let mut told = String::new();
        log.read_to_string(&mut told).map(|_| told)
    });
    signal("-TERM");
    assert_eq!(process.0.wait().expect("its end").code(), Some(0));
    let told = told.join().expect("a reader").expect("what was logged");
    for line in ["daemon started", "daemon reloaded", "daemon ended signal=TERM"] {
        assert!(told.contains(line), "{line}: {told}");
    }
}

#[test]
fn a_log_that_nobody_ever_takes_does_not_hold_up_the_end() {
    let sandbox = sandbox(&running("run", "exit 0"));
    let (log, stderr) = std::io::pipe().expect("a pipe");
    fill(&stderr);
    let mut daemon = Daemon::command(&sandbox);
    daemon.stdout(Stdio::null()).stderr(stderr);
    let mut process = Killed(daemon.spawn().expect("start"));
    drop(daemon);
    let id = enqueue(&sandbox, "run");
    until("sent", || status_of(&sandbox, &id) == "sent");
    let kill = std::process::Command::new("kill").args(["-TERM", &process.0.id().to_string()]).status();
    assert!(kill.expect("run kill").success());
    until("its end", || process.0.try_wait().expect("look at it").is_some_and(|status| status.success()));
    drop(log);
}

/// Ends with the test, however that ends.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes as long as two signs of life: twenty seconds.
#[test]
fn its_watchdog_is_fed_while_somebody_else_writes_for_longer_than_it_waits() {
    let sandbox = sandbox(&format!("busy_timeout = \"1s\"\n{}", running("run", "exit 0")));
    let daemon = Daemon::start(&sandbox);
    let id = sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", "--in", "5s", "hello"]);
    let lock = rusqlite::Connection::open(sandbox.db()).expect("open");
    lock.execute_batch("BEGIN IMMEDIATE").expect("somebody's batch");
    let began = std::time::Instant::now();
    // What it gave at its start may still wait to be heard.
    while began.elapsed() < Duration::from_secs(15) {
        daemon.hears("WATCHDOG=1");
    }
    assert_eq!(status_of(&sandbox, id.trim()), "pending");
    lock.execute_batch("ROLLBACK").expect("its end");
    until("sent", || status_of(&sandbox, id.trim()) == "sent");
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0));
}

#[test]
fn a_signal_ends_it_when_what_is_under_way_has_ended_and_the_rest_goes_back() {
    let sandbox = sandbox("");
    let (begun, go_on) = (sandbox.path().join("begun"), sandbox.path().join("go-on"));
    let slow = format!("touch {}; until [ -e {} ]; do sleep 0.05; done", begun.display(), go_on.display());
    sandbox.configure(&format!("[daemon]\ndrain = \"10m\"\n{}", running("run", &slow)));
    let daemon = Daemon::start(&sandbox);
    let (first, second) = (enqueue(&sandbox, "run"), enqueue(&sandbox, "run"));
    until("the first attempt begins", || begun.exists());
    daemon.signal("-TERM");
    daemon.hears("STOPPING=1");
    until("the second one is given back", || status_of(&sandbox, &second) == "pending");
    assert_eq!(status_of(&sandbox, &first), "sending");
    std::fs::write(&go_on, "").expect("let it go on");
    assert_eq!(daemon.ended(), Some(0));
    assert_eq!([&first, &second].map(|id| status_of(&sandbox, id)), ["sent", "pending"]);
}

#[test]
fn a_second_signal_abandons_what_is_under_way_and_its_end_is_unknown() {
    let sandbox = sandbox("");
    let begun = sandbox.path().join("begun");
    sandbox.configure(&format!(
        "[daemon]\ndrain = \"10m\"\n{}",
        running("run", &format!("touch {}; sleep 600", begun.display()))
    ));
    let daemon = Daemon::start(&sandbox);
    let id = enqueue(&sandbox, "run");
    until("the attempt begins", || begun.exists());
    daemon.signal("-TERM");
    daemon.hears("STOPPING=1");
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0));
    let shown = sandbox.ok(&["show", &id]);
    assert!(shown.contains("attempt 1  unknown"), "{shown}");
}

/// The attempt would end well after five minutes.
#[test]
fn what_is_not_over_when_the_time_to_drain_is_is_abandoned_and_its_end_is_unknown() {
    let sandbox = sandbox("");
    let begun = sandbox.path().join("begun");
    let slow = running("run", &format!("touch {}; sleep 300", begun.display()));
    sandbox.configure(&format!("[daemon]\ndrain = \"2s\"\n{slow}timeout = \"1h\"\n"));
    let daemon = Daemon::start(&sandbox);
    let id = enqueue(&sandbox, "run");
    until("the attempt begins", || begun.exists());
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0));
    let shown = sandbox.ok(&["show", &id]);
    assert!(shown.contains("attempt 1  unknown"), "{shown}");
}

/// Whether the last reload that the log tells of was refused for this. Others write beside it: the maintenance does.
fn refused_at_last(log: &str, why: &str) -> bool {
    let reload = log.lines().rfind(|line| line.contains("daemon reload"));
    reload.is_some_and(|line| line.contains("reload refused") && line.contains(why))
}

#[test]
fn a_reload_takes_what_can_be_used_and_keeps_the_old_where_it_cannot() {
    let sandbox = sandbox("");
    let (begun, go_on) = (sandbox.path().join("begun"), sandbox.path().join("go-on"));
    let slow = format!("touch {}; until [ -e {} ]; do sleep 0.05; done", begun.display(), go_on.display());
    sandbox.configure(&running("run", &slow));
    let daemon = Daemon::start(&sandbox);
    let under_way = enqueue(&sandbox, "run");
    until("the attempt begins", || begun.exists());

    // What is under way outlives the reload, and the new channel is served at once.
    sandbox.configure(&format!("{}{}", running("run", "exit 0"), running("new", "exit 0")));
    daemon.signal("-HUP");
    daemon.hears("RELOADING=1");
    daemon.hears("READY=1");
    let new = enqueue(&sandbox, "new");
    until("sent on the new channel", || status_of(&sandbox, &new) == "sent");
    assert_eq!(status_of(&sandbox, &under_way), "sending");
    std::fs::write(&go_on, "").expect("let it go on");
    until("the one before ends", || status_of(&sandbox, &under_way) == "sent");

    for (wrong, why) in [
        ("[channels.run]\nkind = \"carrier pigeon\"\n", "carrier pigeon"),
        ("[channels.run]\nkind = \"webhook\"\nurl_file = \"/nowhere\"\n", "/nowhere"),
        ("[daemon]\nroles = \"maintenance\"\n", "only a restart"),
    ] {
        sandbox.configure(wrong);
        daemon.signal("-HUP");
        daemon.hears("RELOADING=1");
        daemon.hears("READY=1");
        let log = log(&sandbox);
        assert!(refused_at_last(&log, why), "{log}");
    }
    sandbox.configure(&running("new", "exit 0"));
    let id = enqueue(&sandbox, "new");
    until("sent under the old configuration", || status_of(&sandbox, &id) == "sent");
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0));
}

#[test]
fn what_was_under_way_at_a_reload_is_tried_again_when_it_is_due_and_not_a_minute_later() {
    let sandbox = sandbox("");
    let (begun, go_on) = (sandbox.path().join("begun"), sandbox.path().join("go-on"));
    let fails_once = format!(
        "[ -e {0} ] && exit 0; touch {0}; until [ -e {1} ]; do sleep 0.05; done; exit 75",
        begun.display(),
        go_on.display()
    );
    let config = format!("{}retry = \"1s\"\n{}", running("run", &fails_once), running("quick", "exit 0"));
    sandbox.configure(&config);
    let daemon = Daemon::start(&sandbox);
    let id = enqueue(&sandbox, "run");
    until("the attempt begins", || begun.exists());
    daemon.signal("-HUP");
    until("reloaded", || log(&sandbox).contains("reloaded"));
    // Who sends from now on has looked at both channels when this is sent.
    let quick = enqueue(&sandbox, "quick");
    until("sent by the next run", || status_of(&sandbox, &quick) == "sent");
    std::fs::write(&go_on, "").expect("let it go on");
    until("sent at the second attempt", || status_of(&sandbox, &id) == "sent");
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0));
}

#[test]
fn a_reload_that_waits_for_a_command_keeps_nobody_who_sends_waiting_and_no_signal() {
    let sandbox = sandbox(&running("run", "exit 0"));
    let (asked, go_on) = (sandbox.path().join("asked"), sandbox.path().join("go-on"));
    let slow =
        format!("echo $$ > {}; until [ -e {} ]; do sleep 0.05; done", asked.display(), go_on.display());
    let secret = format!(
        "{}[channels.hook]\nkind = \"webhook\"\nurl_command = [\"/bin/sh\", \"-c\", '{slow}; echo http://127.0.0.1:9/']\n",
        running("run", "exit 0")
    );
    let daemon = Daemon::start(&sandbox);
    sandbox.configure(&secret);
    daemon.signal("-HUP");
    daemon.hears("RELOADING=1");
    until("the command runs", || asked.exists());
    let id = enqueue(&sandbox, "run");
    until("sent meanwhile", || status_of(&sandbox, &id) == "sent");
    let said = log(&sandbox);
    assert!(!said.contains("reloaded") && !said.contains("reload refused"), "{said}");

    // What came meanwhile is not forgotten, and it is the last one that holds.
    sandbox.configure(&running("last", "exit 0"));
    daemon.signal("-HUP");
    daemon.hears("RELOADING=1");
    std::fs::write(&go_on, "").expect("let it go on");
    until("reloaded", || log(&sandbox).contains("reloaded"));
    let id = enqueue(&sandbox, "last");
    until("sent on the last one", || status_of(&sandbox, &id) == "sent");

    [&asked, &go_on].iter().for_each(|file| std::fs::remove_file(file).expect("once more"));
    sandbox.configure(&secret);
    daemon.signal("-HUP");
    let number = || std::fs::read_to_string(&asked).ok().and_then(|number| number.trim().parse::<u32>().ok());
    until("the command runs again", || number().is_some());
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0));
    assert!(!log(&sandbox).contains("reload refused"), "it has waited: {}", log(&sandbox));
    let command = number().expect("it was there");
    let line = std::path::PathBuf::from(format!("/proc/{command}/cmdline"));
    // Killed, and not yet waited for, it is empty.
    until("the command is ended", || std::fs::read(&line).map_or(true, |line| line.is_empty()));
}

#[test]
fn a_signal_ends_it_also_while_it_asks_for_its_first_secrets() {
    let sandbox = sandbox("");
    let asked = |name: &str| sandbox.path().join(format!("asked-{name}"));
    // More than are asked for at once.
    let names: Vec<_> = (10..28).map(|n| format!("hook{n}")).collect();
    let hook = |name: &str| {
        let slow = format!("echo $$ > {}; exec sleep 600", asked(name).display());
        format!("[channels.{name}]\nkind = \"webhook\"\nurl_command = [\"/bin/sh\", \"-c\", '{slow}']\n")
    };
    let hooks: String = names.iter().map(|name| hook(name)).collect();
    sandbox.configure(&(hooks + &running("run", "exit 0")));
    let mut daemon = Daemon::command(&sandbox);
    daemon.stdout(Stdio::null()).stderr(Stdio::null());
    let mut process = Killed(daemon.spawn().expect("start"));
    until("the first is asked for", || asked(&names[0]).exists());
    let kill = std::process::Command::new("kill").args(["-TERM", &process.0.id().to_string()]).status();
    assert!(kill.expect("run kill").success());
    assert_eq!(process.0.wait().expect("its end").code(), Some(0));
    assert!(!asked(&names[17]).exists(), "it has waited for the first ones");
}

#[test]
fn a_reload_without_the_file_that_holds_is_refused() {
    let sandbox = sandbox("");
    let file = sandbox.path().join(".config/notifyctl/notifyctl.toml");
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("make it");
    std::fs::write(&file, running("run", "exit 0")).expect("write it");
    let store = format!("sqlite://{}", sandbox.db().display());
    let unnamed = [("NOTIFYCTL_CONFIG", ""), ("NOTIFYCTL_STORE__URL", &*store)];
    let daemon = Daemon::start_with(&sandbox, &unnamed);
    std::fs::rename(&file, sandbox.path().join("away")).expect("take it away");
    daemon.signal("-HUP");
    daemon.hears("RELOADING=1");
    daemon.hears("READY=1");
    let said = log(&sandbox);
    let why = format!("{} is not there any more", file.display());
    assert!(refused_at_last(&said, &why), "{said}");
    sandbox.configure(&running("run", "exit 0"));
    let id = enqueue(&sandbox, "run");
    until("sent as before", || status_of(&sandbox, &id) == "sent");
}

/// As after a restore that forgot the daemon. One that only takes requests looks every ten seconds.
#[test]
fn a_store_that_is_replaced_takes_nothing_more_and_the_daemon_ends_for_the_other_one() {
    for roles in [r#"["http"]"#, r#"["http", "sender", "maintenance"]"#] {
        let sandbox = sandbox("");
        let socket = sandbox.path().join("socket");
        let run = running("run", "exit 0");
        let config = format!("[daemon]\nroles = {roles}\n[http]\nsocket = \"{}\"\n", socket.display());
        sandbox.configure(&format!("{config}{run}"));
        let daemon = Daemon::start(&sandbox);
        let posted = || {
            let mut curl = std::process::Command::new("curl");
            curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket"]).arg(&socket);
            curl.args(["-H", "content-type: application/json"]);
            curl.args(["-d", r#"{"channel": "run", "to": "ops", "message": "hello"}"#]);
            let output = curl.arg("http://localhost/v1/notifications").output().expect("run curl");
            String::from_utf8(output.stdout).expect("digits")
        };
        assert_eq!(posted(), "202");
        let folder = sandbox.db().parent().expect("a folder").to_owned();
        std::fs::rename(&folder, sandbox.path().join("away")).expect("take it away");
        // Refused while it is there, and by nobody when it has ended.
        assert!(["503", "000"].contains(&&*posted()));
        let id = enqueue(&sandbox, "run");
        assert!(["503", "000"].contains(&&*posted()));
        assert_eq!(daemon.ended(), Some(75));
        let said = log(&sandbox);
        assert!(said.contains("ended: ") && said.contains("moved or removed"), "{said}");

        sandbox.configure(&run);
        let daemon = Daemon::start(&sandbox);
        until("sent from the one that is there", || status_of(&sandbox, &id) == "sent");
        daemon.signal("-TERM");
        assert_eq!(daemon.ended(), Some(0));
    }
}

#[test]
fn what_its_retention_has_run_out_for_goes_and_the_rest_stays() {
    let sandbox = sandbox("");
    let config = |retention: &str| format!("[retention]\n{retention}{}", running("run", "exit 0"));
    sandbox.configure(&config("sent = \"1s\"\n"));
    let sent = enqueue(&sandbox, "run");
    sandbox.ok(&["send-pending"]);
    let cancelled = enqueue(&sandbox, "run");
    sandbox.ok(&["cancel", &cancelled]);
    std::thread::sleep(Duration::from_millis(1_100));
    // Done last when the epoch began: whatever the clock says, it is due.
    std::fs::write(sandbox.db().with_extension("db.maintenance"), "1\n").expect("set the clock");
    let daemon = Daemon::start(&sandbox);
    until("removed", || {
        sandbox.notifyctl().args(["show", &sent]).output().is_ok_and(|it| it.status.code() == Some(66))
    });
    assert_eq!(status_of(&sandbox, &cancelled), "cancelled");
    daemon.signal("-INT");
    assert_eq!(daemon.ended(), Some(0));
    sandbox.ok(&["db", "check"]);
}

#[test]
fn two_daemons_and_a_pass_on_one_store_send_each_notification_once() {
    let sandbox = sandbox("");
    let got = sandbox.path().join("got");
    sandbox.configure(&running("run", &format!("echo \"$NOTIFYCTL_ID\" >> {}", got.display())));
    let daemons = [Daemon::start(&sandbox), Daemon::start(&sandbox)];
    let ids: Vec<_> = (0..20).map(|_| enqueue(&sandbox, "run")).collect();
    sandbox.ok(&["send-pending"]);
    until("all sent", || ids.iter().all(|id| status_of(&sandbox, id) == "sent"));
    let got = std::fs::read_to_string(got).expect("what was sent");
    let mut got: Vec<i64> = got.lines().map(|id| id.parse().expect("an id")).collect();
    got.sort_unstable();
    assert_eq!(got, ids.iter().map(|id| id.parse().expect("an id")).collect::<Vec<i64>>());
    drop(daemons);
}

/// Runs it at the level that is configured, until a signal ends it; gives what it logged.
fn logged(sandbox: &Sandbox, signal: &str) -> String {
    let mut command = sandbox.notifyctl();
    let stderr = std::fs::File::create(sandbox.path().join("log")).expect("make the log");
    command.arg("daemon").env("NOTIFYCTL_HTTP__LISTEN", "127.0.0.1:0").stderr(stderr);
    let mut process = command.spawn().expect("start the daemon");
    until("it has begun", || log(sandbox).contains("started"));
    let kill = std::process::Command::new("kill").args([signal, &process.id().to_string()]).status();
    assert!(kill.expect("run kill").success());
    assert!(process.wait().expect("its end").success());
    log(sandbox)
}

#[test]
fn at_the_default_level_it_says_where_it_is_what_it_does_and_why_it_ended() {
    let run = running("run", "exit 0") + &running("mail", "exit 0");
    let with = sandbox(&run);
    let lines = logged(&with, "-TERM");
    let lines: Vec<_> =
        lines.lines().map(|line| line.split_once(" INFO daemon ").expect("a line of its own").1).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].starts_with("listening address=127.0.0.1:"), "{lines:?}");
    let started = format!(
        "started version={} roles=\"http, sender, maintenance\" store=sqlite://{} channels=mail,outbox,run",
        env!("CARGO_PKG_VERSION"),
        with.db().display()
    );
    assert_eq!(lines[1..], [&*started, "draining signal=TERM", "ended signal=TERM"]);

    with.configure(&format!("[log]\nformat = \"json\"\n[daemon]\nroles = \"sender\"\n{run}"));
    let lines = logged(&with, "-INT");
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let told: Vec<_> = lines.iter().map(|line| line["message"].as_str().expect("words")).collect();
    assert_eq!(told, ["started", "draining", "ended"]);
    assert_eq!((&lines[0]["roles"], &lines[2]["signal"]), (&"sender".into(), &"INT".into()));

    with.configure(&format!("[log]\nlevel = \"error\"\n{run}"));
    assert!(logged(&with, "-TERM").contains("INFO daemon ended"));
}

#[test]
fn without_a_channel_that_can_be_used_it_does_not_start() {
    let sandbox = sandbox("[channels.outbox]\nkind = \"webhook\"\nurl_file = \"/nowhere\"\n");
    let output = Daemon::command(&sandbox).output().expect("run it");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{stderr}");
    assert!(stderr.contains("/nowhere") && stderr.contains("config check"), "{stderr}");
}
