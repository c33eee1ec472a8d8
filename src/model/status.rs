//! Where a notification stands, and which step may follow which.

use std::fmt;
use std::str::FromStr;

/// Where a notification stands. The diagram of the steps is in the crate's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Waits until `next_attempt_at`.
    Pending,
    /// Stopped by an operator, or by a channel whose `on_unknown` is `hold`.
    Held,
    /// Claimed by one worker; an attempt is under way or about to begin.
    Sending,
    /// The other side accepted it. Final.
    Sent,
    /// Never tried again by itself (dead letter). Final until somebody requeues it.
    Dead,
    /// Its last useful moment passed before it could be sent. Final.
    Expired,
    /// An operator called it off. Final.
    Cancelled,
}

impl Status {
    /// Every status, in the order in which tables and JSON show them.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Held, Self::Sending, Self::Sent, Self::Dead, Self::Expired, Self::Cancelled];

    /// The word used in columns, JSON, logs and options.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Sending => "sending",
            Self::Sent => "sent",
            Self::Dead => "dead",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing happens to it any more by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Sent | Self::Dead | Self::Expired | Self::Cancelled)
    }

    /// Whether a step from `self` to `next` is legal.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(next, Self::Sending | Self::Held | Self::Expired | Self::Cancelled),
            Self::Held => matches!(next, Self::Pending | Self::Expired | Self::Cancelled),
            Self::Sending => next != Self::Sending && next != Self::Cancelled,
            Self::Dead | Self::Expired | Self::Cancelled => next == Self::Pending,
            Self::Sent => false,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// A word that names no status.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a status (one of pending, held, sending, sent, dead, expired, cancelled)")]
pub struct UnknownStatus(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_reads_back_from_its_own_word() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse::<Status>().unwrap(), status);
        }
        assert!("failed".parse::<Status>().is_err());
    }

    #[test]
    fn a_sent_notification_never_moves_again() {
        for next in Status::ALL {
            assert!(!Status::Sent.may_become(next), "sent -> {next}");
        }
    }

    #[test]
    fn only_an_operator_brings_a_final_one_back_and_only_to_pending() {
        for from in [Status::Dead, Status::Expired, Status::Cancelled] {
            for next in Status::ALL {
                assert_eq!(from.may_become(next), next == Status::Pending, "{from} -> {next}");
            }
        }
    }
}
