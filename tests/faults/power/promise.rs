//! What must hold after the power failed at some moment: all that had been told by then.

use std::collections::BTreeSet;

/// What had been promised when the power failed.
#[derive(Default, Hash)]
pub struct Promised {
    /// The recipients of what was acknowledged.
    pub accepted: BTreeSet<String>,
    /// Those whose notifications a purge may have removed.
    pub purgeable: BTreeSet<String>,
    /// Those whose notifications were called off.
    pub cancelled: BTreeSet<String>,
    /// Whose notifications must be in the copy, once it has been made.
    pub copied: Option<BTreeSet<String>>,
}

impl Promised {
    /// Notes what a command told on standard output.
    pub fn told(&mut self, output: &[u8]) {
        for line in output.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{")) {
            let line: serde_json::Value = serde_json::from_slice(line).expect("a line of JSON");
            if let Some(recipient) = line["recipient"].as_str() {
                self.accepted.insert(recipient.to_owned());
            } else if let (Some(batch), Some(created)) = (line["batch"].as_u64(), line["created"].as_u64()) {
                self.accepted.extend((0..created).map(|row| of_batch(batch, row)));
            }
        }
    }
}

/// The recipient of a batch's row; every third one has a mailbox.
pub fn of_batch(batch: u64, row: u64) -> String {
    let domain = if row % 3 == 2 { "@example.org" } else { "" };
    format!("batch{batch}-{row}{domain}")
}

/// The message that belongs to a recipient.
pub fn message_for(recipient: &str) -> String {
    format!("a message for {recipient}, {}", recipient.repeat(9))
}
