//! How long a connection may say nothing: longer between two requests than in the head of one, and least before the first.
//!
//! hyper knows one limit for all of it, which runs from the end of an answer to the end of the next head. Its clock is ours, and
//! what it waits for learns from the stream whether a head has begun.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use tokio::io::AsyncRead;
use tokio_util::io::InspectReader;

use super::crowd::{Crowd, Limit};

/// How long a new connection may say nothing.
const FIRST_BYTE: Duration = Duration::from_secs(5);

/// How long the head of a request may take, from its first byte on, and while others wait for the place.
const HEAD: Duration = Duration::from_secs(30);
const HEAD_CROWDED: Duration = Duration::from_secs(3);

/// How long a connection may be idle between two requests: longer than the minute for which proxies keep one open. It is for them
/// to close it, who know whether they are about to ask.
const IDLE: Duration = Duration::from_secs(75);

/// What serves one connection within these limits, and the connection; `places` are those who wait for its place.
pub(super) fn limited<S: AsyncRead>(
    stream: S,
    places: &Arc<Crowd>,
) -> (http1::Builder, InspectReader<S, impl FnMut(&[u8]) + use<S>>) {
    let begun = Arc::new(AtomicBool::new(false));
    let mut serves = http1::Builder::new();
    let (places, is_new) = (Arc::clone(places), AtomicBool::new(true));
    let watch = Watch { begun: Arc::clone(&begun), is_new, places };
    serves.timer(watch).header_read_timeout(IDLE);
    (serves, InspectReader::new(stream, move |_| begun.store(true, Relaxed)))
}

/// The clock of one connection; it is asked to wait for the next head alone.
struct Watch {
    /// Whether anything came since it was asked last.
    begun: Arc<AtomicBool>,
    /// Whether it was not asked yet.
    is_new: AtomicBool,
    places: Arc<Crowd>,
}

impl Timer for Watch {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.begun.store(false, Relaxed);
        let deadline = if self.is_new.swap(false, Relaxed) { self.now() + FIRST_BYTE } else { deadline };
        let sleep = TokioTimer::new().sleep_until(deadline);
        Box::pin(Wait { begun: Arc::clone(&self.begun), places: Arc::clone(&self.places), sleep, head: None })
    }

    fn now(&self) -> Instant {
        TokioTimer::new().now()
    }
}

/// The wait for one head: idle first. Looked at after each read that did not bring all of it.
struct Wait {
    begun: Arc<AtomicBool>,
    places: Arc<Crowd>,
    sleep: Pin<Box<dyn Sleep>>,
    /// The limit of the head, once that has begun.
    head: Option<Limit>,
}

impl Sleep for Wait {}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.head.is_none() && self.begun.load(Relaxed) {
            self.head = Some(Limit::new(&self.places, HEAD, HEAD_CROWDED));
        }
        match &mut self.head {
            Some(head) => Pin::new(head).poll(context),
            None => self.sleep.as_mut().poll(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::time::Instant;

    use super::*;

    const HEAD_OF_ONE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn connect() -> DuplexStream {
        connect_among(&Arc::default())
    }

    fn connect_among(places: &Arc<Crowd>) -> DuplexStream {
        let (client, server) = tokio::io::duplex(4_096);
        let (serves, stream) = limited(server, places);
        let answers = service_fn(|_: hyper::Request<Incoming>| async {
            Ok::<_, std::convert::Infallible>(hyper::Response::new("ok".to_owned()))
        });
        tokio::spawn(serves.serve_connection(TokioIo::new(stream), answers));
        client
    }

    async fn ask(client: &mut DuplexStream) {
        client.write_all(HEAD_OF_ONE).await.unwrap();
        let mut answer = [0; 1_024];
        let length = client.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200 "), "{length}");
    }

    /// How long it takes until it is closed, in seconds, while `drip` comes each second.
    async fn closed_after(client: &mut DuplexStream, drip: &[u8]) -> u64 {
        let began = Instant::now();
        let mut rest = [0; 1_024];
        loop {
            let second = tokio::time::timeout(Duration::from_secs(1), client.read(&mut rest)).await;
            if matches!(second, Ok(Ok(0) | Err(_))) || client.write_all(drip).await.is_err() {
                return began.elapsed().as_secs();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn between_two_requests_there_is_more_time_than_for_a_head() {
        let mut client = connect();
        for _ in 0..3 {
            ask(&mut client).await;
            tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
        }
        ask(&mut client).await;
        let idle = closed_after(&mut client, b"").await;
        assert!((IDLE.as_secs() - 1..=IDLE.as_secs() + 1).contains(&idle), "{idle}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_at_all_has_least_time() {
        let silent = closed_after(&mut connect(), b"").await;
        assert!((FIRST_BYTE.as_secs() - 1..=FIRST_BYTE.as_secs() + 1).contains(&silent), "{silent}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_head_has_less_time_while_others_wait_for_its_place_and_who_is_between_two_as_much() {
        let places = Arc::new(Crowd::default());
        let (mut slow, mut idle) = (connect_among(&places), connect_among(&places));
        ask(&mut idle).await;
        slow.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.unwrap();
        let next = places.wait(closed_after(&mut slow, b"x"));
        let closed = next.await;
        assert!((HEAD_CROWDED.as_secs()..=HEAD_CROWDED.as_secs() + 2).contains(&closed), "{closed}");
        let waits = places.wait(tokio::time::sleep(IDLE - Duration::from_secs(10)));
        waits.await;
        ask(&mut idle).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_head_is_as_slow_whenever_it_begins() {
        let near = HEAD.as_secs() - 1..=HEAD.as_secs() + 1;
        let mut client = connect();
        client.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.unwrap();
        let first = closed_after(&mut client, b"x").await;
        assert!(near.contains(&first), "{first}");

        let mut client = connect();
        ask(&mut client).await;
        tokio::time::sleep(IDLE - Duration::from_secs(1)).await;
        client.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await.unwrap();
        let second = closed_after(&mut client, b"x").await;
        assert!(near.contains(&second), "{second}");

        // One that came with the request before, and goes on.
        let mut client = connect();
        client.write_all(&[HEAD_OF_ONE, b"GET / HTTP/1.1\r\nX-Slow: "].concat()).await.unwrap();
        let behind = closed_after(&mut client, b"x").await;
        assert!(near.contains(&behind), "{behind}");
    }
}
