//! Redis killed, stopped, flushed, full, answering nonsense: speed changes, answers do not.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use notifyctl::cache::{Cache, From, Keep, Key, Loaded, Options, Source};
use tokio::time::Instant;

use super::rows::{Rows, version};
use super::{options, shelf_at, socket, until};
use crate::support::ports::free_port;
use crate::support::redis_server::RedisServer;

const ROWS: i64 = 40;

fn cache(rows: &Rows, options: &Options) -> Cache<Rows> {
    Cache::on(rows.clone(), options, shelf_at(options), rows.clone())
}

/// Rows 1 to [`ROWS`], each written once.
fn rows() -> Rows {
    let rows = Rows::default();
    for id in 1..=ROWS {
        rows.write(id);
    }
    rows
}

/// The same where the machine may stand still for many seconds between two looks at the store; it is looked at every two.
fn unhurried(redis: &RedisServer) -> Options {
    Options { max_age: Duration::from_secs(10), ..patient(redis) }
}

/// Calls in tests that are not about time have all of it.
fn patient(redis: &RedisServer) -> Options {
    Options { timeout: Duration::from_secs(5), max_age: Duration::from_secs(2), ..options(&socket(redis)) }
}

async fn ask(cache: &Cache<Rows>, rows: &Rows, id: i64) -> From {
    let asked = Instant::now();
    let answer = cache.get(Key::Notification(id)).await.expect("never an error").expect("it exists");
    rows.judge(id, asked, &answer);
    answer.from
}

async fn until_hit(cache: &Cache<Rows>, rows: &Rows, id: i64) {
    until("a hit", async || matches!(ask(cache, rows, id).await, From::Hit(_))).await;
}

#[tokio::test]
async fn a_second_read_comes_from_redis_in_every_process_until_the_row_changes() {
    let (redis, rows) = (RedisServer::start(""), rows());
    let (one, other) = (cache(&rows, &unhurried(&redis)), cache(&rows, &unhurried(&redis)));
    until_hit(&one, &rows, 7).await;
    until_hit(&other, &rows, 7).await;
    let loads = rows.loads();
    for _ in 0..20 {
        assert!(matches!(ask(&one, &rows, 7).await, From::Hit(_)));
        assert!(matches!(ask(&other, &rows, 7).await, From::Hit(_)));
    }
    assert_eq!(rows.loads(), loads, "the store was left alone");
    rows.write(7);
    until("both see the change", async || {
        let seen = async |cache: &Cache<Rows>| {
            version(7, &cache.get(Key::Notification(7)).await.unwrap().unwrap()) == 2
        };
        seen(&one).await && seen(&other).await
    })
    .await;
    // What somebody had asked for is read again when it changes: the next one to ask finds it.
    until_hit(&one, &rows, 7).await;
    let loads = rows.loads();
    rows.write(7);
    until("read again by itself", async || rows.loads() > loads).await;
    assert!(cache_says_nothing_of(&one, 10_000).await);
}

#[tokio::test]
async fn who_asks_again_is_not_sent_to_redis_again_and_sees_each_change() {
    let (redis, rows) = (RedisServer::start(""), rows());
    let cache = cache(&rows, &patient(&redis));
    let counted = || cache.counters().expect("counters").now();
    until_hit(&cache, &rows, 7).await;
    redis.cli(&["CONFIG", "RESETSTAT"]);
    let before = counted();
    until("asked a hundred times", async || {
        assert!(matches!(ask(&cache, &rows, 7).await, From::Hit(_)));
        counted().since(&before).near >= 100
    })
    .await;
    // Each of the others asked Redis once.
    let stats = redis.cli(&["INFO", "commandstats"]);
    let asked = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_get:calls=")?.split(',').next()?.parse().ok());
    let since = counted().since(&before);
    assert_eq!(asked.unwrap_or(0), since.hits - since.near, "{stats} {since:?}");
    for written in 2..20 {
        rows.write(7);
        until("the change is seen", async || {
            ask(&cache, &rows, 7).await;
            version(7, &cache.get(Key::Notification(7)).await.unwrap().unwrap()) == written
        })
        .await;
    }
}

/// As one that is being sent: by the time when it is settled nothing of it lies in Redis any more.
#[tokio::test]
async fn what_was_asked_for_is_in_redis_when_it_changes_although_it_lay_there_for_a_moment_only() {
    let (redis, rows) = (RedisServer::start(""), rows());
    let options = Options { max_age: Duration::from_millis(500), ..patient(&redis) };
    let cache = cache(&rows, &options);
    // The value itself, and not somebody's leave to fill it.
    let lies_there = |id: i64| {
        let entry = redis.cli(&["KEYS", &format!("*:n:{id}")]);
        redis.cli(&["GET", &entry]).starts_with('V')
    };
    until("it works", async || cache.works() == Some(true)).await;
    rows.keep(Keep::Moment);
    until("it lies there", async || {
        ask(&cache, &rows, 7).await;
        lies_there(7)
    })
    .await;
    until("its moment is over", async || !lies_there(7)).await;
    rows.keep(Keep::Settled);
    rows.write(7);
    rows.write(8);
    until("it lies there, and nobody has asked", async || lies_there(7)).await;
    assert!(!lies_there(8), "nobody ever asked for it");
}

/// There is no answer about what does not exist, and none is kept.
async fn cache_says_nothing_of(cache: &Cache<Rows>, id: i64) -> bool {
    cache.get(Key::Notification(id)).await.expect("never an error").is_none()
}

#[tokio::test]
async fn many_who_ask_at_once_cost_one_read_and_never_get_what_is_old() {
    let (redis, rows) = (RedisServer::start(""), rows());
    let cache = Arc::new(cache(&rows, &unhurried(&redis)));
    until_hit(&cache, &rows, 1).await;
    rows.slow(Duration::from_millis(50));
    let loads = rows.loads();
    let asking = (0..50).map(|_| {
        let (cache, rows) = (Arc::clone(&cache), rows.clone());
        tokio::spawn(async move { ask(&cache, &rows, 9).await })
    });
    for one in asking.collect::<Vec<_>>() {
        one.await.expect("an answer");
    }
    assert_eq!(rows.loads() - loads, 1);
    assert!(cache.counters().expect("counters").now().shared >= 49);

    // Whoever has written something waits for nobody's older read.
    let (early, late) = (Arc::clone(&cache), Arc::clone(&cache));
    let early = tokio::spawn(async move { early.get(Key::Notification(11)).await.unwrap().unwrap() });
    until("under way", async || rows.loads() - loads == 2).await;
    let written = rows.write(11);
    cache.written();
    assert_eq!(version(11, &late.get(Key::Notification(11)).await.unwrap().unwrap()), written);
    early.await.expect("an answer");
}

#[tokio::test]
async fn own_writes_are_seen_at_once() {
    let (redis, rows) = (RedisServer::start(""), rows());
    let cache = cache(&rows, &patient(&redis));
    for _ in 0..20 {
        until_hit(&cache, &rows, 3).await;
        let written = rows.write(3);
        cache.written();
        let answer = cache.get(Key::Notification(3)).await.unwrap().unwrap();
        assert_eq!(version(3, &answer), written, "{}", answer.from);
    }
}

#[tokio::test]
async fn changes_that_nobody_remembers_end_everything_that_was_kept() {
    let (redis, rows) = (RedisServer::start(""), rows());
    let first = cache(&rows, &patient(&redis));
    until_hit(&first, &rows, 3).await;
    drop(first);
    // While no daemon runs, a pass changes the row, and so much else that the ring has lost it.
    rows.write(3);
    rows.forget();
    let second = cache(&rows, &patient(&redis));
    until("it works", async || second.works() == Some(true)).await;
    assert_eq!(version(3, &second.get(Key::Notification(3)).await.unwrap().unwrap()), 2);
    until_hit(&second, &rows, 3).await;
}

#[tokio::test]
async fn what_a_purge_removed_is_gone_from_redis_too() {
    let (redis, rows) = (RedisServer::start(""), rows());
    let cache = cache(&rows, &patient(&redis));
    until_hit(&cache, &rows, 3).await;
    rows.purge(3);
    until("gone", async || cache_says_nothing_of(&cache, 3).await).await;
    until_hit(&cache, &rows, 4).await;
}

/// What changes without being told: each time it is read it is another one, and holds the moment when it was.
struct Moments(AtomicU64, Instant);

impl Source for Moments {
    type Error = std::convert::Infallible;

    async fn load(&self, _: Key) -> Result<Option<Loaded>, Self::Error> {
        let body = format!("{} {}", self.0.fetch_add(1, Ordering::Relaxed), self.1.elapsed().as_millis());
        Ok(Some(Loaded { body: body.into(), keep: Keep::Moment }))
    }
}

/// The number of an answer, and the milliseconds when it was read.
fn moment(body: &[u8]) -> (u64, u64) {
    let (number, read) = std::str::from_utf8(body).unwrap().split_once(' ').unwrap();
    (number.parse().unwrap(), read.parse().unwrap())
}

#[tokio::test]
async fn what_is_for_a_moment_says_how_old_it_is_also_when_redis_was_not_asked() {
    let (redis, rows) = (RedisServer::start(""), rows());
    let (options, begun) = (patient(&redis), Instant::now());
    let cache = Cache::on(Moments(AtomicU64::new(0), begun), &options, shelf_at(&options), rows);
    let near = || cache.counters().unwrap().now().near;
    let mut oldest = Duration::ZERO;
    until("an old one that was held here", async || {
        let before = near();
        let asked = begun.elapsed();
        let answer = cache.get(Key::Status(1)).await.unwrap().unwrap();
        let From::Hit(age) = answer.from else { return false };
        // Redis counts milliseconds.
        let read = Duration::from_millis(moment(&answer.body).1);
        assert!(read + age + Duration::from_millis(5) > asked, "{age:?}, but read at {read:?} of {asked:?}");
        if near() > before {
            oldest = oldest.max(age);
        }
        oldest > options.max_age / 3
    })
    .await;
}

#[tokio::test]
async fn what_is_for_a_moment_is_not_kept_for_longer_when_the_clock_of_redis_is_set_back() {
    let (redis, rows) = (RedisServer::start(""), rows());
    let options = patient(&redis);
    let cache = Cache::on(Moments(AtomicU64::new(0), Instant::now()), &options, shelf_at(&options), rows);
    let ask = async || cache.get(Key::Status(1)).await.unwrap().unwrap();
    // So it looks by a clock that shows an hour less.
    let set_back = |entry: String| redis.cli(&["PEXPIRE", &entry, "3600000"]) == "1";
    let is_there =
        async || matches!(ask().await.from, From::Hit(_)) && set_back(redis.cli(&["KEYS", "*:s:1"]));
    until("it is there", is_there).await;
    let before = moment(&ask().await.body).0;
    tokio::time::sleep(options.max_age).await;
    let after = moment(&ask().await.body).0;
    assert!(after > before, "{before} and {after}");
}

/// Takes the pause: so long that a start of Redis on a busy machine is none.
#[tokio::test]
async fn a_redis_that_is_back_is_used_again_after_one_pause() {
    const PAUSE: Duration = Duration::from_secs(20);
    let (mut redis, rows) = (RedisServer::start(""), rows());
    let cache = cache(&rows, &Options { pause: PAUSE, ..patient(&redis) });
    until_hit(&cache, &rows, 3).await;
    redis.kill();
    until("left alone", async || cache.is_left_alone() == Some(true)).await;
    let begun = Instant::now();
    redis.start_again();
    until("used again", async || cache.works() == Some(true)).await;
    assert!(begun.elapsed() < PAUSE * 5 / 3, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn without_a_cache_every_answer_comes_from_the_store() {
    let rows = rows();
    let cache = Cache::off(rows.clone());
    assert_eq!(ask(&cache, &rows, 1).await, From::Bypass);
    assert!(cache.works().is_none() && cache.counters().is_none());
    cache.written();
}

#[tokio::test]
async fn a_password_that_is_changed_while_it_is_used_is_read_anew() {
    let (redis, rows) = (RedisServer::start("requirepass one"), rows());
    let folder = tempfile::tempdir().expect("a folder of our own");
    let file = folder.path().join("password");
    std::fs::write(&file, "one\n").expect("write the password");
    let password = Some(notifyctl::secret::Source::File(file.clone()));
    let cache = cache(&rows, &Options { password, ..patient(&redis) });
    until_hit(&cache, &rows, 3).await;
    assert_eq!(redis.cli(&["-a", "one", "CONFIG", "SET", "requirepass", "two"]), "OK");
    redis.cli(&["-a", "two", "CLIENT", "KILL", "TYPE", "normal"]);
    until("it is let in no more", async || {
        ask(&cache, &rows, 3).await;
        cache.is_left_alone() == Some(true)
    })
    .await;
    rows.write(3);
    assert_eq!(version(3, &cache.get(Key::Notification(3)).await.unwrap().unwrap()), 2);
    std::fs::write(&file, "two\n").expect("write the new one");
    until_hit(&cache, &rows, 3).await;
    assert_eq!(version(3, &cache.get(Key::Notification(3)).await.unwrap().unwrap()), 2);
}

/// How many read at once under load.
const READERS: i64 = 16;

/// Readers and a writer while Redis is maltreated: each answer is judged.
async fn under_load(redis_options: &Options, maltreat: impl AsyncFnOnce(&Cache<Rows>)) {
    let rows = rows();
    let cache = Arc::new(cache(&rows, redis_options));
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let (cache, rows, over) = (Arc::clone(&cache), rows.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut reads, mut id) = (0, reader);
                while !over.load(Ordering::Relaxed) {
                    id = id % ROWS + 1;
                    ask(&cache, &rows, id).await;
                    reads += 1;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                reads
            })
        })
        .collect();
    let writer = {
        let (rows, over) = (rows.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            for id in (1..=ROWS).cycle() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                rows.write(id);
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        })
    };
    maltreat(&cache).await;
    over.store(true, Ordering::Relaxed);
    writer.await.expect("the writer ends");
    let mut reads = 0;
    for reader in readers {
        reads += reader.await.expect("every answer is right");
    }
    assert!(reads > 500, "{reads} reads");
}

/// Hits rise from now on.
async fn hits_rise(cache: &Cache<Rows>) {
    let hits = || cache.counters().expect("counters").now().hits;
    let before = hits();
    until("hits", async || hits() > before + 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_stopped_flushed_filled_and_set_back_during_load_it_changes_no_answer() {
    let mut redis = RedisServer::start("save 3600 1");
    let redis_options = options(&redis.url());
    under_load(&redis_options, async |cache| {
        hits_rise(cache).await;
        redis.cli(&["FLUSHALL"]);
        hits_rise(cache).await;
        redis.cli(&["SCRIPT", "FLUSH"]);
        redis.cli(&["CONFIG", "SET", "maxmemory", "1"]);
        tokio::time::sleep(Duration::from_millis(150)).await;
        redis.cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]);
        tokio::time::sleep(Duration::from_millis(150)).await;
        redis.cli(&["CONFIG", "SET", "maxmemory", "0"]);
        redis.cli(&["SAVE"]);
        hits_rise(cache).await;
        redis.kill();
        redis.start_again();
        hits_rise(cache).await;
        redis.signal("-STOP");
        let (before, begun) = (cache.counters().expect("counters").now(), Instant::now());
        until("it is seen to hang", async || cache.works() == Some(false)).await;
        let since = || cache.counters().expect("counters").now().since(&before);
        until("answers without it", async || since().reads() > 5_000).await;
        // What was under way when it hung has waited for it, once, and later one call for each pause.
        let since = since();
        let under_way = 3 * READERS.unsigned_abs();
        let pauses = begun.elapsed().as_millis() / redis_options.pause.as_millis();
        let most = u128::from(under_way) + pauses;
        assert!(since.timeouts >= 1 && u128::from(since.timeouts) <= most, "{since:?} in {pauses} pauses");
        redis.signal("-CONT");
        hits_rise(cache).await;
    })
    .await;
}

#[tokio::test]
async fn nobody_home_nonsense_silence_and_sloth_cost_little_and_change_nothing() {
    let redis = RedisServer::start("");
    let nobody = format!("redis://127.0.0.1:{}", free_port());
    for (what, url) in
        [("nobody", nobody), ("nonsense", peer(|_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()))]
            .into_iter()
            .chain([("sloth", slow(&redis, Duration::from_millis(100)))])
            .chain([("silence", peer(|_| Vec::new())), ("lies", peer(|asked| b"+OK\r\n".repeat(asked)))])
    {
        let rows = rows();
        let options = options(&url);
        let cache = cache(&rows, &options);
        let begun = Instant::now();
        for n in 0..200 {
            assert!(!matches!(ask(&cache, &rows, n % ROWS + 1).await, From::Hit(_)), "{what}");
            rows.write(n % ROWS + 1);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // No reader had a part in it; and it was asked thrice, and once after each pause.
        let counted = cache.counters().expect("counters").now();
        let pauses = begun.elapsed().as_millis() / options.pause.as_millis();
        assert_eq!((counted.bypassed, counted.reads()), (200, 200), "{what}: {counted:?}");
        assert!(u128::from(counted.errors) <= 3 + pauses, "{what}: {counted:?} in {pauses} pauses");
    }
}

/// A Redis each of whose answers comes so much later.
fn slow(redis: &RedisServer, by: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("its address"));
    let socket = redis.socket();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut asks, Ok(mut asked)) = (stream.expect("a connection"), UnixStream::connect(&socket))
            else {
                return;
            };
            let (mut answered, mut answers) = (asks.try_clone().unwrap(), asked.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut asks, &mut asked));
            std::thread::spawn(move || {
                let mut bytes = [0; 65536];
                while let Ok(length @ 1..) = answers.read(&mut bytes) {
                    std::thread::sleep(by);
                    if answered.write_all(&bytes[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// Something that listens and is no Redis; `answer` is handed how many commands came at once.
fn peer(answer: fn(usize) -> Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.expect("a connection");
                let mut asked = [0; 65536];
                while let Ok(1..) = stream.read(&mut asked).inspect(|length| {
                    let commands = asked[..*length].iter().filter(|byte| **byte == b'*').count();
                    let _ = stream.try_clone().and_then(|mut to| to.write_all(&answer(commands)));
                }) {}
            });
        }
    });
    url
}
