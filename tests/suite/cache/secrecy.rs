//! P9: what Redis and its neighbours get to see, and what they can do with it.

use std::process::Command;
use std::time::Duration;

use notifyctl::cache::{Cache, Failure, Found, From, Key, Options};
use notifyctl::secret::Source;

use super::rows::Rows;
use super::{at, options, seal, shelf, shelf_at, until};
use crate::support::ports::free_port;
use crate::support::redis_server::RedisServer;

#[tokio::test]
async fn what_lies_in_redis_is_sealed_and_opens_under_its_own_name_alone() {
    let redis = RedisServer::start("");
    let shelf = shelf(&redis);
    let head = shelf.open(at(1)).await.expect("a head");
    for key in [Key::Notification(1), Key::Notification(2)] {
        let Ok(Found::Lease(lease)) = shelf.look_up(&head, key).await else { panic!("no lease") };
        let told = format!("{key} for ops@example.org");
        let hour = Duration::from_secs(3_600);
        assert_eq!(shelf.fill(&lease, told.as_bytes(), hour, false).await, Ok(true));
    }
    redis.cli(&["SAVE"]);
    let dump = std::fs::read(redis.path().join("dump.rdb")).expect("the dump");
    assert!(!dump.windows(5).any(|part| part == b"ops@e"), "personal data lies in the dump");
    // An answer about one cannot be made an answer about another, nor by anybody's hand.
    let name = |id: u8| format!("{}{}:n:{id}", shelf.prefix(), head.generation);
    redis.cli(&["COPY", &name(1), &name(2), "REPLACE"]);
    assert!(matches!(shelf.look_up(&head, Key::Notification(2)).await, Ok(Found::Foreign)));
    redis.cli(&["SET", &name(2), "Vdrivel"]);
    assert!(matches!(shelf.look_up(&head, Key::Notification(2)).await, Ok(Found::Foreign)));
    redis.cli(&["SET", &name(2), "drivel"]);
    assert!(matches!(shelf.look_up(&head, Key::Notification(2)).await, Ok(Found::Foreign)));
    let stranger = notifyctl::cache::Seal::random().expect("a key");
    assert_ne!(stranger.name(), seal().name());
}

/// Runs openssl in `dir`.
fn openssl(dir: &std::path::Path, line: &str) {
    let made = Command::new("openssl").args(line.split(' ')).current_dir(dir).output().expect("run openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test]
async fn over_tls_with_a_private_authority_and_a_user_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder of our own");
    let dir = folder.path();
    openssl(
        dir,
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority",
    );
    openssl(
        dir,
        "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout redis.key -out redis.csr -subj /CN=localhost",
    );
    std::fs::write(dir.join("names"), "subjectAltName=DNS:localhost\n").expect("write the names");
    openssl(
        dir,
        "x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out redis.pem -days 2 -extfile names",
    );
    let port = free_port();
    let here = dir.display();
    // What the man page says the user needs, and nothing else.
    let redis = RedisServer::start(&format!(
        "tls-port {port}\ntls-cert-file {here}/redis.pem\ntls-key-file {here}/redis.key\ntls-ca-cert-file {here}/ca.pem\n\
         tls-auth-clients no\n\
         user notifyctl on >hunter2 ~notifyctl:* resetchannels -@all +@connection +evalsha +eval +script|load \
         +hmget +hset +get +getrange +set +del +pexpire +pttl +scan +unlink +info +memory|usage"
    ));
    std::fs::write(dir.join("password"), "hunter2\n").expect("write the password");
    let url = format!("rediss://localhost:{port}");
    let right = Options {
        ca_file: Some(dir.join("ca.pem")),
        user: Some("notifyctl".into()),
        password: Some(Source::File(dir.join("password"))),
        ..options(&url)
    };
    let rows = Rows::default();
    rows.write(1);
    let cache = Cache::on(rows.clone(), &right, shelf_at(&right), rows.clone());
    until("a hit over TLS", async || {
        let answer = cache.get(Key::Notification(1)).await.expect("never an error").expect("it exists");
        matches!(answer.from, From::Hit(_))
    })
    .await;
    rows.write(1);
    // Asked for meanwhile: what is written through once may come to nothing where Redis takes long.
    until("told of the change", async || {
        cache.get(Key::Notification(1)).await.expect("never an error");
        cache.counters().is_some_and(|counted| counted.now().filled >= 2)
    })
    .await;

    std::fs::write(dir.join("wrong"), "hunter3\n").expect("write another one");
    for (what, options, why) in [
        (
            "another password",
            Options { password: Some(Source::File(dir.join("wrong"))), ..right.clone() },
            "user or password",
        ),
        ("no user", Options { user: None, password: None, ..right.clone() }, ""),
        ("unknown authority", Options { ca_file: None, ..right.clone() }, "certificate"),
        (
            "another name",
            Options { place: format!("rediss://127.0.0.1:{port}").parse().unwrap(), ..right.clone() },
            "certificate",
        ),
        ("no file", Options { password: Some(Source::File("/nowhere".into())), ..right.clone() }, "/nowhere"),
    ] {
        let mut opened = shelf_at(&options).open(at(1)).await;
        // A busy machine takes more than the second that connecting has.
        until("an answer", async || {
            if opened == Err(Failure::Silent) {
                opened = shelf_at(&options).open(at(1)).await;
            }
            opened != Err(Failure::Silent)
        })
        .await;
        if what == "no user" {
            // Redis lets the default user in unless it is switched off.
            redis.cli(&["ACL", "SETUSER", "default", "off"]);
            let closed = shelf_at(&options).open(at(1)).await;
            assert!(closed.is_err(), "{what}: {closed:?}");
            continue;
        }
        let failure = opened.expect_err(what).to_string();
        assert!(failure.contains(why) && !failure.contains("hunter"), "{what}: {failure}");
    }
    let shown = format!("{right:?}");
    assert!(!shown.contains("hunter"), "{shown}");
}
