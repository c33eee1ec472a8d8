//! P8, the cache against a real Redis: whatever is done to Redis, no answer is older than it says.

mod daemon;
mod foreign;
mod illness;
mod interleaving;
mod restored;
mod rows;
mod secrecy;

use std::time::Duration;

use notifyctl::cache::{Options, Place, Seal, Shelf};
use notifyctl::model::Mark;

use crate::support::redis_server::RedisServer;

const STORE: &str = "0123456789abcdef";

/// The default options for the Redis at `url`.
fn options(url: &str) -> Options {
    Options {
        place: url.parse::<Place>().expect("a place"),
        ca_file: None,
        user: None,
        password: None,
        result_ttl: Options::RESULT_TTL,
        max_age: Options::MAX_AGE,
        timeout: Options::TIMEOUT,
        // Shorter than in earnest: tests wait for it.
        pause: Duration::from_millis(300),
        database: "/nowhere".into(),
        key_file: "/nowhere".into(),
    }
}

fn shelf_at(options: &Options) -> Shelf {
    Shelf::new(options, STORE, seal()).expect("a shelf")
}

fn shelf(redis: &RedisServer) -> Shelf {
    // A call that is not what a test is about has all the time that a busy machine takes.
    shelf_at(&Options { timeout: Duration::from_secs(10), ..options(&socket(redis)) })
}

fn at(change: u64) -> Mark {
    Mark { change, epoch: 0 }
}

fn socket(redis: &RedisServer) -> String {
    format!("unix://{}", redis.socket().display())
}

/// The same one in every process of a store, as long as one of them lives: the first one here outlives all others.
fn seal() -> Seal {
    static FIRST: std::sync::OnceLock<(tempfile::TempDir, Seal)> = std::sync::OnceLock::new();
    let at = |folder: &tempfile::TempDir| Seal::of_file(&folder.path().join("key")).expect("a key");
    let (folder, _) = FIRST.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder of our own");
        let first = at(&folder);
        (folder, first)
    });
    at(folder)
}

/// Waits for a condition, and says for which in vain.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    while !is_so().await {
        assert!(tokio::time::Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
