//! A reader, a writer and Redis, step by step by hand: what was read before a change is never found after it.

use std::time::Duration;

use notifyctl::cache::{Advanced, Found, Head, Key, Lease, Options, Shelf};

use super::{at, options, shelf, shelf_at, socket, until};
use crate::support::redis_server::RedisServer;

const HOUR: Duration = Duration::from_secs(3_600);
const KEY: Key = Key::Notification(7);

/// The lease for [`KEY`], which there must be.
async fn lease(shelf: &Shelf, head: &Head) -> Lease {
    match shelf.look_up(head, KEY).await.expect("an answer") {
        Found::Lease(lease) => lease,
        other => panic!("no lease but {other:?}"),
    }
}

async fn value(shelf: &Shelf, head: &Head) -> Option<String> {
    match shelf.look_up(head, KEY).await.expect("an answer") {
        Found::Value { bytes, .. } => Some(String::from_utf8(bytes).expect("text")),
        _ => None,
    }
}

async fn fill(shelf: &Shelf, lease: &Lease, text: &str) -> bool {
    shelf.fill(lease, text.as_bytes(), HOUR, false).await.expect("an answer")
}

/// Told by the follower of some process: notification 7 changed, and the store is at `to` now.
async fn change(shelf: &Shelf, head: &Head, to: u64) -> Head {
    let told = shelf.advance(head, to, &[7]).await.expect("an answer");
    assert!(matches!(told, Advanced::To(_)), "{told:?}");
    Head { through: to, ..head.clone() }
}

#[tokio::test]
async fn a_value_that_was_read_before_a_change_is_refused_after_it() {
    let redis = RedisServer::start("");
    let (reader, writer) = (shelf(&redis), shelf(&redis));
    let head = reader.open(at(1)).await.expect("a head");
    assert_eq!(head, writer.open(at(9)).await.expect("a head"), "one head for all");

    // The reader reads the row, the writer commits and tells, the reader fills late.
    let late = lease(&reader, &head).await;
    let after = change(&writer, &head, 2).await;
    assert!(!fill(&reader, &late, "old").await);
    assert_eq!(value(&reader, &after).await, None);

    // The one who asks after the change may fill, and the late one still may not.
    redis.cli(&["DEL", &entry(&reader, &after)]);
    let new = lease(&writer, &after).await;
    assert!(!fill(&reader, &late, "old").await);
    assert!(fill(&writer, &new, "new").await);
    assert!(!fill(&reader, &late, "old").await);
    assert_eq!(value(&reader, &after).await.as_deref(), Some("new"));

    // A change takes the value away, and says that there was one.
    let told = writer.advance(&after, 3, &[6, 7]).await.expect("an answer");
    assert_eq!(told, Advanced::To(vec![KEY]));
}

/// Without its check the same interleaving leaves the old value behind: the test above can fail.
#[tokio::test]
async fn the_check_in_the_script_is_what_refuses_it() {
    let script = include_str!("../../../src/cache/fill.lua");
    let (before, after) = script.split_once("if redis.pcall").expect("the check");
    let (_, rest) = after.split_once("end\n").expect("its end");
    let unchecked = format!("{before}{rest}");
    let redis = RedisServer::start("");
    let shelf = shelf(&redis);
    let head = shelf.open(at(1)).await.expect("a head");
    let late = lease(&shelf, &head).await;
    assert!(fill(&shelf, &late, "old").await);
    let old = entry(&shelf, &head);
    redis.cli(&["COPY", &old, "kept"]);
    let head = change(&shelf, &head, 2).await;
    redis.cli(&["EVAL", &unchecked, "1", "elsewhere", "token", "value", "1000"]);
    assert_eq!(redis.cli(&["GET", "elsewhere"]), "value", "it fills without any lease");
    redis.cli(&["COPY", "kept", &old]);
    assert_eq!(
        value(&shelf, &head).await.as_deref(),
        Some("old"),
        "what it would leave behind would be found"
    );
}

#[tokio::test]
async fn a_lease_that_has_run_out_or_was_evicted_fills_nothing() {
    let redis = RedisServer::start("");
    let shelf = shelf(&redis);
    let head = shelf.open(at(1)).await.expect("a head");
    let first = lease(&shelf, &head).await;
    redis.cli(&["PEXPIRE", &entry(&shelf, &head), "0"]);
    assert!(!fill(&shelf, &first, "old").await);
    let second = lease(&shelf, &head).await;
    assert!(!fill(&shelf, &first, "old").await);
    assert!(matches!(shelf.look_up(&head, KEY).await, Ok(Found::Busy)));
    shelf.give_back(&first).await.expect("an answer");
    assert!(fill(&shelf, &second, "new").await);
    shelf.give_back(&second).await.expect("an answer");
    assert_eq!(value(&shelf, &head).await.as_deref(), Some("new"), "what is filled is not given back");
}

/// A reader asks for the time left and then for the value; when a lease becomes a value in between, what was left of the lease
/// is more than any value has, so that nobody takes it for the value's.
#[tokio::test]
async fn a_lease_has_more_time_left_than_any_value_whose_age_is_counted_by_it() {
    let redis = RedisServer::start("");
    for age in [250, 1_500, 60_000] {
        let max_age = Duration::from_millis(age);
        let options = Options { max_age, timeout: Duration::from_secs(10), ..options(&socket(&redis)) };
        let shelf = shelf_at(&options);
        let head = shelf.open(at(1)).await.expect("a head");
        redis.cli(&["DEL", &entry(&shelf, &head)]);
        let begun = tokio::time::Instant::now();
        lease(&shelf, &head).await;
        let left = redis.cli(&["PTTL", &entry(&shelf, &head)]).parse::<i64>().expect("a number");
        // As long as it can become a value, which is no longer than that is kept.
        let passed = begun.elapsed();
        let left = Duration::from_millis(u64::try_from(left).expect("it has not run out"));
        assert!(left + passed > 2 * max_age, "{left:?} after {passed:?}, for {max_age:?}");
    }
}

#[tokio::test]
async fn a_redis_that_was_flushed_in_between_knows_nothing_and_says_so() {
    let redis = RedisServer::start("");
    let shelf = shelf(&redis);
    let head = shelf.open(at(1)).await.expect("a head");
    let late = lease(&shelf, &head).await;
    redis.cli(&["FLUSHALL"]);
    assert!(!fill(&shelf, &late, "old").await);
    assert!(matches!(shelf.look_up(&head, KEY).await, Ok(Found::Behind)));
    assert_eq!(shelf.advance(&head, 2, &[7]).await, Ok(Advanced::Behind));
    let next = shelf.open(at(2)).await.expect("a head");
    assert_ne!(next.generation, head.generation, "what lay there would not be trusted");
    assert_eq!(next.through, 2);
}

#[tokio::test]
async fn a_redis_that_went_back_to_an_old_dump_is_trusted_only_when_it_was_told_anew() {
    let mut redis = RedisServer::start("");
    let shelf = shelf(&redis);
    let head = shelf.open(at(1)).await.expect("a head");
    let first = lease(&shelf, &head).await;
    assert!(fill(&shelf, &first, "old").await);
    redis.cli(&["SAVE"]);
    let after = change(&shelf, &head, 2).await;
    assert_eq!(value(&shelf, &after).await, None);
    redis.kill();
    redis.start_again();
    assert!(shelf.look_up(&after, KEY).await.is_err(), "its connection broke");
    let back = shelf.open(at(2)).await.expect("a head");
    assert_eq!(back, head, "it went back, and knows that it did");
    // The old value is there, and nobody takes it.
    assert_eq!(redis.cli(&["EXISTS", &entry(&shelf, &back)]), "1");
    assert!(matches!(shelf.look_up(&after, KEY).await, Ok(Found::Behind)));
    let after = change(&shelf, &back, 2).await;
    assert!(matches!(shelf.look_up(&after, KEY).await, Ok(Found::Lease(_))));
}

#[tokio::test]
async fn changes_are_told_without_a_gap_or_not_at_all() {
    let redis = RedisServer::start("");
    let (one, other) = (shelf(&redis), shelf(&redis));
    let head = one.open(at(5)).await.expect("a head");
    other.open(at(5)).await.expect("a head");
    // Who believes that Redis knows more than it does cannot move it.
    let ahead = Head { through: 6, ..head.clone() };
    assert_eq!(other.advance(&ahead, 7, &[]).await, Ok(Advanced::Behind));
    assert_eq!(one.advance(&head, 6, &[1]).await, Ok(Advanced::To(Vec::new())));
    assert_eq!(other.advance(&head, 6, &[1]).await, Ok(Advanced::Known));
    assert_eq!(
        other.advance(&head, 8, &[1, 2]).await,
        Ok(Advanced::To(Vec::new())),
        "more than is needed is no harm"
    );
    assert_eq!(one.open(at(0)).await.expect("a head").through, 8);
    // A new generation ends the one that is named, once.
    assert_eq!(one.renew(&head, None).await, Ok(true));
    assert_eq!(other.renew(&head, None).await, Ok(false));
    assert_eq!(other.advance(&head, 9, &[]).await, Ok(Advanced::Behind));
    assert!(matches!(other.look_up(&head, KEY).await, Ok(Found::Behind)));
    assert_eq!(one.open(at(0)).await.expect("a head").through, 8);
    assert_eq!(one.open(at(0)).await.expect("a head").epoch(), Some(0));
}

#[tokio::test]
async fn every_key_in_redis_has_an_end_and_the_prefix_of_its_store() {
    let redis = RedisServer::start("");
    let shelf = shelf(&redis);
    let head = shelf.open(at(1)).await.expect("a head");
    let first = lease(&shelf, &head).await;
    assert!(fill(&shelf, &first, "x").await);
    // All of it at one moment: two of the four are leases, which run out.
    let all = "local keys, all = redis.call('KEYS', '*'), {} \
               for n, key in ipairs(keys) do all[n] = key .. ' ' .. redis.call('PTTL', key) end return all";
    let mut seen = String::new();
    until("the head, a value and two leases", async || {
        shelf.look_up(&head, Key::Masked(8)).await.expect("an answer");
        shelf.look_up(&head, Key::Status(1)).await.expect("an answer");
        seen = redis.cli(&["EVAL", all, "0"]);
        seen.lines().count() == 4
    })
    .await;
    for line in seen.lines() {
        let (key, left) = line.rsplit_once(' ').expect("a key and the time that it has left");
        assert!(key.starts_with("notifyctl:{0123456789abcdef}:"), "{key}");
        assert!(left.parse::<i64>().expect("a number") > 0, "{key} stays for ever");
    }
    assert!(socket(&redis).starts_with("unix://"));
}

fn entry(shelf: &Shelf, head: &Head) -> String {
    format!("{}{}:{KEY}", shelf.prefix(), head.generation)
}
