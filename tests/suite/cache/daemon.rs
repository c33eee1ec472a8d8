//! The daemon with a Redis in front of its answers, as a client over HTTP and an operator meet it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::ground::{Answer, config, curl, socket};
use crate::support::Sandbox;
use crate::support::browser::Browser;
use crate::support::daemon::{Daemon, until};
use crate::support::redis_server::RedisServer;

pub(super) fn ask(sandbox: &Sandbox, path: &str, args: &[&str]) -> Answer {
    let socket = socket(sandbox).display().to_string();
    curl(&[&["--unix-socket", &socket, &format!("http://localhost{path}")], args].concat())
}

fn source(answer: &Answer) -> String {
    answer.header("notifyctl-cache").unwrap_or_default().to_owned()
}

/// Asks until the answer is from Redis.
pub(super) fn hit(sandbox: &Sandbox, path: &str) -> Answer {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ask(sandbox, path, &[]);
        if source(&answer).starts_with("hit; age=") {
            return answer;
        }
        assert!(Instant::now() < end, "no hit: {answer:?}");
    }
}

#[test]
fn answers_come_from_redis_and_are_those_of_the_store_whoever_changes_it() {
    let redis = RedisServer::start("");
    let sandbox = Sandbox::new();
    let cache = format!("[cache]\nurl = \"{}\"\n", redis.url());
    let text = config(&sandbox, "") + "[daemon]\nroles = \"http\"\n" + &cache;
    sandbox.configure(&text);
    let daemon = Daemon::start(&sandbox);
    let id =
        sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops@example.org", "hello"]).trim().to_owned();
    let path = format!("/v1/notifications/{id}");
    let first = hit(&sandbox, &path);
    assert_eq!(first.header("content-type"), Some("application/json"));
    let shown = || sandbox.ok(&["show", &id, "--json"]).parse::<Value>().expect("JSON");
    assert_eq!(first.json(), shown());
    // A pass of cron, which speaks to no Redis, sends it.
    sandbox.ok(&["send-pending"]);
    let passed = Instant::now();
    let answer = loop {
        let asked = Instant::now();
        let answer = ask(&sandbox, &path, &[]);
        if answer.json()["status"] == "sent" {
            break answer;
        }
        let late = asked.saturating_duration_since(passed);
        assert!(late < Duration::from_millis(250), "{answer:?} {late:?} after the commit");
    };
    assert_eq!(answer.json(), shown());
    assert_eq!(hit(&sandbox, &path).json(), shown());
    let status = hit(&sandbox, "/v1/status").json();
    assert_eq!(status["counts"]["sent"], 1);
    // What this daemon changes itself is seen at once.
    let other = sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", "x"]).trim().to_owned();
    let path = format!("/v1/notifications/{other}");
    hit(&sandbox, &path);
    assert_eq!(ask(&sandbox, &path, &["-X", "DELETE"]).status, 200);
    assert_eq!(ask(&sandbox, &path, &[]).json()["status"], "cancelled");
    assert_eq!(ask(&sandbox, "/v1/notifications/999", &[]).status, 404);

    let glance = sandbox.ok(&["status"]);
    assert!(glance.contains("cache") && glance.contains(&redis.url()), "{glance}");
    let stats = until_counted(&sandbox);
    assert_eq!(stats["behind"], 0, "{stats}");
    assert!(stats["keys"].as_u64() > Some(2) && stats["hit_rate"].as_f64() > Some(0.0), "{stats}");
    redis.cli(&["SET", "somebody's", "own"]);
    let removed = sandbox.ok(&["cache", "flush"]);
    assert!(removed.trim_end().ends_with(" removed") && !removed.starts_with('0'), "{removed}");
    assert_eq!(redis.cli(&["GET", "somebody's"]), "own");
    // The daemon may still hold what it found there a moment ago; then it begins anew.
    until("begun anew", || {
        hit(&sandbox, &path);
        sandbox.ok(&["cache", "stats"]).contains("knows every change")
    });
    assert!(sandbox.ok(&["cache", "stats"]).contains("hit rate"));

    // Without Redis the answers are the same.
    drop(redis);
    until("from the store", || {
        let answer = ask(&sandbox, &path, &[]);
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("cancelled")));
        source(&answer) == "bypass"
    });
    let failed = sandbox.fails(75, &["cache", "stats"]);
    assert!(failed.contains("connection"), "{failed}");
    assert!(sandbox.ok(&["status"]).contains("answers come from the store"));
    daemon.signal("-TERM");
    assert_eq!(daemon.ended(), Some(0));
}

#[test]
fn how_far_a_batch_is_comes_from_redis_and_what_the_daemon_changes_itself_is_seen_at_once() {
    let redis = RedisServer::start("");
    let sandbox = Sandbox::new();
    let cache = format!("[cache]\nurl = \"{}\"\n", redis.url());
    sandbox.configure(&(config(&sandbox, "") + "[daemon]\nroles = \"http\"\n" + &cache));
    let daemon = Daemon::start(&sandbox);
    let rows = r#"[{"to":"a@example.org","message":"x"},{"to":"b@example.org","message":"x"}]"#;
    let json = "content-type: application/json";
    let posted = ask(&sandbox, "/v1/notifications", &["-H", json, "--data", rows]);
    assert_eq!(posted.status, 202, "{posted:?}");
    let batch = format!("/v1/batches/{}", posted.json()["batch"]);
    let cancelled = |path: &str| ask(&sandbox, path, &[]).json()["counts"]["cancelled"].as_u64();
    let shown: Value = sandbox.ok(&["status", "--batch", "1", "--json"]).parse().expect("JSON");
    for (n, id) in [1, 2].into_iter().zip(posted.json()["notifications"].as_array().expect("two")) {
        assert_eq!(hit(&sandbox, &batch).json()["total"], shown["total"]);
        hit(&sandbox, "/v1/status");
        let path = format!("/v1/notifications/{}", id["id"]);
        assert_eq!(ask(&sandbox, &path, &["-X", "DELETE"]).status, 200);
        assert_eq!((cancelled("/v1/status"), cancelled(&batch)), (Some(n), Some(n)));
    }
    assert_eq!(ask(&sandbox, "/v1/batches/7", &[]).status, 404);
    drop(daemon);
}

#[test]
fn what_the_daemon_has_accepted_itself_is_in_the_status_at_once() {
    let redis = RedisServer::start("");
    let sandbox = Sandbox::new();
    let cache = format!("[cache]\nurl = \"{}\"\n", redis.url());
    sandbox.configure(&(config(&sandbox, "") + "[daemon]\nroles = \"http\"\n" + &cache));
    let daemon = Daemon::start(&sandbox);
    for accepted in 1..=10 {
        hit(&sandbox, "/v1/status");
        let new = r#"{"channel":"run","to":"ops","message":"x"}"#;
        assert_eq!(ask(&sandbox, "/v1/notifications", &["--json", new]).status, 202);
        let status = ask(&sandbox, "/v1/status", &[]);
        assert_eq!(status.json()["counts"]["pending"], accepted, "{status:?}");
    }
    drop(daemon);
}

/// The window of a key ends without a change that anybody is told of.
#[test]
fn a_key_that_is_forgotten_is_not_shown_any_more() {
    let redis = RedisServer::start("");
    let sandbox = Sandbox::new();
    let cache = format!("[cache]\nurl = \"{}\"\n", redis.url());
    let window = "[defaults]\nkey_window = \"2s\"\n";
    sandbox.configure(&(window.to_owned() + &config(&sandbox, "") + "[daemon]\nroles = \"http\"\n" + &cache));
    let daemon = Daemon::start(&sandbox);
    let enqueue = |key: &str| {
        sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", "--key", key, "x"]).trim().to_owned()
    };
    let id = enqueue("first");
    sandbox.ok(&["cancel", &id]);
    let path = format!("/v1/notifications/{id}");
    let shown = || sandbox.ok(&["show", &id, "--json"]).parse::<Value>().expect("JSON");
    hit(&sandbox, &path);
    // Each use of a key removes some of those whose time is over.
    let mut number = 0;
    until("it is forgotten", || {
        hit(&sandbox, &path);
        number += 1;
        enqueue(&format!("another {number}"));
        shown()["idempotency_key"].is_null()
    });
    let forgotten = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = ask(&sandbox, &path, &[]);
        if answer.json()["idempotency_key"].is_null() {
            break;
        }
        let late = asked.saturating_duration_since(forgotten);
        assert!(late < Duration::from_millis(250), "{answer:?} {late:?} after the commit");
    }
    drop(daemon);
}

/// Clients that enqueue, look, cancel and look again, while Redis is maltreated: each answer is what the store says.
#[test]
fn whatever_is_done_to_redis_under_load_each_answer_is_right() {
    let mut redis = RedisServer::start("save 3600 1");
    let sandbox = Sandbox::new();
    let cache = format!("[cache]\nurl = \"{}\"\n", redis.url());
    sandbox.configure(
        &(config(&sandbox, "token_limit = \"off\"\naddress_limit = \"off\"\n")
            + "[daemon]\nroles = \"http\"\n"
            + &cache),
    );
    let daemon = Daemon::start(&sandbox);
    let (over, hits, done) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let client = || {
        while !over.load(Relaxed) {
            let posted = ask(
                &sandbox,
                "/v1/notifications",
                &["--json", r#"{"channel":"run","to":"ops","message":"x"}"#],
            );
            assert_eq!(posted.status, 202, "{posted:?}");
            let path = format!("/v1/notifications/{}", posted.json()["id"]);
            let shows = |status: &str| {
                let answer = ask(&sandbox, &path, &[]);
                assert_eq!(
                    (answer.status, answer.json()["status"].as_str()),
                    (200, Some(status)),
                    "{answer:?}"
                );
                hits.fetch_add(usize::from(source(&answer).starts_with("hit")), Relaxed);
            };
            (0..3).for_each(|_| shows("pending"));
            let cancelled = ask(&sandbox, &path, &["-X", "DELETE"]);
            assert_eq!(cancelled.status, 200, "{cancelled:?}");
            (0..3).for_each(|_| shows("cancelled"));
            done.fetch_add(1, Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        let go_on = |what: &str, counter: &AtomicUsize, more: usize| {
            let before = counter.load(Relaxed);
            until(what, || {
                counter.load(Relaxed) >= before + more || clients.iter().any(|one| one.is_finished())
            });
        };
        go_on("hits", &hits, 10);
        redis.cli(&["FLUSHALL"]);
        go_on("hits after it was emptied", &hits, 10);
        redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
        go_on("answers while it is full", &done, 10);
        redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
        redis.signal("-STOP");
        go_on("answers while it hangs", &done, 10);
        redis.signal("-CONT");
        redis.kill();
        go_on("answers without it", &done, 10);
        redis.start_again();
        go_on("hits when it is back", &hits, 10);
        over.store(true, Relaxed);
    });
    drop(daemon);
}

/// What `cache stats` says, once the daemon has told what it counted.
fn until_counted(sandbox: &Sandbox) -> Value {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let stats: Value = sandbox.ok(&["cache", "stats", "--json"]).parse().expect("JSON");
        if stats["reads"]["hits"].as_u64() > Some(0) {
            return stats;
        }
        assert!(Instant::now() < end, "{stats}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One of the daemon's numbers.
fn number(sandbox: &Sandbox, name: &str) -> f64 {
    let answer = ask(sandbox, "/metrics", &[]);
    let found = answer.body.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}: {answer:?}"))
}

#[test]
fn what_the_cache_does_is_among_the_numbers_of_the_daemon() {
    let redis = RedisServer::start("");
    let sandbox = Sandbox::new();
    let cache = format!("[cache]\nurl = \"{}\"\n", redis.url());
    sandbox.configure(&(config(&sandbox, "") + "[daemon]\nroles = \"http\"\n" + &cache));
    let daemon = Daemon::start(&sandbox);
    let id = sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", "hello"]).trim().to_owned();
    let path = format!("/v1/notifications/{id}");
    let mut sources = std::collections::BTreeMap::new();
    for _ in 0..100 {
        let from = source(&ask(&sandbox, &path, &[]));
        let word = from.split(';').next().expect("a word").to_owned();
        *sources.entry(word).or_insert(0) += 1;
    }
    hit(&sandbox, &path);
    // Each read counts once, as what its answer said.
    for (word, n) in &sources {
        let told = number(&sandbox, &format!("notifyctl_cache_reads_total{{result=\"{word}\"}}"));
        assert!(told >= f64::from(*n), "{word}: {told}, {sources:?}");
    }
    assert!(number(&sandbox, "notifyctl_cache_reads_total{result=\"hit\"}") > 0.5);
    assert!(number(&sandbox, "notifyctl_cache_fills_total{result=\"filled\"}") > 0.5);
    let (usable, open) = ("notifyctl_cache_usable", "notifyctl_cache_breaker_open");
    until("it is used", || (number(&sandbox, usable), number(&sandbox, open)) == (1.0, 0.0));
    let timeouts = "notifyctl_cache_errors_total{reason=\"timeout\"}";
    let before = number(&sandbox, timeouts);
    redis.signal("-STOP");
    until("it is left alone", || {
        ask(&sandbox, &path, &[]);
        (number(&sandbox, usable), number(&sandbox, open)) == (0.0, 1.0)
    });
    assert!(number(&sandbox, timeouts) > before + 0.5);
    redis.signal("-CONT");
    until("it is used again", || (number(&sandbox, usable), number(&sandbox, open)) == (1.0, 0.0));
    drop(daemon);
}

#[test]
fn the_status_says_how_often_the_cache_helped_the_daemon_that_answers() {
    let redis = RedisServer::start("");
    let sandbox = Sandbox::new();
    let cache = format!("[cache]\nurl = \"{}\"\n", redis.url());
    let text = config(&sandbox, "loopback_without_token = true\n") + "[daemon]\nroles = \"http\"\n" + &cache;
    sandbox.configure(&text);
    let daemon = Daemon::start(&sandbox);
    // From Redis itself, and yet of this moment: each answer counts itself.
    let in_a_row = || (hit(&sandbox, "/v1/status").json(), ask(&sandbox, "/v1/status", &[]));
    let (first, second) = loop {
        let (first, second) = in_a_row();
        if source(&second).starts_with("hit") {
            break (first, second.json());
        }
    };
    let reads = |status: &Value, name: &str| status["cache"]["reads"][name].as_u64().expect("a number");
    assert_eq!(reads(&second, "hits"), reads(&first, "hits") + 1, "{first} {second}");
    assert_eq!(second["cache"]["pid"], daemon.id(), "{second}");
    assert_eq!(second["cache"]["usable"], true, "{second}");
    let all: u64 = ["hits", "misses", "bypassed", "shared"].iter().map(|name| reads(&second, name)).sum();
    let rate = second["cache"]["hit_rate"].as_f64().expect("a rate");
    assert!((rate - reads(&second, "hits") as f64 / all as f64).abs() < 1e-9, "{second}");
    let told = number(&sandbox, "notifyctl_cache_reads_total{result=\"hit\"}");
    assert!((told - reads(&second, "hits") as f64).abs() < 0.5, "{told} {second}");
    // The rest is what everybody is told.
    let shown: Value = sandbox.ok(&["status", "--json"]).parse().expect("JSON");
    assert_eq!(second["counts"], shown["counts"]);
    let mut page = Browser::open(&format!("http://{}/", daemon.address()), 1280);
    page.shows("#facts", "% hits of");
    page.shows("#facts", &format!("(daemon {})", daemon.id()));
}

#[test]
fn without_a_cache_there_is_none_and_nothing_is_said_of_it() {
    let sandbox = Sandbox::new();
    sandbox.configure(&(config(&sandbox, "") + "[daemon]\nroles = \"http\"\n"));
    let daemon = Daemon::start(&sandbox);
    let status = ask(&sandbox, "/v1/status", &[]);
    assert_eq!(status.header("notifyctl-cache"), None);
    assert_eq!(status.json().get("cache"), None);
    assert!(!sandbox.db().with_extension("cache-key").exists());
    assert!(sandbox.fails(78, &["cache", "stats"]).contains("cache.url"));
    assert!(!sandbox.ok(&["status"]).contains("cache"));
    drop(daemon);
}
