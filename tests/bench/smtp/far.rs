//! A relay that is 20 ms away: the same sender, where the relay offers PIPELINING and where it does not.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::{CONNECTIONS, Sink, pass};
use crate::batch::write_rows;
use crate::measure::{Budget, Row, pairs};

const MAILS: usize = 1_000;

/// From here to there, and from there to here.
const ONE_WAY: Duration = Duration::from_millis(10);

pub fn run() -> Row {
    let (offers, offers_not) = (Sink::start(&[]), Sink::start(&["-p"]));
    let [near, far] = [&offers, &offers_not].map(|sink| delayed(sink.port));
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("rows.ndjson");
    write_rows(&rows, MAILS);
    let (a, b, ratio) = pairs(3, || pass(&rows, near), || pass(&rows, far));
    let rate = |seconds: f64| format!("{:.0}/s", MAILS as f64 / seconds);
    Row {
        work: format!("SMTP, 20 ms away, {CONNECTIONS} connections, PIPELINING"),
        ours: rate(a),
        floor: rate(b),
        against: "the same, one command at a time".into(),
        ratio: 1.0 / ratio,
        budget: Budget::AtLeast(3.5),
    }
}

/// A port from which all is passed on to `port`, and back, each byte [`ONE_WAY`] later. It lives as long as this
/// program; its connections as long as theirs.
fn delayed(port: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let own = listener.local_addr().expect("its address").port();
    thread::spawn(move || {
        for near in listener.incoming() {
            let near = near.expect("a connection");
            let far = TcpStream::connect(("127.0.0.1", port)).expect("the sink listens");
            let clone = |stream: &TcpStream| stream.try_clone().expect("a second handle");
            later(clone(&near), clone(&far));
            later(far, near);
        }
    });
    own
}

/// Passes on what `from` says, in two threads: one that hears it, one that says it later.
fn later(mut from: TcpStream, mut to: TcpStream) {
    to.set_nodelay(true).expect("no delay but ours");
    let (heard, say) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut bytes = [0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            if heard.send((Instant::now() + ONE_WAY, bytes[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (at, bytes) in say {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
