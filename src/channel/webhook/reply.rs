//! What an HTTP reply means for the notification and for the channel.

use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::model::{Outcome, Reason, Scope, Timestamp, Verdict};

/// The waits that a reply may ask for; what is shorter or longer is taken for the nearer of them.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A reply, as far as it matters.
#[derive(Debug, Default)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// `Location`, without anything that could be a secret.
    pub location: Option<String>,
    /// `Retry-After`.
    pub retry_after: Option<String>,
    /// `Date`: the other side's clock, by which it counts a date in `Retry-After`.
    pub date: Option<String>,
    /// The beginning of the body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The verdict, with `said` for the body's words; `now` is our clock.
    pub fn verdict(&self, said: &str, now: Timestamp) -> Verdict {
        let (outcome, reason, scope) = judge(self.status);
        let mut detail = format!("HTTP {}", self.status);
        if let Some(location) = &self.location {
            detail = format!("{detail} to {location}, not followed");
        }
        if !said.is_empty() {
            detail = format!("{detail}: {said}");
        }
        let verdict = Verdict { scope, ..Verdict::new(outcome, reason, &detail) };
        match self.wait(now) {
            // Whoever asks for patience asks it of all that we send.
            Some(wait) if outcome == Outcome::Deferred => {
                Verdict { scope: Scope::Channel, ..verdict }.after(wait)
            }
            _ => verdict,
        }
    }

    /// The wait that is asked for: `Retry-After`, else what some services write into the body.
    fn wait(&self, now: Timestamp) -> Option<Duration> {
        let now = self.date.as_deref().and_then(instant).unwrap_or(now);
        let asked = match self.retry_after.as_deref() {
            Some(header) => header_wait(header, now),
            None => body_wait(&self.body),
        };
        Some(asked?.clamp(SHORTEST_WAIT, LONGEST_WAIT))
    }
}

/// The beginning of what was packed with gzip; nobody asks for it, and some pack all the same.
pub fn unzipped(packed: &[u8], limit: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    // Until it breaks off, as it must where only a beginning has come.
    let _ = GzDecoder::new(packed).take(limit as u64).read_to_end(&mut plain);
    plain
}

/// What a status code means (RFC 9110 section 15; RFC 6585 for 429, RFC 8470 for 425).
fn judge(status: u16) -> (Outcome, Reason, Scope) {
    use {Outcome as O, Reason as R, Scope as S};
    match status {
        200..=299 => (O::Sent, R::Accepted, S::Notification),
        // The endpoint has moved or is not one: the URL is to be mended, and nothing need die meanwhile.
        // A redirect is not followed because it could lead anywhere, with headers that are secrets.
        100..=199 | 300..=399 => (O::Deferred, R::ProtocolError, S::Channel),
        401 | 403 => (O::Deferred, R::Credentials, S::Channel),
        408 | 425 => (O::Deferred, R::TemporaryFailure, S::Notification),
        410 => (O::Rejected, R::Gone, S::Notification),
        429 => (O::Deferred, R::RateLimited, S::Channel),
        400..=499 => (O::Rejected, R::MessageRejected, S::Notification),
        500..=599 => (O::Deferred, R::TemporaryFailure, S::Notification),
        _ => (O::Deferred, R::ProtocolError, S::Channel),
    }
}

/// Seconds or an HTTP date (RFC 9110 section 10.2.3); some write fractions of a second.
fn header_wait(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '.')
    {
        return seconds(text.parse().ok()?);
    }
    Some(instant(text)?.since(now))
}

fn instant(text: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    Some(Timestamp::default().plus(time.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?))
}

/// Discord writes `{"retry_after": 0.65}`, Telegram `{"parameters": {"retry_after": 5}}`.
fn body_wait(body: &[u8]) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Asking {
        retry_after: Option<f64>,
        parameters: Option<Parameters>,
    }
    #[derive(Deserialize)]
    struct Parameters {
        retry_after: Option<f64>,
    }
    let Asking { retry_after, parameters } = serde_json::from_slice(body).ok()?;
    seconds(retry_after.or_else(|| parameters?.retry_after)?)
}

fn seconds(seconds: f64) -> Option<Duration> {
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Fri, 20 Nov 2026 02:00:00 GMT.
    const NOW: Timestamp = Timestamp(1_795_140_000_000);

    fn reply(status: u16, retry_after: Option<&str>, body: &str) -> Reply {
        Reply { status, retry_after: retry_after.map(str::to_owned), body: body.into(), ..Reply::default() }
    }

    #[test]
    fn a_status_code_is_judged() {
        use {Outcome as O, Reason as R, Scope as S};
        for (codes, outcome, reason, scope) in [
            (&[200, 201, 202, 204, 206, 299][..], O::Sent, R::Accepted, S::Notification),
            (&[101, 300, 301, 302, 303, 304, 307, 308], O::Deferred, R::ProtocolError, S::Channel),
            (&[401, 403], O::Deferred, R::Credentials, S::Channel),
            (&[408, 425, 500, 501, 502, 503, 504, 599], O::Deferred, R::TemporaryFailure, S::Notification),
            (&[429], O::Deferred, R::RateLimited, S::Channel),
            (&[410], O::Rejected, R::Gone, S::Notification),
            (
                &[400, 402, 404, 405, 407, 409, 411, 413, 422, 451, 499],
                O::Rejected,
                R::MessageRejected,
                S::Notification,
            ),
            (&[600, 999], O::Deferred, R::ProtocolError, S::Channel),
        ] {
            for &code in codes {
                let verdict = reply(code, None, "").verdict("", NOW);
                assert_eq!(
                    (verdict.outcome, verdict.reason, verdict.scope),
                    (outcome, reason, scope),
                    "{code}"
                );
                assert_eq!((verdict.detail, verdict.retry_after), (format!("HTTP {code}"), None));
            }
        }
    }

    #[test]
    fn the_wait_asked_for_is_read_and_clamped() {
        const DAY: u64 = 86_400_000;
        for (header, body, millis) in [
            (Some("120"), "", Some(120_000)),
            (Some(" 7 "), "", Some(7_000)),
            (Some("1.5"), "", Some(1_500)),
            (Some("0"), "", Some(1_000)),
            (Some("99999999999999999999999999"), "", Some(DAY)),
            (Some("Fri, 20 Nov 2026 02:01:30 GMT"), "", Some(90_000)),
            (Some("Friday, 20-Nov-26 02:01:30 GMT"), "", Some(90_000)),
            (Some("Thu, 01 Jan 1970 00:00:00 GMT"), "", Some(1_000)),
            (Some("Fri, 31 Dec 9999 23:59:59 GMT"), "", Some(DAY)),
            (Some("-5"), "", None),
            (Some("soon"), "", None),
            (Some(""), "", None),
            (Some("1e3"), "", None),
            (Some("1.2.3"), "", None),
            (Some("inf"), "", None),
            // The header wins, even when it cannot be read.
            (Some("30"), r#"{"retry_after": 60}"#, Some(30_000)),
            (Some("soon"), r#"{"retry_after": 60}"#, None),
            (None, r#"{"message": "slow down", "retry_after": 64.57, "global": false}"#, Some(64_570)),
            (None, r#"{"ok": false, "parameters": {"retry_after": 35}}"#, Some(35_000)),
            (None, r#"{"retry_after": 0.3}"#, Some(1_000)),
            (None, r#"{"retry_after": 1e300}"#, Some(DAY)),
            (None, r#"{"retry_after": -1}"#, None),
            (None, r#"{"retry_after": "60"}"#, None),
            (None, r#"{"retry_after": null, "parameters": {}}"#, None),
            (None, r#"{"retry_after": 60"#, None),
            (None, "[60]", None),
            (None, "", None),
        ] {
            let verdict = reply(429, header, body).verdict("", NOW);
            assert_eq!(verdict.retry_after, millis.map(Duration::from_millis), "{header:?} {body}");
        }
    }

    #[test]
    fn a_date_counts_by_the_clock_of_who_wrote_it() {
        let reply = Reply {
            date: Some("Fri, 20 Nov 2026 14:00:00 GMT".into()),
            ..reply(503, Some("Fri, 20 Nov 2026 14:00:40 GMT"), "")
        };
        let verdict = reply.verdict("", NOW);
        assert_eq!((verdict.retry_after, verdict.scope), (Some(Duration::from_secs(40)), Scope::Channel));
    }

    #[test]
    fn a_wait_is_asked_of_the_channel_and_means_nothing_on_what_is_settled() {
        assert_eq!(reply(503, Some("5"), "").verdict("", NOW).scope, Scope::Channel);
        for status in [200, 400, 410] {
            let verdict = reply(status, Some("5"), "").verdict("", NOW);
            assert_eq!((verdict.retry_after, verdict.scope), (None, Scope::Notification), "{status}");
        }
    }

    #[test]
    fn the_detail_says_code_target_and_words() {
        let reply = Reply { location: Some("https://example.org".into()), ..reply(301, None, "") };
        let detail = "HTTP 301 to https://example.org, not followed: moved";
        assert_eq!(reply.verdict("moved", NOW).detail, detail);
    }

    proptest! {
        #[test]
        fn no_reply_panics(status in 0u16.., header in ".*", date in ".*", body in any::<Vec<u8>>()) {
            let reply = Reply { status, retry_after: Some(header), date: Some(date), body, location: None };
            let wait = reply.verdict("", NOW).retry_after;
            prop_assert!(wait.is_none_or(|wait| (SHORTEST_WAIT..=LONGEST_WAIT).contains(&wait)));
        }
    }
}
