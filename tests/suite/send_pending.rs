//! `send-pending` as cron, a script and a person meet it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Sandbox;
use crate::support::channels::wait_until;

/// A channel of kind `exec` called `run`, whose program is this shell line.
fn running(line: &str) -> String {
    format!("[channels.run]\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", '{line}']\nmax_in_flight = 2\n")
}

fn sandbox(config: &str, n: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure(config);
    for n in 0..n {
        sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", &format!("m{n}")]);
    }
    sandbox
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("one JSON object")
}

fn counts(sandbox: &Sandbox) -> serde_json::Value {
    json(&sandbox.ok(&["status", "--json"]))["counts"].clone()
}

#[test]
fn a_pass_that_went_well_prints_nothing_where_nobody_looks() {
    let sandbox = sandbox(&running("cat > /dev/null"), 3);
    let output = sandbox.notifyctl().arg("send-pending").output().unwrap();
    assert!(output.status.success());
    assert_eq!((output.stdout.len(), String::from_utf8_lossy(&output.stderr).as_ref()), (0, ""));
    assert_eq!(counts(&sandbox)["sent"], 3);
    // Nor does one with nothing to do, or before anything was ever enqueued.
    assert_eq!(sandbox.ok(&["send-pending"]), "");
    assert_eq!(Sandbox::new().ok(&["send-pending"]), "");
}

#[test]
fn the_tally_says_what_came_of_it_and_when_the_next_one_is_due() {
    let sandbox = sandbox(&running("exit 75"), 2);
    let tally = json(&sandbox.ok(&["send-pending", "--json"]));
    assert_eq!((&tally["sent"], &tally["deferred"], &tally["left"]), (&0.into(), &2.into(), &2.into()));
    assert_eq!(tally["channels"]["run"]["deferred"], 2);
    assert!(tally["next_due_at"].is_string() && tally["oldest_due_at"].is_null(), "{tally}");
    assert!(tally["worker"].as_str().unwrap().split(':').count() == 3);
}

#[test]
fn what_dies_makes_the_exit_code_one_and_is_said_on_standard_error() {
    let sandbox = sandbox(&running("exit 1"), 1);
    let stderr = sandbox.fails(1, &["send-pending"]);
    assert!(stderr.contains("1 died in this pass"), "{stderr}");
    sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", "again"]);
    sandbox.ok(&["send-pending", "--fail-on", "never"]);
}

#[test]
fn with_fail_on_deferred_a_deferral_makes_the_exit_code_one() {
    let sandbox = sandbox(&running("exit 75"), 1);
    sandbox.fails(1, &["send-pending", "--fail-on", "deferred"]);
}

#[test]
fn a_dry_run_lists_what_would_be_attempted_and_changes_nothing() {
    let sandbox = sandbox(&running("exit 0"), 3);
    // The program runs in `/`: its place is told in full.
    let got = sandbox.path().join("got");
    sandbox.configure(&running(&format!("cat >> {}", got.display())));
    sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", "--in", "1h", "later"]);
    let before = std::fs::read(sandbox.db()).unwrap();
    assert_eq!(sandbox.ok(&["send-pending", "--dry-run"]).lines().count(), 3);
    let lines = sandbox.ok(&["send-pending", "--dry-run", "--limit", "2", "--json"]);
    let ids: Vec<_> = lines.lines().map(|line| json(line)["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [1, 2]);
    assert_eq!(std::fs::read(sandbox.db()).unwrap(), before);
    assert!(!got.exists());

    sandbox.ok(&["channel", "hold", "run"]);
    assert!(sandbox.ok(&["send-pending", "--dry-run"]).starts_with("run: nothing: the channel is held"));
    assert_eq!(sandbox.ok(&["send-pending", "--dry-run", "--json"]), "");
}

#[test]
fn only_the_channels_that_are_named_are_served() {
    let other = "[channels.other]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\n";
    let sandbox = sandbox(&(running("exit 0") + other), 1);
    sandbox.ok(&["enqueue", "--channel", "other", "--to", "ops", "hello"]);
    sandbox.ok(&["send-pending", "--channel", "other"]);
    assert_eq!((&counts(&sandbox)["sent"], &counts(&sandbox)["pending"]), (&1.into(), &1.into()));
    let stderr = sandbox.fails(64, &["send-pending", "--channel", "othr"]);
    assert!(stderr.contains("did you mean `other`?"), "{stderr}");
}

#[test]
fn a_channel_that_cannot_be_built_does_not_stop_the_others() {
    let unfit = "[channels.unfit]\nkind = \"exec\"\ncommand = [\"no-such-program-anywhere\"]\n";
    let sandbox = sandbox(&(running("exit 0") + unfit), 1);
    let stderr = sandbox.fails(78, &["send-pending"]);
    assert!(stderr.contains("channels.unfit.command"), "{stderr}");
    assert_eq!(counts(&sandbox)["sent"], 1);
}

#[test]
fn a_limit_and_a_time_are_kept() {
    let sandbox = sandbox(&running("exit 0"), 5);
    assert_eq!(json(&sandbox.ok(&["send-pending", "--limit", "2", "--json"]))["sent"], 2);
    assert_eq!(json(&sandbox.ok(&["send-pending", "--max-time", "1ms", "--json"]))["left"], 3);
    let stderr = sandbox.fails(64, &["send-pending", "--max-time", "5"]);
    assert!(stderr.contains("has no unit"), "{stderr}");
}

/// A pass whose attempts last as long as the file `wait` exists, with two of them under way.
fn waiting(sandbox: &Sandbox) -> Child {
    std::fs::write(sandbox.path().join("wait"), "").unwrap();
    let pass = sandbox.notifyctl().arg("send-pending").arg("--json").stdout(Stdio::piped()).spawn().unwrap();
    wait_until("two attempts are under way", || begun(sandbox) == 2);
    pass
}

const WAITING: &str = "echo $NOTIFYCTL_ID >> begun; while [ -e wait ]; do sleep 0.02; done; cat > /dev/null";

fn begun(sandbox: &Sandbox) -> usize {
    std::fs::read_to_string(sandbox.path().join("begun")).map_or(0, |text| text.lines().count())
}

fn signal(pass: &Child, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pass.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn config_of(sandbox: &Sandbox) -> String {
    running(&format!("cd {}; {WAITING}", sandbox.path().display()))
}

fn enqueued(n: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure(&config_of(&sandbox));
    for n in 0..n {
        sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", &format!("m{n}")]);
    }
    sandbox
}

#[test]
fn a_signal_ends_the_pass_in_time_and_the_rest_is_given_back() {
    for name in ["TERM", "INT", "HUP"] {
        let sandbox = enqueued(6);
        let pass = waiting(&sandbox);
        signal(&pass, name);
        wait_until("what has not begun is given back", || counts(&sandbox)["pending"] == 4);
        std::fs::remove_file(sandbox.path().join("wait")).unwrap();
        let output = pass.wait_with_output().unwrap();
        assert!(output.status.success(), "{name}");
        let tally = json(&String::from_utf8(output.stdout).unwrap());
        assert_eq!((&tally["sent"], &tally["left"]), (&2.into(), &4.into()), "{name}");
        assert_eq!(begun(&sandbox), 2);
    }
}

#[test]
fn a_second_signal_abandons_what_is_under_way_whose_end_is_then_unknown() {
    let sandbox = enqueued(3);
    let pass = waiting(&sandbox);
    signal(&pass, "TERM");
    wait_until("it drains", || counts(&sandbox)["pending"] == 1);
    let second = Instant::now();
    signal(&pass, "TERM");
    let output = pass.wait_with_output().unwrap();
    assert!(second.elapsed() < Duration::from_secs(5), "{:?}", second.elapsed());
    let tally = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!((&tally["sent"], &tally["deferred"]), (&0.into(), &2.into()));
    let shown = sandbox.ok(&["show", "1", "--json"]);
    assert_eq!(json(&shown)["history"][0]["outcome"], "unknown");
    std::fs::remove_file(sandbox.path().join("wait")).unwrap();
}

#[test]
fn a_store_that_cannot_be_written_is_answered_with_a_hint() {
    let sandbox = sandbox(&running("exit 0"), 1);
    // A file in the place of its folder.
    std::fs::remove_dir_all(sandbox.db().parent().unwrap()).unwrap();
    std::fs::write(sandbox.db().parent().unwrap(), "").unwrap();
    let output = sandbox.notifyctl().arg("send-pending").output().unwrap();
    assert!(matches!(output.status.code(), Some(73..=77)), "{:?}", output.status);
    assert!(String::from_utf8_lossy(&output.stderr).contains("hint:"));
}

#[test]
fn on_a_terminal_it_shows_a_bar_and_then_a_tally() {
    let sandbox = sandbox(&running("sleep 0.4; cat > /dev/null"), 3);
    let pass = sandbox.notifyctl();
    let line = format!("{} send-pending", pass.get_program().display());
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env_clear()
        .envs(pass.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("TERM", "xterm")
        .output()
        .expect("script, of bsdutils");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains(" of 3 "), "no bar: {shown:?}");
    assert!(shown.trim_end().ends_with("3 sent, 0 left"), "{shown:?}");
}
