//! What is left of a request's body when it was answered without reading it to the end.
//!
//! A client that is still sending must neither lose the answer, as it would when the connection was closed under its hands
//! (RFC 9112 section 9.6), nor find the next request's connection closed without a word: the rest is passed over.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Version;
use axum::http::header::EXPECT;
use axum::http::request::Parts;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The most bytes that are passed over; with more of them to come the connection ends.
const MOST: usize = 64 << 20;

/// How long that may take, and how long nothing may come meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(2);

/// How long it may take when the daemon ends: for what is on the way already.
const LAST: Duration = Duration::from_millis(500);

/// A body whose rest is passed over when it is dropped.
struct Unread {
    rest: Option<Incoming>,
    held_back: HeldBack,
    stopping: CancellationToken,
}

/// Whether the sender of a body waits to be told to send it. Answered meanwhile it is not, and the connection ends: to say so is
/// what RFC 9110 section 10.1.1 asks for.
#[derive(Debug, Clone)]
pub(super) struct HeldBack(Option<Arc<AtomicBool>>);

impl HeldBack {
    /// By the rule that hyper goes by, too: to nobody else anything is told, and who waits for nothing sends at once.
    fn by(head: &Parts) -> Self {
        let waits = head.version >= Version::HTTP_11
            && head
                .headers
                .get_all(EXPECT)
                .iter()
                .next_back()
                .is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Self(waits.then(|| Arc::new(AtomicBool::new(true))))
    }

    /// Whether it still waits.
    pub(super) fn is_so(&self) -> bool {
        self.0.as_ref().is_some_and(|waits| waits.load(Ordering::Relaxed))
    }

    fn ends(&self) {
        if let Some(waits) = &self.0 {
            waits.store(false, Ordering::Relaxed);
        }
    }
}

/// The body of a request with this head; with `stopping` its rest is waited for no more.
pub(super) fn body(head: &Parts, body: Incoming, stopping: &CancellationToken) -> (Body, HeldBack) {
    if body.is_end_stream() {
        return (Body::empty(), HeldBack(None));
    }
    let held_back = HeldBack::by(head);
    let unread = Unread { rest: Some(body), held_back: held_back.clone(), stopping: stopping.clone() };
    (Body::new(unread), held_back)
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // Its sender is told to go on.
        self.held_back.ends();
        match &mut self.rest {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // Whoever waits to be told to send it shall not be told to, only for it to be passed over.
        if let Some(mut rest) =
            self.rest.take().filter(|body| !self.held_back.is_so() && !body.is_end_stream())
        {
            let stopping = self.stopping.clone();
            tokio::spawn(timeout(PATIENCE, async move {
                if stopping.run_until_cancelled(pass_over(&mut rest)).await.is_none() {
                    let _ = timeout(LAST, pass_over(&mut rest)).await;
                }
            }));
        }
    }
}

async fn pass_over(body: &mut Incoming) {
    let mut left = MOST;
    while let Ok(Some(Ok(frame))) = timeout(SILENCE, body.frame()).await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use tokio::io::AsyncWriteExt;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// How long a connection takes to end when the daemon does, after a request was answered whose body comes byte by byte.
    #[tokio::test(start_paused = true)]
    async fn what_comes_of_a_refused_body_does_not_hold_up_the_end() {
        let (mut client, server) = tokio::io::duplex(1 << 10);
        let stopping = CancellationToken::new();
        let service = service_fn(|request: Request<Incoming>| {
            let (head, rest) = request.into_parts();
            drop(body(&head, rest, &stopping));
            async { Ok::<_, Infallible>(Response::new(Body::from("there is nothing"))) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(server), service);
        tokio::pin!(connection);
        tokio::spawn(async move {
            let _ =
                client.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n").await;
            while client.write_all(b"x").await.is_ok() {
                sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(
            timeout(Duration::from_secs(3), connection.as_mut()).await.is_err(),
            "the rest is not passed over"
        );
        stopping.cancel();
        connection.as_mut().graceful_shutdown();
        let began = Instant::now();
        let _ = connection.await;
        assert!(began.elapsed() <= LAST + Duration::from_millis(100), "{:?}", began.elapsed());
    }
}
