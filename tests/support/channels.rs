//! One attempt through a channel, as the engine makes it, without the engine.

use std::path::Path;
use std::sync::{Arc, mpsc};
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

/// What an attempt comes to by a clock that stands still but for these steps, which are made once `file` is there: nothing
/// depends on how long the machine takes until then.
pub fn attempt_by_steps(options: &Options, envelope: &Envelope, file: &Path, steps: &[Duration]) -> Verdict {
    let channel = build(options);
    let mut clock = tokio::runtime::Builder::new_current_thread();
    let clock = clock.enable_all().start_paused(true).build().expect("a runtime");
    // A clock that stands still goes on by itself when there is nothing to do but to wait; not while this is under way.
    let (over, end) = mpsc::channel::<()>();
    let standing_still = clock.spawn_blocking(move || end.recv_timeout(Duration::from_secs(60)));
    let steps = async {
        while !file.exists() {
            let pause = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5)));
            pause.await.expect("a pause");
        }
        for step in steps {
            tokio::time::advance(*step).await;
            // The attempt sees what time it is before the next step.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        std::future::pending::<()>().await;
    };
    let verdict = clock.block_on(async {
        tokio::select! {
            verdict = channel.attempt(envelope) => verdict,
            () = steps => unreachable!("it waits for the attempt"),
        }
    });
    drop(over);
    let end = clock.block_on(standing_still).expect("it waits");
    assert_eq!(end, Err(mpsc::RecvTimeoutError::Disconnected), "no end in a minute: {verdict:?}");
    // What was begun beside it may go on for a while.
    clock.shutdown_background();
    verdict
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
