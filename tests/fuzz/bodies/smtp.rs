//! What a relay says, to a whole attempt over a socket: replies, their pieces, and what is made of them.

use notifyctl::channel::smtp::{Options, Smtp, Timeouts, Tls};
use notifyctl::channel::{self, Channel};
use notifyctl::model::{Outcome, Verdict};

use super::bounded;
use super::peer::{PIECE, TURN, against, envelope, listen, run};

/// Any bytes as a relay: the verdict is bounded, is `sent` only after a whole message was handed over and a
/// positive reply came back, and does not depend on the pieces in which the replies arrive.
pub fn smtp(data: &[u8]) {
    let (verdict, heard) = attempt(data);
    bounded(&verdict);
    if verdict.outcome == Outcome::Sent {
        assert!(heard.windows(5).any(|end| end == b"\r\n.\r\n"), "sent before the message was over");
        let positive = |line: &[u8]| line.first() == Some(&b'2');
        assert!(data.split(|byte| matches!(byte, b'\n' | &TURN)).any(positive), "sent without a reply");
    }
    let whole: Vec<u8> = data.iter().copied().filter(|byte| *byte != PIECE).collect();
    if whole.len() != data.len() {
        let (again, _) = attempt(&whole);
        // What comes out of its turn is noticed, or not yet, by what has arrived: that depends on the pieces.
        let early = |verdict: &Verdict| verdict.detail.contains("not its turn");
        let said = |verdict: &Verdict| (verdict.outcome, verdict.reason, verdict.scope);
        if !early(&verdict) && !early(&again) {
            assert_eq!(
                said(&verdict),
                said(&again),
                "in pieces: {}; whole: {}",
                verdict.detail,
                again.detail
            );
        }
    }
}

fn attempt(script: &[u8]) -> (Verdict, Vec<u8>) {
    run(async {
        let (listener, address) = listen().await;
        let mut options = Options::new(address.ip().to_string());
        options.port = Some(address.port());
        options.tls = Some(Tls::None);
        options.hello = Some("fuzz.example.org".into());
        options.timeouts = Timeouts::within(std::time::Duration::from_millis(500));
        let channel = Smtp::new("fuzzed", &options).expect("a channel");
        let envelope = envelope("disk full", "The disk is full.\n.\n");
        let attempt = async move {
            let attempt: channel::Attempt<'_> = channel.attempt(&envelope);
            attempt.await
        };
        against(&listener, script, attempt).await
    })
}
