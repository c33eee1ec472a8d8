//! What is posted, and what is answered.

use serde_json::json;

use super::ground::Ground;
use crate::support::daemon::until;

#[test]
fn what_is_posted_is_durable_when_it_is_answered_and_sent_at_once() {
    let ground = Ground::new("");
    let answer = ground.post(r#"{"channel": "run", "to": "ops", "message": "hello"}"#);
    assert_eq!(answer.status, 202, "{answer:?}");
    let id = answer.json()["id"].as_i64().expect("an id");
    let url = format!("/v1/notifications/{id}");
    assert_eq!(answer.json(), json!({"id": id, "status_url": url, "created": true}));
    assert_eq!(answer.header("location"), Some(url.as_str()));
    until("sent", || ground.ask(&url, &[]).json()["status"] == "sent");
    let shown = ground.ask(&url, &[]).json();
    let by_shell = ground.sandbox.ok(&["show", &id.to_string(), "--json"]);
    assert_eq!(shown, serde_json::from_str::<serde_json::Value>(&by_shell).expect("JSON"));
    assert_eq!(shown["history"][0]["outcome"], "sent");
    assert_eq!(ground.ask("/healthz", &[]).body, "ok\n");
}

#[test]
fn nobody_speaks_by_tcp_without_a_token_unless_it_is_configured_so() {
    let ground = Ground::accepting("");
    for path in ["/v1/notifications/1", "/v1/status", "/v1/batches/1"] {
        let refused = ground.ask_by_tcp(path, &[]);
        assert_eq!(
            (refused.status, refused.header("www-authenticate")),
            (401, Some("Bearer realm=\"notifyctl\"")),
            "{refused:?}"
        );
    }
    let refused =
        ground.ask_by_tcp("/v1/notifications", &["--json", r#"{"channel": "run", "message": "x"}"#]);
    assert!(refused.status == 401 && refused.problem().contains("enqueue"), "{refused:?}");
    assert_eq!(ground.ask_by_tcp("/healthz", &[]).status, 200);

    let ground = Ground::accepting("loopback_without_token = true");
    assert_eq!(ground.ask_by_tcp("/v1/status", &[]).status, 200);
    // What a browser on this host sends for somebody else's page.
    for header in ["Origin: https://evil.example", "Host: evil.example"] {
        assert_eq!(ground.ask_by_tcp("/v1/status", &["--header", header]).status, 401, "{header}");
    }
}

#[test]
fn many_at_once_are_a_batch_with_their_ids() {
    let ground = Ground::new("");
    let lines: String = (0..3).map(|n| format!("{{\"channel\": \"run\", \"message\": \"{n}\"}}\n")).collect();
    let answer = ground.ask(
        "/v1/notifications?wait=20s",
        &["-H", "Content-Type: application/x-ndjson", "--data-binary", &lines],
    );
    assert_eq!(answer.status, 200, "settled: {answer:?}");
    assert_eq!((&answer.json()["accepted"], &answer.json()["counts"]["sent"]), (&json!(3), &json!(3)));

    // One to several is a batch too.
    let answer = ground.post(r#"{"channel": "run", "to": ["a", "b"], "message": "x", "in": "1h"}"#);
    assert_eq!(answer.status, 202, "{answer:?}");
    let batch = answer.json()["batch"].as_i64().expect("a batch");
    assert_eq!(answer.header("location"), Some(format!("/v1/batches/{batch}").as_str()));
    let shown = ground.ask(&format!("/v1/batches/{batch}"), &[]).json();
    assert_eq!(
        (&shown["id"], &shown["accepted"], &shown["counts"]["pending"]),
        (&json!(batch), &json!(2), &json!(2))
    );
    let ids = answer.json()["notifications"].clone();
    let page = ground.ask(&format!("/v1/notifications?batch={batch}&order=oldest&limit=1"), &[]).json();
    assert_eq!(page["notifications"][0]["id"], ids[0]["id"]);
    let cursor = page["next_cursor"].as_str().expect("more").to_owned();
    let page =
        ground.ask(&format!("/v1/notifications?batch={batch}&order=oldest&limit=2&cursor={cursor}"), &[]);
    assert_eq!(page.json()["notifications"][0]["id"], ids[1]["id"]);
    assert_eq!(page.json()["next_cursor"], json!(null));
    let sent = ground.ask("/v1/notifications?status=sent&status=dead&channel=run&since=1h", &[]).json();
    assert_eq!(sent["notifications"].as_array().map(Vec::len), Some(3));
    assert_eq!(ground.ask("/v1/status", &[]).json()["counts"]["sent"], 3);
}

#[test]
fn an_answer_waits_until_it_is_settled_or_the_time_is_over() {
    let ground = Ground::new("");
    let settled =
        ground.ask("/v1/notifications?wait=20s", &["--json", r#"{"channel": "run", "message": "x"}"#]);
    assert_eq!((settled.status, &settled.json()["status"]), (200, &json!("sent")), "{settled:?}");
    let later = r#"{"channel": "run", "message": "x", "in": "1h"}"#;
    let began = std::time::Instant::now();
    let open = ground.ask("/v1/notifications?wait=300ms", &["--json", later]);
    assert_eq!((open.status, &open.json()["created"]), (202, &json!(true)), "{open:?}");
    assert!(began.elapsed() >= std::time::Duration::from_millis(300));
    // Who waits is answered when the daemon ends.
    let ending = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ground.ask("/v1/notifications?wait=60s", &["--json", later]));
        until("it is accepted", || ground.sandbox.accepted() == 3);
        ground.daemon.signal("-TERM");
        waiting.join().expect("an answer")
    });
    assert_eq!(ending.status, 202, "{ending:?}");
}

#[test]
fn one_is_called_off_and_started_again() {
    let ground = Ground::accepting("");
    let id = ground.post(r#"{"channel": "run", "message": "x"}"#).json()["id"].as_i64().expect("an id");
    let url = format!("/v1/notifications/{id}");
    let (again, url) = (format!("{url}/requeue"), url);
    let steered = |result: &str, status: &str| json!({"id": id, "result": result, "status": status});
    for (path, method, answer) in [
        (&again, "POST", steered("unchanged", "pending")),
        (&url, "DELETE", steered("changed", "cancelled")),
        (&url, "DELETE", steered("unchanged", "cancelled")),
        (&again, "POST", steered("changed", "pending")),
    ] {
        let got = ground.ask(path, &["-X", method]);
        assert_eq!((got.status, got.json()), (200, answer), "{method} {path}");
    }
    ground.sandbox.ok(&["send-pending"]);
    let late = ground.ask(&url, &["-X", "DELETE"]);
    assert!(late.status == 409 && late.problem().contains("is sent"), "{late:?}");
}

#[test]
fn every_answer_has_an_id_and_tells_browsers_to_guess_nothing() {
    let ground = Ground::accepting("");
    for path in ["/healthz", "/v1/status", "/nowhere"] {
        let answer = ground.ask(path, &["-H", "X-Request-Id: mine-1"]);
        assert_eq!(answer.header("x-request-id"), Some("mine-1"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("content-security-policy").is_some_and(|value| value.contains("'none'")));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let own = ground.ask("/v1/status", &["-H", "X-Request-Id: <script>"]);
    assert_ne!(own.header("x-request-id"), Some("<script>"));
    ground.post(r#"{"channel": "run", "to": "zebra", "message": "giraffe"}"#);
    let log = std::fs::read_to_string(ground.sandbox.path().join("log")).expect("the log");
    assert!(log.contains("request=mine-1 method=GET path=/v1/status status=200"), "{log}");
    assert!(!log.contains("zebra") && !log.contains("giraffe"), "{log}");
}
