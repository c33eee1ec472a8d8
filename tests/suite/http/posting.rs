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
            (401, Some("Bearer")),
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
