//! P11, bad input: each is answered with what is wrong, nothing is enqueued, and the daemon lives on.

use serde_json::{Value, json};

use super::ground::{Answer, Ground};

fn pointers(answer: &Answer) -> Vec<String> {
    let problems = answer.json()["problems"].clone();
    let all = problems.as_array().cloned().unwrap_or_default();
    all.iter().map(|problem| problem["pointer"].as_str().expect("a pointer").to_owned()).collect()
}

#[test]
fn every_problem_of_every_row_is_told_with_its_place() {
    let ground = Ground::accepting("");
    let refused = ground.post(r#"{"channel": "rum", "mesage": "x", "ttl": 60, "message": 7}"#);
    assert_eq!(refused.status, 422);
    assert_eq!(pointers(&refused), ["", "/ttl", "/message", "/channel"], "{refused:?}");
    let said = refused.problem();
    assert!(said.contains("did you mean `message`?") && said.contains("did you mean `run`?"), "{said}");

    let rows = json!([
        {"channel": "run", "message": "fine"},
        {"channel": "run"},
        {"channel": "run", "message": "x", "to": ["a\nb", "c"]},
    ]);
    let refused = ground.post(&rows.to_string());
    assert_eq!((refused.status, pointers(&refused)), (422, vec!["/1/message".into(), "/2/to".into()]));

    // PHP writes an object without names so.
    let refused = ground.post(r#"{"channel": "run", "message": "x", "headers": []}"#);
    assert_eq!((refused.status, pointers(&refused)), (422, vec!["/headers".into()]));
    let said = refused.problem();
    assert!(
        said.contains("is an empty list; write an object, or a list of pairs, or leave it out"),
        "{said}"
    );

    let lines = "{\"channel\": \"run\", \"message\": \"fine\"}\n\n{\"channel\": \"run\"}\n";
    let refused = ground
        .ask("/v1/notifications", &["-H", "Content-Type: application/x-ndjson", "--data-binary", lines]);
    assert_eq!((refused.status, pointers(&refused)), (422, vec!["/3/message".into()]));
    assert_eq!(ground.sandbox.accepted(), 0, "all of a request, or nothing");
}

#[test]
fn what_is_no_json_is_told_with_its_position() {
    let ground = Ground::accepting("");
    let deep = format!("{{\"headers\": {}", "[".repeat(100_000));
    let deep_list = "[".repeat(100_000);
    for (body, says) in [
        (r#"{"message": "x",}"#, "column 17"),
        ("{\n\"message\": \"x\"\n\"to\": 1}", "line 3, column 1"),
        ("[{\"message\": \"x\"},\n 7 8]", "line 2, column 4"),
        (r#"[{"message": "x"}, 7]"#, "is not a JSON object"),
        ("hello", "is not JSON: expected value (column 1)"),
        ("\n{}\n{", "is not JSON: trailing characters (line 3, column 1)"),
        ("\n hello", "is not JSON: expected value (line 2, column 2)"),
        ("", "is not JSON: EOF while parsing a value"),
        ("7", "is not a JSON object"),
        (r#""secret""#, "is not a JSON object"),
        (deep.as_str(), "recursion limit"),
        (deep_list.as_str(), "EOF"),
    ] {
        let file = ground.sandbox.path().join("body");
        std::fs::write(&file, body).expect("write the body");
        let refused = ground.ask("/v1/notifications", &["--json", &format!("@{}", file.display())]);
        assert_eq!(refused.status, 400, "{says}: {refused:?}");
        assert!(refused.problem().contains(says) && !refused.body.contains("secret"), "{says}: {refused:?}");
    }
    let file = ground.sandbox.path().join("body");
    std::fs::write(&file, b"{\"message\": \"\xff\"}").expect("write the body");
    let refused = ground.ask("/v1/notifications", &["--json", &format!("@{}", file.display())]);
    assert!(refused.status == 400 && refused.problem().contains("not UTF-8 from byte 14"), "{refused:?}");
    assert_eq!(ground.post("[]").status, 422);
    assert_eq!(ground.sandbox.accepted(), 0);
    assert_eq!(ground.ask("/healthz", &[]).status, 200);
}

#[test]
fn what_is_asked_in_a_way_that_there_is_not_is_answered_so() {
    let ground = Ground::accepting("max_body = \"1KiB\"");
    let path = "/v1/notifications";
    for (status, path, args) in [
        (404, "/v1/notification", &[][..]),
        (404, "/v1/notifications/0", &[]),
        (404, "/v1/notifications/x", &[]),
        (404, "/v1/notifications/7", &[]),
        (404, "/v1/notifications/99999999999999999999", &[]),
        (404, "/v1/batches/7", &[]),
        (404, "/v1/notifications/7", &["-X", "DELETE"]),
        (404, "/v1/notifications/7/requeue", &["-X", "POST"]),
        (405, path, &["-X", "PUT"]),
        (405, "/v1/status", &["-d", "x"]),
        (400, "/v1/notifications?statsu=sent", &[]),
        (400, "/v1/notifications?status=lost", &[]),
        (400, "/v1/notifications?limit=1001", &[]),
        (400, "/v1/notifications?cursor=x", &[]),
        (400, "/v1/notifications?since=2999-01-01", &[]),
        (400, "/v1/notifications?wait=soon", &["--json", "{}"]),
        (400, "/v1/notifications?wait=2h", &["--json", "{}"]),
        (400, path, &["--json", "{}", "-H", "Idempotency-Key;"]),
        (415, path, &["-d", "message=x"]),
        (415, path, &["--json", "{}", "-H", "Content-Encoding: gzip"]),
    ] {
        let refused = ground.ask(path, args);
        assert_eq!(refused.status, status, "{path} {args:?}: {refused:?}");
        refused.problem();
    }
    assert_eq!(ground.ask("/v1/status", &["-X", "PUT"]).header("allow"), Some("GET,HEAD"));
    let told = ground.ask("/v1/notifications?statsu=sent", &[]).problem();
    assert!(told.contains("did you mean `status`?"), "{told}");

    let file = ground.sandbox.path().join("body");
    std::fs::write(&file, format!("{{\"message\": \"{}\"}}", "x".repeat(2_000))).expect("write the body");
    let body = format!("@{}", file.display());
    for header in ["Expect: 100-continue", "Transfer-Encoding: chunked"] {
        let refused = ground.ask(path, &["--json", &body, "-H", header]);
        assert_eq!(refused.status, 413, "{header}: {refused:?}");
        refused.problem();
    }
    let many: Vec<String> = (0..200).flat_map(|n| ["-H".to_owned(), format!("X-{n}: x")]).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(ground.ask("/healthz", &many).status, 431);
    let long = format!("X-Long: {}", "x".repeat(100_000));
    assert_eq!(ground.ask("/healthz", &["-H", &long]).status, 431);
}

#[test]
fn a_key_that_is_used_again_answers_as_before_or_says_that_it_was_for_something_else() {
    let ground = Ground::accepting("");
    let body = |message: &str| json!({"channel": "run", "message": message}).to_string();
    let post = |key: &str, body: &str| {
        ground.ask("/v1/notifications", &["--json", body, "-H", &format!("Idempotency-Key: {key}")])
    };
    let first = post("k", &body("x"));
    assert_eq!((first.status, &first.json()["created"]), (202, &json!(true)));
    // As the draft writes it, and as most do.
    let again = post("\"k\"", &body("x"));
    assert_eq!(
        (again.status, &again.json()["created"], &again.json()["id"]),
        (202, &json!(false), &first.json()["id"])
    );
    let other = post("k", &body("y"));
    assert!(other.status == 409 && other.problem().contains("something else"), "{other:?}");
    let field = ground.post(&json!({"channel": "run", "message": "y", "key": "k"}).to_string());
    assert_eq!(field.status, 409);
    assert_eq!(post("k", &json!({"message": "x", "key": "other"}).to_string()).status, 400);

    let rows = |last: &str| {
        let row = |message: &str| json!({"channel": "run", "message": message});
        Value::from(vec![row("a"), row(last)]).to_string()
    };
    let batch = post("b", &rows("b"));
    let again = post("b", &rows("b"));
    assert_eq!((batch.status, again.status), (202, 202), "{batch:?} {again:?}");
    assert_eq!(again.json()["batch"], batch.json()["batch"], "no batch of nothing is made");
    assert!(again.json()["notifications"].as_array().expect("all").iter().all(|one| one["created"] == false));
    assert_eq!(post("b", &rows("c")).status, 409);
    // Twice in one request.
    let twice = json!([{"channel": "run", "message": "a", "key": "t"}, {"channel": "run", "message": "b", "key": "t"}]);
    assert_eq!(ground.post(&twice.to_string()).status, 409);
    assert_eq!(ground.sandbox.accepted(), 3);
    ground.sandbox.ok(&["db", "check"]);
}

#[test]
fn a_full_queue_says_when_to_come_again() {
    let ground = Ground::accepting("max_pending = 2");
    let body = r#"{"channel": "run", "message": "x"}"#;
    let mut accepted = 0;
    let refused = loop {
        let answer = ground.post(body);
        match answer.status {
            202 => accepted += 1,
            _ => break answer,
        }
        // A count is good for a quarter of a second.
        assert!(accepted < 500, "nothing is refused");
    };
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some() && refused.problem().contains("full"), "{refused:?}");
    assert_eq!(ground.sandbox.accepted(), accepted);
    ground.sandbox.ok(&["cancel", "--all"]);
    crate::support::daemon::until("there is room again", || ground.post(body).status == 202);
}

/// What is sent in two pieces, as many clients do, is refused before the second one is there: the answer arrives, and the
/// connection outlives that, however long the body, and whoever refuses it before it is read.
#[test]
fn a_connection_outlives_a_refusal_unless_the_body_does_not_come() {
    use std::io::{Read, Write};
    let ground = Ground::accepting("");
    let mut stream = std::net::TcpStream::connect(ground.daemon.address()).expect("connect");
    stream.set_nodelay(true).expect("send at once");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("set the patience");
    let mut ask = |line: &str, length: usize, body: &[u8], status: &str| {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("write the head");
        assert_eq!(stream.peek(&mut [0]).expect("the answer"), 1, "{line}");
        stream.write_all(body).expect("write the body");
        let (mut answer, mut piece) = (String::new(), [0; 4_096]);
        while !answer.contains("\r\n\r\n") || !answer.ends_with('}') {
            let read = stream.read(&mut piece).expect("an answer");
            assert!(read > 0, "{line}: closed behind {answer:?}");
            answer.push_str(std::str::from_utf8(&piece[..read]).expect("UTF-8"));
        }
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
        assert!(!answer.to_lowercase().contains("connection: close"), "{line}: {answer}");
    };
    let (small, large) = (br#"{"to": "ops", "message": "m"}"#.to_vec(), vec![b' '; 20 << 20]);
    for body in [&small, &large, &small] {
        ask("POST /v1/notifications", body.len(), body, "401");
        ask("POST /nowhere", body.len(), body, "404");
        ask("PUT /v1/notifications", body.len(), body, "405");
    }
    ask("POST /v1/notifications", 1 << 20, b"{", "401");
    let end = match stream.read(&mut [0; 16]) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
        end => end.expect("it is not waited for for long"),
    };
    assert_eq!(end, 0);
}

/// Who asks first whether to send it, and is told to, is refused in the middle.
#[test]
fn a_body_that_was_asked_for_is_read_to_its_end_also_where_it_is_too_large() {
    use std::io::{Read, Write};
    let ground = Ground::accepting("loopback_without_token = true");
    let mut stream = std::net::TcpStream::connect(ground.daemon.address()).expect("connect");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("set the patience");
    let read = |stream: &mut std::net::TcpStream, end: &str| {
        let (mut answer, mut piece) = (String::new(), [0; 4_096]);
        while !answer.ends_with(end) {
            let read = stream.read(&mut piece).expect("an answer");
            assert!(read > 0, "closed behind {answer:?}");
            answer.push_str(std::str::from_utf8(&piece[..read]).expect("UTF-8"));
        }
        answer
    };
    for _ in 0..2 {
        let head = "POST /v1/notifications HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                    Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("write the head");
        assert_eq!(read(&mut stream, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
        let piece = format!("100000\r\n{}\r\n", " ".repeat(1 << 20));
        // Longer than any buffer on the way behind what is taken: a client that writes first and reads then.
        (0..40)
            .for_each(|n| stream.write_all(piece.as_bytes()).unwrap_or_else(|error| panic!("{n}: {error}")));
        stream.write_all(b"0\r\n\r\n").expect("write the end");
        let answer = read(&mut stream, "}");
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
}

/// Whoever waits to be told to send a body, and is refused, hears that the connection ends (RFC 9110 section 10.1.1); whoever sends it
/// at once, since that was no such wait, is not cut off.
#[test]
fn a_refusal_of_a_body_that_is_held_back_says_that_the_connection_ends() {
    use std::io::{Read, Write};
    let ground = Ground::accepting("");
    let connect = || {
        let stream = std::net::TcpStream::connect(ground.daemon.address()).expect("connect");
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("set the patience");
        stream
    };
    let head = |version: &str, line: &str, length: usize| {
        format!(
            "POST /v1/notifications HTTP/{version}\r\nHost: localhost\r\n{line}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let mut stream = connect();
    stream.write_all(head("1.1", "Expect: 100-Continue", 100).as_bytes()).expect("write the head");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer, and the end");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
    // Where there is nothing to wait for it stays.
    let mut stream = connect();
    for _ in 0..2 {
        stream.write_all(head("1.1", "Expect: 100-continue", 0).as_bytes()).expect("write");
        let (mut answer, mut piece) = (String::new(), [0; 4_096]);
        while !answer.ends_with('}') {
            let read = stream.read(&mut piece).expect("an answer");
            assert!(read > 0, "closed behind {answer:?}");
            answer.push_str(std::str::from_utf8(&piece[..read]).expect("UTF-8"));
        }
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(!answer.to_lowercase().contains("connection: close"), "{answer}");
    }
    // More than any buffer on the way takes: all of it can be written, and the answer is there.
    let body = vec![b' '; 30 << 20];
    for (version, line) in [("1.0", "Expect: 100-continue"), ("1.1", "Expect: something-else")] {
        let mut stream = connect();
        stream.write_all(head(version, line, body.len()).as_bytes()).expect("write the head");
        stream.write_all(&body).unwrap_or_else(|error| panic!("{version} {line}: {error}"));
        stream.shutdown(std::net::Shutdown::Write).expect("no more comes");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer, and the end");
        assert!(answer.contains(" 401 "), "{version} {line}: {answer}");
    }
}
