//! Header lines whose values come from outside: folded, encoded (RFC 2047), and never a header more than meant.

use email_encoding::headers::rfc2047;
use email_encoding::headers::writer::EmailWriter;
use lettre::message::header::{HeaderName, HeaderValue, Headers, ReplyTo};
use lettre::message::{Mailbox, Mailboxes};

use crate::channel::recipient;

/// The most bytes of one line without its end (RFC 5322 section 2.1.1).
const LINE_LIMIT: usize = 998;

/// A header of ours, in printable ASCII.
pub fn plain(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Free text, which comes back exactly as it is: encoded where folding or a reader's decoding would change it.
pub fn text(name: HeaderName, value: &str) -> HeaderValue {
    let changes = value.contains("=?")
        || value.contains("  ")
        || value.starts_with(' ')
        || value.ends_with(' ')
        || !value.bytes().all(|b| matches!(b, b' '..=b'~'));
    match changes || has_long_word(value, 60) {
        true => encoded(name, value),
        false => HeaderValue::new(name, value.to_owned()),
    }
}

/// The caller's own headers as lines, in order, a repeated name repeated.
///
/// # Errors
/// When a name or a value is none. Both are refused at enqueue already; a header more than meant would be
/// worth a second look.
pub fn own(headers: &[(String, String)]) -> Result<String, &'static str> {
    let mut lines = String::new();
    for (name, value) in headers {
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') || value.contains(char::is_control) {
            return Err("a header of its own is not a header");
        }
        let name = HeaderName::new_from_ascii(name.clone()).map_err(|_| "a header of its own has no name")?;
        let room = LINE_LIMIT - name.len() - ": ".len();
        let mut one = Headers::new();
        if let Some(addresses) = foreign_addresses(&name, value) {
            one.set(addresses);
        } else if has_long_word(value, room) || value.contains("  ") && !value.is_ascii() {
            // Word by word, the blanks between two that are encoded would be lost.
            one.insert_raw(encoded(name, value));
        } else {
            // Ids within a value must stay readable, so lettre encodes word by word.
            one.insert_raw(HeaderValue::new(name, value.clone()));
        }
        lines.push_str(&one.to_string());
    }
    Ok(lines)
}

/// A list of addresses that is not ASCII: names are encoded and domains put into A-labels. A non-ASCII part before
/// the `@` stays as it is and needs SMTPUTF8, for no address may be encoded (RFC 2047 section 5). `None` for what is
/// no such list.
fn foreign_addresses(name: &HeaderName, value: &str) -> Option<ReplyTo> {
    if value.is_ascii() || !name.eq_ignore_ascii_case("Reply-To") {
        return None;
    }
    let given: Mailboxes = value.parse().ok()?;
    let in_labels = |mailbox: Mailbox| {
        let address = recipient::mailbox(mailbox.email.as_ref()).ok()?.email;
        Some(Mailbox::new(mailbox.name, address))
    };
    Some(Mailboxes::from(given.into_iter().map(in_labels).collect::<Option<Vec<_>>>()?).into())
}

fn has_long_word(value: &str, limit: usize) -> bool {
    value.split(' ').any(|word| word.len() > limit)
}

/// The whole value as encoded words.
fn encoded(name: HeaderName, value: &str) -> HeaderValue {
    let mut line = String::with_capacity(value.len() * 2);
    {
        let mut writer = EmailWriter::new(&mut line, name.len() + ": ".len(), 0, false);
        // A String takes everything.
        let _ = rfc2047::encode(value, &mut writer);
    }
    HeaderValue::dangerous_new_pre_encoded(name, value.to_owned(), line)
}
