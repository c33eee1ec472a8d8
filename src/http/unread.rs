//! What is left of a request's body when it was answered without reading it to the end.
//!
//! A client that is still sending must neither lose the answer, as it would when the connection was closed under its hands
//! (RFC 9112 section 9.6), nor find the next request's connection closed without a word: the rest is passed over.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// The most bytes that are passed over; with more of them to come the connection ends.
const MOST: usize = 64 << 20;

/// How long that may take, and how long nothing may come meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(2);

/// A body whose rest is passed over when it is dropped.
struct Unread {
    rest: Option<Incoming>,
    /// Whether its sender waits to be told to send it.
    is_held_back: bool,
}

/// The body of a request with these headers.
pub(super) fn body(headers: &HeaderMap, body: Incoming) -> Body {
    let is_held_back = headers.contains_key(EXPECT);
    Body::new(Unread { rest: Some(body), is_held_back })
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // Its sender is told to go on.
        self.is_held_back = false;
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
        if let Some(rest) = self.rest.take().filter(|body| !self.is_held_back && !body.is_end_stream()) {
            tokio::spawn(tokio::time::timeout(PATIENCE, pass_over(rest)));
        }
    }
}

async fn pass_over(mut body: Incoming) {
    let mut left = MOST;
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(SILENCE, body.frame()).await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(bytes) else { return };
        left = rest;
    }
}
