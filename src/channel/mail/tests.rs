//! Messages as a parser that is not lettre reads them back.

use mail_parser::{Message as Parsed, MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;

use super::*;
use crate::model::Content;

fn envelope(content: Content) -> Envelope {
    Envelope {
        id: 7,
        stable_id: "0123456789abcdef-7".into(),
        message_domain: "host.example.org".into(),
        channel: "mail".into(),
        attempt: 1,
        created_at: Timestamp(1_795_140_000_000),
        user_id: None,
        priority: Priority::Normal,
        content: Content { recipient: "Ops <ops@example.org>".into(), ..content },
    }
}

fn text_of(message: &str) -> Envelope {
    envelope(Content { message: message.into(), ..Content::default() })
}

fn from() -> Mailbox {
    "notifyctl <notifyctl@example.org>".parse().unwrap()
}

fn built(envelope: &Envelope) -> String {
    String::from_utf8(build(envelope, &from(), &to(envelope).unwrap()).unwrap()).unwrap()
}

/// What must hold of every message on the wire, however odd its content.
fn assert_fit_for_the_wire(raw: &str) {
    assert!(raw.ends_with("\r\n"));
    assert!(raw.is_ascii(), "{raw}");
    for line in raw.strip_suffix("\r\n").unwrap().split("\r\n") {
        assert!(line.len() <= 998, "a line of {} bytes", line.len());
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
        // Mailboxes of the mbox format would put a `>` before it.
        assert!(!line.starts_with("From "), "{line:?}");
    }
}

fn parse(raw: &str) -> Parsed<'_> {
    assert_fit_for_the_wire(raw);
    MessageParser::default().parse(raw.as_bytes()).expect("a message")
}

/// As email parsers give it back: LF at line ends.
fn normal(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn texts(parsed: &Parsed) -> Vec<String> {
    let part = |part: &mail_parser::MessagePart| match &part.body {
        PartType::Text(text) | PartType::Html(text) => Some(normal(text)),
        _ => None,
    };
    parsed.parts.iter().filter_map(part).collect()
}

#[test]
fn a_plain_message_reads_as_it_was_written() {
    let mut envelope = text_of("hello\n.\n..two\n");
    envelope.content.subject = Some("disk full".into());
    insta::assert_snapshot!(built(&envelope).replace("\r\n", "\n"), @r"
    Date: Fri, 20 Nov 2026 02:00:00 +0000
    Message-ID: <0123456789abcdef-7@host.example.org>
    From: notifyctl <notifyctl@example.org>
    To: Ops <ops@example.org>
    Auto-Submitted: auto-generated
    Subject: disk full
    MIME-Version: 1.0
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: 7bit

    hello
    .
    ..two
    ");
}

#[test]
fn every_attempt_gives_the_same_bytes() {
    let mut envelope = text_of("hellö");
    envelope.content.html = Some("<p>hellö</p>".into());
    envelope.content.attachments.push(file("a", "text/plain", b"x"));
    let first = built(&envelope);
    envelope.attempt = 2;
    assert_eq!(built(&envelope), first);
}

fn file(name: &str, media_type: &str, content: &[u8]) -> Attachment {
    Attachment { name: name.into(), media_type: media_type.into(), content: content.to_vec() }
}

#[test]
fn html_is_an_alternative_within_the_mixed_part_before_the_attachments() {
    let mut envelope = text_of("text");
    envelope.content.html = Some("<b>html</b>".into());
    envelope.content.attachments = vec![
        file("zahlen ä.csv", "text/csv", b"a,b\r\nc\n"),
        file("mail.eml", "message/rfc822", b"\0\xff"),
        file("q\"uote\\.bin", "no type", &[b'.', b'\r', b'\n'].repeat(300)),
    ];
    let raw = built(&envelope);
    let parsed = parse(&raw);
    let types: Vec<String> = parsed
        .parts
        .iter()
        .map(|part| {
            let kind = part.content_type().unwrap();
            format!("{}/{}", kind.ctype(), kind.subtype().unwrap())
        })
        .collect();
    let bytes = "application/octet-stream";
    assert_eq!(
        types,
        ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/csv", bytes, bytes]
    );
    assert_eq!(texts(&parsed)[..2], ["text", "<b>html</b>"]);
    for (part, given) in parsed.attachments().zip(&envelope.content.attachments) {
        assert_eq!(part.attachment_name(), Some(given.name.as_str()));
        assert_eq!(part.contents(), given.content);
    }
}

#[test]
fn texts_that_tools_like_to_change_come_back_byte_equal() {
    let long = "x".repeat(2_000);
    let seventy_six = "y".repeat(76);
    let ends_quoted = format!("{}é", "y".repeat(70));
    let trailing = format!("{} ", "z".repeat(75));
    for message in [
        "",
        "\n",
        "\n\n",
        ".",
        ".\n",
        "a\n.\n.\nb",
        "From me\n",
        "From ",
        "é\nFrom From From me\n\nFrom you",
        &format!("{}From me\n{}From é", "x".repeat(75), "y".repeat(74)),
        "blank at the end \t\nof a line ",
        "tab\tand = and =_mixed_0123456789abcdef-7",
        "a\rb\r\rc\r",
        "ünï\ncödé",
        "日本語のテキスト\n",
        &long,
        &seventy_six,
        &ends_quoted,
        &trailing,
        &"\n".repeat(5_000),
        "\u{feff}bom",
        "\u{1}\u{7f}control\u{85}\u{2028}",
    ] {
        let raw = built(&text_of(message));
        assert_eq!(texts(&parse(&raw)), [normal(message)], "{message:?}\n{raw}");
    }
}

#[test]
fn a_large_text_of_short_lines_is_written_quickly() {
    // lettre alone takes minutes for it.
    let raw = built(&text_of(&"\n".repeat(1 << 20)));
    assert!(raw.len() > 2 << 20);
}

#[test]
fn the_callers_headers_are_kept_in_order_and_repeated_ones_repeated() {
    let mut envelope = text_of("");
    envelope.priority = Priority::Critical;
    envelope.content.headers = vec![
        ("X-Tag".into(), "one".into()),
        ("X-Tag".into(), "zwö".into()),
        ("X-Tag".into(), "drei  größere   Lücken".into()),
        ("Reply-To".into(), "Jürgen <j@example.org>".into()),
        ("X-Long".into(), "w".repeat(998)),
        ("References".into(), "<a@b> <c@d>".into()),
    ];
    let raw = built(&envelope);
    let parsed = parse(&raw);
    let free_text = MessageParser::new().header_text("X-Tag").header_text("X-Long");
    let own = free_text.parse(raw.as_bytes()).unwrap();
    let tags: Vec<_> = own.header_values("X-Tag").filter_map(|value| value.as_text()).collect();
    assert_eq!(tags, ["one", "zwö", "drei  größere   Lücken"]);
    assert_eq!(own.header("X-Long").unwrap().as_text().unwrap().len(), 998);
    let reply_to = parsed.reply_to().unwrap().first().unwrap();
    assert_eq!((reply_to.name(), reply_to.address()), (Some("Jürgen"), Some("j@example.org")));
    assert!(raw.contains("X-Priority: 1 (Highest)\r\n") && raw.contains("Importance: high\r\n"));
    envelope.content.headers.push(("importance".into(), "low".into()));
    assert!(!built(&envelope).contains("Importance: high"));
}

#[test]
fn nothing_adds_a_header_or_a_recipient() {
    let evil = "x\r\nBcc: evil@example.org";
    let mut cases = vec![text_of(""), text_of(""), text_of("")];
    cases[0].content.recipient = format!("{evil} <a@example.org>");
    cases[1].content.headers = vec![(evil.into(), "v".into())];
    cases[2].content.headers = vec![("X-A".into(), evil.into())];
    for envelope in cases {
        let verdict = to(&envelope).and_then(|to| build(&envelope, &from(), &to)).unwrap_err();
        assert_eq!((verdict.outcome, verdict.reason), (Outcome::Rejected, Reason::Unsendable));
        assert!(!verdict.detail.contains("evil"), "{}", verdict.detail);
    }
    let mut envelope = text_of("");
    envelope.content.subject = Some(evil.into());
    envelope.content.attachments = vec![file(evil, evil, b"")];
    let raw = built(&envelope);
    assert!(!raw.contains("\r\nBcc"), "{raw}");
}

#[test]
fn a_name_with_a_control_character_is_refused_and_does_not_panic() {
    let evil = Mailbox::new(Some("x\r\ny".into()), "a@example.org".parse().unwrap());
    assert_eq!(build(&text_of(""), &evil, &from()).unwrap_err().reason, Reason::Unsendable);
}

#[test]
fn a_non_ascii_address_stays_what_it_is_and_nothing_else_does() {
    let mut envelope = text_of("ä");
    envelope.content.recipient = "Jürgen <jürgen@example.org>".into();
    envelope.content.subject = Some("ü".into());
    let raw = built(&envelope);
    let other: Vec<&str> = raw.lines().filter(|line| !line.is_ascii()).collect();
    assert_eq!(other, ["To: =?utf-8?b?SsO8cmdlbg==?= <jürgen@example.org>"]);
}

#[test]
fn an_address_is_never_encoded() {
    for (given, line) in [
        ("Jürgen <j@example.org>", "Reply-To: =?utf-8?b?SsO8cmdlbg==?= <j@example.org>"),
        ("j@bücher.example, ops@example.org", "Reply-To: j@xn--bcher-kva.example, ops@example.org"),
        ("Ops <jürgen@bücher.example>", "Reply-To: Ops <jürgen@xn--bcher-kva.example>"),
    ] {
        let mut envelope = text_of("");
        envelope.content.headers = vec![("reply-to".into(), given.into())];
        let raw = built(&envelope);
        assert_eq!(raw.lines().find(|line| line.starts_with("Reply-To:")), Some(line));
    }
    // What is no list of addresses is text.
    let mut envelope = text_of("");
    envelope.content.headers = vec![("Reply-To".into(), "nobody, ö".into())];
    assert_fit_for_the_wire(&built(&envelope));
}

#[test]
fn dates_beyond_what_a_header_can_name_are_kept_within() {
    for at in [i64::MIN, -1, i64::MAX] {
        let mut envelope = text_of("");
        envelope.created_at = Timestamp(at);
        assert!(built(&envelope).contains("Date: "));
    }
}

#[test]
fn without_a_configured_sender_it_is_the_stores_domain() {
    let mut envelope = text_of("");
    assert_eq!(default_from(&envelope).to_string(), "notifyctl@host.example.org");
    envelope.message_domain = "no domain".into();
    assert_eq!(default_from(&envelope).to_string(), "notifyctl@localhost");
}

#[test]
fn every_address_that_is_taken_can_be_written_to() {
    for given in ["a@[127.0.0.1]", "a@[IPv6:::1]", "\"a b\"@example.org", "root@localhost"] {
        let mut envelope = text_of("x");
        envelope.content.recipient = given.into();
        let raw = built(&envelope);
        assert!(raw.contains(&format!("\r\nTo: {given}\r\n")), "{raw}");
    }
}

#[test]
fn a_bare_cr_at_the_end_of_a_part_is_not_sent_bare() {
    let mut envelope = text_of("a\r");
    envelope.content.html = Some("<p>a</p>\r".into());
    let raw = built(&envelope);
    assert_eq!(texts(&parse(&raw)), ["a\r", "<p>a</p>\r"]);
}

/// One line as enqueue accepts it.
fn one_line() -> impl Strategy<Value = String> {
    prop::string::string_regex("([ -~]|\\PC|[ =?_\"\\\\]){0,120}").unwrap()
}

proptest! {
    #[test]
    fn any_text_comes_back(message in "(\\PC|[ -~]|[\n\r\t. =]){0,400}", html in "(\\PC|\n){0,200}") {
        let mut envelope = text_of(&message);
        let raw = built(&envelope);
        prop_assert_eq!(texts(&parse(&raw)), [normal(&message)]);
        envelope.content.html = Some(html.clone());
        let raw = built(&envelope);
        prop_assert_eq!(texts(&parse(&raw)), [normal(&message), normal(&html)]);
    }

    #[test]
    fn any_subject_and_name_come_back(subject in one_line(), name in one_line(), file_name in one_line()) {
        let mut envelope = text_of("");
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        envelope.content.recipient = format!("\"{quoted}\" <ops@example.org>");
        envelope.content.subject = Some(subject.clone());
        envelope.content.attachments = vec![file(&file_name, "text/plain", b"x")];
        let raw = built(&envelope);
        let parsed = parse(&raw);
        prop_assert_eq!(parsed.subject().unwrap_or_default(), subject);
        let to = parsed.to().unwrap().first().unwrap();
        prop_assert_eq!(to.name().unwrap_or_default().trim(), name.trim());
        prop_assert_eq!(to.address(), Some("ops@example.org"));
    }
}
