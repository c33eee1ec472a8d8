//! The unit of work: one message for one recipient by one channel, and what may be accepted as one.

use super::priority::Priority;
use super::time::Timestamp;

/// A notification's number in its store: positive, rising, never used again.
pub type Id = i64;

/// The part of `Message-ID` and `webhook-id` that names a notification: the same on every attempt, and
/// different in every store.
#[must_use]
pub fn stable_id(store_id: &str, id: Id) -> String {
    format!("{id}-{store_id}")
}

/// What is to be told, and to whom; the part that leaves the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// Who is told: a mail address, or whatever the channel understands.
    pub recipient: String,
    /// One line.
    pub subject: Option<String>,
    /// The text.
    pub message: String,
    /// The same as HTML, for channels that can show it.
    pub html: Option<String>,
    /// Further headers, as (name, value).
    pub headers: Vec<(String, String)>,
    /// Files that travel with it.
    pub attachments: Vec<Attachment>,
}

impl Content {
    /// How many bytes its texts and files hold, roughly: what is long in it is counted.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let attachments: usize = self.attachments.iter().map(|attachment| attachment.content.len()).sum();
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.message.len() + self.html.as_ref().map_or(0, String::len) + headers + attachments
    }

    /// Whether both tell the same one the same, however their headers are written.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let Self { recipient, subject, message, html, headers, attachments } = self;
        *recipient == other.recipient
            && *subject == other.subject
            && *message == other.message
            && *html == other.html
            && compared_headers(headers) == compared_headers(&other.headers)
            && *attachments == other.attachments
    }
}

/// Headers as they are compared: a name is the same in any case (RFC 5322 section 1.2.2), and the order counts among those of
/// one name alone.
#[must_use]
pub fn compared_headers(headers: &[(String, String)]) -> Vec<(String, &str)> {
    let mut all: Vec<_> =
        headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_str())).collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

/// A file that travels with a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The file's name, without a directory.
    pub name: String,
    /// The media type, such as `application/pdf`.
    pub media_type: String,
    /// The bytes.
    pub content: Vec<u8>,
}

/// What is handed to the store to be enqueued.
#[derive(Default, Debug, Clone, PartialEq, Eq)]
pub struct NewNotification {
    /// The name of the channel.
    pub channel: String,
    /// What is to be told.
    pub content: Content,
    /// The caller's id of the user who is told, if there is one.
    pub user_id: Option<String>,
    /// How much it hurries.
    pub priority: Priority,
    /// The earliest moment the caller allows.
    pub not_before: Option<Timestamp>,
    /// The last useful moment.
    pub expires_at: Option<Timestamp>,
    /// The caller's duplicate guard: the same key for the same recipient is enqueued once in its window.
    pub idempotency_key: Option<String>,
}

/// How large the parts of a notification may be, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the message, and of the HTML.
    pub message: usize,
    /// Of all attachments together.
    pub attachments: usize,
}

impl Limits {
    /// Of a subject, a recipient, a key, a user's id, a header's value or a file name.
    pub const LINE: usize = 998;
    /// How many headers.
    pub const HEADERS: usize = 50;
    /// The headers that a caller may set beside `X-*` and `List-*`, in lower case: those that notifyctl does not write itself
    /// and that choose neither recipients nor transport.
    pub const HEADER_NAMES: [&str; 7] =
        ["reply-to", "references", "in-reply-to", "precedence", "importance", "organization", "keywords"];
    /// How many attachments.
    pub const ATTACHMENTS: usize = 100;
}

impl Default for Limits {
    /// 1 MiB of text, 10 MiB of attachments.
    fn default() -> Self {
        Self { message: 1 << 20, attachments: 10 << 20 }
    }
}

/// Why something cannot be enqueued. Names the field and never repeats a value that may be personal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Problem {
    /// The field, in the words of a batch row: `to`, `subject`, `headers` …
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl Problem {
    /// A problem with `field`.
    #[must_use]
    pub fn new(field: &'static str, what: impl Into<String>) -> Self {
        Self { field, what: what.into() }
    }
}

impl NewNotification {
    /// Everything that forbids accepting it whatever its channel is; empty when nothing does.
    ///
    /// Whether the channel can reach the recipient is the channel's to say.
    #[must_use]
    pub fn problems(&self, limits: &Limits) -> Vec<Problem> {
        let content = &self.content;
        let mut found = Vec::new();
        if content.recipient.trim().is_empty() {
            found.push(Problem::new("to", "is empty; name a recipient"));
        }
        line(&mut found, "to", &content.recipient);
        optional_line(&mut found, "subject", content.subject.as_deref());
        optional_line(&mut found, "user_id", self.user_id.as_deref());
        optional_line(&mut found, "key", self.idempotency_key.as_deref());
        if self.idempotency_key.as_deref() == Some("") {
            found.push(Problem::new("key", "is empty; leave it out instead"));
        }
        for (field, at) in [("not_before", self.not_before), ("ttl", self.expires_at)] {
            if at > Some(LAST) {
                found.push(Problem::new(field, "leads beyond the year 9999"));
            }
        }
        text(&mut found, "message", &content.message, limits.message);
        text(&mut found, "html", content.html.as_deref().unwrap_or_default(), limits.message);
        headers(&mut found, &content.headers);
        attachments(&mut found, &content.attachments, limits.attachments);
        found
    }
}

/// The end of the year 9999: what is beyond it RFC 3339 cannot say.
const LAST: Timestamp = Timestamp(253_402_300_799_999);

/// What forbids accepting `value` as one line of a notification or of a user.
#[must_use]
pub fn line_problems(field: &'static str, value: &str) -> Vec<Problem> {
    let mut found = Vec::new();
    line(&mut found, field, value);
    found
}

fn optional_line(found: &mut Vec<Problem>, field: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        line(found, field, value);
    }
}

/// One line without control characters: they could start a header of their own.
fn line(found: &mut Vec<Problem>, field: &'static str, value: &str) {
    if value.len() > Limits::LINE {
        found.push(Problem::new(
            field,
            format!("is {} bytes long; at most {} are taken", value.len(), Limits::LINE),
        ));
    }
    // Most are plain ASCII, of which a look at the bytes is enough.
    let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !plain && value.contains(is_unfit) {
        found.push(Problem::new(field, "holds a control character (a line break, a tab or NUL); remove it"));
    }
}

/// Control characters, and the two Unicode separators that some software takes for a line break.
fn is_unfit(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn text(found: &mut Vec<Problem>, field: &'static str, value: &str, limit: usize) {
    if value.len() > limit {
        found.push(Problem::new(field, format!("is {} bytes long; at most {limit} are taken", value.len())));
    }
    if value.contains('\0') {
        found.push(Problem::new(field, "holds a NUL character; remove it"));
    }
}

fn headers(found: &mut Vec<Problem>, headers: &[(String, String)]) {
    if headers.len() > Limits::HEADERS {
        found.push(Problem::new(
            "headers",
            format!("are {}; at most {} are taken", headers.len(), Limits::HEADERS),
        ));
    }
    for (name, value) in headers {
        if !is_header_name(name) {
            found.push(Problem::new(
                "headers",
                "a name is not 1 to 60 letters, digits and hyphens, as in `X-Backup-Host`",
            ));
        } else if !may_be_set(name) {
            found.push(Problem::new(
                "headers",
                format!("`{name}` is not the caller's to set; X-*, List-*, Reply-To, References, In-Reply-To, Precedence, Importance, Organization and Keywords are"),
            ));
        }
        line(found, "headers", value);
    }
}

/// RFC 5322 section 2.2 allows more; these are what every relay and proxy lets through.
fn is_header_name(name: &str) -> bool {
    (1..=60).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn may_be_set(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("x-") || name.starts_with("list-") || Limits::HEADER_NAMES.contains(&name.as_str())
}

fn attachments(found: &mut Vec<Problem>, attachments: &[Attachment], limit: usize) {
    if attachments.len() > Limits::ATTACHMENTS {
        found.push(Problem::new(
            "attachments",
            format!("are {}; at most {} are taken", attachments.len(), Limits::ATTACHMENTS),
        ));
    }
    let total: usize = attachments.iter().map(|attachment| attachment.content.len()).sum();
    if total > limit {
        found.push(Problem::new(
            "attachments",
            format!("are {total} bytes together; at most {limit} are taken"),
        ));
    }
    for Attachment { name, media_type, .. } in attachments {
        line(found, "attachments", name);
        line(found, "attachments", media_type);
        if name.is_empty() || name.contains('/') {
            found.push(Problem::new(
                "attachments",
                "a name is empty or holds a `/`; give the file's own name",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> NewNotification {
        NewNotification {
            channel: "outbox".into(),
            content: Content {
                recipient: "ops@example.org".into(),
                message: "hello".into(),
                ..Content::default()
            },
            ..NewNotification::default()
        }
    }

    fn fields(notification: &NewNotification) -> Vec<&'static str> {
        let problems = notification.problems(&Limits { message: 100, attachments: 10 });
        problems.iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_plain_one_is_accepted() {
        assert_eq!(fields(&plain()), [""; 0]);
    }

    #[test]
    fn times_end_with_the_year_9999() {
        let mut n = plain();
        (n.not_before, n.expires_at) = (Some(LAST), Some(LAST));
        assert_eq!(fields(&n), [""; 0]);
        n.expires_at = Some(Timestamp(LAST.0 + 1));
        assert_eq!(fields(&n), ["ttl"]);
        n.not_before = n.expires_at;
        assert_eq!(fields(&n), ["not_before", "ttl"]);
    }

    #[test]
    fn line_breaks_and_nul_are_refused_wherever_a_header_is_made() {
        for evil in ["a\r\nBcc: x@example.org", "a\nb", "a\0b", "a\rb", "a\u{2028}b"] {
            let mut n = plain();
            n.content.recipient = evil.into();
            n.content.subject = Some(evil.into());
            n.user_id = Some(evil.into());
            n.idempotency_key = Some(evil.into());
            n.content.headers = vec![("X-A".into(), evil.into())];
            n.content.attachments =
                vec![Attachment { name: evil.into(), media_type: "text/plain".into(), content: vec![] }];
            assert_eq!(fields(&n), ["to", "subject", "user_id", "key", "headers", "attachments"], "{evil:?}");
        }
    }

    #[test]
    fn header_names_that_inject_or_reroute_are_refused() {
        for name in [
            "X-A\r\nBcc",
            "Bcc",
            "to",
            "From",
            "Content-Type",
            "Message-ID",
            "X A",
            "",
            "Sender",
            "DKIM-Signature",
        ] {
            let mut n = plain();
            n.content.headers = vec![(name.into(), "v".into())];
            assert_eq!(fields(&n), ["headers"], "{name:?}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_with_both_sizes() {
        let mut n = plain();
        n.content.message = "x".repeat(101);
        n.content.attachments =
            vec![Attachment { name: "a".into(), media_type: "text/plain".into(), content: vec![0; 11] }];
        let problems = n.problems(&Limits { message: 100, attachments: 10 });
        assert_eq!(problems[0].to_string(), "message: is 101 bytes long; at most 100 are taken");
        assert_eq!(problems[1].to_string(), "attachments: are 11 bytes together; at most 10 are taken");
    }
}
