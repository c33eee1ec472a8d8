//! The load: requests over connections that are kept, by a process of its own, and how long each answer took.
//!
//! Without a rate each connection asks again as soon as it was answered. With one, requests are due at moments that
//! nothing shifts, and an answer's time counts from there: a server that stalls is not asked less (coordinated omission).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use hdrhistogram::Histogram;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::part::{Part, say};

/// What is posted each time, in bytes.
pub const BODY: usize = 300;

/// How long answers may be late before the load gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is asked for.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub enum What {
    /// A notification of [`BODY`] bytes to be accepted.
    Post,
    /// Everything about one of the first so many, in turn.
    Show(u64),
    /// A sign of life.
    Live,
}

/// Who asks what, how often and for how long.
#[derive(Clone, Serialize, Deserialize)]
pub struct Load {
    /// Whom.
    pub address: SocketAddr,
    pub what: What,
    /// How many connections.
    pub connections: usize,
    /// Requests a second, all connections together; as many as can be without.
    pub rate: Option<u32>,
    /// Seconds that are not counted, and those that are.
    pub warm: f64,
    pub seconds: f64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Answered {
    /// Answered as they should be, a second.
    pub rate: f64,
    /// Refused, answered otherwise, or not at all.
    pub errors: u64,
    /// Milliseconds until the answer.
    pub p50: f64,
    pub p99: f64,
    pub longest: f64,
}

impl Load {
    /// As many posts as can be, over so many connections.
    pub fn posts(address: SocketAddr, connections: usize) -> Self {
        Self { address, what: What::Post, connections, rate: None, warm: 1.0, seconds: 4.0 }
    }

    /// Does it, and waits for its end.
    pub fn run(&self) -> Answered {
        self.begin().hear()
    }

    /// Begins it, beside something else; [`Part::hear`] waits for its end.
    pub fn begin(&self) -> Part {
        Part::start("load", self)
    }
}

impl Answered {
    /// The same, when nothing was refused or lost.
    pub fn whole(self) -> Self {
        assert_eq!(self.errors, 0, "every request is answered as it should be: {self:?}");
        self
    }
}

/// `part load LOAD`.
pub fn main(load: &str) {
    let load: Load = serde_json::from_str(load).expect("a load");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    say(&runtime.block_on(ask(load)));
}

/// What all connections have in common.
struct Asking {
    load: Load,
    begun: Instant,
    counted_from: Instant,
    until: Instant,
    seen: Mutex<Seen>,
}

struct Seen {
    /// In microseconds.
    times: Histogram<u64>,
    errors: u64,
    last: Instant,
}

async fn ask(load: Load) -> Answered {
    let mut senders = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        senders.push(connect(load.address).await);
    }
    let begun = Instant::now();
    let counted_from = begun + Duration::from_secs_f64(load.warm);
    let until = counted_from + Duration::from_secs_f64(load.seconds);
    let times = Histogram::new_with_bounds(1, 120_000_000, 3).expect("bounds");
    let seen = Mutex::new(Seen { times, errors: 0, last: counted_from });
    let asking = Arc::new(Asking { load, begun, counted_from, until, seen });
    let mut all = JoinSet::new();
    for (n, sender) in senders.into_iter().enumerate() {
        let asking = Arc::clone(&asking);
        all.spawn(async move {
            match asking.load.rate {
                Some(rate) => asking.steadily(sender, n, rate).await,
                None => asking.at_once(sender, n).await,
            }
        });
    }
    while let Some(ended) = all.join_next().await {
        ended.expect("a connection that ends in order");
    }
    let seen = asking.seen.lock().expect("nobody panicked");
    let ms = |quantile: f64| seen.times.value_at_quantile(quantile) as f64 / 1e3;
    let took = seen.last.max(until).duration_since(counted_from);
    Answered {
        rate: seen.times.len() as f64 / took.as_secs_f64(),
        errors: seen.errors,
        p50: ms(0.5),
        p99: ms(0.99),
        longest: seen.times.max() as f64 / 1e3,
    }
}

type Sender = SendRequest<Full<Bytes>>;

/// A connection; one that finds the server's line of newcomers full comes again.
pub async fn connect(address: SocketAddr) -> Sender {
    let begun = Instant::now();
    let stream = loop {
        match TcpStream::connect(address).await {
            Ok(stream) => break stream,
            Err(error) if begun.elapsed() > PATIENCE => panic!("connect to {address}: {error}"),
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    };
    stream.set_nodelay(true).expect("no delay");
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a connection");
    tokio::spawn(connection);
    sender
}

impl Asking {
    async fn at_once(&self, mut sender: Sender, first: usize) {
        let mut number = first as u64;
        loop {
            let now = Instant::now();
            if now >= self.until || !self.one(&mut sender, number, now).await {
                return;
            }
            number += self.load.connections as u64;
        }
    }

    async fn steadily(&self, mut sender: Sender, first: usize, rate: u32) {
        let mut number = first as u64;
        loop {
            let due = self.begun + Duration::from_secs_f64(number as f64 / f64::from(rate));
            if due >= self.until {
                return;
            }
            sleep_until(due).await;
            if Instant::now() > self.until + PATIENCE {
                self.seen.lock().expect("nobody panicked").errors += 1;
                return;
            }
            if !self.one(&mut sender, number, due).await {
                return;
            }
            number += self.load.connections as u64;
        }
    }

    /// One request that is due at `due`; says whether there can be another.
    async fn one(&self, sender: &mut Sender, number: u64, due: Instant) -> bool {
        let answer = answer(sender, &self.load, number).await;
        let now = Instant::now();
        let mut seen = self.seen.lock().expect("nobody panicked");
        match answer {
            Ok(true) if due < self.counted_from => {}
            Ok(true) => {
                let micros = u64::try_from((now - due).as_micros()).unwrap_or(u64::MAX);
                seen.times.saturating_record(micros);
                seen.last = seen.last.max(now);
            }
            Ok(false) | Err(_) => seen.errors += 1,
        }
        answer.is_ok()
    }
}

/// Asks once; says whether the answer is a good one.
pub async fn answer(sender: &mut Sender, load: &Load, number: u64) -> hyper::Result<bool> {
    sender.ready().await?;
    let response = sender.send_request(request(load, number)).await?;
    let good = response.status().is_success();
    response.into_body().collect().await?;
    Ok(good)
}

fn request(load: &Load, number: u64) -> Request<Full<Bytes>> {
    let request = Request::builder().header("host", "localhost");
    let request = match load.what {
        What::Post => request
            .method(Method::POST)
            .uri("/v1/notifications")
            .header("content-type", "application/json")
            .body(Full::new(body(number).into())),
        What::Show(many) => {
            // Neighbours share a page, and come from different connections.
            request.uri(format!("/v1/notifications/{}", number * 7_919 % many + 1)).body(Full::default())
        }
        What::Live => request.uri("/healthz").body(Full::default()),
    };
    request.expect("a request")
}

/// A notification of [`BODY`] bytes.
fn body(number: u64) -> String {
    let mut body = format!(
        "{{\"channel\":\"noop\",\"to\":\"user{number}@example.org\",\"subject\":\"subject\",\"message\":\""
    );
    let end = "\"}";
    body.extend(std::iter::repeat_n('x', BODY - body.len() - end.len()));
    body + end
}
