//! Personal data, left out for whoever may look but not see it.
//!
//! What stays says what happened and where: ids, statuses, reasons, times, sizes, channels, and the domain of a mail
//! address, for it tells an operator whose mail server refuses.

use super::notification::{Notification, Summary};
use super::status::Status;

/// What stands for something that is not shown.
pub const MASKED: &str = "***";

impl Summary {
    /// Leaves out who is told, and what.
    pub fn mask(&mut self) {
        self.recipient = recipient(&self.recipient);
        for text in [&mut self.subject, &mut self.user_id] {
            mask_some(text);
        }
    }
}

impl Notification {
    /// Leaves out who is told, and what; also in the other side's words, which may repeat either.
    pub fn mask(&mut self) {
        self.summary.mask();
        self.message = MASKED.to_owned();
        mask_some(&mut self.html);
        mask_some(&mut self.idempotency_key);
        for value in self.headers.values_mut() {
            *value = MASKED.to_owned();
        }
        for attachment in &mut self.attachments {
            attachment.name = MASKED.to_owned();
        }
        for attempt in &mut self.history {
            attempt.detail = MASKED.to_owned();
            mask_some(&mut attempt.late);
        }
    }
}

impl Status {
    /// Leaves out the words of the other side, which may repeat who is told, and those of whoever holds a channel.
    pub fn mask(&mut self) {
        for channel in self.channels.values_mut() {
            if let Some(hold) = &mut channel.held {
                hold.reason = MASKED.to_owned();
            }
            if let Some(trouble) = &mut channel.trouble {
                mask_some(&mut trouble.detail);
            }
        }
    }
}

/// A recipient without the person: the domain of a mail address, nothing of anything else.
#[must_use]
pub fn recipient(recipient: &str) -> String {
    match recipient.rsplit_once('@') {
        Some((local, domain))
            if !local.is_empty() && !domain.is_empty() && !domain.contains(char::is_whitespace) =>
        {
            format!("{MASKED}@{}", domain.trim_end_matches('>'))
        }
        _ => MASKED.to_owned(),
    }
}

fn mask_some(text: &mut Option<String>) {
    if let Some(text) = text {
        *text = MASKED.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_recipient_the_domain_stays() {
        for (whole, masked) in [
            ("ann@example.org", "***@example.org"),
            ("Ann <ann@example.org>", "***@example.org"),
            ("\"a@b\"@example.org", "***@example.org"),
            ("+49 170 1234567", "***"),
            ("ann", "***"),
            ("@ann", "***"),
            ("me@ann smith", "***"),
            ("ann@", "***"),
        ] {
            assert_eq!(recipient(whole), masked);
        }
    }
}
