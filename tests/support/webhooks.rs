//! The other side of a webhook: a receiver in Python that checks signatures, and peers that misbehave.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::python;

/// The receiver in Python, on a port of its own; ended when dropped.
pub struct Receiver {
    child: Child,
    lines: BufReader<ChildStdout>,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Receiver {
    /// Starts it with these arguments (see `webhook_receiver.py`).
    pub fn start(arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/webhook_receiver.py");
        let mut child =
            python().arg(script).args(arguments).stdout(Stdio::piped()).spawn().expect("start the receiver");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut port = String::new();
        lines.read_line(&mut port).expect("its port");
        let port = port.trim().parse().expect("a port: is standardwebhooks installed? `tests/run` does it");
        Self { child, lines, port }
    }

    /// The next request that it had.
    pub fn next(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a request");
        serde_json::from_str(&line).expect("a line of JSON")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A listener that treats every connection as the test says, each on a thread of its own.
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// Starts it. A connection is closed when `treat` returns.
    pub fn start(treat: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (connections, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let treat = Arc::new(treat);
        let thread = std::thread::spawn({
            let (connections, stop) = (Arc::clone(&connections), Arc::clone(&stop));
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    connections.fetch_add(1, Ordering::SeqCst);
                    // So that no thread outlives its test for long.
                    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
                    stream.set_write_timeout(Some(Duration::from_secs(20))).expect("a timeout");
                    let treat = Arc::clone(&treat);
                    std::thread::spawn(move || treat(stream));
                }
            }
        });
        Self { address, connections, stop, thread: Some(thread) }
    }

    /// Answers every request with these bytes, connection after connection, and keeps none open.
    pub fn answering(reply: impl Into<Vec<u8>>) -> Self {
        let reply = reply.into();
        Self::start(move |mut stream| {
            read_request(&mut stream);
            let _ = stream.write_all(&reply);
        })
    }

    /// A URL on it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// How many connections it had.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One request: its head, and its body by `Content-Length`; empty when the connection ended.
pub fn read_request(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return (String::new(), Vec::new()),
        }
    }
    let head = String::from_utf8(head).expect("a head in UTF-8");
    let length = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("the whole body");
    (head, body)
}
