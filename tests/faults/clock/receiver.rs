//! A receiver of webhooks that answers by path, and remembers what came when by the machine's own monotonic clock.

use std::io::Write;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::support::webhooks::{Peer, read_request};

/// One request that came.
#[derive(Clone)]
pub struct Request {
    pub at: Instant,
    pub path: String,
    /// Its `webhook-id`.
    pub id: String,
}

/// The receiver; its threads end soon after it is dropped.
pub struct Receiver {
    peer: Peer,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    /// Answers each request with the status line and headers that `answer` gives for its path and for how many
    /// came to that path before.
    pub fn start(answer: impl Fn(&str, usize) -> String + Send + Sync + 'static) -> Self {
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let log = Arc::clone(&requests);
        let peer = Peer::start(move |stream| serve(stream, &log, &answer));
        Self { peer, requests }
    }

    /// A URL on it.
    pub fn url(&self, path: &str) -> String {
        self.peer.url(path)
    }

    /// What came so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("whole").clone()
    }

    /// How many came to `path` so far.
    pub fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|request| request.path == path).count()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Request>>, answer: &impl Fn(&str, usize) -> String) {
    let _ = stream.set_nodelay(true);
    loop {
        let (head, _) = read_request(&mut stream);
        let at = Instant::now();
        let Some(path) = head.split(' ').nth(1).map(str::to_owned) else { return };
        let id = head.lines().find_map(|line| line.strip_prefix("webhook-id: "));
        let id = id.unwrap_or_default().to_owned();
        let before = {
            let mut log = log.lock().expect("whole");
            let before = log.iter().filter(|request| request.path == path).count();
            log.push(Request { at, path: path.clone(), id });
            before
        };
        let reply = format!("HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n", answer(&path, before));
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}
