//! A store that is not the one any more of which answers lie in Redis: a backup took its place.

use serde_json::Value;

use super::daemon::{ask, hit};
use crate::http::ground::config;
use crate::support::Sandbox;
use crate::support::daemon::Daemon;
use crate::support::redis_server::RedisServer;

/// Puts `copy` where the store lies, as the README says: moves away what lies there, with all that is beside it.
fn restore(sandbox: &Sandbox, copy: &str) {
    let database = sandbox.db();
    for end in ["", "-wal", "-shm"] {
        let mut beside = database.clone().into_os_string();
        beside.push(end);
        let _ = std::fs::remove_file(beside);
    }
    std::fs::copy(sandbox.path().join(copy), database).expect("put the backup in its place");
}

/// Every notification as the daemon answers, and as the store says.
fn is_as_stored(sandbox: &Sandbox, when: &str) {
    for id in 1..=3 {
        let answer = ask(sandbox, &format!("/v1/notifications/{id}"), &[]);
        let shown: Value = sandbox.ok(&["show", &id.to_string(), "--json"]).parse().expect("JSON");
        assert_eq!(answer.json(), shown, "{when}: {answer:?}");
    }
}

/// The copy's counter of changes then stands below, at, or beyond what Redis was told last; what is behind it is another
/// history, and Redis still holds answers of the first one.
#[test]
fn nothing_of_the_store_before_is_answered_when_a_backup_took_its_place() {
    let redis = RedisServer::start("");
    for changes in 0..4 {
        let sandbox = Sandbox::new();
        let cache = format!("[cache]\nurl = \"{}\"\n", redis.url());
        sandbox.configure(&(config(&sandbox, "") + "[daemon]\nroles = \"http\"\n" + &cache));
        let enqueue = |what: &str| sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", what]);
        enqueue("one");
        enqueue("two");
        sandbox.ok(&["db", "backup", "copy.db"]);
        // Two changes in the first history, and one more notification.
        sandbox.ok(&["cancel", "1"]);
        sandbox.ok(&["cancel", "2"]);
        enqueue("three, as it was first");
        let daemon = Daemon::start(&sandbox);
        (1..=3).for_each(|id| drop(hit(&sandbox, &format!("/v1/notifications/{id}"))));
        drop(daemon);
        restore(&sandbox, "copy.db");
        enqueue("three, as it is now");
        for change in 0..changes {
            sandbox.ok(&[["hold", "release"][change % 2], "2"]);
        }
        let daemon = Daemon::start(&sandbox);
        is_as_stored(&sandbox, &format!("at once, after {changes} changes"));
        (1..=3).for_each(|id| drop(hit(&sandbox, &format!("/v1/notifications/{id}"))));
        is_as_stored(&sandbox, &format!("from Redis, after {changes} changes"));
        drop(daemon);
    }
}

/// As long as one daemon lives, what it knows of Redis is right, and another one that comes finds the same.
#[test]
fn a_daemon_that_comes_finds_what_one_that_lives_has_left() {
    let redis = RedisServer::start("");
    let sandbox = Sandbox::new();
    let cache = format!("[cache]\nurl = \"{}\"\n", redis.url());
    sandbox.configure(&(config(&sandbox, "") + "[daemon]\nroles = \"http\"\n" + &cache));
    sandbox.ok(&["enqueue", "--channel", "run", "--to", "ops", "one"]);
    let first = Daemon::start(&sandbox);
    hit(&sandbox, "/v1/notifications/1");
    let generation = || -> Value {
        let stats: Value = sandbox.ok(&["cache", "stats", "--json"]).parse().expect("JSON");
        stats["generation"].clone()
    };
    let before = generation();
    let beside = sandbox.path().join("second.sock").display().to_string();
    let second = Daemon::start_with(&sandbox, &[("NOTIFYCTL_HTTP__SOCKET", &beside)]);
    drop(first);
    assert!(before.is_string() && generation() == before, "{before}");
    drop(second);
    let third = Daemon::start(&sandbox);
    hit(&sandbox, "/v1/notifications/1");
    assert_ne!(generation(), before);
    drop(third);
}
