//! A Maildir read back as a mail reader does, and a file of JSON lines as a program does.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use notifyctl::channel::{Envelope, Options, file};
use notifyctl::model::{Attachment, Content, Outcome, Reason, Scope};
use serde_json::Value;

use crate::support::channels::{attempt, envelope, short};
use crate::support::{Sandbox, python};

/// Every mail in it, as Python's `mailbox` and `email` read it.
fn read_back(maildir: &Path) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/maildir_read.py");
    let output = python().arg(script).arg(maildir).output().expect("run Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
        .stdout
        .split(|&b| b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect()
}

fn header<'a>(mail: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = mail["headers"].as_array().unwrap().iter();
    headers.filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap()).collect()
}

fn deliver(maildir: &Path, envelope: &Envelope) {
    let verdict = attempt(&Options::File(file::Options::new(maildir)), envelope);
    assert_eq!(short(&verdict), (Outcome::Sent, Reason::Accepted), "{}", verdict.detail);
    assert!(Path::new(&verdict.detail).starts_with(maildir), "{}", verdict.detail);
}

/// The same text as readers hold it: a line ends with LF.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

#[test]
fn every_text_comes_back_byte_equal() {
    let dir = tempfile::tempdir().unwrap();
    let maildir = dir.path().join("outbox");
    let texts = [
        "hello\n",
        "",
        "\n",
        "no line end",
        "größer \u{1f525} \u{202e}rtl\u{202c} \u{feff}\n",
        ".\n..\n.dot\n\n.\n",
        "From the start\n>From there\n\nFrom: here\n",
        "trailing space \ntab\t\n \n",
        "=3D =\nsoft=\n",
        "--boundary\n--boundary--\n",
        "one\r\ntwo\r\n.\r\n",
        &format!("{}\n{}\n", "x".repeat(2_000), "ü".repeat(2_000)),
        &"many lines of text\n".repeat(5_000),
    ];
    for (i, text) in texts.iter().enumerate() {
        let envelope = Envelope { stable_id: format!("{i:03}-0"), ..envelope(text) };
        deliver(&maildir, &envelope);
    }
    let mails = read_back(&maildir);
    assert_eq!(mails.len(), texts.len());
    for (mail, text) in mails.iter().zip(texts) {
        assert_eq!(mail["text"], lines(text));
        assert_eq!(mail["has_cr"], false);
        assert_eq!(mail["flags"], "");
    }
}

#[test]
fn headers_html_and_attachments_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let maildir = dir.path().join("outbox");
    let bytes: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(i) >> 3) as u8).collect();
    let attachment = |name: &str, media_type: &str, content: &[u8]| Attachment {
        name: name.into(),
        media_type: media_type.into(),
        content: content.into(),
    };
    let envelope = Envelope {
        content: Content {
            recipient: "Ünal Öz <ops@example.org>".into(),
            subject: Some("Plattenfüllstand \u{1f525} 99 %".repeat(5)),
            message: "text ü\n".into(),
            html: Some("<p>text ü</p>\n".into()),
            headers: vec![
                ("X-Host".into(), "db-1 größer".into()),
                ("Reply-To".into(), "x@example.org".into()),
            ],
            attachments: vec![
                attachment("all bytes.bin", "application/octet-stream", &bytes),
                attachment("größe \"x\".txt", "text/plain", b"From .\r\n.\r\nx"),
                attachment("empty", "application/x-empty", b""),
            ],
        },
        ..envelope("")
    };
    deliver(&maildir, &envelope);
    let mails = read_back(&maildir);
    let [mail] = &mails[..] else { panic!("{mails:?}") };
    assert_eq!(header(mail, "To"), ["Ünal Öz <ops@example.org>"]);
    assert_eq!(header(mail, "From"), ["notifyctl@queue.example.org"]);
    assert_eq!(header(mail, "Subject"), [envelope.content.subject.as_deref().unwrap()]);
    assert_eq!(header(mail, "X-Host"), ["db-1 größer"]);
    assert_eq!(header(mail, "Reply-To"), ["x@example.org"]);
    assert_eq!(header(mail, "Message-ID"), ["<17-5f0c2b9a@queue.example.org>"]);
    assert_eq!(header(mail, "Date"), ["Thu, 13 Nov 2025 02:13:20 +0000"]);
    assert_eq!((&mail["text"], &mail["html"]), (&"text ü\n".into(), &"<p>text ü</p>\n".into()));
    let found: Vec<_> = mail["attachments"].as_array().unwrap().iter().collect();
    assert_eq!(found.len(), 3);
    for (found, sent) in found.into_iter().zip(&envelope.content.attachments) {
        assert_eq!(
            (&found["name"], &found["type"]),
            (&sent.name.clone().into(), &sent.media_type.clone().into())
        );
        assert_eq!(
            STANDARD.decode(found["content"].as_str().unwrap()).unwrap(),
            sent.content,
            "{}",
            sent.name
        );
    }
}

#[test]
fn a_sender_may_be_configured() {
    let dir = tempfile::tempdir().unwrap();
    let from = Some("Backups <backup@example.org>".parse().unwrap());
    let options = file::Options { from, ..file::Options::new(dir.path().join("outbox")) };
    assert_eq!(attempt(&Options::File(options), &envelope("x")).outcome, Outcome::Sent);
    assert_eq!(header(&read_back(&dir.path().join("outbox"))[0], "From"), ["Backups <backup@example.org>"]);
}

/// Killed before the mail has its name in `new`, and killed after, before the store knows.
#[test]
fn an_attempt_repeated_after_a_crash_delivers_once() {
    let dir = tempfile::tempdir().unwrap();
    let maildir = dir.path().join("outbox");
    deliver(&maildir, &envelope("hello\n"));
    let name = fs::read_dir(maildir.join("new")).unwrap().next().unwrap().unwrap().file_name();
    let name = name.to_str().unwrap();
    // As if that attempt had not come so far.
    fs::rename(maildir.join("new").join(name), maildir.join("tmp").join(format!("{name}.0011223344556677")))
        .unwrap();
    deliver(&maildir, &Envelope { attempt: 2, ..envelope("hello\n") });
    deliver(&maildir, &Envelope { attempt: 3, ..envelope("hello\n") });
    assert_eq!(read_back(&maildir).len(), 1);
    assert_eq!(fs::read_dir(maildir.join("tmp")).unwrap().count(), 0);
    // And a reader has seen it since.
    fs::rename(maildir.join("new").join(name), maildir.join("cur").join(format!("{name}:2,S"))).unwrap();
    deliver(&maildir, &Envelope { attempt: 4, ..envelope("hello\n") });
    let mails = read_back(&maildir);
    assert_eq!((mails.len(), &mails[0]["flags"]), (1, &"S".into()));
}

#[test]
fn what_the_disk_refuses_is_the_channels_trouble() {
    let dir = tempfile::tempdir().unwrap();
    for format in file::Format::ALL {
        let options = file::Options { format, ..file::Options::new(dir.path().join("missing/outbox")) };
        let verdict = attempt(&Options::File(options), &envelope("x"));
        assert_eq!(
            (short(&verdict), verdict.scope),
            ((Outcome::Deferred, Reason::LocalError), Scope::Channel)
        );
        assert!(verdict.detail.contains("missing/outbox: No such file"), "{}", verdict.detail);
    }
    let relative = Options::File(file::Options::new("outbox")).build("under-test").err().unwrap();
    assert_eq!(relative.to_string(), "channels.under-test.path: `outbox` is not an absolute path");
}

#[test]
fn json_lines_hold_the_envelope() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("told.jsonl");
    let options = file::Options { format: file::Format::Jsonl, ..file::Options::new(&path) };
    let envelopes = ["größer\n.\n\u{2028}\"", "second"].map(envelope);
    for envelope in &envelopes {
        assert_eq!(attempt(&Options::File(options.clone()), envelope).outcome, Outcome::Sent);
    }
    let text = fs::read_to_string(path).unwrap();
    let read: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, envelopes.map(|envelope| serde_json::to_value(envelope.shape()).unwrap()));
}

#[test]
fn with_no_configuration_the_mail_lies_in_the_outbox_beside_the_store() {
    let sandbox = Sandbox::new();
    let body = "größer\n.\nFrom here\n".repeat(100);
    for _ in 0..2 {
        sandbox.ok(&["enqueue", "--to", "ops@example.org", "--subject", "Größe", &body]);
    }
    sandbox.ok(&["send-pending"]);
    let mails = read_back(&sandbox.db().with_file_name("outbox"));
    assert_eq!(mails.len(), 2);
    for mail in &mails {
        assert_eq!((header(mail, "Subject"), &mail["text"]), (vec!["Größe"], &body.clone().into()));
    }
    assert_ne!(header(&mails[0], "Message-ID"), header(&mails[1], "Message-ID"));
}
