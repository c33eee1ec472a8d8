//! What somebody else put where answers are to lie: it is never believed, and costs no more than that answer.

use std::time::Duration;

use notifyctl::cache::{Advanced, Found, Head, Key, Lease, Shelf};

use super::{at, shelf};
use crate::support::redis_server::RedisServer;

const KEY: Key = Key::Notification(7);
const OTHER: Key = Key::Notification(8);

async fn lease(shelf: &Shelf, head: &Head, key: Key) -> Lease {
    match shelf.look_up(head, key).await {
        Ok(Found::Lease(lease)) => lease,
        other => panic!("no lease but {other:?}"),
    }
}

fn name(shelf: &Shelf, head: &Head, key: Key) -> String {
    format!("{}{}:{key}", shelf.prefix(), head.generation)
}

#[tokio::test]
async fn a_key_of_a_wrong_type_takes_no_other_answer_with_it_and_goes_with_the_next_change() {
    let redis = RedisServer::start("");
    let shelf = shelf(&redis);
    let head = shelf.open(at(1)).await.expect("a head");
    let late = lease(&shelf, &head, KEY).await;
    let spoilt = name(&shelf, &head, KEY);
    let spoil = || {
        redis.cli(&["DEL", &spoilt]);
        assert_eq!(redis.cli(&["RPUSH", &spoilt, "x"]), "1");
    };
    spoil();
    assert!(matches!(shelf.look_up(&head, KEY).await, Ok(Found::Foreign)));
    assert_eq!(shelf.fill(&late, b"x", Duration::from_secs(60), false).await, Ok(false));
    shelf.give_back(&late).await.expect("an answer");
    // On the connection that stood before.
    assert!(shelf.is_connected());
    let other = lease(&shelf, &head, OTHER).await;
    assert_eq!(shelf.fill(&other, b"x", Duration::from_secs(60), false).await, Ok(true));
    assert_eq!(shelf.advance(&head, 2, &[7, 8]).await, Ok(Advanced::To(vec![OTHER])));
    let head = Head { through: 2, ..head };
    drop(lease(&shelf, &head, KEY).await);
}

#[tokio::test]
async fn a_head_of_a_wrong_type_is_begun_anew() {
    let redis = RedisServer::start("");
    let shelf = shelf(&redis);
    let head = shelf.open(at(1)).await.expect("a head");
    let name = format!("{}head", shelf.prefix());
    assert_eq!(redis.cli(&["SET", &name, "x"]), "OK");
    assert!(shelf.look_up(&head, KEY).await.is_err());
    assert!(shelf.advance(&head, 2, &[7]).await.is_err());
    let next = shelf.open(at(2)).await.expect("a head");
    assert!(next.generation != head.generation && next.through == 2);
    drop(lease(&shelf, &next, KEY).await);
}

/// As much as somebody likes may lie there; this process takes up no more of it than an answer may be long.
#[tokio::test]
async fn a_foreign_value_is_read_no_further_than_an_answer_may_be_long() {
    const LONG: usize = 32 << 20;
    let redis = RedisServer::start("");
    let shelf = shelf(&redis);
    let head = shelf.open(at(1)).await.expect("a head");
    let key = name(&shelf, &head, KEY);
    assert_eq!(redis.cli(&["SETRANGE", &key, &(LONG - 1).to_string(), "x"]), LONG.to_string());
    let sent = || -> usize {
        let stats = redis.cli(&["INFO", "stats"]);
        let told = stats.lines().find_map(|line| line.strip_prefix("total_net_output_bytes:"));
        told.expect("what it sent").trim().parse().expect("a number")
    };
    let before = sent();
    assert!(matches!(shelf.look_up(&head, KEY).await, Ok(Found::Foreign)));
    let taken = sent() - before;
    assert!(taken < LONG / 8, "{taken} bytes");
}

#[tokio::test]
async fn the_longest_answer_is_found_again() {
    let redis = RedisServer::start("");
    let shelf = shelf(&redis);
    let head = shelf.open(at(1)).await.expect("a head");
    let longest = vec![b'x'; notifyctl::cache::LONGEST];
    let lease = lease(&shelf, &head, KEY).await;
    assert_eq!(shelf.fill(&lease, &longest, Duration::from_secs(60), false).await, Ok(true));
    let found = shelf.look_up(&head, KEY).await;
    assert!(matches!(found, Ok(Found::Value { bytes, .. }) if bytes == longest));
}
