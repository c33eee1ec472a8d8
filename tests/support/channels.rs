//! One attempt through a channel, as the engine makes it, without the engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use notifyctl::channel::{Channel, Envelope, Options};
use notifyctl::model::{Content, Outcome, Priority, Reason, Timestamp, Verdict};

/// A plain envelope for `recipient`: the first attempt at notification 17.
pub fn envelope(message: &str) -> Envelope {
    Envelope {
        id: 17,
        stable_id: "17-5f0c2b9a".into(),
        message_domain: "queue.example.org".into(),
        channel: "under-test".into(),
        attempt: 1,
        created_at: Timestamp(1_763_000_000_123),
        user_id: Some("u-1".into()),
        priority: Priority::High,
        content: Content {
            recipient: "ops@example.org".into(),
            subject: Some("Disk full on db-1".into()),
            message: message.into(),
            ..Content::default()
        },
    }
}

/// The channel of these options.
pub fn build(options: &Options) -> Arc<dyn Channel> {
    options.build("under-test").expect("options that can be used")
}

/// Attempts once, on a runtime like `send-pending`'s. Panics when it takes longer than the channel said.
pub fn attempt(options: &Options, envelope: &Envelope) -> Verdict {
    let channel = build(options);
    let begun = Instant::now();
    let verdict = runtime().block_on(channel.attempt(envelope));
    // A busy machine and an unoptimised build take their time; a hang takes for ever.
    let (took, limit) = (begun.elapsed(), options.longest_attempt() + Duration::from_secs(10));
    assert!(took < limit, "took {took:?}, limit {limit:?}: {verdict:?}");
    verdict
}

/// A runtime like `send-pending`'s.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// What a verdict says in short, for a comparison.
pub fn short(verdict: &Verdict) -> (Outcome, Reason) {
    (verdict.outcome, verdict.reason)
}

/// Waits until `holds`, looking often; panics with `what` after ten seconds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
