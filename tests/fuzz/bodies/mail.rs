//! Addresses and headers: what a caller may hand in, as a mail.

use mail_parser::MessageParser;
use notifyctl::channel::{Envelope, Options, mail as built, recipient, smtp};
use notifyctl::model::{Attachment, Content, Limits, NewNotification, Priority, Timestamp};

use super::fields;

/// The headers that notifyctl writes itself.
const OWN: [&str; 13] = [
    "date",
    "message-id",
    "from",
    "to",
    "auto-submitted",
    "subject",
    "importance",
    "x-priority",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-id",
];

/// Any recipient, subject, header, file and text: refused at enqueue, or a mail in which no line is a header that
/// nobody asked for, no line is too long, and all of it reads back as it was handed in.
pub fn mail(data: &[u8]) {
    let [to, subject, name, value, file, media_type, message, html] = fields(data);
    let channel = Options::Smtp(smtp::Options::new("localhost"));
    let Ok(to) = recipient::check(&channel, &to) else { return };
    assert_eq!(recipient::check(&channel, &to).as_ref(), Ok(&to), "what is kept is kept as it is");
    let mailbox = recipient::mailbox(&to).expect("what is kept reads back");
    let new = NewNotification {
        channel: "mail".into(),
        content: Content {
            recipient: to,
            subject: Some(subject),
            message,
            html: Some(html).filter(|html| !html.is_empty()),
            headers: if name.is_empty() { Vec::new() } else { vec![(name, value)] },
            attachments: match file.is_empty() {
                true => Vec::new(),
                false => vec![Attachment { name: file, media_type, content: data.to_vec() }],
            },
        },
        priority: if data.len().is_multiple_of(2) { Priority::High } else { Priority::Normal },
        ..NewNotification::default()
    };
    if !new.problems(&Limits::default()).is_empty() {
        return;
    }
    let envelope = Envelope {
        id: 7,
        stable_id: "7-0123456789abcdef".into(),
        message_domain: "example.org".into(),
        channel: new.channel,
        attempt: 1,
        created_at: Timestamp(1_800_000_000_000),
        user_id: None,
        priority: new.priority,
        content: new.content,
    };
    let from = "notifyctl <notifyctl@example.org>".parse().expect("a mailbox");
    match built::build(&envelope, &from, &mailbox) {
        Ok(bytes) => {
            lines(&envelope, &bytes);
            reads_back(&envelope, &mailbox, &bytes);
        }
        Err(verdict) => panic!("accepted at enqueue, and then {}", verdict.detail),
    }
}

/// CR LF and nothing else ends a line; in the head every line is one of ours, the caller's, or goes on.
fn lines(envelope: &Envelope, bytes: &[u8]) {
    let text = String::from_utf8(bytes.to_vec()).expect("a mail is UTF-8");
    assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']), "a line end of its own: {text:?}");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    for line in head.split("\r\n").chain(body.split("\r\n")) {
        assert!(line.len() <= 998, "a line of {} bytes", line.len());
    }
    for line in head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])) {
        let (name, _) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
        let callers = envelope.content.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
        assert!(callers || OWN.contains(&name.to_ascii_lowercase().as_str()), "nobody asked for {line:?}");
    }
    assert_eq!(head.to_ascii_lowercase().matches("\r\nto: ").count(), 1, "one recipient: {head:?}");
}

/// As a parser that is not ours reads it.
fn reads_back(envelope: &Envelope, mailbox: &lettre::message::Mailbox, bytes: &[u8]) {
    let content = &envelope.content;
    let parsed = MessageParser::default().parse(bytes).expect("a mail");
    assert_eq!(parsed.subject().unwrap_or_default(), content.subject.as_deref().unwrap_or_default());
    let to = parsed.to().and_then(|to| to.first()).expect("a recipient");
    // For this parser the colon of `[IPv6:` ends the name of a group, and a quoted local part is a name.
    if !mailbox.email.domain().contains(':') && !mailbox.email.user().starts_with('"') {
        assert_eq!(to.address().map(str::to_owned), Some(mailbox.email.to_string()));
    }
    assert_eq!(parsed.to().map(|to| to.iter().count()), Some(1), "one recipient");
    let text = |text: &str| text.replace("\r\n", "\n");
    let found = parsed.body_text(0).expect("a text");
    assert_eq!(text(&found), text(&content.message));
    assert_eq!(parsed.attachment_count(), content.attachments.len());
    for (part, file) in parsed.attachments().zip(&content.attachments) {
        // A text is decoded by its charset.
        assert!(part.is_text() || part.contents() == file.content, "a file came back changed");
    }
}
