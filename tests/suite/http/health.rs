//! Whether the daemon lives and can work, its numbers, and the papers that are made for them.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::ground::{Ground, socket};
use crate::support::daemon::until;
use crate::support::redis_server::RedisServer;
use crate::support::small_disk::{ReadOnly, SmallDisk, may_mount};

fn etc(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("etc").join(name)
}

/// The numbers' names and labels, each with its value.
fn samples(ground: &Ground) -> Vec<(String, f64)> {
    let answer = ground.ask("/metrics", &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text"))
    );
    assert!(answer.body.ends_with("# EOF\n"), "{answer:?}");
    let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a value");
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
        })
        .collect()
}

fn value(samples: &[(String, f64)], name: &str) -> Option<f64> {
    samples.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
}

#[test]
fn what_the_store_counts_and_what_attempts_took_are_numbers_without_personal_data() {
    let ground = Ground::new("");
    let posted =
        ground.post(r#"{"channel":"run","to":"ann@example.org","subject":"secret","message":"hello"}"#);
    assert_eq!(posted.status, 202, "{posted:?}");
    let sent = "notifyctl_notifications{channel=\"run\",status=\"sent\"}";
    until("it is sent and counted", || value(&samples(&ground), sent) == Some(1.0));
    let attempts = "notifyctl_attempts_total{channel=\"run\",outcome=\"sent\"";
    until("its attempt is counted", || {
        samples(&ground).iter().any(|(name, n)| name.starts_with(attempts) && *n > 0.5)
    });
    let samples = samples(&ground);
    assert_eq!(value(&samples, "notifyctl_attempt_duration_seconds_count{channel=\"run\"}"), Some(1.0));
    assert_eq!(value(&samples, "notifyctl_settled_after_seconds_count{channel=\"run\"}"), Some(1.0));
    assert_eq!(value(&samples, "notifyctl_workers{role=\"sender\"}"), Some(1.0));
    assert_eq!(value(&samples, "notifyctl_accepted_total{channel=\"run\"}"), Some(1.0));
    let posts = "notifyctl_http_request_duration_seconds_count{method=\"POST\",route=\"/v1/notifications\",status=\"202\"}";
    assert_eq!(value(&samples, posts), Some(1.0), "{samples:?}");
    // What a caller makes up is no label.
    for path in ["/v1/notifications/secret-1", "/secret-2"] {
        ground.ask(path, &["-X", "SECRET"]);
    }
    let body = ground.ask("/metrics", &[]).body;
    assert!(!body.contains("notifyctl_cache"), "there is no cache: {body}");
    for word in ["ann@", "secret", "SECRET", "hello"] {
        assert!(!body.contains(word), "{word}: {body}");
    }
}

#[test]
fn it_is_ready_while_the_store_can_be_written() {
    let ground = Ground::new("");
    let ready = ground.ask("/readyz", &[]);
    assert_eq!((ready.status, ready.json()["ready"].as_bool()), (200, Some(true)), "{ready:?}");
    let lock = rusqlite::Connection::open(ground.sandbox.db()).expect("open");
    lock.execute_batch("BEGIN IMMEDIATE").expect("lock");
    let not = ground.ask("/readyz", &[]);
    assert_eq!((not.status, not.json()["ready"].as_bool()), (503, Some(false)), "{not:?}");
    assert!(
        not.json()["reasons"][0].as_str().is_some_and(|why| why.contains("could not be written within 2 s")),
        "{not:?}"
    );
    assert_eq!(ground.ask("/healthz", &[]).status, 200, "it lives all the same");
    lock.execute_batch("ROLLBACK").expect("unlock");
    until("ready again", || ground.ask("/readyz", &[]).status == 200);
}

/// Why it is not ready, in words; none when it is.
fn reasons(ground: &Ground) -> Vec<String> {
    let answer = ground.ask("/readyz", &[]);
    let told = answer.json();
    let reasons = told["reasons"].as_array().cloned().unwrap_or_default();
    assert_eq!(
        (answer.status == 200, told["ready"].as_bool()),
        (reasons.is_empty(), Some(reasons.is_empty()))
    );
    reasons.iter().map(|reason| reason.as_str().expect("words").to_owned()).collect()
}

#[test]
fn it_is_not_ready_while_the_disk_is_full_or_takes_nothing() {
    if !may_mount() {
        // Only root can have a disk of its own.
        return;
    }
    let disk = SmallDisk::mount(16 << 20);
    let ground = Ground::within(disk.path());
    assert_eq!(reasons(&ground), [""; 0]);
    disk.fill();
    assert_eq!(reasons(&ground), ["the disk of the store is full"]);
    disk.empty();
    assert_eq!(reasons(&ground), [""; 0]);
    // As a system does it after an error of the disk.
    let covered = ReadOnly::cover(disk.path());
    assert_eq!(reasons(&ground), ["the file system of the store is read-only"]);
    drop(covered);
    assert_eq!(reasons(&ground), [""; 0]);
}

#[test]
fn while_the_disk_is_short_no_more_is_accepted_and_what_is_there_is_steered_as_ever() {
    if !may_mount() {
        // Only root can have a disk of its own.
        return;
    }
    let disk = SmallDisk::mount(16 << 20);
    let ground = Ground::within(disk.path());
    let row = r#"{"channel":"run","to":"ann@example.org","message":"hello"}"#;
    let keyed = |row: &str| ground.ask("/v1/notifications", &["--json", row, "-H", "Idempotency-Key: k"]);
    let first = keyed(row).json()["id"].clone();
    let ids: Vec<_> = (0..2).map(|_| ground.post(row).json()["id"].as_u64().expect("an id")).collect();
    for id in ids {
        // What is left is enough for what follows, and too little for a queue.
        disk.fill_but(512 << 10);
        until("it is refused while it could be written yet", || {
            let answer = ground.post(row);
            let refused = answer.status == 503 && answer.problem().contains("too little room for more");
            assert!(refused || answer.status == 202, "{answer:?}");
            assert!(!refused || answer.header("retry-after") == Some("30"), "{answer:?}");
            refused
        });
        until("it is not ready either", || reasons(&ground) == ["the disk of the store is full"]);
        let there = ground.sandbox.accepted();
        assert_eq!(ground.ask(&format!("/v1/notifications/{id}"), &["-X", "DELETE"]).status, 200);
        let again = format!("/v1/notifications/{id}/requeue");
        assert_eq!(ground.ask(&again, &["-X", "POST"]).status, 200);
        // What is there already is answered as before, and its key is taken as before.
        let retry = keyed(row);
        assert_eq!((retry.status, &retry.json()["id"]), (202, &first), "{retry:?}");
        assert_eq!(keyed("[]").status, 422);
        assert_eq!(keyed(&format!("[{row}]")).status, 409);
        assert_eq!(ground.sandbox.accepted(), there);
        disk.empty();
        until("it is accepted again", || ground.post(row).status == 202);
    }
}

/// strace lets every sync fail, as a dying disk does.
#[test]
fn it_is_not_ready_from_a_commit_that_failed_until_one_gets_to_disk() {
    let ground = Ground::accepting("");
    let row = r#"{"channel":"run","to":"ann@example.org","message":"hello"}"#;
    assert_eq!(ground.post(row).status, 202);
    let fails = Command::new("strace")
        .args(["--quiet=all", "--follow-forks", "--trace=fsync,fdatasync", "--output=/dev/null"])
        .args(["--inject=fsync,fdatasync:error=EIO", "--attach", &ground.daemon.id().to_string()])
        .spawn();
    let mut fails = fails.expect("run strace");
    until("a commit fails", || ground.post(row).status == 500);
    // No commit is tried but those of the question itself.
    for _ in 0..2 {
        assert_eq!(reasons(&ground), ["the store cannot be used"]);
    }
    let kill = Command::new("kill").arg(fails.id().to_string()).status();
    assert!(kill.expect("run kill").success());
    fails.wait().expect("its end");
    assert_eq!(reasons(&ground), [""; 0]);
    assert_eq!(ground.post(row).status, 202);
}

#[test]
fn it_is_not_ready_while_it_drains() {
    let ground = Ground::accepting("");
    let mut asks = std::os::unix::net::UnixStream::connect(socket(&ground.sandbox)).expect("connect");
    // Its request has begun: it is waited for.
    asks.write_all(b"GET /readyz HTTP/1.1\r\n").expect("write");
    until("it is taken", || {
        std::thread::sleep(Duration::from_millis(100));
        ground.ask("/healthz", &[]).status == 200
    });
    ground.daemon.signal("-TERM");
    ground.daemon.hears("STOPPING=1");
    until("no more are taken", || !socket(&ground.sandbox).exists());
    asks.write_all(b"Host: localhost\r\n\r\n").expect("write");
    let mut answer = String::new();
    asks.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("{\"ready\":false,\"reasons\":[\"it is draining\"]}"), "{answer}");
    assert_eq!(ground.daemon.ended(), Some(0));
}

/// How long the sending loop has been silent, as `/readyz` says; `None` while it does not say so.
fn silent(ground: &Ground) -> Option<Duration> {
    let reasons = reasons(ground);
    let span =
        reasons.iter().find_map(|why| why.strip_prefix("the sending loop gave no sign of life for "))?;
    Some(humantime::parse_duration(span).unwrap_or_else(|error| panic!("{span}: {error}")))
}

/// Lets go of what it holds when it is dropped, however the test ends.
struct Strace(Child);

impl Drop for Strace {
    fn drop(&mut self) {
        // TERM, so that it lets go.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// strace holds the thread of the sending loop, and none of the others, until it is told to let go.
#[test]
fn while_the_sending_loop_stands_still_it_is_not_ready_and_the_watchdog_starves() {
    let ground = Ground::new("");
    assert_eq!(silent(&ground), None);
    let holds = Command::new("strace")
        .args(["--quiet=all", "--trace=epoll_wait,epoll_pwait", "--output=/dev/null"])
        .args([
            "--inject=epoll_wait,epoll_pwait:delay_exit=3600s",
            "--attach",
            &ground.daemon.id().to_string(),
        ])
        .spawn();
    let holds = Strace(holds.expect("run strace"));
    let silent_for = |least: Duration| {
        let began = Instant::now();
        loop {
            match silent(&ground) {
                Some(silent) if silent >= least => return silent,
                silent => assert!(began.elapsed() < Duration::from_secs(90), "{silent:?}, not {least:?}"),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    let least = Duration::from_secs(30);
    let first = silent_for(least);
    // From here on all that would be told: the loop is held until the end. A sign of life is owed every ten seconds.
    ground.daemon.told();
    silent_for(first + Duration::from_secs(21));
    assert_eq!(ground.daemon.told(), [""; 0]);
    drop(holds);
    until("ready again", || reasons(&ground).is_empty());
    ground.daemon.hears("WATCHDOG=1");
}

/// The names of numbers that a text speaks of, without what a histogram appends.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_name(c)).filter(|word| word.starts_with("notifyctl_"));
    words.map(bare).collect()
}

fn bare(name: &str) -> String {
    let ends = ["_bucket", "_count", "_sum"];
    ends.into_iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name).to_owned()
}

/// A number that is missing is above no limit.
#[test]
fn that_nobody_ever_delivered_is_a_number_too() {
    let ground = Ground::accepting("");
    assert_eq!(value(&samples(&ground), "notifyctl_sender_silent_seconds"), Some(f64::INFINITY));
}

#[test]
fn every_number_that_the_rules_and_the_dashboard_name_is_there() {
    let redis = RedisServer::start("");
    let ground = Ground::new(&format!("[cache]\nurl = \"{}\"\n", redis.url()));
    ground.post(r#"{"channel":"run","to":"a","message":"hello"}"#);
    until("an attempt", || {
        samples(&ground).iter().any(|(name, _)| name.starts_with("notifyctl_settled_after"))
    });
    // A rate has to be there, and something has to wait for it.
    let told: BTreeSet<String> =
        samples(&ground).iter().map(|(name, _)| bare(name.split('{').next().expect("a name"))).collect();
    let rated =
        ["notifyctl_rate_used", "notifyctl_rate_limit", "notifyctl_limiter_waits_total"].map(str::to_owned);
    let source = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/metrics.rs"))
        .expect("read");
    for name in &rated {
        let own = name.trim_start_matches("notifyctl_").trim_end_matches("_total");
        assert!(source.contains(&format!("\"{own}\"")), "{name}");
    }
    let told: BTreeSet<String> = told.into_iter().chain(rated).collect();
    for paper in
        ["prometheus/notifyctl.rules.yml", "prometheus/notifyctl.rules.test.yml", "grafana/notifyctl.json"]
    {
        let text = std::fs::read_to_string(etc(paper)).expect("read");
        let names = named(&text);
        assert!(names.len() > 5, "{paper}: {names:?}");
        let missing: Vec<_> = names.difference(&told).collect();
        assert!(missing.is_empty(), "{paper} names what is not told: {missing:?}\n{told:?}");
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(etc("grafana/notifyctl.json")).expect("read"))
            .expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
}

#[test]
fn the_alert_rules_are_right_by_promtool() {
    for args in [["check", "rules", "notifyctl.rules.yml"], ["test", "rules", "notifyctl.rules.test.yml"]] {
        let output = Command::new("promtool").args(args).current_dir(etc("prometheus")).output();
        let output = output.expect("run promtool, of the package prometheus");
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
}

/// Others than Prometheus read its older text format alone; in it the comments of OpenMetrics are comments.
#[test]
fn the_numbers_can_be_read_as_the_older_text_format_too() {
    let ground = Ground::accepting("");
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("run promtool, of the package prometheus");
    let numbers = ground.ask("/metrics", &[]).body;
    promtool.stdin.take().expect("a pipe").write_all(numbers.as_bytes()).expect("hand them over");
    let output = promtool.wait_with_output().expect("wait");
    let said = String::from_utf8_lossy(&output.stderr);
    // 3: it read them, and would like a name or a help text to be another one.
    assert!(matches!(output.status.code(), Some(0 | 3)) && !said.contains("parsing error"), "{said}");
    assert!(numbers.contains("notifyctl_build_info{version=\""), "{numbers}");
}

#[test]
fn every_query_of_the_dashboard_can_be_asked() {
    let text = std::fs::read_to_string(etc("grafana/notifyctl.json")).expect("read");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let targets = dashboard["panels"].as_array().expect("panels").iter();
    let queries = targets.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let mut rules = String::from("groups:\n- name: dashboard\n  rules:\n");
    for (number, query) in queries.enumerate() {
        let query = query["expr"].as_str().expect("a query");
        // Several daemons on one store all tell what it counts: a sum would be as many times as much.
        let of_store =
            ["notifications", "accepted", "purged", "oldest", "channel", "rate", "workers", "store"];
        if of_store.iter().any(|name| {
            query.contains(&format!("notifyctl_{name}_")) || query.contains(&format!("notifyctl_{name}{{"))
        }) {
            assert!(
                query.contains("max by (") || query.contains("max(") || query.contains("min("),
                "{query}"
            );
        }
        // Another host has its own store: the maximum of two is nobody's, and hides the smaller one.
        let asks = query.matches("notifyctl_").count();
        assert_eq!(query.matches(r#"{instance=~"\\[?$host\\]?(:[0-9]+)?""#).count(), asks, "{query}");
        let query = query
            .replace("$host", "a.example.org")
            .replace("$__rate_interval", "5m")
            .replace("$channel", ".*")
            .replace('\'', "''");
        rules += &format!("  - record: dashboard:q{number}\n    expr: '{query}'\n");
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("rules.yml"), rules).expect("write");
    let output =
        Command::new("promtool").args(["check", "rules", "rules.yml"]).current_dir(folder.path()).output();
    let output = output.expect("run promtool, of the package prometheus");
    assert!(output.status.success(), "{output:?}");
}
