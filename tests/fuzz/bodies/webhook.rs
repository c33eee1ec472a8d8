//! What an endpoint answers, `Retry-After` above all, and what an operator's template makes of a notification.

use notifyctl::channel::Channel;
use notifyctl::channel::webhook::{Body, Options, Webhook};
use notifyctl::model::{Outcome, Verdict};
use secrecy::SecretString;

use super::peer::{PIECE, TURN, against, envelope, listen, run};
use super::{bounded, fields};

/// Any bytes as an HTTP reply: the verdict is bounded, and `sent` only after a status of the 200s.
pub fn reply(data: &[u8]) {
    let script = [&[TURN], data].concat();
    let (verdict, _) = post(&script, None, "disk full", "The disk is full.\n").expect("a channel");
    bounded(&verdict);
    if verdict.outcome == Outcome::Sent {
        let said: Vec<u8> = data.iter().copied().filter(|byte| ![TURN, PIECE].contains(byte)).collect();
        assert!(said.windows(2).any(|pair| pair == b" 2"), "sent without a status of the 200s");
    }
}

/// A template, a subject and a message: refused when the channel is built, or at the attempt as unsendable; what
/// is posted is JSON.
pub fn template(data: &[u8]) {
    let [template, subject, message] = fields(data);
    let script = [&[TURN], &b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"[..]].concat();
    let Some((verdict, heard)) = post(&script, Some(&template), &subject, &message) else { return };
    bounded(&verdict);
    if verdict.outcome == Outcome::Sent {
        let end = heard.windows(4).position(|end| end == b"\r\n\r\n").expect("a request");
        let body = &heard[end + 4..];
        // The reply does not wait for all of a long request.
        let head = String::from_utf8_lossy(&heard[..end + 2]).to_ascii_lowercase();
        if !head.contains(&format!("content-length: {}\r\n", body.len())) {
            return;
        }
        // By the grammar: JSON itself knows numbers of any size.
        if !template.trim().is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err() {
            panic!("posted what is no JSON: {:?}", String::from_utf8_lossy(body));
        }
    }
}

/// One attempt; `None` when the channel cannot be built.
fn post(script: &[u8], template: Option<&str>, subject: &str, message: &str) -> Option<(Verdict, Vec<u8>)> {
    run(async {
        let (listener, address) = listen().await;
        let mut options = Options::new(SecretString::from(format!("http://{address}/hook")));
        options.body = template.map(|text| Body::Inline(text.to_owned()));
        options.timeout = std::time::Duration::from_millis(500);
        let channel = Webhook::new("fuzzed", &options).ok()?;
        let envelope = envelope(subject, message);
        let attempt = async move { channel.attempt(&envelope).await };
        Some(against(&listener, script, attempt).await)
    })
}
