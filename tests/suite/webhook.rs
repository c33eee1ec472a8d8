//! The webhook kind against a real receiver that checks signatures, and against peers that misbehave.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use notifyctl::channel::smtp::Timeouts;
use notifyctl::channel::{Envelope, Options, webhook};
use notifyctl::model::{Outcome, Reason, Scope, Verdict};

use crate::support::Sandbox;
use crate::support::certificate::Certificate;
use crate::support::channels::{attempt, build, envelope, runtime, short};
use crate::support::webhooks::{Peer, Receiver, read_request};

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OTHER: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn options(url: &str) -> webhook::Options {
    webhook::Options::new(url.into())
}

fn post(options: &webhook::Options, envelope: &Envelope) -> Verdict {
    attempt(&Options::Webhook(options.clone()), envelope)
}

/// One attempt with all of its time: for an answer that comes.
fn patiently(url: &str, message: &str) -> Verdict {
    post(&options(url), &envelope(message))
}

/// One attempt with half a second of time: for an answer that never comes.
fn hurry(url: &str, message: &str) -> Verdict {
    let options = webhook::Options { timeout: Duration::from_millis(500), ..options(url) };
    post(&options, &envelope(message))
}

fn secrets(dir: &Path, lines: &[&str]) -> PathBuf {
    let path = dir.join("secrets");
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    file.and_then(|mut file| file.write_all(lines.join("\n").as_bytes())).expect("write the secrets");
    path
}

#[test]
fn the_published_library_verifies_the_signature_also_while_a_secret_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::start(&[OLD, NEW, OTHER]);
    let url = format!("http://127.0.0.1:{}/hook", receiver.port);
    for (lines, verified) in [
        (&[OLD][..], [true, false, false]),
        (&["# since monday", NEW, "", OLD], [true, true, false]),
        (&[NEW], [false, true, false]),
    ] {
        let options = webhook::Options { secrets_file: Some(secrets(dir.path(), lines)), ..options(&url) };
        let verdict = post(&options, &envelope("größer \u{1f525}\n.\n"));
        assert_eq!((verdict.outcome, verdict.detail.as_str()), (Outcome::Sent, "HTTP 202: {\"ok\": true}"));
        assert_eq!(receiver.next()["verified"], serde_json::json!(verified), "{lines:?}");
    }
}

#[test]
fn the_default_is_a_post_of_the_envelope_under_the_same_id_on_every_attempt() {
    let mut receiver = Receiver::start(&[]);
    let options = options(&format!("http://127.0.0.1:{}/hook?a=b", receiver.port));
    for attempt in [1, 2] {
        let envelope = Envelope { attempt, ..envelope("x") };
        assert_eq!(post(&options, &envelope).outcome, Outcome::Sent);
        let request = receiver.next();
        assert_eq!((&request["method"], &request["path"]), (&"POST".into(), &"/hook?a=b".into()));
        let headers = &request["headers"];
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["webhook-id"], envelope.stable_id);
        assert_eq!(headers["user-agent"], concat!("notifyctl/", env!("CARGO_PKG_VERSION")));
        assert_eq!(headers["webhook-signature"], serde_json::Value::Null);
        let body: serde_json::Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        assert_eq!(body, serde_json::to_value(envelope.shape()).unwrap());
    }
}

#[test]
fn method_headers_and_body_are_the_operators() {
    let mut receiver = Receiver::start(&[OLD]);
    let dir = tempfile::tempdir().unwrap();
    let options = webhook::Options {
        method: "put".into(),
        headers: vec![
            ("Authorization".into(), "Bearer hunter2".into()),
            ("Content-Type".into(), "application/vnd.chat+json; charset=utf-8".into()),
            ("User-Agent".into(), "ours".into()),
        ],
        body: Some(webhook::Body::Inline(r#"{"text": "*{{ subject }}*: {{ message }}"}"#.into())),
        secrets_file: Some(secrets(dir.path(), &[OLD])),
        ..options(&format!("http://127.0.0.1:{}/hook", receiver.port))
    };
    assert_eq!(post(&options, &envelope("a \"b\"\n\\c")).outcome, Outcome::Sent);
    let request = receiver.next();
    assert_eq!((&request["method"], &request["verified"]), (&"PUT".into(), &serde_json::json!([true])));
    assert_eq!(request["body"], r#"{"text": "*Disk full on db-1*: a \"b\"\n\\c"}"#);
    let headers = &request["headers"];
    assert_eq!(headers["authorization"], "Bearer hunter2");
    assert_eq!(headers["content-type"], "application/vnd.chat+json; charset=utf-8");
    assert_eq!(headers["user-agent"], "ours");
}

#[test]
fn a_template_that_fails_settles_that_notification_alone() {
    let peer = Peer::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let body = Some(webhook::Body::Inline(r#"{"to": "{{ headers["X-Room"] }}"}"#.into()));
    let options = webhook::Options { body, ..options(&peer.url("/")) };
    let mut envelope = envelope("x");
    let verdict = post(&options, &envelope);
    assert_eq!(short(&verdict), (Outcome::Rejected, Reason::Unsendable));
    assert!(verdict.detail.contains("undefined value: "), "{}", verdict.detail);
    assert_eq!(peer.connections(), 0);
    envelope.content.headers = vec![("X-Room".into(), "ops".into())];
    assert_eq!(short(&post(&options, &envelope)), (Outcome::Sent, Reason::Accepted));
}

#[test]
fn what_cannot_be_used_is_refused_when_the_channel_is_built() {
    let dir = tempfile::tempdir().unwrap();
    let base = || options("https://example.org/services/T0123456789ABCDEF");
    let header =
        |name: &str, value: &str| webhook::Options { headers: vec![(name.into(), value.into())], ..base() };
    let body = |body| webhook::Options { body: Some(body), ..base() };
    for (options, said) in [
        (options("T0123456789ABCDEF"), "channels.under-test.url: is not a URL (relative URL without a base)"),
        (options("ftp://example.org/T0123456789ABCDEF"), "channels.under-test.url: has the scheme `ftp`"),
        (options("https://"), "channels.under-test.url: is not a URL (empty host)"),
        (
            webhook::Options { method: "HEAD".into(), ..base() },
            "channels.under-test.method: `HEAD` is not one of",
        ),
        (header("X A", "v"), "channels.under-test.headers: `X A` is not a header's name"),
        (
            header("X-A", "hunter2\r\nX-B: c"),
            "channels.under-test.headers: the value of `X-A` holds a line break",
        ),
        (
            header("Content-Length", "0"),
            "channels.under-test.headers: `Content-Length` is notifyctl's to set",
        ),
        (header("Webhook-Id", "0"), "channels.under-test.headers: `Webhook-Id` is notifyctl's to set"),
        (body(webhook::Body::Inline("{{".into())), "channels.under-test.body: is not a template: "),
        (
            body(webhook::Body::File("/nonexistent".into())),
            "channels.under-test.body: /nonexistent: No such file",
        ),
        (
            body(webhook::Body::File("/dev/zero".into())),
            "channels.under-test.body: /dev/zero: not a regular file",
        ),
        (
            webhook::Options { secrets_file: Some(secrets(dir.path(), &[OLD, "hunter2"])), ..base() },
            "channels.under-test.secrets_file: secret 2 in ",
        ),
    ] {
        let error = Options::Webhook(options).build("under-test").err().expect(said).to_string();
        assert!(error.starts_with(said), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("T0123"), "{error}");
    }
}

#[test]
fn patience_is_asked_in_the_header_or_in_the_body() {
    for (reply, reason, seconds) in [
        ("429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", Reason::RateLimited, 7),
        ("503 Busy\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", Reason::TemporaryFailure, 9),
        ("429 Slow\r\nContent-Length: 21\r\n\r\n{\"retry_after\": 64.0}", Reason::RateLimited, 64),
    ] {
        let peer = Peer::answering(format!("HTTP/1.1 {reply}"));
        let verdict = patiently(&peer.url("/"), "x");
        assert_eq!(short(&verdict), (Outcome::Deferred, reason), "{reply}");
        assert_eq!(
            (verdict.scope, verdict.retry_after),
            (Scope::Channel, Some(Duration::from_secs(seconds)))
        );
    }
}

#[test]
fn a_redirect_is_not_followed_and_its_target_is_told_without_what_may_be_a_token() {
    let elsewhere = Peer::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    for location in [elsewhere.url("/T0123456789ABCDEF?x=hunter2"), format!("//{}/T0123", elsewhere.address)]
    {
        let peer = Peer::answering(format!(
            "HTTP/1.1 307 Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ));
        let verdict = patiently(&peer.url("/"), "x");
        assert_eq!(
            (short(&verdict), verdict.scope),
            ((Outcome::Deferred, Reason::ProtocolError), Scope::Channel)
        );
        assert_eq!(verdict.detail, format!("HTTP 307 to http://{}, not followed", elsewhere.address));
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn nothing_that_listens_is_the_channels_trouble() {
    let gone = Peer::answering("").url("/T0123456789ABCDEF");
    for url in [gone.as_str(), "http://nonexistent.invalid/T0123456789ABCDEF"] {
        let verdict = post(&options(url), &envelope("x"));
        assert_eq!(
            (short(&verdict), verdict.scope),
            ((Outcome::Deferred, Reason::Unreachable), Scope::Channel)
        );
        assert!(!verdict.detail.is_empty() && !verdict.detail.contains("T0123"), "{}", verdict.detail);
    }
}

/// Far more than the buffers between two sockets hold.
fn long() -> String {
    "x".repeat(16 << 20)
}

#[test]
fn without_an_answer_it_depends_on_whether_the_request_can_have_arrived_whole() {
    let unknown = (Outcome::Unknown, Reason::NoAnswer);
    let silent = Peer::start(|mut stream| {
        read_request(&mut stream);
        let _ = stream.read(&mut [0]);
    });
    let verdict = hurry(&silent.url("/T0123456789ABCDEF"), "x");
    assert_eq!((short(&verdict), verdict.detail.as_str()), (unknown, "no answer within 500ms"));

    let closing = Peer::start(|mut stream| drop(read_request(&mut stream)));
    let verdict = patiently(&closing.url("/T0123456789ABCDEF"), "x");
    assert_eq!(short(&verdict), unknown);
    assert!(verdict.detail.contains("connection closed") && !verdict.detail.contains("T0123"));

    // Closed with bytes unread: a reset.
    let resetting = Peer::start(|mut stream| drop(stream.read(&mut [0])));
    assert_eq!(short(&patiently(&resetting.url("/"), "x")), unknown);

    let deaf = Peer::start(|stream| std::thread::park_timeout(stream.read_timeout().unwrap().unwrap()));
    let verdict = hurry(&deaf.url("/"), &long());
    assert_eq!(short(&verdict), (Outcome::Deferred, Reason::Timeout));
    assert_eq!(verdict.detail, "the request was not taken whole within 500ms");

    let breaking = Peer::start(|mut stream| drop(stream.read_exact(&mut [0; 100_000])));
    let verdict = post(&options(&breaking.url("/")), &envelope(&long()));
    assert_eq!(
        (short(&verdict), verdict.scope),
        ((Outcome::Deferred, Reason::ConnectionLost), Scope::Notification)
    );
}

#[test]
fn what_is_no_http_leaves_the_end_unknown() {
    let many = "X-A: b\r\n".repeat(100_000);
    for reply in [
        "220 mail.example.org ESMTP\r\n".to_owned(),
        "\0\u{1}\u{2}\u{3}\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nX-A: {}\r\n\r\n", "a".repeat(2 << 20)),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
    ] {
        let peer = Peer::answering(reply.clone());
        let verdict = patiently(&peer.url("/"), "x");
        assert_eq!(short(&verdict), (Outcome::Unknown, Reason::NoAnswer), "{reply:.40} {verdict:?}");
    }
}

/// Sends `piece` again and again until the other side has had enough; gives how many bytes that were.
fn endlessly(stream: &mut TcpStream, piece: &[u8], pause: Duration) -> usize {
    let mut sent = 0;
    while stream.write_all(piece).is_ok() {
        sent += piece.len();
        std::thread::park_timeout(pause);
    }
    sent
}

/// Takes the five seconds for which the rest of an answer is waited for.

#[test]
fn the_status_line_counts_however_slow_or_long_the_rest_is() {
    let slow = Peer::start(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 1000000\r\n\r\nthe reason ");
        endlessly(&mut stream, b".", Duration::from_millis(20));
    });
    let verdict = patiently(&slow.url("/"), "x");
    assert_eq!(short(&verdict), (Outcome::Deferred, Reason::TemporaryFailure));
    assert!(verdict.detail.starts_with("HTTP 500: the reason ."), "{}", verdict.detail);

    let (sent, counted) = mpsc::channel();
    let endless = Peer::start(move |mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        let _ = sent.send(endlessly(&mut stream, &[b'y'; 65536], Duration::ZERO));
    });
    let verdict = patiently(&endless.url("/"), "x");
    // No more than the buffers between hold: who listens for as long as there is time takes gigabytes.
    let sent = counted.recv_timeout(Duration::from_secs(30)).expect("it is hung up on");
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    assert_eq!((verdict.outcome, verdict.detail.len()), (Outcome::Sent, Verdict::DETAIL_LIMIT));

    let dripping = Peer::start(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-A: ");
        endlessly(&mut stream, b"a", Duration::from_millis(20));
    });
    assert_eq!(short(&hurry(&dripping.url("/"), "x")), (Outcome::Unknown, Reason::NoAnswer));

    let hinting = Peer::answering("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(patiently(&hinting.url("/"), "x").detail, "HTTP 204");
}

#[test]
fn what_comes_before_the_answer_is_not_listened_to_for_ever() {
    for hint in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"] {
        let many = Peer::answering(hint.repeat(1_000) + "HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(post(&options(&many.url("/")), &envelope("x")).detail, "HTTP 204");

        let endless = Peer::start(move |mut stream| {
            read_request(&mut stream);
            endlessly(&mut stream, hint.repeat(1_000).as_bytes(), Duration::ZERO);
        });
        let verdict = post(&options(&endless.url("/")), &envelope("x"));
        assert_eq!(short(&verdict), (Outcome::Unknown, Reason::NoAnswer));
        assert!(verdict.detail.contains("the answer's head is longer than 64 KiB"), "{}", verdict.detail);
    }
}

#[test]
fn a_small_reply_that_unpacks_to_a_large_one_is_cut() {
    let bomb = Command::new("sh").args(["-c", "head -c 50000000 /dev/zero | tr '\\0' z | gzip -9"]).output();
    let bomb = bomb.expect("gzip").stdout;
    let mut reply =
        format!("HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len())
            .into_bytes();
    reply.extend(bomb);
    let verdict = post(&options(&Peer::answering(reply).url("/")), &envelope("x"));
    assert_eq!(short(&verdict), (Outcome::Rejected, Reason::MessageRejected));
    assert!(verdict.detail.starts_with("HTTP 400: zzz") && verdict.detail.len() == Verdict::DETAIL_LIMIT);
}

#[test]
fn a_refusal_before_the_request_is_taken_whole_counts() {
    let peer = Peer::start(|mut stream| {
        let _ = stream.read_exact(&mut [0; 100_000]);
        let _ = stream
            .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo long");
        let mut rest = [0; 65536];
        while stream.read(&mut rest).is_ok_and(|count| count > 0) {}
    });
    let verdict = post(&options(&peer.url("/")), &envelope(&long()));
    assert_eq!(
        (short(&verdict), verdict.detail.as_str()),
        ((Outcome::Rejected, Reason::MessageRejected), "HTTP 413: too long")
    );
}

#[test]
fn secrets_that_the_other_side_repeats_are_taken_out() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(|mut stream| {
        let (head, _) = read_request(&mut stream);
        let reply = format!(
            "no such hook: {head} http://127.0.0.1/T0123456789ABCDEF.a%20b/x hunter2-2 T0123456789ABCDEF.a b {OLD}"
        );
        let _ = write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n{reply}", reply.len());
    });
    let options = webhook::Options {
        headers: vec![
            ("Authorization".into(), "Bearer hunter2-1".into()),
            ("X-Key".into(), "hunter2-2".into()),
        ],
        secrets_file: Some(secrets(dir.path(), &[OLD])),
        ..options(&format!("http://me:hunter2-3@{}/T0123456789ABCDEF.a%20b/x?key=hunter2-4", peer.address))
    };
    let verdict = post(&options, &envelope("x"));
    assert_eq!(short(&verdict), (Outcome::Rejected, Reason::MessageRejected));
    for secret in ["hunter2", "T0123", "MfKQ9r8"] {
        assert!(!verdict.detail.contains(secret), "{}", verdict.detail);
    }
    assert!(verdict.detail.starts_with("HTTP 404: no such hook: POST [secret]"), "{}", verdict.detail);
    assert!(!format!("{options:?}").contains("hunter2"));
}

#[test]
fn a_connection_is_used_again_until_it_is_closed() {
    let (closed, closing) = mpsc::channel();
    let peer = Peer::start(move |mut stream| {
        for _ in 0..2 {
            if read_request(&mut stream).0.is_empty() {
                break;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
        drop(stream);
        let _ = closed.send(());
    });
    let channel = build(&Options::Webhook(options(&peer.url("/"))));
    let envelope = envelope("x");
    runtime().block_on(async {
        for _ in 0..2 {
            assert_eq!(channel.attempt(&envelope).await.outcome, Outcome::Sent);
        }
        assert_eq!(peer.connections(), 1);
        let closing = tokio::task::spawn_blocking(move || closing.recv());
        closing.await.unwrap().unwrap();
        // The connection's own task is told of its end in the same turn as we are.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(channel.attempt(&envelope).await.outcome, Outcome::Sent);
    });
    assert_eq!(peer.connections(), 2);
}

#[test]
fn where_connections_end_unsaid_behind_the_first_answer_each_request_gets_one_of_its_own() {
    let peer = Peer::start(|mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        // As one that is closed while the next request is on its way.
        read_request(&mut stream);
    });
    let channel = build(&Options::Webhook(options(&peer.url("/"))));
    let envelope = envelope("x");
    let mut outcomes = Vec::new();
    runtime().block_on(async {
        for _ in 0..5 {
            outcomes.push(channel.attempt(&envelope).await.outcome);
        }
    });
    assert_eq!(outcomes, [Outcome::Sent, Outcome::Unknown, Outcome::Sent, Outcome::Sent, Outcome::Sent]);
    assert_eq!(peer.connections(), 4);
}

/// Takes the four seconds that a connection is kept.
#[test]
fn a_connection_that_nobody_needs_is_hung_up_on() {
    let (closed, closing) = mpsc::channel();
    let peer = Peer::start(move |mut stream| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let _ = closed.send(stream.read(&mut [0]).expect("an end"));
    });
    let channel = build(&Options::Webhook(options(&peer.url("/"))));
    runtime().block_on(async {
        assert_eq!(channel.attempt(&envelope("x")).await.outcome, Outcome::Sent);
        let closing = tokio::task::spawn_blocking(move || closing.recv_timeout(Duration::from_secs(15)));
        assert_eq!(closing.await.unwrap().expect("hung up on"), 0);
    });
}

/// A certificate for localhost, and its key.
fn certificate(dir: &Path) -> (String, String) {
    Certificate::make(&dir.join("localhost"), "DNS:localhost", &[]).paths()
}

#[test]
fn a_certificate_that_is_not_trusted_and_no_tls_at_all_are_the_channels_trouble() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(dir.path());
    let receiver = Receiver::start(&["--tls", &certificate, &key]);
    let plain = Peer::start(|mut stream| {
        let _ = stream.read(&mut [0; 10_000]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let hanging_up = Peer::start(|mut stream| drop(stream.read(&mut [0; 10_000])));
    for port in [receiver.port, plain.address.port(), hanging_up.address.port()] {
        let verdict = post(&options(&format!("https://localhost:{port}/T0123456789ABCDEF")), &envelope("x"));
        assert_eq!(
            (short(&verdict), verdict.scope),
            ((Outcome::Deferred, Reason::Tls), Scope::Channel),
            "{verdict:?}"
        );
        assert!(!verdict.detail.contains("T0123"));
    }
    let url = format!("https://localhost:{}/", receiver.port);
    let options = webhook::Options { ca_file: Some(certificate.into()), ..options(&url) };
    assert_eq!(short(&post(&options, &envelope("x"))), (Outcome::Sent, Reason::Accepted));
}

#[test]
fn certificates_that_are_renewed_are_read_again_once_somebody_is_not_trusted() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (right, key) = certificate(dir.path());
    let receiver = Receiver::start(&[OLD, "--tls", &right, &key]);
    let ca_file = dir.path().join("ca.pem");
    let ca = |file: &str| std::fs::copy(file, &ca_file).unwrap();
    ca(&certificate(other.path()).0);
    let hook = options(&format!("https://localhost:{}/", receiver.port));
    let relay = notifyctl::channel::smtp::Options {
        port: Some(receiver.port),
        tls: Some(notifyctl::channel::smtp::Tls::Implicit),
        ca_file: Some(ca_file.clone()),
        // It is its greeting that never comes.
        timeouts: Timeouts { greeting: Duration::from_secs(1), ..Timeouts::default() },
        ..notifyctl::channel::smtp::Options::new("localhost")
    };
    let hook = webhook::Options { ca_file: Some(ca_file.clone()), ..hook };
    let channels = [Options::Webhook(hook), Options::Smtp(relay)].map(|all| all.build("x").unwrap());
    let mail = {
        let mut envelope = envelope("x");
        envelope.content.recipient = "ops@example.org".into();
        envelope
    };
    let runtime = runtime();
    let reasons = || channels.each_ref().map(|channel| runtime.block_on(channel.attempt(&mail)).reason);
    assert_eq!(reasons(), [Reason::Tls, Reason::Tls]);
    ca(&right);
    // The relay is no relay, and says nothing; that is known once it is trusted.
    assert_eq!(reasons()[0], Reason::Accepted);
    assert_eq!(reasons()[1], Reason::Timeout);
}

#[test]
fn from_the_shell_to_an_endpoint_with_a_certificate_that_the_host_trusts() {
    let sandbox = Sandbox::new();
    let (certificate, key) = certificate(sandbox.path());
    let mut receiver = Receiver::start(&[OLD, "--tls", &certificate, &key]);
    let secrets = secrets(sandbox.path(), &[OLD]);
    sandbox.configure(&format!(
        "[defaults]\nchannel = \"hook\"\n[channels.hook]\nkind = \"webhook\"\nurl = \"https://localhost:{}/x\"\nsecrets_file = \"{}\"\n",
        receiver.port,
        secrets.display()
    ));
    sandbox.ok(&["enqueue", "--to", "ops", "the disk is full"]);
    let pass = sandbox.notifyctl().env("SSL_CERT_FILE", &certificate).arg("send-pending").output().unwrap();
    assert!(pass.status.success(), "{}", String::from_utf8_lossy(&pass.stderr));
    let request = receiver.next();
    assert_eq!(request["verified"], serde_json::json!([true]));
    assert!(request["body"].as_str().unwrap().contains("the disk is full"));
}
