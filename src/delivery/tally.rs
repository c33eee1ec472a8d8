//! What a run came to, in numbers.

use std::collections::BTreeMap;

use crate::model::{Status, Timestamp};

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; the moment of the last round before that.
    pub ended_at: Timestamp,
    /// What its attempts came to.
    pub total: ChannelTally,
    /// The same per channel that had any.
    pub channels: BTreeMap<String, ChannelTally>,
    /// Notifications that expired while they waited, on any channel.
    pub expired_waiting: u64,
    /// Claimed, and given back before an attempt began.
    pub given_back: u64,
    /// Attempts of dead workers whose end was settled as unknown.
    pub orphans: u64,
    /// Results that were not written because the lease was lost.
    pub leases_lost: u64,
}

/// What the attempts of one channel, or of all, came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChannelTally {
    /// Accepted by the other side.
    pub sent: u64,
    /// Tried again later.
    pub deferred: u64,
    /// Given up.
    pub dead: u64,
    /// Too late to be tried again.
    pub expired: u64,
    /// Held, because nobody saw the end.
    pub held: u64,
}

impl Tally {
    /// All that expired, waiting or after an attempt.
    #[must_use]
    pub fn expired(&self) -> u64 {
        self.expired_waiting + self.total.expired
    }

    /// How many notifications need no further attempt.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.total.sent + self.total.dead + self.total.held + self.expired()
    }

    pub(super) fn count(&mut self, channel: &str, status: Status) {
        self.total.count(status);
        match self.channels.get_mut(channel) {
            Some(tally) => tally.count(status),
            None => self.channels.entry(channel.to_owned()).or_default().count(status),
        }
    }
}

impl ChannelTally {
    fn count(&mut self, status: Status) {
        match status {
            Status::Sent => self.sent += 1,
            Status::Pending => self.deferred += 1,
            Status::Dead => self.dead += 1,
            Status::Expired => self.expired += 1,
            Status::Held => self.held += 1,
            // No attempt ends there (model::settle).
            Status::Sending | Status::Cancelled => {}
        }
    }
}
