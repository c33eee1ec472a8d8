//! What a relay's refusal, or its silence, means for the notification and for the channel. Pure.
//!
//! The rules, with where they come from (section numbers of RFC 5321 unless another is named):
//!
//! - 4yz is temporary and 5yz permanent (4.2.1); an enhanced code wins over the basic one (RFC 2034 section 4).
//! - Until MAIL nothing of a notification has been said, so a refusal of greeting, EHLO, STARTTLS or AUTH is
//!   the channel's trouble, however permanent it sounds: everything waits, nothing dies.
//! - MAIL names the sender, which is the channel's. Its refusal is the channel's trouble too, unless it is
//!   about what else MAIL says of this message: its size (RFC 1870 section 6.1) or SMTPUTF8 (RFC 6531
//!   section 3.5).
//! - Wherever it comes, 421 closes the connection (3.8) and is the channel's; so are 530 (RFC 4954 section 6),
//!   503 (our dialogues are out of step), what is said about the sender (RFC 3463 X.1.7, X.1.8; RFC 7372,
//!   RFC 7505), and a limit of our rate.
//! - At RCPT and after DATA a refusal is the notification's. 450 and 451 at RCPT are how greylisting looks
//!   (RFC 6647 section 2.1).
//! - No answer: until MAIL the channel's trouble. From RCPT on the notification's, so that one that makes a
//!   relay hang up (a scanner that crashes, a callout that hangs) uses up its retries instead of standing in
//!   everybody's way. After the final dot nobody knows (4.5.3.2.6).

use std::fmt;

use super::reply::{Broken, Reply};
use crate::model::{Outcome, Reason, Verdict};

/// What was said last before the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nothing: the relay greets.
    Greeting,
    /// EHLO.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// AUTH, or a part of it.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// A part of the message; its final dot is not out yet.
    Content,
    /// The final dot.
    Done,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "greeting",
            Self::Ehlo => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Auth => "AUTH",
            Self::Mail => "MAIL FROM",
            Self::Rcpt => "RCPT TO",
            Self::Data => "DATA",
            Self::Content => "message",
            Self::Done => "end of message",
        })
    }
}

/// What a refusal means.
pub fn refusal(stage: Stage, reply: &Reply) -> Verdict {
    let detail = format!("{stage}: {}", reply.line());
    if let Some(reason) = channel_reason(stage, reply) {
        return Verdict::channel_trouble(reason, &detail);
    }
    let (outcome, reason) = match (stage, reply.is_permanent()) {
        (_, true) if needs_what_is_not_there(stage, reply) => (Outcome::Rejected, Reason::Unsupported),
        (Stage::Rcpt, true) => (Outcome::Rejected, Reason::RecipientRejected),
        (_, true) => (Outcome::Rejected, Reason::MessageRejected),
        (Stage::Rcpt, false) if matches!(reply.code, 450 | 451) => (Outcome::Deferred, Reason::Greylisted),
        (_, false) => (Outcome::Deferred, Reason::TemporaryFailure),
    };
    Verdict::new(outcome, reason, &detail)
}

/// What the want of an answer means.
pub fn silence(stage: Stage, broken: &Broken) -> Verdict {
    let detail = broken.line(&stage.to_string());
    let reason = match broken {
        Broken::Timeout(_) => Reason::Timeout,
        Broken::Lost(_) => Reason::ConnectionLost,
        Broken::Garbled(_) => Reason::ProtocolError,
    };
    match stage {
        Stage::Done => Verdict::new(Outcome::Unknown, Reason::NoAnswer, &detail),
        Stage::Rcpt | Stage::Data | Stage::Content => Verdict::new(Outcome::Deferred, reason, &detail),
        Stage::Greeting | Stage::Ehlo | Stage::StartTls | Stage::Auth | Stage::Mail => {
            Verdict::channel_trouble(reason, &detail)
        }
    }
}

/// Why a refusal is the channel's trouble, if it is.
fn channel_reason(stage: Stage, reply: &Reply) -> Option<Reason> {
    let permanent = reply.is_permanent();
    if is_about_rate(reply) {
        return Some(Reason::RateLimited);
    }
    match (stage, reply.code) {
        (_, 421) => Some(Reason::TemporaryFailure),
        (_, 530) => Some(Reason::Credentials),
        (Stage::StartTls, _) => Some(Reason::Tls),
        (Stage::Auth, _) if permanent => Some(Reason::Credentials),
        (Stage::Mail, _) if permanent && needs_what_is_not_there(stage, reply) => None,
        (Stage::Mail | Stage::Rcpt | Stage::Data, 503) => Some(Reason::ProtocolError),
        _ if is_about_sender(reply) && permanent => Some(Reason::SenderRejected),
        _ if is_about_sender(reply) => Some(Reason::TemporaryFailure),
        (Stage::Greeting | Stage::Ehlo | Stage::Mail, _) if permanent => Some(Reason::SenderRejected),
        (Stage::Greeting | Stage::Ehlo | Stage::Auth | Stage::Mail, _) => Some(Reason::TemporaryFailure),
        _ => None,
    }
}

/// X.1.7 and X.1.8 are the sender's address (RFC 3463 section 3.2); X.7.20 to X.7.27 are signatures, SPF,
/// reverse DNS and a null MX of the sender's (RFC 7372 section 3, RFC 7505 section 4.2).
fn is_about_sender(reply: &Reply) -> bool {
    matches!(reply.enhanced(), Some((_, 1, 7 | 8) | (_, 7, 20..=27)))
}

/// Too large (X.3.4), or an address that is not ASCII (X.6.7, X.6.9; RFC 6531 section 3.5). At MAIL also by
/// the basic codes that RFC 1870 section 6.1 and RFC 5321 section 4.1.1.11 give to its parameters.
fn needs_what_is_not_there(stage: Stage, reply: &Reply) -> bool {
    match reply.enhanced() {
        Some((_, subject, detail)) => matches!((subject, detail), (3, 4) | (6, 7 | 9)),
        None => stage == Stage::Mail && matches!(reply.code, 552 | 555),
    }
}

/// Whether it is our rate that is refused: congestion by its enhanced code, which is never permanent whatever
/// its class says (X.4.5, RFC 3463 section 3.5; Google's daily limit), or a policy (X.7.z) or no
/// enhanced code, with words for it. Relays have no code of their own for it. What an address says is not theirs:
/// whoever may enqueue chooses it.
fn is_about_rate(reply: &Reply) -> bool {
    const WORDS: [&str; 18] = [
        "rate limit",
        "ratelimit",
        "rate-limit",
        "rate exceed",
        "sender rate",
        "sending rate",
        "unusual rate",
        "sending limit",
        "sending quota",
        "message quota",
        "too many messages",
        "too many emails",
        "too many connections",
        "too many concurrent",
        "too much mail",
        "too fast",
        "too quickly",
        "throttl",
    ];
    match reply.enhanced() {
        Some((_, 4, 5)) => true,
        Some((_, subject, _)) if subject != 7 => false,
        _ => {
            let text = without_addresses(&reply.text()).to_ascii_lowercase();
            WORDS.iter().any(|word| text.contains(word))
        }
    }
}

/// `text` without the addresses in it; of quotes before an `@` rather too much goes than too little.
fn without_addresses(text: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('@') {
        let begin = match before.strip_suffix('"') {
            Some(quoted) => quoted.find('"'),
            None => before.rfind([' ', '<']),
        };
        kept.push_str(&before[..begin.unwrap_or(0)]);
        rest = after.find([' ', '>']).map_or("", |end| &after[end..]);
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Scope;
    use Outcome::{Deferred, Rejected, Unknown};
    use Scope::{Channel, Notification};

    fn reply(line: &str) -> Reply {
        Reply::parse(format!("{line}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn refusals() {
        for (stage, line, outcome, reason, scope) in [
            (Stage::Greeting, "421 busy", Deferred, Reason::TemporaryFailure, Channel),
            (Stage::Greeting, "421 4.7.0 too many connections", Deferred, Reason::RateLimited, Channel),
            (
                Stage::Greeting,
                "421 Too many concurrent SMTP connections",
                Deferred,
                Reason::RateLimited,
                Channel,
            ),
            (Stage::Greeting, "554 no service", Deferred, Reason::SenderRejected, Channel),
            (Stage::Greeting, "450 later", Deferred, Reason::TemporaryFailure, Channel),
            (Stage::Ehlo, "501 bad name", Deferred, Reason::SenderRejected, Channel),
            (Stage::Ehlo, "502 what", Deferred, Reason::SenderRejected, Channel),
            (Stage::StartTls, "454 not now", Deferred, Reason::Tls, Channel),
            (Stage::StartTls, "502 what", Deferred, Reason::Tls, Channel),
            (Stage::Auth, "535 5.7.8 wrong", Deferred, Reason::Credentials, Channel),
            (Stage::Auth, "534 5.7.9 weak", Deferred, Reason::Credentials, Channel),
            (Stage::Auth, "454 4.7.0 not now", Deferred, Reason::TemporaryFailure, Channel),
            (Stage::Auth, "421 4.7.0 try later", Deferred, Reason::TemporaryFailure, Channel),
            (Stage::Mail, "550 5.1.8 sender's domain not found", Deferred, Reason::SenderRejected, Channel),
            (Stage::Mail, "553 5.7.1 not owned by user", Deferred, Reason::SenderRejected, Channel),
            (Stage::Mail, "530 5.7.0 log in first", Deferred, Reason::Credentials, Channel),
            (Stage::Mail, "530 5.7.0 must issue STARTTLS", Deferred, Reason::Credentials, Channel),
            (Stage::Mail, "451 4.3.0 trouble", Deferred, Reason::TemporaryFailure, Channel),
            (Stage::Mail, "452 4.3.1 disk full", Deferred, Reason::TemporaryFailure, Channel),
            (Stage::Mail, "421 4.3.2 shutting down", Deferred, Reason::TemporaryFailure, Channel),
            (Stage::Mail, "503 5.5.1 nested MAIL", Deferred, Reason::ProtocolError, Channel),
            (Stage::Mail, "552 5.3.4 too large", Rejected, Reason::Unsupported, Notification),
            (Stage::Mail, "552 too large", Rejected, Reason::Unsupported, Notification),
            (Stage::Mail, "550 5.6.7 not ASCII", Rejected, Reason::Unsupported, Notification),
            (Stage::Mail, "555 parameter", Rejected, Reason::Unsupported, Notification),
            (Stage::Rcpt, "550 5.1.1 unknown", Rejected, Reason::RecipientRejected, Notification),
            (Stage::Rcpt, "550 unknown", Rejected, Reason::RecipientRejected, Notification),
            (Stage::Rcpt, "554 5.7.1 relay access denied", Rejected, Reason::RecipientRejected, Notification),
            (Stage::Rcpt, "553 5.6.7 not ASCII", Rejected, Reason::Unsupported, Notification),
            (Stage::Rcpt, "550 4.1.1 maybe later", Deferred, Reason::TemporaryFailure, Notification),
            (Stage::Rcpt, "451 5.1.1 never", Rejected, Reason::RecipientRejected, Notification),
            (Stage::Rcpt, "450 4.2.0 greylisted", Deferred, Reason::Greylisted, Notification),
            (Stage::Rcpt, "451 4.7.1 greylisting in action", Deferred, Reason::Greylisted, Notification),
            (Stage::Rcpt, "450 try again", Deferred, Reason::Greylisted, Notification),
            (Stage::Rcpt, "452 4.2.2 mailbox full", Deferred, Reason::TemporaryFailure, Notification),
            (Stage::Rcpt, "450 4.7.1 error: too much mail from x", Deferred, Reason::RateLimited, Channel),
            (
                Stage::Rcpt,
                "451 Sender rate exceeds 5 messages per 3s",
                Deferred,
                Reason::RateLimited,
                Channel,
            ),
            (
                Stage::Rcpt,
                "554 5.7.1 <throttle@example.org>: Relay access denied",
                Rejected,
                Reason::RecipientRejected,
                Notification,
            ),
            (
                Stage::Rcpt,
                r#"550 no <"a> \"too fast b"@too-fast.example> for <x@y> "rate limit"@example.org"#,
                Rejected,
                Reason::RecipientRejected,
                Notification,
            ),
            (
                Stage::Rcpt,
                "450 4.7.1 <ops@example.org>: rate limit of me@example.org",
                Deferred,
                Reason::RateLimited,
                Channel,
            ),
            (Stage::Rcpt, "571 throttle@example.org", Rejected, Reason::RecipientRejected, Notification),
            (Stage::Done, "571 refused", Rejected, Reason::MessageRejected, Notification),
            (Stage::Rcpt, "450 4.2.1 receiving mail too quickly", Deferred, Reason::Greylisted, Notification),
            (Stage::Rcpt, "421 4.7.0 bye", Deferred, Reason::TemporaryFailure, Channel),
            (Stage::Rcpt, "530 5.7.1 log in first", Deferred, Reason::Credentials, Channel),
            (Stage::Rcpt, "450 4.1.8 sender's domain not found", Deferred, Reason::TemporaryFailure, Channel),
            (Stage::Rcpt, "550 5.7.25 no reverse DNS", Deferred, Reason::SenderRejected, Channel),
            (Stage::Data, "554 5.5.1 no valid recipients", Rejected, Reason::MessageRejected, Notification),
            (Stage::Data, "451 4.3.0 trouble", Deferred, Reason::TemporaryFailure, Notification),
            (Stage::Data, "503 5.5.1 need RCPT", Deferred, Reason::ProtocolError, Channel),
            (Stage::Done, "554 5.6.0 spam", Rejected, Reason::MessageRejected, Notification),
            (Stage::Done, "552 5.3.4 too large", Rejected, Reason::Unsupported, Notification),
            (
                Stage::Done,
                "451 4.3.0 queue file write error",
                Deferred,
                Reason::TemporaryFailure,
                Notification,
            ),
            (Stage::Done, "421 4.3.2 shutting down", Deferred, Reason::TemporaryFailure, Channel),
            (Stage::Done, "550 5.4.5 daily limit exceeded", Deferred, Reason::RateLimited, Channel),
            (Stage::Done, "454 Throttling failure: sending rate", Deferred, Reason::RateLimited, Channel),
            (Stage::Done, "550 5.7.26 unauthenticated", Deferred, Reason::SenderRejected, Channel),
        ] {
            let verdict = refusal(stage, &reply(line));
            let found = (verdict.outcome, verdict.reason, verdict.scope);
            assert_eq!(found, (outcome, reason, scope), "{stage}: {line}");
            assert_eq!(verdict.detail, format!("{stage}: {line}"));
        }
    }

    #[test]
    fn silences() {
        let timeout = Broken::Timeout(std::time::Duration::from_secs(5));
        let lost = Broken::Lost("reset".into());
        let garbled = Broken::Garbled("?".into());
        for (stage, scope) in [
            (Stage::Greeting, Channel),
            (Stage::Ehlo, Channel),
            (Stage::StartTls, Channel),
            (Stage::Auth, Channel),
            (Stage::Mail, Channel),
            (Stage::Rcpt, Notification),
            (Stage::Data, Notification),
            (Stage::Content, Notification),
        ] {
            for (broken, reason) in [
                (&timeout, Reason::Timeout),
                (&lost, Reason::ConnectionLost),
                (&garbled, Reason::ProtocolError),
            ] {
                let verdict = silence(stage, broken);
                assert_eq!((verdict.outcome, verdict.reason, verdict.scope), (Deferred, reason, scope));
            }
        }
        for broken in [&timeout, &lost, &garbled] {
            let verdict = silence(Stage::Done, broken);
            let expected = (Unknown, Reason::NoAnswer, Notification);
            assert_eq!((verdict.outcome, verdict.reason, verdict.scope), expected);
        }
        assert_eq!(silence(Stage::Done, &timeout).detail, "end of message: no answer within 5s");
    }
}
