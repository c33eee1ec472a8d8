//! What one attempt came to, in words of a bounded vocabulary.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What one attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The other side took responsibility for it.
    Sent,
    /// Not now; a later attempt may succeed.
    Deferred,
    /// Never; the same attempt would fail again.
    Rejected,
    /// Nobody saw the end: it may or may not have been accepted.
    Unknown,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Sent, Self::Deferred, Self::Rejected, Self::Unknown];

    /// The word used in columns, JSON and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Deferred => "deferred",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not an outcome"))
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// Why an attempt ended as it did, or why a notification was given up.
        ///
        /// Bounded, so that it can be counted and filtered; the other side's own words are the detail.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word used in columns, JSON and logs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

impl Reason {
    /// Whether it tells of the end of a worker, found by another one, and nothing of the other side.
    #[must_use]
    pub fn is_of_the_worker(self) -> bool {
        matches!(self, Self::WorkerDied | Self::WorkerLost)
    }
}

reasons! {
    /// Accepted by the other side.
    Accepted = "accepted",
    /// The other side could not be reached: refused, unreachable, name not found.
    Unreachable = "unreachable",
    /// A phase took longer than its limit before anything was handed over.
    Timeout = "timeout",
    /// The connection broke before anything was handed over.
    ConnectionLost = "connection_lost",
    /// TLS could not be set up or verified as the channel demands.
    Tls = "tls",
    /// The channel's own credentials were refused.
    Credentials = "credentials",
    /// The channel's own sender, or this host, is refused (SMTP 5yz at the greeting, EHLO or MAIL).
    SenderRejected = "sender_rejected",
    /// The other side asks for patience (SMTP 450/451 at RCPT).
    Greylisted = "greylisted",
    /// The other side says that we send too fast (HTTP 429, SMTP 421/450 4.7.x).
    RateLimited = "rate_limited",
    /// The other side has trouble of its own (SMTP 4yz, HTTP 5xx, exit 75).
    TemporaryFailure = "temporary_failure",
    /// This recipient is refused for good.
    RecipientRejected = "recipient_rejected",
    /// This message is refused for good.
    MessageRejected = "message_rejected",
    /// The other side cannot transport what the message needs (SMTPUTF8, SIZE).
    Unsupported = "unsupported",
    /// The destination is switched off for good (HTTP 410).
    Gone = "gone",
    /// No answer after the message was handed over whole.
    NoAnswer = "no_answer",
    /// The other side did not speak its protocol.
    ProtocolError = "protocol_error",
    /// A program ended with a failure that is not temporary.
    ProgramFailed = "program_failed",
    /// Something on this host failed: a file, a pipe, memory, a program that is missing.
    LocalError = "local_error",
    /// The stored notification could not be turned into something that can be sent.
    Unsendable = "unsendable",
    /// The worker died during the attempt.
    WorkerDied = "worker_died",
    /// The worker is gone, and nothing tells whether the attempt had begun: the machine went down, or the store was restored.
    WorkerLost = "worker_lost",
    /// Workers died `POISON_AFTER` times in a row while they sent it.
    Poison = "poison",
    /// The retry schedule is used up.
    RetriesExhausted = "retries_exhausted",
    /// Deferred for longer than the channel's `give_up_after`.
    GaveUp = "gave_up",
    /// Its `expires_at` passed.
    Expired = "expired",
    /// Stopped by an operator.
    Operator = "operator",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a reason"))
    }
}

/// Whose trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// This notification alone; it uses up a retry.
    Notification,
    /// The whole channel (relay down, credentials refused, 429): everything on it waits, no retry is
    /// used up, and one attempt probes before the rest follow.
    Channel,
}

/// What a channel says of one attempt. The other side's misbehaviour is data, never an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What it came to.
    pub outcome: Outcome,
    /// Why, in a bounded word.
    pub reason: Reason,
    /// The other side's own words: at most [`Verdict::DETAIL_LIMIT`] bytes, control characters replaced, secrets removed.
    pub detail: String,
    /// Whose trouble it is.
    pub scope: Scope,
    /// How long the other side asks us to wait (Retry-After), already clamped.
    pub retry_after: Option<Duration>,
}

impl Verdict {
    /// The most bytes of the other side's words that are kept.
    pub const DETAIL_LIMIT: usize = 500;

    /// Accepted, with the other side's words.
    #[must_use]
    pub fn sent(detail: &str) -> Self {
        Self::new(Outcome::Sent, Reason::Accepted, detail)
    }

    /// A verdict about this notification alone.
    #[must_use]
    pub fn new(outcome: Outcome, reason: Reason, detail: &str) -> Self {
        Self { outcome, reason, detail: bounded(detail), scope: Scope::Notification, retry_after: None }
    }

    /// A temporary failure of the whole channel.
    #[must_use]
    pub fn channel_trouble(reason: Reason, detail: &str) -> Self {
        Self { scope: Scope::Channel, ..Self::new(Outcome::Deferred, reason, detail) }
    }

    /// The same verdict with a wait that the other side asked for.
    #[must_use]
    pub fn after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }
}

/// One printable line of at most [`Verdict::DETAIL_LIMIT`] bytes.
fn bounded(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(Verdict::DETAIL_LIMIT));
    for c in text.trim().chars() {
        if line.len() + c.len_utf8() > Verdict::DETAIL_LIMIT {
            break;
        }
        line.push(if c.is_control() { ' ' } else { c });
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_from_its_own_word() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse::<Reason>().unwrap(), *reason);
        }
    }

    #[test]
    fn a_detail_is_one_bounded_line() {
        let verdict = Verdict::sent(&format!("250 ok\r\nX\0{}", "é".repeat(1000)));
        assert!(verdict.detail.len() <= Verdict::DETAIL_LIMIT);
        assert!(!verdict.detail.contains(char::is_control));
        assert!(verdict.detail.starts_with("250 ok  X "));
    }
}
