//! What each scope opens, route by route and word by word: no route without a rule, and no personal data without leave.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use super::ground::{Answer, Ground};
use crate::support::daemon::until;

/// What a route asks for; `None` is for everybody.
const ROUTES: &[(&str, &str, Option<&str>)] = &[
    ("GET", "/healthz", None),
    ("GET", "/readyz", None),
    ("GET", "/metrics", Some("read")),
    ("GET", "/v1/openapi.json", None),
    ("POST", "/v1/notifications", Some("enqueue")),
    ("GET", "/v1/notifications", Some("read")),
    ("GET", "/v1/notifications/{id}", Some("read")),
    ("DELETE", "/v1/notifications/{id}", Some("admin")),
    ("POST", "/v1/notifications/{id}/requeue", Some("admin")),
    ("GET", "/v1/batches/{id}", Some("read")),
    ("GET", "/v1/events", Some("read")),
    ("GET", "/v1/history", Some("read")),
    ("GET", "/v1/status", Some("read")),
    // The page holds nothing: what it shows it asks for with the token of whoever looks.
    ("GET", "/", None),
];

/// Every operation of the document: its method and its path.
fn documented(ground: &Ground) -> BTreeSet<(String, String)> {
    let document = ground.ask("/v1/openapi.json", &[]).json();
    let paths = document["paths"].as_object().expect("paths");
    let methods = |(path, item): (&String, &Value)| {
        let methods = item.as_object().expect("methods").keys();
        methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(methods).collect()
}

#[test]
fn every_route_has_its_scope_and_every_scope_its_routes() {
    let ground = Ground::accepting("token_limit = \"off\"\naddress_limit = \"off\"");
    let known: BTreeSet<_> =
        ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned())).collect();
    let missing: Vec<_> = documented(&ground).difference(&known).cloned().collect();
    assert!(missing.is_empty(), "no rule is written here for {missing:?}");
    // What is no part of the document has one too.
    let router = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/router.rs"));
    let router = router.expect("read");
    let texts = router.split('"').skip(1).step_by(2);
    let paths: BTreeSet<_> = texts.filter(|text| text.starts_with('/')).collect();
    assert!(paths.len() > 9, "{paths:?}");
    for path in paths {
        assert!(ROUTES.iter().any(|(_, known, _)| *known == path), "no rule is written here for {path}");
    }

    assert_eq!(ground.post(r#"{"channel": "run", "message": "x"}"#).status, 202);
    let ask = |method: &str, path: &str, token: Option<&str>| -> Answer {
        let path = path.replace("{id}", "1");
        let bearer = token.map(|token| format!("Authorization: Bearer {token}"));
        // Without a body: curl would wait for one.
        let method = if method == "HEAD" { vec!["--head"] } else { vec!["-X", method] };
        let mut args = [&method[..], &["-H", "Accept: application/json"]].concat();
        args.extend(bearer.iter().flat_map(|bearer| ["-H", bearer.as_str()]));
        if (&*method, &*path) == (&["-X", "POST"], "/v1/notifications") {
            args.extend(["--json", r#"{"channel": "run", "message": "x"}"#]);
        }
        ground.ask_by_tcp(&path, &args)
    };
    let mut tokens = BTreeMap::new();
    for scope in ["enqueue", "read", "admin", "personal"] {
        let token = ground.sandbox.ok(&["token", "create", "--name", scope, "--scope", scope]);
        tokens.insert(scope, token.trim_end().to_owned());
    }
    // Those who may not first: nothing of what they ask for has happened.
    for (method, path, needed) in ROUTES {
        let Some(needed) = needed else { continue };
        for (scope, token) in tokens.iter().filter(|(scope, _)| *scope != needed) {
            let refused = ask(method, path, Some(token));
            assert_eq!(refused.status, 403, "{method} {path} with {scope}: {refused:?}");
            assert!(refused.problem().contains(&format!("lacks the scope `{needed}`")), "{refused:?}");
        }
        for nobody in [None, Some("nctl_1_x")] {
            assert_eq!(ask(method, path, nobody).status, 401, "{method} {path} with {nobody:?}");
        }
        // Whatever else the path is asked by.
        assert!(matches!(ask("PUT", path, None).status, 401 | 405), "{path}");
        assert!(!ask("HEAD", path, None).head.starts_with("HTTP/1.1 2"), "{path}");
    }
    assert_eq!(ground.sandbox.accepted(), 1);
    assert!(ground.sandbox.ok(&["show", "1"]).contains("pending"));
    for (method, path, needed) in ROUTES {
        let token = needed.map(|needed| tokens[needed].as_str());
        let answer = ask(method, path, token);
        // There is no batch.
        let found = answer.status < 300 || (path.contains("batches") && answer.status == 404);
        assert!(found, "{method} {path}: {answer:?}");
    }
    assert_eq!(ground.sandbox.accepted(), 2);
}

/// What only they may see who have the scope `personal`.
const PERSONAL: [&str; 10] = [
    "annika",
    "Brandt",
    "b3nutzer",
    "Betreff",
    "Liebe",
    "Fett",
    "Schlüssel",
    "Kopfwert",
    "Vertrag",
    "Lieblingsfarbe",
];

/// An endpoint that refuses everybody's password, and repeats who was to be told.
fn endpoint() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 65_536]);
            let body = "annika.brandt@example.org: Brandt mag diese Lieblingsfarbe";
            let _ = write!(
                stream,
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    port
}

#[test]
fn who_may_not_see_personal_data_sees_none_whatever_is_asked_for() {
    let hook = format!(
        "token_limit = \"off\"\naddress_limit = \"off\"\n[channels.hook]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\n\
         [channels.bad]\nkind = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"echo annika.brandt@example.org Lieblingsfarbe >&2; exit 1\"]\n",
        endpoint()
    );
    let ground = Ground::new(&hook);
    let row = |channel: &str| {
        json!({
            "channel": channel, "to": "annika.brandt@example.org", "subject": "Betreff", "message": "Liebe Frau Brandt",
            "html": "<b>Fett</b>", "key": format!("Schlüssel {channel}"), "headers": {"X-Note": "Kopfwert"},
            "attachments": [{"name": "Vertrag.txt", "content": "eA=="}],
        })
    };
    ground.sandbox.ok(&["user", "set", "b3nutzer", "--to", "annika.brandt@example.org"]);
    let posted = ground.post(&json!([row("bad"), row("hook")]).to_string());
    assert_eq!(posted.status, 202, "{posted:?}");
    let user = ground.post(r#"{"channel": "bad", "user_id": "b3nutzer", "message": "Liebe", "in": "1h"}"#);
    assert_eq!(user.status, 202, "{user:?}");
    ground.sandbox.ok(&["channel", "hold", "run", "--reason", "Frau Brandt fragen"]);
    let token = |name: &str, scope: &str| {
        ground.sandbox.ok(&["token", "create", "--name", name, "--scope", scope]).trim_end().to_owned()
    };
    let (masked, whole) = (token("m", "read,enqueue,admin"), token("w", "read,enqueue,admin,personal"));
    let ask = |path: &str, token: &str, args: &[&str]| {
        let bearer = format!("Authorization: Bearer {token}");
        ground.ask_by_tcp(path, &[args, &["-H", &bearer]].concat())
    };
    until("one is dead, and the other's channel is in trouble", || {
        let status = ask("/v1/status", &whole, &[]).json();
        status["counts"]["dead"] == 1 && !status["channels"]["hook"]["trouble"].is_null()
    });

    let mut seen = String::new();
    let json = ["-H", "Accept: application/json"];
    let gets: BTreeSet<_> =
        documented(&ground).into_iter().filter(|(method, _)| method == "GET").map(|(_, path)| path).collect();
    let mut asked: Vec<(String, &[&str])> = Vec::new();
    for path in gets {
        for id in if path.contains("{id}") { 1..=3 } else { 1..=1 } {
            let after = if path == "/v1/events" { "?after=0-0" } else { "" };
            asked.push((path.replace("{id}", &id.to_string()) + after, &json));
        }
    }
    // What is answered to who steers or waits.
    asked.push((
        "/v1/notifications?wait=20s".into(),
        &["--json", r#"{"channel": "bad", "to": "annika", "message": "Liebe"}"#],
    ));
    asked.push(("/v1/notifications/1/requeue".into(), &["-X", "POST"]));
    asked.push(("/v1/notifications/3".into(), &["-X", "DELETE"]));
    asked.push(("/v1/notifications/1".into(), &["-X", "DELETE"]));
    for (path, args) in &asked {
        let answer = ask(path, &masked, args);
        for word in PERSONAL {
            assert!(
                !answer.body.contains(word) && !answer.head.contains(word),
                "{word} in {path}: {answer:?}"
            );
        }
        seen += &ask(path, &whole, args).body;
    }
    // A stream, which has no end, for a second.
    let stream = |token: &str| ask("/v1/events?after=0-0", token, &["--max-time", "1"]).body;
    let told = stream(&masked);
    assert!(told.contains("data: ") && !PERSONAL.iter().any(|word| told.contains(word)), "{told}");
    assert!(stream(&whole).contains("annika.brandt@"));
    // Each of these words is there to be seen.
    for word in PERSONAL {
        assert!(seen.contains(word), "{word} is nowhere in {seen}");
    }
    let log = std::fs::read_to_string(ground.sandbox.path().join("log")).expect("the log");
    // The line of an attempt repeats the other side's words, as the attempt itself does.
    for line in log.lines().filter(|line| !line.contains(" delivery attempt ")) {
        assert!(!PERSONAL.iter().any(|word| line.contains(word)), "{line}");
    }
}
