//! A whole pass over a webhook, from claim to settled, into a sink of our own, against a bare loop of the same client.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::measure::{Budget, Row, notifyctl, pairs, succeed, time};

const POSTS: usize = 20_000;
const CONNECTIONS: usize = 8;

/// What is posted each time, in bytes; an envelope with a message of [`MESSAGE`] bytes has as many.
const BODY: usize = 300;
const MESSAGE: usize = 64;

pub fn run() -> Vec<Row> {
    // The bare client is not built without; it uses none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sink = Sink::start();
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("rows.ndjson");
    let message = "x".repeat(MESSAGE);
    let mut text = String::new();
    for n in 0..POSTS {
        writeln!(text, "{{\"to\":\"user{n}@example.org\",\"message\":\"{message}\"}}").expect("memory");
    }
    std::fs::write(&rows, text).expect("write the rows");
    let secrets = folder.path().join("secrets");
    std::fs::write(&secrets, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").expect("write the secrets");
    // Read by all it would be warned of, in every pass that is measured.
    std::fs::set_permissions(&secrets, PermissionsExt::from_mode(0o600)).expect("set the mode");
    let signed = format!("secrets_file = \"{}\"\n", secrets.display());
    let rate = |seconds: f64| format!("{:.0}/s", POSTS as f64 / seconds);
    let passes = [("", String::new()), (", signed", signed)].map(|(what, more)| {
        let config = sink.config(&more);
        let ours = || {
            let store = tempfile::tempdir().expect("a folder");
            succeed(notifyctl(store.path(), &config).args(["enqueue", "--batch"]).arg(&rows));
            let mut pass = notifyctl(store.path(), &config);
            pass.arg("send-pending");
            sink.takes(|| time(|| succeed(&mut pass)))
        };
        let bare = || sink.takes(|| time(|| bare_loop(sink.address)));
        let (a, b, ratio) = pairs(11, ours, bare);
        Row {
            work: format!("pass over a webhook{what}, {CONNECTIONS} connections, {POSTS} posts"),
            ours: rate(a),
            floor: rate(b),
            against: "a bare loop of reqwest".into(),
            ratio: 1.0 / ratio,
            budget: Budget::AtLeast(0.6),
        }
    });
    passes.into()
}

/// Posts as much as a notification's envelope, as many times, over as many connections: nothing else is done.
fn bare_loop(address: SocketAddr) {
    let url = format!("http://{address}/");
    let body = "x".repeat(BODY);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let left = Arc::new(AtomicUsize::new(POSTS));
        let mut loops = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (client, url, body, left) = (client.clone(), url.clone(), body.clone(), Arc::clone(&left));
            loops.spawn(async move {
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                    let request =
                        client.post(&url).header("content-type", "application/json").body(body.clone());
                    let response = request.send().await.expect("an answer");
                    assert!(response.status().is_success());
                    response.bytes().await.expect("its end");
                }
            });
        }
        while let Some(ended) = loops.join_next().await {
            ended.expect("a loop that ends");
        }
    });
}

/// An HTTP/1.1 server that does no more than count: it finds the end of each request by its length, and says 204.
struct Sink {
    address: SocketAddr,
    taken: Arc<AtomicUsize>,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                std::thread::spawn(move || serve(stream, &count));
            }
        });
        Self { address, taken }
    }

    fn config(&self, more: &str) -> String {
        format!(
            "[defaults]\nchannel = \"hook\"\n[channels.hook]\nkind = \"webhook\"\nurl = \"http://{}/\"\n\
             max_in_flight = {CONNECTIONS}\n{more}",
            self.address
        )
    }

    /// Runs `work`, and makes sure that it posted what it should.
    fn takes(&self, work: impl FnOnce() -> f64) -> f64 {
        let before = self.taken.load(Ordering::Relaxed);
        let took = work();
        assert_eq!(self.taken.load(Ordering::Relaxed) - before, POSTS, "each is posted once");
        took
    }
}

fn serve(mut stream: TcpStream, taken: &AtomicUsize) {
    stream.set_nodelay(true).expect("no delay");
    let (mut buffer, mut filled) = (vec![0; 64 * 1024], 0);
    loop {
        match request_length(&buffer[..filled]) {
            Some(length) if length <= filled => {
                buffer.copy_within(length..filled, 0);
                filled -= length;
                taken.fetch_add(1, Ordering::Relaxed);
                if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").is_err() {
                    return;
                }
            }
            _ => match stream.read(&mut buffer[filled..]) {
                Ok(read) if read > 0 => filled += read,
                _ => return,
            },
        }
    }
}

/// The bytes of the request that begins here, once its head is whole.
fn request_length(bytes: &[u8]) -> Option<usize> {
    const LENGTH: &[u8] = b"content-length: ";
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let at = bytes[..head].windows(LENGTH.len()).position(|name| name == LENGTH)? + LENGTH.len();
    let digits = bytes[at..head].iter().take_while(|byte| byte.is_ascii_digit());
    Some(head + digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0')))
}
