//! One envelope as an internet message (RFC 5322, MIME), for the kinds that hand over mail.

use lettre::message::Mailbox;

use super::Envelope;
use crate::model::Verdict;

/// The message as bytes with CRLF line ends. The same envelope gives the same `Message-ID` and `Date` on every attempt.
///
/// # Errors
/// A verdict (rejected, unsendable) when the stored notification cannot be written as a message.
pub fn build(_envelope: &Envelope, _from: &Mailbox) -> Result<Vec<u8>, Verdict> {
    unimplemented!()
}
