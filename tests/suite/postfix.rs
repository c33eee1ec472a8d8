//! The smtp channel against a real Postfix: plain, with TLS, with a login; and what arrives is what was enqueued.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notifyctl::channel::smtp::{self, Mechanism, Tls};
use notifyctl::channel::{Channel, Envelope, Options};
use notifyctl::model::{Attachment, Content, Outcome, Priority, Reason, Scope, Timestamp, Verdict};
use notifyctl::secret::{SecretString, Source};

use crate::support::mail_server::postfix::Postfix;
use crate::support::python;

fn envelope(id: i64, content: Content) -> Envelope {
    Envelope {
        id,
        stable_id: format!("0123456789abcdef-{id}"),
        message_domain: "host.example.org".into(),
        channel: "relay".into(),
        attempt: 1,
        created_at: Timestamp(1_795_140_000_000),
        user_id: None,
        priority: Priority::Normal,
        content: match content.recipient.as_str() {
            "" => Content { recipient: "Ops <ops@example.org>".into(), ..content },
            _ => content,
        },
    }
}

fn hello(id: i64) -> Envelope {
    envelope(id, Content { message: "hello\n".into(), ..Content::default() })
}

fn channel(options: smtp::Options) -> Arc<dyn Channel> {
    Options::Smtp(options).build("relay").expect("a channel")
}

fn options(host: &str, port: u16) -> smtp::Options {
    smtp::Options { port: Some(port), ..smtp::Options::new(host) }
}

fn with_login(options: smtp::Options, password: &str) -> smtp::Options {
    smtp::Options {
        user: Some(Postfix::USER.into()),
        password: Some(Source::Inline(SecretString::from(password))),
        ..options
    }
}

#[track_caller]
fn assert_sent(verdict: &Verdict) {
    assert_eq!(verdict.outcome, Outcome::Sent, "{verdict:?}");
    assert!(verdict.detail.starts_with("250 2.0.0 Ok: queued as "), "{}", verdict.detail);
}

#[track_caller]
fn assert_channel_trouble(verdict: &Verdict, reason: Reason) {
    let found = (verdict.outcome, verdict.reason, verdict.scope);
    assert_eq!(found, (Outcome::Deferred, reason, Scope::Channel), "{verdict:?}");
}

/// What Python's `email` makes of the mails, by Message-ID.
pub fn read_back(mails: &[PathBuf]) -> serde_json::Map<String, serde_json::Value> {
    let script = r#"
import base64, email, email.policy, json, sys
found = {}
for path in sys.stdin.read().split("\n"):
    with open(path, "rb") as file:
        mail = email.message_from_binary_file(file, policy=email.policy.default)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert mail["Message-ID"] not in found, "twice"
    found[mail["Message-ID"]] = {
        "subject": mail["Subject"], "to": str(mail["To"]), "date": mail["Date"].datetime.isoformat(),
        "automatic": mail["Auto-Submitted"], "received": mail["Received"],
        "text": text.get_payload(decode=True).decode(),
        "html": html and html.get_payload(decode=True).decode(),
        "files": {part.get_filename(): base64.b64encode(part.get_payload(decode=True)).decode()
                  for part in mail.iter_attachments()},
        "headers": [[name, str(value)] for name, value in mail.items()],
        "defects": [str(defect) for part in mail.walk() for owner in [part, *part.values()] for defect in owner.defects],
    }
json.dump(found, sys.stdout)
"#;
    let paths: Vec<_> = mails.iter().map(|path| path.to_str().unwrap()).collect();
    let mut python = python();
    python.args(["-c", script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = python.spawn().expect("python3");
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), paths.join("\n").as_bytes()).unwrap();
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Contents that mail software likes to change.
pub fn odd_contents() -> Vec<Content> {
    let texts = [
        "",
        "\n",
        "no line end",
        "ends\n",
        "one\n.\n..two\n.",
        ".\n",
        "From me\n>From you\n",
        "Grüße, 日本語, emoji \u{1f514}\n",
        "blanks at the end  \n\t\n= =20 =\n",
        "a CR \r alone\n",
        &"long ".repeat(400),
        &format!("{}\n", "ä".repeat(2_000)),
        &"line\n".repeat(20_000),
        // At the longest line of a message, and on both sides of it.
        &[997, 998, 999].map(|n| "x".repeat(n)).join("\n"),
        &format!("{}\n", ".".repeat(998)),
        &format!("{}\n", "=".repeat(998)),
    ];
    let mut contents: Vec<Content> = texts
        .iter()
        .map(|text| Content {
            subject: Some(format!(
                "about: {}",
                text.chars().take(40).filter(|c| !c.is_control()).collect::<String>()
            )),
            message: (*text).into(),
            ..Content::default()
        })
        .collect();
    let every_byte: Vec<u8> = (0..=255).collect();
    let file = |name: &str, media_type: &str, content: Vec<u8>| Attachment {
        name: name.into(),
        media_type: media_type.into(),
        content,
    };
    contents.push(Content {
        subject: Some("with everything".into()),
        message: "see there\n".into(),
        html: Some("<p>see <b>thére</b></p>\n.\n".into()),
        attachments: vec![
            file("bytes.bin", "application/octet-stream", every_byte.repeat(50)),
            file("Prüfbericht – März.txt", "text/plain; charset=utf-8", b"line\n.\n".to_vec()),
            file("empty", "image/png", Vec::new()),
        ],
        ..Content::default()
    });
    contents.push(Content {
        recipient: "\"Müller-Lüdenscheidt, Jürgen\" <ops@example.org>".into(),
        subject: Some(format!(
            "{}{}",
            "Größenänderungsbenachrichtigung ".repeat(10),
            "\u{1f514}".repeat(100)
        )),
        headers: [
            ("X-Tag", "one"),
            ("X-Tag", "zwö und drei"),
            ("Reply-To", "Jürgen <j@example.org>, ops@example.org"),
            ("X-Sentence", "a word and another ".repeat(60).trim_end()),
            ("X-Word", &"w".repeat(900)),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        attachments: vec![
            file(&format!("{}.pdf", "ä".repeat(100)), "application/pdf", b"%PDF".to_vec()),
            file("a b; c=\"d\" 100%'s \u{1f514}.txt", "text/plain", b"From me\n.\n".to_vec()),
            file(&"long".repeat(60), "application/octet-stream", vec![b'.'; 2_000]),
        ],
        ..Content::default()
    });
    contents
}

/// What a mail that was made of `content` must read as.
#[track_caller]
pub fn assert_equal(mail: &serde_json::Value, content: &Content) {
    let recipient = if content.recipient.is_empty() { "Ops <ops@example.org>" } else { &content.recipient };
    assert_eq!(mail["defects"], serde_json::json!([]), "{}", mail["subject"]);
    assert_eq!(mail["text"], content.message);
    assert_eq!(mail["html"].as_str(), content.html.as_deref());
    assert_eq!(mail["subject"].as_str(), content.subject.as_deref());
    assert_eq!(mail["to"], recipient);
    assert_eq!(mail["automatic"], "auto-generated");
    assert_eq!(mail["files"].as_object().unwrap().len(), content.attachments.len());
    for file in &content.attachments {
        assert_eq!(mail["files"][&file.name], STANDARD.encode(&file.content), "{}", file.name);
    }
    let headers = mail["headers"].as_array().unwrap();
    let own = headers.iter().filter(|one| content.headers.iter().any(|(name, _)| one[0] == *name));
    let own: Vec<_> = own.map(|one| (one[0].as_str().unwrap(), one[1].as_str().unwrap())).collect();
    let given: Vec<_> = content.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(own, given);
}

#[tokio::test]
async fn what_arrives_is_what_was_enqueued() {
    let postfix = Postfix::start();
    let channel = channel(options("127.0.0.1", postfix.plain));
    let contents = odd_contents();
    for (id, content) in (0..).zip(&contents) {
        assert_sent(&channel.attempt(&envelope(id, content.clone())).await);
    }
    channel.close().await;
    let found = read_back(&postfix.mails(contents.len()));
    for (id, content) in contents.iter().enumerate() {
        let mail = &found[&format!("<0123456789abcdef-{id}@host.example.org>")];
        assert_equal(mail, content);
        assert_eq!(mail["date"], "2026-11-20T02:00:00+00:00");
    }
}

#[tokio::test]
async fn one_bad_address_fails_none_of_the_others() {
    let postfix = Postfix::start();
    let channel = channel(options("127.0.0.1", postfix.plain));
    for (id, (recipient, outcome, reason)) in [
        ("ops@example.org", Outcome::Sent, Reason::Accepted),
        ("nobody@example.org", Outcome::Rejected, Reason::RecipientRejected),
        ("later@example.org", Outcome::Deferred, Reason::Greylisted),
        ("jürgen@example.org", Outcome::Sent, Reason::Accepted),
        ("Jürgen <ops@example.org>", Outcome::Sent, Reason::Accepted),
    ]
    .into_iter()
    .enumerate()
    {
        let content = Content { recipient: recipient.into(), message: "x".into(), ..Content::default() };
        let verdict = channel.attempt(&envelope(id as i64, content)).await;
        let found = (verdict.outcome, verdict.reason, verdict.scope);
        assert_eq!(found, (outcome, reason, Scope::Notification), "{recipient}: {verdict:?}");
    }
    let found = read_back(&postfix.mails(3));
    assert_eq!(found["<0123456789abcdef-3@host.example.org>"]["to"], "jürgen@example.org");
}

#[tokio::test]
async fn tls_is_used_where_it_is_offered_and_verified_where_it_is_required() {
    let postfix = Postfix::start();
    let ca_file = Some(postfix.ca_file());
    let trusting = |host: &str, port: u16, tls: Tls| smtp::Options {
        tls: Some(tls),
        ca_file: ca_file.clone(),
        ..options(host, port)
    };
    for host in ["localhost", "127.0.0.1"] {
        let verdict = channel(trusting(host, postfix.implicit, Tls::Implicit)).attempt(&hello(1)).await;
        match host {
            "localhost" => assert_sent(&verdict),
            // The certificate is not for that name.
            _ => assert_channel_trouble(&verdict, Reason::Tls),
        }
    }
    // Without the authority's certificate nobody can be verified.
    let strangers = smtp::Options { tls: Some(Tls::Implicit), ..options("localhost", postfix.implicit) };
    assert_channel_trouble(&channel(strangers).attempt(&hello(2)).await, Reason::Tls);
    let stripped = trusting("localhost", postfix.plain, Tls::Required);
    assert_channel_trouble(&channel(stripped).attempt(&hello(2)).await, Reason::Tls);

    let found = read_back(&postfix.mails(1));
    let received = found["<0123456789abcdef-1@host.example.org>"]["received"].as_str().unwrap();
    assert!(received.contains("using TLSv1.3"), "{received}");
}

#[tokio::test]
async fn a_login_is_sent_over_verified_tls_alone() {
    let postfix = Postfix::start();
    let trusting = smtp::Options {
        ca_file: Some(postfix.ca_file()),
        tls: Some(Tls::Required),
        ..options("localhost", postfix.submission)
    };
    for (id, auth) in (0..).zip([Mechanism::Plain, Mechanism::Login]) {
        let options = smtp::Options { auth, ..with_login(trusting.clone(), Postfix::PASSWORD) };
        let channel = channel(options);
        assert_sent(&channel.attempt(&hello(id)).await);
        assert_sent(&channel.attempt(&hello(id + 10)).await);
    }
    let verdict = channel(with_login(trusting.clone(), "wrong")).attempt(&hello(5)).await;
    assert_channel_trouble(&verdict, Reason::Credentials);
    assert!(verdict.detail.contains("535 5.7.8"), "{}", verdict.detail);

    let elsewhere = smtp::Options { host: "127.0.0.1".into(), ..with_login(trusting, Postfix::PASSWORD) };
    assert_channel_trouble(&channel(elsewhere).attempt(&hello(5)).await, Reason::Tls);

    // Nobody who they should be, and no login: opportunistic TLS goes on, and Postfix wants a login.
    let verdict = channel(options("127.0.0.1", postfix.submission)).attempt(&hello(6)).await;
    assert_eq!((verdict.outcome, verdict.reason), (Outcome::Rejected, Reason::RecipientRejected));

    let found = read_back(&postfix.mails(4));
    let received = found["<0123456789abcdef-0@host.example.org>"]["received"].as_str().unwrap();
    assert!(received.contains("TLSv1.3") && received.contains("ESMTPSA"), "{received}");
}
