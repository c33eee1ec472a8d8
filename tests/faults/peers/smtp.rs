//! Relays: polite up to one step, where each does one thing that no relay should.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use notifyctl::model::Outcome;

use super::acts::Act;
use super::matrix::Case;
use crate::support::webhooks::Peer;

/// The steps of a dialogue, as what the client said last; nothing before the greeting, and the final dot.
const STEPS: [&str; 6] = ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot"];

/// Every relay that greets with these words, with what an attempt at it comes to.
pub fn cases(offers: &'static str) -> Vec<Case> {
    let mut cases = Vec::new();
    for step in STEPS {
        for (name, act, outcome) in acts(step) {
            // After the final dot a client waits for ten minutes, and must.
            if step == "dot" && matches!(act, Act::Silence | Act::Drip(..)) {
                continue;
            }
            let (peer, config) = relay(offers, step, act);
            cases.push(Case::new(format!("relay: {name} at {step}"), peer, &config, outcome));
        }
    }
    cases
}

/// A relay that does `act` at `step`, and a channel to it.
pub fn relay(offers: &'static str, step: &'static str, act: Act) -> (Peer, String) {
    let peer = Peer::start(move |stream| drop(talk(&stream, offers, (step, &act))));
    let config = format!(
        "kind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"n@example.org\"\n\
         to = \"ops@example.org\"\ntimeout = \"3s\"\n",
        peer.address.port()
    );
    (peer, config)
}

fn acts(step: &str) -> Vec<(&'static str, Act, Outcome)> {
    use Outcome::{Deferred, Rejected, Unknown};
    // Nobody knows what became of it only after the final dot.
    let broken = if step == "dot" { Unknown } else { Deferred };
    // Until MAIL, and there, it is the channel that is refused.
    let refused = if ["RCPT", "DATA", "dot"].contains(&step) { Rejected } else { Deferred };
    let line = |line: &str| format!("{line}\r\n").into_bytes();
    let huge = |first: &str| [first.as_bytes(), &vec![b'x'; 10 << 20], b"\r\n"].concat();
    let code = if step == "DATA" { "354" } else { "250" };
    vec![
        ("silence", Act::Silence, broken),
        ("one byte a second", Act::Drip(Vec::new(), line("250 ok, but slowly")), broken),
        ("close", Act::SayAndClose(Vec::new()), broken),
        ("reset", Act::SayAndReset(Vec::new()), broken),
        ("reset in the middle of a reply", Act::SayAndReset(format!("{code} o").into_bytes()), broken),
        ("garbage", Act::Say(line("\u{0}\u{1}garbage \u{fffd}")), broken),
        ("a reply line of 10 MB", Act::Say(huge(code)), broken),
        ("endless lines", Act::Endless(line(&format!("{code}-more"))), broken),
        ("421", Act::SayAndClose(line("421 4.3.2 enough for today")), Deferred),
        ("451", Act::Say(line("451 4.3.0 not now")), Deferred),
        ("554", Act::Say(line("554 5.6.0 never")), refused),
    ]
}

/// A dialogue that ends at `step` with `act`.
fn talk(stream: &TcpStream, offers: &str, (step, act): (&str, &Act)) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut last = "greeting".to_owned();
    loop {
        if last == step && !act.perform(stream) {
            return Ok(());
        }
        let polite = match last.as_str() {
            _ if last == step => "",
            "greeting" => "220 relay ESMTP\r\n",
            "EHLO" => offers,
            "DATA" => "354 go ahead\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "250 ok\r\n",
        };
        let (mut writer, in_message) = (stream, last == "DATA" && !polite.is_empty());
        writer.write_all(polite.as_bytes())?;
        last = if in_message { message(&mut reader)? } else { command(&mut reader)? };
    }
}

fn message(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = Vec::new();
    while line != b".\r\n" {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok("dot".into())
}

fn command(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    match reader.read_line(&mut line)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line.split_whitespace().next().unwrap_or_default().trim_end_matches(':').to_uppercase()),
    }
}
