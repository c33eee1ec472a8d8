//! The header `Idempotency-Key`: it belongs to one whole request.

use std::process::Command;

use serde_json::{Value, json};

use super::ground::{Answer, Ground, config, curl, socket};
use crate::support::daemon::Daemon;

/// Posts `body` under the key `key`.
fn under(ground: &Ground, key: &str, body: &str) -> Answer {
    ground.ask("/v1/notifications", &["--json", body, "-H", &format!("Idempotency-Key: {key}")])
}

/// The ids of an answer, each with whether it is new.
fn ids(answer: &Answer) -> Vec<(i64, bool)> {
    let one = |one: &Value| (one["id"].as_i64().expect("an id"), one["created"].as_bool().expect("whether"));
    let answer = answer.json();
    match answer["notifications"].as_array() {
        Some(all) => all.iter().map(one).collect(),
        None => vec![one(&answer)],
    }
}

/// That `again` is the answer `first`, with nothing new in it.
#[track_caller]
fn is_as_before(first: &Answer, again: &Answer) {
    assert_eq!(again.status, 202, "{again:?}");
    let known: Vec<_> = ids(first).into_iter().map(|(id, _)| (id, false)).collect();
    assert_eq!(ids(again), known, "{again:?}");
    assert_eq!(again.json()["batch"], first.json()["batch"]);
    assert_eq!(again.header("location"), first.header("location"));
}

/// That `other` is refused whole, and told how to go on; nobody is named.
#[track_caller]
fn is_refused(key: &str, other: &Answer) {
    assert_eq!(other.status, 409, "{other:?}");
    let said = other.problem();
    assert!(said.contains(&format!("`{key}`")) && said.contains("something else"), "{said}");
    assert!(said.contains("nothing was enqueued") && said.contains("a key of its own"), "{said}");
    assert!(!said.contains("zebra") && !said.contains("giraffe"), "{said}");
}

fn row(to: Value, message: &str) -> Value {
    let mut row = json!({"channel": "run", "message": message, "in": "1h"});
    row["to"] = to;
    row
}

fn rows(messages: &[&str]) -> Value {
    messages.iter().map(|message| row(json!(format!("{message}@zebra")), message)).collect()
}

#[test]
fn whatever_else_comes_under_a_key_that_was_used_is_refused_whole() {
    let ground = Ground::accepting("");
    let one = || row(json!("zebra"), "giraffe");
    let with = |name: &str, value: Value| {
        let mut row = one();
        row[name] = value;
        row
    };
    let stories: &[(&str, Value, &[Value])] = &[
        (
            "one",
            one(),
            &[
                row(json!("lion"), "elephant"),
                row(json!("lion"), "giraffe"),
                row(json!("zebra"), "elephant"),
                row(json!(["zebra", "lion"]), "giraffe"),
                json!([one()]),
                json!([one(), one()]),
                with("in", json!("2h")),
                with("ttl", json!("2d")),
                with("subject", json!("")),
                with("priority", json!("normal")),
                with("headers", json!({"X-A": "1"})),
                with("attachments", json!([{"name": "a.txt", "content": "aGk="}])),
            ],
        ),
        (
            "several",
            row(json!(["zebra", "lion"]), "giraffe"),
            &[
                one(),
                row(json!(["lion", "zebra"]), "giraffe"),
                row(json!(["zebra", "lion", "ant"]), "giraffe"),
            ],
        ),
        (
            "many",
            rows(&["a", "b", "c"]),
            &[
                rows(&["b", "a", "c"]),
                rows(&["a", "b"]),
                rows(&["a", "b", "c", "d"]),
                rows(&["a", "b", "d"]),
                rows(&["x", "y"]),
                rows(&["a"])[0].clone(),
            ],
        ),
        ("list", json!([one()]), &[one(), json!([one(), row(json!("lion"), "elephant")])]),
    ];
    for (key, first, others) in stories {
        let answer = under(&ground, key, &first.to_string());
        assert_eq!(answer.status, 202, "{answer:?}");
        assert!(ids(&answer).iter().all(|(_, created)| *created), "{answer:?}");
        let accepted = ground.sandbox.accepted();
        for other in *others {
            is_refused(key, &under(&ground, key, &other.to_string()));
            assert_eq!(ground.sandbox.accepted(), accepted, "{other}");
        }
        is_as_before(&answer, &under(&ground, key, &first.to_string()));
        assert_eq!(ground.sandbox.accepted(), accepted);
    }
    ground.sandbox.ok(&["db", "check"]);
}

#[test]
fn the_same_request_is_the_same_however_it_is_written() {
    let ground = Ground::accepting("");
    let list = r#"[{"channel":"run","to":"a","message":"é","in":"90m","headers":{"X-A":"1","X-B":"2"}},{"channel":"run","to":["b"],"message":"y"}]"#;
    let first = under(&ground, "k", list);
    assert_eq!(first.status, 202, "{first:?}");
    let spaced = "\n[ {\"headers\": {\"X-B\": \"2\", \"X-A\": \"1\"}, \"in\": \"90m\", \"message\": \"\\u00e9\", \
                  \"subject\": null, \"to\": \"a\", \"channel\": \"run\"},\n {\"to\": \"b\", \"message\": \"y\", \"channel\": \"run\"} ]\n";
    is_as_before(&first, &under(&ground, "k", spaced));
    // A header's name is the same in capitals (RFC 5322 section 1.2.2).
    is_as_before(&first, &under(&ground, "k", &list.replace("X-A", "x-a")));
    let lines: Vec<Value> = serde_json::from_str(list).expect("a list");
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let again = ground.ask(
        "/v1/notifications",
        &[
            "-H",
            "Idempotency-Key: \"k\"",
            "-H",
            "Content-Type: application/x-ndjson",
            "--data-binary",
            &lines,
        ],
    );
    is_as_before(&first, &again);
    assert_eq!(ground.sandbox.accepted(), 2);
}

/// What a request meant may have changed since, or be past, or gone: the answer was given all the same.
#[test]
fn a_retry_is_answered_as_before_whatever_has_changed_meanwhile() {
    let ground = Ground::accepting("");
    let sandbox = &ground.sandbox;
    sandbox.ok(&["user", "set", "u1", "--to", "one@example.org"]);
    let posts = [
        ("user", json!({"channel": "run", "user_id": "u1", "message": "x"})),
        ("route", json!({"message": "x", "channel": "run"})),
        (
            "both",
            json!([{"user_id": "u1", "message": "x", "channel": "run"}, {"message": "x", "channel": "run"}]),
        ),
        ("other", json!({"channel": "other", "to": "zebra", "message": "x"})),
        (
            "file",
            json!({"channel": "run", "message": "x", "attachments": [{"name": "a", "content": "aGk="}]}),
        ),
    ];
    let channel = "[channels.other]\nkind = \"exec\"\ncommand = [\"/bin/true\"]\n";
    let roles = "[daemon]\nroles = \"http\"\n";
    let reload = |text: &str| {
        sandbox.configure(text);
        ground.daemon.signal("-HUP");
        ground.daemon.hears("RELOADING=1");
        ground.daemon.hears("READY=1");
    };
    reload(&format!("{}{channel}{roles}", config(sandbox, "")));
    let post = |(key, body): &(&str, Value)| under(&ground, key, &body.to_string());
    let first: Vec<Answer> = posts.iter().map(post).collect();
    assert!(first.iter().all(|answer| answer.status == 202), "{first:?}");
    let accepted = sandbox.accepted();
    sandbox.ok(&["user", "set", "u1", "--to", "elsewhere@example.org"]);
    reload(&format!("{}{roles}", config(sandbox, "").replace("to = \"ops\"", "to = [\"ops\", \"more\"]")));
    for (first, again) in first.iter().zip(posts.iter().map(post)) {
        is_as_before(first, &again);
    }
    // Under another key it is another request.
    assert_eq!(under(&ground, "new", &posts[3].1.to_string()).status, 422);
    assert_eq!(sandbox.accepted(), accepted);
    // Their key outlives what was removed.
    sandbox.ok(&["cancel", "--all"]);
    sandbox.ok(&["purge", "--older-than", "0s"]);
    for (first, again) in first.iter().zip(posts.iter().map(post)) {
        is_as_before(first, &again);
    }
    is_refused("user", &under(&ground, "user", &posts[1].1.to_string()));
    assert_eq!(sandbox.accepted(), accepted);
    sandbox.ok(&["db", "check"]);
}

#[test]
fn a_request_that_was_refused_leaves_its_key_free() {
    let ground = Ground::accepting("");
    assert_eq!(under(&ground, "k", r#"{"channel": "run"}"#).status, 422);
    assert_eq!(under(&ground, "k", r#"{"channel": "run","#).status, 400);
    let first = under(&ground, "k", &row(json!("a"), "x").to_string());
    assert!(first.status == 202 && ids(&first)[0].1, "{first:?}");
    // A row that cannot be read is not what could be read of it.
    let mut torn = row(json!("a"), "x");
    torn["subject"] = json!(7);
    assert_eq!(under(&ground, "k", &torn.to_string()).status, 422);
    // What was refused for its key neither.
    ground.sandbox.ok(&["enqueue", "--channel", "run", "--key", "n/2", "--to", "b@zebra", "else"]);
    is_refused_for_a_row(&under(&ground, "n", &rows(&["a", "b"]).to_string()));
    let list = under(&ground, "n", &rows(&["a"]).to_string());
    assert!(list.status == 202 && ids(&list)[0].1, "{list:?}");
}

#[track_caller]
fn is_refused_for_a_row(answer: &Answer) {
    assert!(answer.status == 409 && answer.problem().contains("nothing was enqueued"), "{answer:?}");
}

/// The field's guard, as the shell's, is for each recipient; and a header finds what they have used.
#[test]
fn the_fields_and_the_shells_keys_guard_each_recipient_and_no_header_mixes_with_them() {
    let ground = Ground::accepting("");
    let sandbox = &ground.sandbox;
    let field = |to: Value| {
        let mut row = row(to, "x");
        row["key"] = json!("field");
        ids(&ground.post(&row.to_string())).into_iter().map(|(_, created)| created).collect::<Vec<_>>()
    };
    assert_eq!(field(json!("a")), [true]);
    assert_eq!(field(json!(["b", "a"])), [true, false]);
    let shell = ["enqueue", "--channel", "run", "--in", "1h", "--key", "shell", "--to", "a"];
    let id: i64 = sandbox.ok(&[&shell[..], &["x"]].concat()).trim().parse().expect("an id");
    sandbox.ok(&[&shell[..], &["--to", "b", "x"]].concat());
    assert_eq!(sandbox.accepted(), 4);
    // A header finds its request under the key: as before. Anything else is not what the key was used for.
    let known = under(&ground, "shell", &row(json!("a"), "x").to_string());
    assert_eq!((known.status, ids(&known)), (202, vec![(id, false)]));
    for other in [row(json!("c"), "x"), row(json!(["a", "c"]), "x"), json!([row(json!("a"), "x")])] {
        is_refused("shell", &under(&ground, "shell", &other.to_string()));
    }
    // And the other way round.
    let first = under(&ground, "header", &row(json!("a"), "x").to_string());
    let again =
        ["enqueue", "--channel", "run", "--in", "1h", "--key", "header", "--to", "a", "--to", "b", "x"];
    let said = sandbox.ok(&again);
    assert_eq!(said.lines().next(), Some(ids(&first)[0].0.to_string().as_str()), "{said}");
    assert_eq!(sandbox.accepted(), 6);
    sandbox.ok(&["db", "check"]);
}

#[test]
fn of_many_that_come_at_once_under_one_key_one_is_accepted() {
    const MANY: usize = 12;
    let ground = Ground::accepting("");
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let post = |n: usize| {
            let ground = &ground;
            // Two kinds of them.
            scope.spawn(move || under(ground, "k", &rows(&["a", ["b", "c"][n % 2]]).to_string()))
        };
        let all: Vec<_> = (0..MANY).map(post).collect();
        all.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    let accepted: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
    assert_eq!(accepted.len(), MANY / 2, "{answers:?}");
    let new: Vec<_> =
        accepted.iter().filter(|answer| ids(answer).iter().all(|(_, created)| *created)).collect();
    assert_eq!(new.len(), 1, "{answers:?}");
    accepted.iter().filter(|answer| answer.body != new[0].body).for_each(|again| is_as_before(new[0], again));
    answers.iter().filter(|answer| answer.status != 202).for_each(|other| is_refused("k", other));
    assert_eq!(ground.sandbox.accepted(), 2);
}

/// `show` does not read the bytes of attachments, the guard has to.
#[test]
fn a_key_knows_a_notification_with_its_attachments() {
    let ground = Ground::accepting("");
    let body = |content: &str| {
        let file = json!({"name": "a.txt", "content": content});
        json!({"channel": "run", "message": "x", "key": "k", "attachments": [file]}).to_string()
    };
    let first = ground.post(&body("aGk="));
    assert_eq!(first.status, 202, "{first:?}");
    is_as_before(&first, &ground.post(&body("aGk=")));
    assert_eq!(ground.post(&body("aGo=")).status, 409);
    assert_eq!(ground.post(&json!({"channel": "run", "message": "x", "key": "k"}).to_string()).status, 409);
    assert_eq!(ground.sandbox.accepted(), 1);
}

/// What is there already takes no room: that a retry of it is put off would only make its sender ask for ever.
#[test]
fn a_retry_is_answered_as_before_also_when_the_queue_is_full() {
    let ground = Ground::accepting("max_pending = 2");
    let (list, other) = (rows(&["a", "b"]).to_string(), rows(&["c"]).to_string());
    let first = under(&ground, "k", &list);
    assert_eq!(first.status, 202, "{first:?}");
    crate::support::daemon::until("the queue is full", || {
        let refused = ground.post("{}");
        refused.status == 503
    });
    is_as_before(&first, &under(&ground, "k", &list));
    is_refused("k", &under(&ground, "k", &other));
    let full = under(&ground, "new", &other);
    assert!(full.status == 503 && full.header("retry-after").is_some(), "{full:?}");
    assert_eq!(ground.sandbox.accepted(), 2);
    // A key that was put off is free.
    ground.sandbox.ok(&["cancel", "--all"]);
    crate::support::daemon::until("there is room again", || ground.post("{}").status != 503);
    let later = under(&ground, "new", &other);
    assert!(later.status == 202 && ids(&later)[0].1, "{later:?}");
}

/// Each that may be sent as a header, and none that would be another one in the store.
#[test]
fn a_key_is_one_to_988_visible_characters_and_nothing_else() {
    let ground = Ground::accepting("");
    let one = row(json!("a"), "x").to_string();
    let longest = "k".repeat(988);
    for key in ["k", "K", "\"", "k k", "k/1", &longest, "a\\\"b", "\" \""] {
        let answer = under(&ground, key, &one);
        assert!(answer.status == 202 && ids(&answer)[0].1, "{key}: {answer:?}");
        is_as_before(&answer, &under(&ground, key, &one));
    }
    let list = json!([row(json!("b"), "x"), row(json!("c"), "x")]).to_string();
    assert_eq!(under(&ground, &"l".repeat(988), &list).status, 202);
    let accepted = ground.sandbox.accepted();
    for (key, says) in [
        ("l".repeat(989).as_str(), "at most 988"),
        ("a\tb", "visible ASCII"),
        ("\"\"", "is empty"),
        ("ключ", "visible ASCII"),
    ] {
        let refused = under(&ground, key, &one);
        assert_eq!(refused.status, 400, "{key:?}: {refused:?}");
        let said = refused.problem();
        assert!(said.contains("the header Idempotency-Key") && said.contains(says), "{key:?}: {said}");
    }
    let twice = ground
        .ask("/v1/notifications", &["--json", &one, "-H", "Idempotency-Key: k", "-H", "idempotency-key: k"]);
    assert!(twice.status == 400 && twice.problem().contains("is given twice"), "{twice:?}");
    assert_eq!(ground.sandbox.accepted(), accepted);
}

/// A thousand rows each time, on two daemons of one store: one of all those requests is accepted, and outlives the daemons' death.
#[test]
fn a_large_list_that_races_itself_on_two_daemons_is_accepted_once() {
    const ROWS: usize = 1_000;
    let ground = Ground::accepting("");
    let all: Value = (0..ROWS).map(|n| row(json!(format!("{n}@zebra")), "x")).collect();
    let file = ground.sandbox.path().join("body");
    std::fs::write(&file, all.to_string()).expect("write the body");
    let body = format!("@{}", file.display());
    let second = ground.sandbox.path().join("other.sock").display().to_string();
    let start = || Daemon::start_with(&ground.sandbox, &[("NOTIFYCTL_HTTP__SOCKET", &second)]);
    let other = start();
    let post = |n: usize| {
        let args = ["--json", &body, "-H", "Idempotency-Key: k"];
        match n % 2 {
            0 => ground.ask("/v1/notifications", &args),
            _ => {
                curl(&[&["--unix-socket", &second, "http://localhost/v1/notifications"], &args[..]].concat())
            }
        }
    };
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6)
            .map(|n| {
                scope.spawn({
                    let post = &post;
                    move || post(n)
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    let new: Vec<_> = answers.iter().filter(|answer| ids(answer).iter().all(|(_, new)| *new)).collect();
    assert_eq!(new.len(), 1, "one is new, and whole");
    assert_eq!(ids(new[0]).len(), ROWS);
    answers.iter().filter(|answer| answer.body != new[0].body).for_each(|again| is_as_before(new[0], again));
    assert_eq!(ground.sandbox.accepted(), ROWS as u64);
    // What was answered is on disk.
    other.signal("-KILL");
    other.ended();
    let _third = start();
    is_as_before(new[0], &post(1));
    is_refused("k", &under(&ground, "k", &rows(&["a"]).to_string()));
    ground.sandbox.ok(&["db", "check"]);
}

/// Whoever hears nothing asks again: what the daemon's death cut off is there whole, or not at all.
#[test]
fn a_daemon_that_is_killed_under_requests_leaves_none_of_them_half_done() {
    const MANY: usize = 40;
    let ground = Ground::accepting("");
    let list = rows(&["a", "b", "c"]).to_string();
    let keys: Vec<String> = (0..MANY).map(|n| format!("k{n}")).collect();
    let path = socket(&ground.sandbox);
    let post = |keys: &[String]| {
        for key in keys {
            let mut curl = Command::new("curl");
            curl.args([
                "--silent",
                "--max-time",
                "30",
                "--json",
                &list,
                "-H",
                &format!("Idempotency-Key: {key}"),
            ]);
            curl.arg("--unix-socket").arg(&path).arg("http://localhost/v1/notifications");
            // It may be answered, cut off, or find nobody.
            curl.output().expect("run curl");
        }
    };
    std::thread::scope(|scope| {
        keys.chunks(MANY / 4).for_each(|some| drop(scope.spawn(|| post(some))));
        crate::support::daemon::until("some are there", || ground.sandbox.accepted() > 12);
        ground.daemon.signal("-KILL");
    });
    let Ground { sandbox, daemon } = ground;
    // It may listen for a moment yet.
    daemon.ended();
    let ground = Ground { daemon: Daemon::start(&sandbox), sandbox };
    for key in &keys {
        let answer = under(&ground, key, &list);
        let new: Vec<bool> = ids(&answer).into_iter().map(|(_, created)| created).collect();
        assert!(new == [true; 3] || new == [false; 3], "{key}: {answer:?}");
        is_as_before(&answer, &under(&ground, key, &list));
        is_refused(key, &under(&ground, key, &rows(&["a", "b"]).to_string()));
    }
    assert_eq!(ground.sandbox.accepted(), 3 * MANY as u64);
    ground.sandbox.ok(&["db", "check"]);
}
