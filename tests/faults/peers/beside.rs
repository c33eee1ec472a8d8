//! P7: what a healthy channel notices of hostile ones in the same pass, and that the check would see it if it did.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::acts::Act;
use super::{http, smtp};
use crate::finding::Finding;
use crate::ground::Ground;
use crate::support::http_sink::Post;
use crate::support::webhooks::Peer;

/// How long the healthy endpoint takes for an answer, as one on another continent would.
const ANSWER: Duration = Duration::from_millis(20);

/// How long the healthy endpoint is waited for, however busy the machine is: what is put off does not come back in time.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most time for one pass; it takes a few seconds.
const LONGEST: Duration = Duration::from_secs(60);

/// How many wait for each hostile peer. What they cost is to be told apart from what they hold up.
const BACKLOG: usize = 10;

/// Runs it.
pub fn part(ground: &Ground) -> Vec<Finding> {
    let (count, turns) = ground.scale((200, 3), (1_200, 9));
    let hostile = hostile();
    let (mut slower, mut noise) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        // One alone before and one after: what the machine does meanwhile touches both sides alike.
        let [before, beside, after] =
            [false, true, false].map(|are_there| healthy(ground, count, &hostile, are_there));
        slower.push((2.0 * beside / (before + after) - 1.0) * 100.0);
        noise.push((before.max(after) / before.min(after) - 1.0) * 100.0);
    }
    let (slower, noise) = (median(slower), median(noise));
    let shared = (shared_lane(ground, 80, 8) / shared_lane(ground, 80, 0) - 1.0) * 100.0;
    vec![
        Finding::at_most(
            format!("a healthy channel beside {} hostile ones is slower by, in percent", hostile.len()),
            round(slower),
            ground.scale(100.0, 5.0),
        ),
        // On a machine where this is much, the figure above says little.
        Finding::counted("two passes without hostile ones differ by, in percent", round(noise)),
        Finding::at_least("control: slower by, when they share its places, in percent", round(shared), 150.0),
    ]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn round(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

/// Peers that are slow, silent, talkative without end or quick to refuse, each with a channel to it.
fn hostile() -> Vec<(Peer, String)> {
    let line = |line: &str| format!("{line}\r\n").into_bytes();
    let relays = [
        ("greeting", Act::Silence),
        ("EHLO", Act::Drip(Vec::new(), line("250 ok"))),
        ("MAIL", Act::Say([&b"250 "[..], &vec![b'x'; 10 << 20]].concat())),
        ("RCPT", Act::SayAndClose(line("421 4.3.2 enough for today"))),
        ("dot", Act::SayAndReset(Vec::new())),
    ];
    let head = |head: &str| format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    let endpoints = [
        Act::Silence,
        Act::Drip(Vec::new(), head("200 OK")),
        Act::SayAndReset(Vec::new()),
        Act::SayAndClose([b"HTTP/1.1 200 OK\r\n", &b"A: b\r\n".repeat(100_000)[..]].concat()),
        Act::Endless([&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b'z'; 60_000]].concat()),
        Act::Endless(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Act::Say(head("302 Found\r\nLocation: /")),
        Act::Say(head("421 Misdirected")),
    ];
    let relays = relays.map(|(step, act)| smtp::relay("250-relay\r\n250 PIPELINING\r\n", step, act));
    relays.into_iter().chain(endpoints.map(http::endpoint)).collect()
}

/// How long a pass takes to deliver `count` to a healthy endpoint, in seconds; with a backlog for the others, or none.
fn healthy(ground: &Ground, count: usize, hostile: &[(Peer, String)], are_there: bool) -> f64 {
    let endpoint = Endpoint::start();
    let mut channels = endpoint.channel("healthy", PATIENCE);
    for (n, (_, channel)) in hostile.iter().enumerate() {
        channels += &format!("[channels.hostile{n}]\n{channel}");
    }
    let mut rows = String::new();
    if are_there {
        (0..hostile.len()).for_each(|n| rows += &row(&format!("hostile{n}"), "x").repeat(BACKLOG));
    }
    rows += &row("healthy", "x").repeat(count);
    endpoint.delivers(ground, &channels, &rows, count)
}

/// The same where `hostile` of them hang in the one channel that there is.
fn shared_lane(ground: &Ground, count: usize, hostile: usize) -> f64 {
    let endpoint = Endpoint::start();
    let rows = row("healthy", "hang").repeat(hostile) + &row("healthy", "x").repeat(count);
    let channels = endpoint.channel("healthy", Duration::from_secs(1));
    endpoint.delivers(ground, &channels, &rows, count)
}

fn row(channel: &str, message: &str) -> String {
    format!("{{\"channel\":\"{channel}\",\"to\":\"ops@example.org\",\"message\":\"{message}\"}}\n")
}

/// An endpoint that answers everything after the same time, but for what it is asked to hang on.
struct Endpoint {
    peer: Peer,
    answered: Arc<AtomicUsize>,
}

impl Endpoint {
    fn start() -> Self {
        let answered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&answered);
        let peer = Peer::start(move |stream| drop(answer(&stream, &count)));
        Self { peer, answered }
    }

    fn channel(&self, name: &str, timeout: Duration) -> String {
        let (url, seconds) = (self.peer.url("/"), timeout.as_secs());
        format!(
            "[channels.{name}]\nkind = \"webhook\"\nurl = \"{url}\"\ntimeout = \"{seconds}s\"\nmax_in_flight = 8\n"
        )
    }

    /// Seconds from the start of a pass until `count` were answered.
    fn delivers(&self, ground: &Ground, channels: &str, rows: &str, count: usize) -> f64 {
        let sandbox = ground.sandbox(|_| channels.to_owned());
        assert!(sandbox.run(&["enqueue", "--batch", "-"], rows.as_bytes()).status.success());
        let mut pass = sandbox.notifyctl();
        pass.arg("send-pending").stdout(Stdio::null()).stderr(Stdio::null());
        let begun = Instant::now();
        let mut pass = pass.spawn().expect("a pass");
        while self.answered.load(Ordering::Relaxed) < count {
            assert!(begun.elapsed() < LONGEST, "waited in vain until all are answered");
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = begun.elapsed().as_secs_f64();
        // What is left hangs.
        pass.kill().expect("end it");
        pass.wait().expect("it ends");
        took
    }
}

fn answer(stream: &TcpStream, answered: &AtomicUsize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while let Some(post) = Post::read(&mut reader)? {
        if post.body.windows(6).any(|word| word == b"\"hang\"") {
            Act::Silence.perform(stream);
            return Ok(());
        }
        std::thread::sleep(ANSWER);
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
