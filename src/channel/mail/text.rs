//! A text as a MIME part that comes back byte-equal.
//!
//! lettre's own choice is not taken: it would put CR LF into base64, which parsers give back as it is, and
//! it converts line ends at a cost that grows with the square of the text.

use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, SinglePart};

/// How every boundary begins; see [`super::boundary`].
pub const BOUNDARY_MARK: &str = "=_";

/// The longest line that goes out as it is, without its end (RFC 5322 section 2.1.1).
const LINE_LIMIT: usize = 998;

/// The longest line of quoted-printable (RFC 2045 section 6.7).
const ENCODED_LIMIT: usize = 76;

/// A text within a multipart, where the line end before the boundary is the boundary's.
pub fn part(content_type: ContentType, text: &str) -> SinglePart {
    let text = with_crlf(text);
    let body = match goes_as_it_is(&text) {
        true => Body::dangerous_pre_encoded(text.into_bytes(), ContentTransferEncoding::SevenBit),
        false => quoted_printable(text),
    };
    SinglePart::builder().header(content_type).body(body)
}

/// A text that is the whole body of a message: it ends in a line end, which must be its own or be undone.
pub fn whole_body(text: &str) -> Body {
    let text = with_crlf(text);
    if text.is_empty() || text.ends_with("\r\n") {
        return match goes_as_it_is(&text) {
            true => Body::dangerous_pre_encoded(text.into_bytes(), ContentTransferEncoding::SevenBit),
            false => quoted_printable(text),
        };
    }
    undo_line_end(quoted_printable(text))
}

/// Every line end as CR LF; a CR alone stays what it is.
fn with_crlf(text: &str) -> String {
    let mut lines = String::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(line) => {
                lines.push_str(line.strip_suffix('\r').unwrap_or(line));
                lines.push_str("\r\n");
            }
            None => lines.push_str(line),
        }
    }
    lines
}

/// Whether neither a relay nor a reader has a reason to touch it: ASCII, short lines, no bare CR, no blank at a
/// line's end, no `From ` at its start, nothing that looks like a boundary.
fn goes_as_it_is(text: &str) -> bool {
    // What all lines have in common is looked at at once: texts are long, and lines are many.
    let is_plain = |b: u8| matches!(b, b'\t' | b'\r' | b'\n' | b' '..=b'~');
    text.bytes().fold(true, |all, b| all & is_plain(b))
        && !text.contains(BOUNDARY_MARK)
        && text.split_inclusive('\n').all(|line| {
            // A CR at the very end, before no LF, is a bare one too.
            let line = line.strip_suffix("\r\n").unwrap_or(line);
            line.len() <= LINE_LIMIT
                && !line.ends_with([' ', '\t'])
                && !line.starts_with("From ")
                && !line.contains('\r')
        })
}

/// Binary input (a `Vec`) is not touched by lettre, and CR LF stays a line end.
fn quoted_printable(text: String) -> Body {
    match Body::new_with_encoding(text.into_bytes(), ContentTransferEncoding::QuotedPrintable) {
        Ok(body) => without_from(body),
        // Any bytes can be quoted, so this is not reached; base64 would be right as well.
        Err(bytes) => Body::new(bytes),
    }
}

/// Breaks a line softly within a `From ` at its start, before which mailboxes of the mbox format get a `>`.
fn without_from(body: Body) -> Body {
    let (encoding, bytes) = (body.encoding(), body.into_vec());
    let (mut broken, mut rest) = (Vec::with_capacity(bytes.len() + 16), 0);
    for at in memchr::memmem::find_iter(&bytes, "From ").filter(|&at| at == 0 || bytes[at - 1] == b'\n') {
        broken.extend_from_slice(&bytes[rest..=at]);
        broken.extend_from_slice(b"=\r\n");
        rest = at + 1;
    }
    broken.extend_from_slice(&bytes[rest..]);
    Body::dangerous_pre_encoded(broken, encoding)
}

/// Ends the last line with a soft line break, so that the line end is none of the text's.
fn undo_line_end(body: Body) -> Body {
    let encoding = body.encoding();
    let mut bytes = body.into_vec();
    let line = bytes.iter().rposition(|b| *b == b'\n').map_or(bytes.len(), |at| bytes.len() - at - 1);
    if line >= ENCODED_LIMIT {
        let token = if bytes[bytes.len() - 3] == b'=' { 3 } else { 1 };
        let rest = bytes.split_off(bytes.len() - token);
        bytes.extend_from_slice(b"=\r\n");
        bytes.extend_from_slice(&rest);
    }
    bytes.extend_from_slice(b"=\r\n");
    Body::dangerous_pre_encoded(bytes, encoding)
}
