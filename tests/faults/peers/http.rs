//! Endpoints: each reads a request, or a part of it, and does one thing that no endpoint should.

use std::net::TcpStream;
use std::process::Command;

use notifyctl::model::Outcome::{self, Deferred, Rejected, Sent, Unknown};

use super::acts::Act;
use super::matrix::Case;
use crate::support::webhooks::{Peer, read_request};

/// Every endpoint, with what an attempt at it comes to.
pub fn cases() -> Vec<Case> {
    let case = |(name, act, outcome): (&str, Act, Outcome)| {
        let (peer, config) = endpoint(act);
        Case::new(format!("endpoint: {name}"), peer, &config, outcome)
    };
    acts().into_iter().map(case).collect()
}

/// An endpoint that reads each request and does `act`, and a channel to it.
pub fn endpoint(act: Act) -> (Peer, String) {
    let peer = Peer::start(move |stream| talk(stream, &act));
    let config = format!("kind = \"webhook\"\nurl = \"{}\"\nto = \"ops\"\ntimeout = \"3s\"\n", peer.url("/"));
    (peer, config)
}

fn talk(mut stream: TcpStream, act: &Act) {
    let _ = stream.set_nodelay(true);
    // One that answers in order is given the next request on the same connection.
    while !read_request(&mut stream).0.is_empty() && act.perform(&stream) {}
}

fn acts() -> Vec<(&'static str, Act, Outcome)> {
    let head = |status: &str, headers: &str| format!("HTTP/1.1 {status}\r\n{headers}\r\n").into_bytes();
    let with = |status: &str, headers: &str, body: &[u8]| [&head(status, headers)[..], body].concat();
    let retry_after =
        |value: &str| Act::Say(head("503 No", &format!("Retry-After: {value}\r\nContent-Length: 0\r\n")));
    let chunked = "Transfer-Encoding: chunked\r\n";
    let body = |status: &str, size: usize| with(status, "Content-Length: 1000000\r\n", &vec![b'z'; size]);
    vec![
        ("silence", Act::Silence, Unknown),
        ("close", Act::SayAndClose(Vec::new()), Unknown),
        ("reset", Act::SayAndReset(Vec::new()), Unknown),
        ("reset within the status line", Act::SayAndReset(b"HTTP/1.1 2".to_vec()), Unknown),
        ("reset within the headers", Act::SayAndReset(b"HTTP/1.1 200 OK\r\nA: b\r\n".to_vec()), Unknown),
        ("one byte a second", Act::Drip(Vec::new(), head("200 OK", "Content-Length: 0\r\n")), Unknown),
        ("garbage", Act::SayAndClose(b"\0\x01\x02\xff\xfe not HTTP at all\r\n\r\n".to_vec()), Unknown),
        ("a status of four digits", Act::SayAndClose(head("2000 OK", "")), Unknown),
        ("a status of 000", Act::SayAndClose(head("000 OK", "")), Unknown),
        ("100 Continue without end", Act::Endless(head("100 Continue", "")), Unknown),
        ("103 Early Hints without end", Act::Endless(head("103 Early Hints", "Link: </a>\r\n")), Unknown),
        ("100 Continue, a thousand times", Act::Say(head("100 Continue", "").repeat(1_000)), Unknown),
        ("endless headers", Act::SayAndClose(head("200 OK", &"A: b\r\n".repeat(100_000))), Unknown),
        (
            "a header of 10 MB",
            Act::Say([b"HTTP/1.1 200 OK\r\nA: ", &vec![b'a'; 10 << 20][..]].concat()),
            Unknown,
        ),
        (
            "two lengths that differ",
            Act::SayAndClose(head("200 OK", "Content-Length: 1\r\nContent-Length: 2\r\n")),
            Unknown,
        ),
        ("a length below nothing", Act::SayAndClose(head("200 OK", "Content-Length: -1\r\n")), Unknown),
        (
            "redirects without end",
            Act::Say(head("302 Found", "Location: /again\r\nContent-Length: 0\r\n")),
            Deferred,
        ),
        ("Retry-After: -5", retry_after("-5"), Deferred),
        ("Retry-After: 1e400", retry_after("1e400"), Deferred),
        ("Retry-After: 99999999999999999999", retry_after("99999999999999999999"), Deferred),
        ("Retry-After: a day that never was", retry_after("Wed, 99 Foo 0000 99:99:99 GMT"), Deferred),
        // From here on the status line has said it: what becomes of the body changes nothing.
        ("accepted, then one byte a second", Act::Drip(body("200 OK", 10), vec![b'z'; 100]), Sent),
        ("accepted, then silence", Act::Say(body("200 OK", 0)), Sent),
        ("accepted, then a reset", Act::SayAndReset(body("200 OK", 10)), Sent),
        ("accepted, then less than it said", Act::SayAndClose(body("200 OK", 100)), Sent),
        ("accepted, then an endless body", Act::Endless(with("200 OK", "", &[b'z'; 60_000])), Sent),
        (
            "refused, then an endless body",
            Act::Endless(with("400 Bad Request", "", &[b'z'; 60_000])),
            Rejected,
        ),
        ("refused, with a gzip bomb", Act::Say(bomb("400 Bad Request")), Rejected),
        ("accepted, with a gzip bomb", Act::Say(bomb("200 OK")), Sent),
        (
            "accepted, with what is no gzip",
            Act::Say(with("200 OK", "Content-Encoding: gzip\r\nContent-Length: 4\r\n", b"zzzz")),
            Sent,
        ),
        (
            "accepted, with chunks of nonsense",
            Act::SayAndClose(with("200 OK", chunked, b"zz\r\nffffffffffffffffffff\r\n")),
            Sent,
        ),
    ]
}

/// 100 MB in 100 kB.
fn bomb(status: &str) -> Vec<u8> {
    let gzip = "head -c 100000000 /dev/zero | tr '\\0' z | gzip -9";
    let bomb = Command::new("sh").args(["-c", gzip]).output().expect("gzip").stdout;
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len());
    [head.into_bytes(), bomb].concat()
}
