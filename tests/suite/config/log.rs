//! The log as an operator meets it: who says what is logged, in which form, and where it goes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use super::set_mode;
use crate::support::Sandbox;

/// A sandbox in which one notification is pending.
fn one_pending(rest: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure(rest);
    sandbox.ok(&["enqueue", "--to", "ops@example.org", "hello"]);
    sandbox
}

#[test]
fn nothing_is_logged_while_all_is_well() {
    let sandbox = one_pending("[log]\nfile = \"/nonexistent/n.log\"\n");
    let output = sandbox.notifyctl().arg("send-pending").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the file is opened by the first line alone");
}

#[test]
fn the_flag_wins_over_the_variable_over_the_configuration() {
    let attempts = |config: &str, variable: Option<&str>, flag: &[&str]| {
        let sandbox = one_pending(&format!("[log]\nlevel = \"{config}\"\n"));
        let mut command = sandbox.notifyctl();
        command.arg("send-pending").args(flag).envs(variable.map(|value| ("NOTIFYCTL_LOG", value)));
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).lines().filter(|line| line.contains("outcome=sent")).count()
    };
    assert_eq!(attempts("info", None, &[]), 1);
    assert_eq!(attempts("warn", None, &[]), 0);
    assert_eq!(attempts("info", Some("warn"), &[]), 0);
    assert_eq!(attempts("off", Some("warn,notifyctl::delivery=info"), &[]), 1);
    assert_eq!(attempts("info", Some("info"), &["--log-level", "error"]), 0);
    assert_eq!(attempts("off", Some("off"), &["--log-level", "info"]), 1);
}

#[test]
fn a_variable_that_says_no_level_is_an_error() {
    let sandbox = Sandbox::new();
    let output = sandbox.notifyctl().arg("status").env("NOTIFYCTL_LOG", "loud").output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with("notifyctl: $NOTIFYCTL_LOG: `loud` says no level\n"), "{stderr}");
}

#[test]
fn a_line_of_json_is_an_object_with_fixed_keys() {
    let sandbox = one_pending("[log]\nlevel = \"info\"\nformat = \"json\"\n");
    let output = sandbox.notifyctl().arg("send-pending").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<serde_json::Value> =
        stderr.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    let attempt = lines.iter().find(|line| line["message"] == "attempt").expect("a line for the attempt");
    assert_eq!((&attempt["level"], &attempt["target"]), (&"info".into(), &"delivery".into()));
    assert_eq!((&attempt["id"], &attempt["outcome"]), (&1.into(), &"sent".into()));
    assert!(attempt["at"].as_str().is_some_and(|at| at.ends_with('Z')));
}

#[test]
fn the_journal_gets_priorities_and_no_time() {
    let log = |matches: bool| {
        let sandbox = one_pending("[log]\nlevel = \"info\"\n");
        let path = sandbox.path().join("journal");
        let journal = fs::File::create(&path).unwrap();
        let about = journal.metadata().unwrap();
        let inode = if matches { about.ino() } else { about.ino() + 1 };
        let mut command = sandbox.notifyctl();
        command.arg("send-pending").env("JOURNAL_STREAM", format!("{}:{inode}", about.dev()));
        assert!(command.stderr(Stdio::from(journal)).status().unwrap().success());
        fs::read_to_string(path).unwrap()
    };
    assert!(log(true).lines().all(|line| line.starts_with("<6>delivery ")), "{}", log(true));
    assert!(log(true).contains("outcome=sent"));
    assert!(!log(false).contains("<6>"), "inherited by something whose standard error leads elsewhere");
}

#[test]
fn a_log_file_is_appended_to_and_leaves_standard_error_silent() {
    let sandbox = Sandbox::new();
    let log = sandbox.path().join("n.log");
    sandbox.configure(&format!("[log]\nlevel = \"info\"\nfile = \"{}\"\n", log.display()));
    for _ in 0..2 {
        sandbox.ok(&["enqueue", "--to", "ops@example.org", "hello"]);
        let output = sandbox.notifyctl().arg("send-pending").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().filter(|line| line.contains("outcome=sent")).count(), 2, "{text}");
    assert_eq!(fs::metadata(&log).unwrap().mode() & 0o137, 0);
}

#[test]
fn the_logrotate_sample_rotates_without_a_signal() {
    let sandbox = Sandbox::new();
    let log = sandbox.path().join("n.log");
    sandbox.configure(&format!("[log]\nlevel = \"info\"\nfile = \"{}\"\n", log.display()));
    let sample = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/etc/logrotate")).unwrap();
    let rules = sandbox.path().join("rules");

    let own = sample.replace("/var/log/notifyctl.log", log.to_str().unwrap());
    fs::write(&rules, own).unwrap();
    set_mode(&rules, 0o644);
    for _ in 0..2 {
        sandbox.ok(&["enqueue", "--to", "ops@example.org", "hello"]);
        sandbox.ok(&["send-pending"]);
        let mut rotate = Command::new("/usr/sbin/logrotate");
        rotate.arg("--force").arg("--state").arg(sandbox.path().join("rotated")).arg(&rules);
        let output = rotate.output().expect("run logrotate (Debian package logrotate)");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // The second rotation compresses what the first one moved.
    assert!(sandbox.path().join("n.log.2.gz").exists());
    assert!(fs::read_to_string(sandbox.path().join("n.log.1")).unwrap().contains("id=2"));
    assert_eq!(fs::metadata(&log).unwrap().len(), 0);
}
