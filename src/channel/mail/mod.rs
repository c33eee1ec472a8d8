//! One envelope as an internet message (RFC 5322, MIME), for the kinds that hand over mail.
//!
//! The same envelope gives the same bytes on every attempt: `Message-ID`, `Date` and the boundaries between
//! parts follow from what was enqueued. Texts come back byte-equal after decoding, a missing last line end
//! included; CR LF within a text becomes the message's line end, as which every parser gives back LF. What is
//! sent is ASCII but for a non-ASCII address, which needs SMTPUTF8.
//!
//! Opens nothing and sends nothing.

mod header;
mod text;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use lettre::message::header::{
    ContentDisposition, ContentTransferEncoding, ContentType, Date, From, HeaderName, Headers,
    MIME_VERSION_1_0, MessageId, To,
};
use lettre::message::{Mailbox, Mailboxes, MultiPart, SinglePart};

use super::{Envelope, recipient};
use crate::model::{Attachment, Outcome, Priority, Reason, Timestamp, Verdict};

/// The message as bytes with CRLF line ends, the last line's included; `to` is the envelope's recipient, read.
///
/// # Errors
/// A verdict (rejected, unsendable) when the stored notification cannot be written as a message.
pub fn build(envelope: &Envelope, from: &Mailbox, to: &Mailbox) -> Result<Vec<u8>, Verdict> {
    if [from, to].iter().any(|mailbox| mailbox.name.as_deref().is_some_and(has_control)) {
        return Err(unsendable("a name holds a control character"));
    }
    // lettre panics where a value cannot be formatted. What is known to lead there is refused above; one
    // row that is not known must not stop the queue.
    catch_unwind(AssertUnwindSafe(|| write(envelope, from, to)))
        .unwrap_or_else(|_| Err(unsendable("it cannot be written as a mail")))
}

/// The recipient of the mail.
///
/// # Errors
/// A verdict (rejected, unsendable) when it is none.
pub fn to(envelope: &Envelope) -> Result<Mailbox, Verdict> {
    recipient::mailbox(&envelope.content.recipient).map_err(|problem| unsendable(&problem.to_string()))
}

/// The sender where none is configured: `notifyctl@` and the store's message domain.
#[must_use]
pub fn default_from(envelope: &Envelope) -> Mailbox {
    let address = lettre::Address::new("notifyctl", &envelope.message_domain)
        .unwrap_or_else(|_| lettre::Address::new_dangerous("notifyctl", "localhost"));
    Mailbox::new(None, address)
}

/// lettre's headers and parts, put together here: its own builder parses every address back out of the
/// headers that it has just written, which takes longer than all the rest.
fn write(envelope: &Envelope, from: &Mailbox, to: &Mailbox) -> Result<Vec<u8>, Verdict> {
    let content = &envelope.content;
    let mut headers = Headers::new();
    headers.set(Date::new(moment(envelope.created_at)));
    headers.set(MessageId::from(format!("<{}@{}>", envelope.stable_id, envelope.message_domain)));
    headers.set(From::from(Mailboxes::from(from.clone())));
    headers.set(To::from(Mailboxes::from(to.clone())));
    headers.insert_raw(header::plain("Auto-Submitted", "auto-generated"));
    if let Some(subject) = &content.subject {
        headers.insert_raw(header::text(HeaderName::new_from_ascii_str("Subject"), subject));
    }
    importance(envelope, &mut headers);
    headers.set(MIME_VERSION_1_0);
    let own = header::own(&content.headers).map_err(unsendable)?;
    let body = body(envelope, &mut headers);
    let mut bytes = Vec::with_capacity(own.len() + body.len() + 512);
    // A Vec takes everything.
    let _ = write!(bytes, "{own}{headers}");
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The text alone, or with its HTML (the plainest first, RFC 2046 section 5.1.4), or either before attachments:
/// what follows the headers of the message, to which those of a text alone are added.
fn body(envelope: &Envelope, headers: &mut Headers) -> Vec<u8> {
    let content = &envelope.content;
    let html = content.html.as_deref();
    if content.attachments.is_empty() {
        return match html {
            None => {
                let body = text::whole_body(&content.message);
                headers.set(ContentType::TEXT_PLAIN);
                headers.set(body.encoding());
                [b"\r\n", &*body.into_vec()].concat()
            }
            Some(html) => alternative(envelope, html).formatted(),
        };
    }
    let mixed = MultiPart::mixed().boundary(boundary("mixed", envelope));
    let first = match html {
        None => mixed.singlepart(text::part(ContentType::TEXT_PLAIN, &content.message)),
        Some(html) => mixed.multipart(alternative(envelope, html)),
    };
    let parts = content.attachments.iter().fold(first, |parts, it| parts.singlepart(attachment(it)));
    parts.formatted()
}

fn alternative(envelope: &Envelope, html: &str) -> MultiPart {
    MultiPart::alternative()
        .boundary(boundary("alternative", envelope))
        .singlepart(text::part(ContentType::TEXT_PLAIN, &envelope.content.message))
        .singlepart(text::part(ContentType::TEXT_HTML, html))
}

/// Cannot stand in any part: `=_` never occurs in quoted-printable or base64 (RFC 2045 section 6.7), and a
/// text that goes out as it is has been checked for it.
fn boundary(kind: &str, envelope: &Envelope) -> String {
    let mut boundary = format!("{}{kind}_{}", text::BOUNDARY_MARK, envelope.stable_id);
    // RFC 2046 section 5.1.1 allows 70 characters.
    boundary.truncate(70);
    boundary
}

fn attachment(attachment: &Attachment) -> SinglePart {
    SinglePart::builder()
        .header(media_type(&attachment.media_type))
        .header(ContentDisposition::attachment(&attachment.name))
        .header(ContentTransferEncoding::Base64)
        .body(attachment.content.clone())
}

/// What cannot be named as it says goes out as plain bytes: no type at all, one longer than a header line
/// carries, or one whose parts may not be encoded (RFC 2046 sections 5.1 and 5.2).
fn media_type(name: &str) -> ContentType {
    let lower = name.to_ascii_lowercase();
    let may_not_be_encoded = lower.starts_with("multipart/") || lower.starts_with("message/");
    let bytes = || ContentType::parse("application/octet-stream");
    match may_not_be_encoded || name.len() > 200 || !name.is_ascii() {
        true => bytes(),
        false => ContentType::parse(name).or_else(|_| bytes()),
    }
    .unwrap_or(ContentType::TEXT_PLAIN)
}

/// What mail readers show of a priority (RFC 4021 section 2.1.54, and the older habit beside it), unless the
/// caller says it in headers of their own.
fn importance(envelope: &Envelope, headers: &mut Headers) {
    let x_priority = match envelope.priority {
        Priority::Critical => "1 (Highest)",
        Priority::High => "2 (High)",
        Priority::Normal | Priority::Low => return,
    };
    let own = |name: &str| envelope.content.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    if own("Importance") || own("X-Priority") {
        return;
    }
    headers.insert_raw(header::plain("Importance", "high"));
    headers.insert_raw(header::plain("X-Priority", x_priority));
}

/// The instant for `Date`, kept within the years that it can name.
fn moment(at: Timestamp) -> SystemTime {
    const LAST: u64 = 253_402_300_799_000;
    let millis = u64::try_from(at.0).unwrap_or(0).min(LAST);
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn has_control(text: &str) -> bool {
    text.contains(char::is_control)
}

fn unsendable(why: &str) -> Verdict {
    Verdict::new(Outcome::Rejected, Reason::Unsendable, why)
}

#[cfg(test)]
mod tests;
