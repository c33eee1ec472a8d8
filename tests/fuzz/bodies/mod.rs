//! What is fuzzed, as ordinary functions: each takes any bytes and panics where a promise is broken.
//!
//! The same functions run in three ways: `tests/suite/fuzz.rs` replays the corpora and some seconds of mutations
//! in every test run; `tests/fuzz/run` lets libFuzzer look for more, guided by coverage; and what it finds becomes
//! a file in `tests/fuzz/corpus`, which is replayed from then on. They reach notifyctl by its public interface:
//! what a relay or an endpoint says reaches it over a socket.

mod config;
mod mail;
mod peer;
mod rows;
mod smtp;
mod units;
mod webhook;

/// One way in: its name, which is that of its corpus, and what it does with the bytes.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
}

pub const TARGETS: [Target; 8] = [
    Target { name: "config", run: config::config },
    Target { name: "ndjson", run: rows::ndjson },
    Target { name: "csv", run: rows::csv },
    Target { name: "mail", run: mail::mail },
    Target { name: "smtp", run: smtp::smtp },
    Target { name: "reply", run: webhook::reply },
    Target { name: "template", run: webhook::template },
    Target { name: "units", run: units::units },
];

/// What separates the fields of an input that has several: allowed in none of them.
const BETWEEN: u8 = 0x1f;

/// The fields of an input as text; those that are missing are empty.
fn fields<const N: usize>(data: &[u8]) -> [String; N] {
    let mut fields = data.splitn(N, |byte| *byte == BETWEEN).map(String::from_utf8_lossy);
    std::array::from_fn(|_| fields.next().unwrap_or_default().into_owned())
}

/// What every verdict is held to, whatever the other side did.
fn bounded(verdict: &notifyctl::model::Verdict) {
    use notifyctl::model::{Outcome, Verdict};
    assert!(verdict.detail.len() <= Verdict::DETAIL_LIMIT, "{} bytes of detail", verdict.detail.len());
    assert!(!verdict.detail.contains(char::is_control), "{:?}", verdict.detail);
    if let Some(wait) = verdict.retry_after {
        assert!((1..=86_400).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(verdict.outcome, Outcome::Deferred);
    }
}
