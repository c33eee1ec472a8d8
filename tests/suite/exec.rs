//! The exec kind with real programs: what they are given, what their end means, and that they do end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use notifyctl::channel::{Envelope, Options, exec};
use notifyctl::model::{Attachment, Outcome, Reason, Scope, Verdict};
use tempfile::TempDir;

use crate::support::channels::{attempt, attempt_by_steps, build, envelope, runtime, short, wait_until};
use crate::support::{Sandbox, program};

/// A shell script in a folder of its own.
struct Script {
    dir: TempDir,
    options: exec::Options,
}

impl Script {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder of our own");
        let path = dir.path().join("script");
        program::write(&path, &format!("#!/bin/sh\n{text}\n"));
        let folder = dir.path().to_str().expect("UTF-8").to_owned();
        let command = vec![path.to_str().expect("UTF-8").to_owned(), folder];
        Self { dir, options: exec::Options::new(command) }
    }

    /// Tries to run it.
    fn run(&self, envelope: &Envelope) -> Verdict {
        attempt(&Options::Exec(self.options.clone()), envelope)
    }

    /// The same, by a clock that stands still but for these steps; the first is made when it has written who it is.
    fn run_by_steps(&self, steps: &[Duration]) -> Verdict {
        let (options, pids) = (Options::Exec(self.options.clone()), self.path("pids"));
        attempt_by_steps(&options, &envelope("x"), &pids, steps)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }
}

fn run(script: &str) -> Verdict {
    Script::new(script).run(&envelope("hello"))
}

#[test]
fn the_envelope_arrives_whole_on_standard_input() {
    let script = Script::new("cat > $1/input");
    let mut envelope = envelope(&"größer $(reboot) `reboot` \"'\\ \n.\n\u{1f525}".repeat(10_000));
    envelope.content.attachments =
        vec![Attachment { name: "a.bin".into(), media_type: "x/y".into(), content: vec![7; 1 << 20] }];
    assert_eq!(short(&script.run(&envelope)), (Outcome::Sent, Reason::Accepted));
    let read: serde_json::Value = serde_json::from_str(&script.read("input")).unwrap();
    assert_eq!(read, serde_json::to_value(envelope.shape()).unwrap());
    assert_eq!(read["message"], envelope.content.message);
}

#[test]
fn the_environment_is_clean_and_the_folder_is_the_root() {
    let mut script = Script::new("env > $1/env; pwd > $1/pwd");
    script.options.env.insert("TOKEN".into(), "hunter2".into());
    let verdict = script.run(&Envelope { attempt: 3, ..envelope("x") });
    assert_eq!(short(&verdict), (Outcome::Sent, Reason::Accepted));
    let env = script.read("env");
    // What the shell itself adds.
    let mut lines: Vec<_> = env.lines().filter(|line| !line.starts_with("PWD=")).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "LANG=C.UTF-8",
            "NOTIFYCTL_ATTEMPT=3",
            "NOTIFYCTL_CHANNEL=under-test",
            "NOTIFYCTL_ID=17",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TOKEN=hunter2",
        ]
    );
    assert_eq!(script.read("pwd"), "/\n");
}

#[test]
fn the_exit_code_is_the_outcome_and_the_output_the_detail() {
    for (script, outcome, reason, detail) in [
        ("echo queued as 7", Outcome::Sent, Reason::Accepted, "queued as 7"),
        (
            "echo a; echo b >&2; echo c; exit 75",
            Outcome::Deferred,
            Reason::TemporaryFailure,
            "exit status 75: a b c",
        ),
        ("exit 71", Outcome::Deferred, Reason::TemporaryFailure, "exit status 71"),
        (
            "echo no such pager >&2; exit 67",
            Outcome::Rejected,
            Reason::ProgramFailed,
            "exit status 67: no such pager",
        ),
        ("kill -9 $$", Outcome::Deferred, Reason::TemporaryFailure, "killed by signal 9"),
    ] {
        let verdict = run(script);
        assert_eq!(short(&verdict), (outcome, reason), "{script}");
        assert_eq!((verdict.detail.as_str(), verdict.scope), (detail, Scope::Notification), "{script}");
    }
}

#[test]
fn no_shell_reads_the_arguments() {
    let dir = tempfile::tempdir().unwrap();
    let evil = format!("$(touch {0}/a); `touch {0}/b` > {0}/c", dir.path().display());
    let options = exec::Options::new(vec!["printf".into(), "%s".into(), evil.clone()]);
    assert_eq!(attempt(&Options::Exec(options), &envelope("x")).detail, evil);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_program_that_does_not_read_its_input_is_fine() {
    let script = Script::new("exec 0<&-; echo done");
    let verdict = script.run(&envelope(&"x".repeat(1 << 20)));
    assert_eq!((short(&verdict), verdict.detail.as_str()), ((Outcome::Sent, Reason::Accepted), "done"));
}

#[test]
fn of_endless_output_the_end_is_kept() {
    let verdict = run("head -c 5000000 /dev/zero | tr '\\0' x; echo; echo the reason; exit 1");
    assert_eq!(verdict.outcome, Outcome::Rejected);
    assert!(verdict.detail.len() <= Verdict::DETAIL_LIMIT);
    assert!(verdict.detail.starts_with("exit status 1: xxx") && verdict.detail.ends_with("x the reason"));
}

#[test]
fn configured_secrets_do_not_come_back_in_the_detail() {
    let mut script = Script::new("echo \"bad token $TOKEN\"; printf '\\377\\000\\033[31m'; exit 1");
    script.options.env.insert("TOKEN".into(), "hunter2".into());
    let verdict = script.run(&envelope("x"));
    assert!(verdict.detail.starts_with("exit status 1: bad token [secret] "), "{}", verdict.detail);
    assert!(!verdict.detail.contains(char::is_control));
}

#[test]
fn a_missing_program_is_the_channels_trouble() {
    let options = exec::Options::new(vec!["/nonexistent/pager".into()]);
    let verdict = attempt(&Options::Exec(options), &envelope("x"));
    assert_eq!((short(&verdict), verdict.scope), ((Outcome::Deferred, Reason::LocalError), Scope::Channel));
    assert!(verdict.detail.starts_with("run /nonexistent/pager: No such file"), "{}", verdict.detail);
}

/// What one that hangs has, and what it has after TERM; nobody waits for it.
const TIME: Duration = Duration::from_secs(30);

/// A little longer, for a clock of whole milliseconds.
const PAST: Duration = Duration::from_millis(30_002);

/// A hanging script that writes its own process number and its child's, and the options to run it.
fn hanging(trap: &str) -> Script {
    let mut script = Script::new(&format!(
        "{trap}\nsleep 600 & echo $$ $! > $1/pids.tmp; mv $1/pids.tmp $1/pids; wait; wait"
    ));
    script.options.timeout = TIME;
    script.options.kill_after = TIME;
    script
}

fn wait_until_gone(pids: &str) {
    let pids: Vec<_> = pids.split_whitespace().map(|pid| Path::new("/proc").join(pid).join("stat")).collect();
    assert_eq!(pids.len(), 2);
    // A zombie that nobody has reaped yet is gone, too.
    let gone = |stat: &PathBuf| fs::read_to_string(stat).is_ok_and(|s| s.contains(") Z ")) || !stat.exists();
    wait_until("the whole group is gone", || pids.iter().all(gone));
}

#[test]
fn a_program_that_hangs_is_ended_with_all_it_started() {
    let script = hanging("");
    let verdict = script.run_by_steps(&[PAST]);
    assert_eq!(short(&verdict), (Outcome::Unknown, Reason::NoAnswer));
    assert_eq!(verdict.detail, "not done in time and ended");
    wait_until_gone(&script.read("pids"));
}

#[test]
fn a_program_that_ignores_term_is_killed() {
    let script = hanging("trap '' TERM");
    let verdict = script.run_by_steps(&[PAST, PAST]);
    assert_eq!(short(&verdict), (Outcome::Unknown, Reason::NoAnswer));
    wait_until_gone(&script.read("pids"));
}

#[test]
fn a_program_that_heeds_term_may_still_say_what_came_of_it() {
    // The shell may say of its own that its child was terminated.
    let script = hanging("exec 2>/dev/null; trap 'echo too slow; exit 75' TERM");
    let verdict = script.run_by_steps(&[PAST]);
    assert_eq!(short(&verdict), (Outcome::Deferred, Reason::TemporaryFailure));
    assert_eq!(verdict.detail, "exit status 75: too slow");
    wait_until_gone(&script.read("pids"));
}

#[test]
fn an_abandoned_attempt_leaves_nothing_running() {
    let mut script = hanging("trap '' TERM");
    script.options.timeout = Duration::from_secs(600);
    let channel = build(&Options::Exec(script.options.clone()));
    let envelope = envelope("x");
    runtime().block_on(async {
        let pids = script.path("pids");
        tokio::select! {
            verdict = channel.attempt(&envelope) => panic!("{verdict:?}"),
            () = async { while !pids.exists() { tokio::time::sleep(Duration::from_millis(5)).await } } => {}
        }
    });
    wait_until_gone(&script.read("pids"));
}

#[test]
fn something_left_in_the_background_is_neither_waited_for_nor_killed() {
    let script = Script::new("sleep 600 & echo $! > $1/pid; echo started");
    let begun = Instant::now();
    let verdict = script.run(&envelope("x"));
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!((verdict.outcome, verdict.detail.as_str()), (Outcome::Sent, "started"));
    let pid = rustix::process::Pid::from_raw(script.read("pid").trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it was still there");
}

#[test]
fn a_lock_that_we_were_given_is_not_handed_on() {
    let sandbox = Sandbox::new();
    let fds = sandbox.path().join("fds");
    let command = format!("[\"sh\", \"-c\", \"ls /proc/self/fd > {}\"]", fds.display());
    sandbox.configure(&format!(
        "[defaults]\nchannel = \"run\"\n[channels.run]\nkind = \"exec\"\ncommand = {command}\n"
    ));
    sandbox.ok(&["enqueue", "--to", "ops", "hello"]);
    // As `flock -n 9 notifyctl send-pending 9>lock` does.
    let notifyctl = sandbox.notifyctl();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 9>lock; exec \"$0\" send-pending"]).arg(notifyctl.get_program());
    shell.env_clear().current_dir(sandbox.path());
    shell.envs(notifyctl.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(shell.status().expect("run the shell").success());
    // 3 is the folder that `ls` itself reads.
    assert_eq!(fs::read_to_string(fds).unwrap(), "0\n1\n2\n3\n");
}
