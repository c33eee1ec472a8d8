//! The events as Server-Sent Events (WHATWG HTML 9.2): the cursor is the id, so that a browser goes on by itself.

use std::convert::Infallible;
use std::fmt::Write;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use super::course::{Course, End, Line};
use super::websocket::{DROPPED, PATIENCE};
use crate::http::LOG_TARGET;

/// How often something is written, so that a connection that is gone is noticed; proxies often give up after a minute.
const ALIVE: std::time::Duration = std::time::Duration::from_secs(20);

/// Answers with a body that goes on; whoever writes it is `tell`, which the caller has to start.
pub(super) fn answer() -> (Response, mpsc::Sender<Bytes>) {
    let (writer, reader) = mpsc::channel::<Bytes>(1);
    let chunks = stream::unfold(reader, |mut reader| async {
        reader.recv().await.map(|chunk| (Ok::<_, Infallible>(chunk), reader))
    });
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    (response, writer)
}

/// Tells everything until either side has enough. Who does not take it in time is hung up on.
pub(super) async fn tell(
    writer: mpsc::Sender<Bytes>,
    mut course: Course,
    ready: Line,
    stopping: CancellationToken,
    refused: impl Future<Output = ()>,
    hang_up: CancellationToken,
) {
    tokio::pin!(refused);
    let mut alive = interval(ALIVE);
    alive.tick().await;
    // An id without data: where to go on, and nothing that a page is told.
    let mut chunk = format!("retry: 1000\nid: {}\n\n", ready.cursor);
    loop {
        if timeout(PATIENCE, writer.send(Bytes::from(std::mem::take(&mut chunk)))).await.is_err() {
            log::info!(target: LOG_TARGET, "{DROPPED}");
            hang_up.cancel();
            return;
        }
        if writer.is_closed() {
            return;
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            // It comes back by itself, and is told then.
            () = &mut refused => return,
            () = writer.closed() => return,
            // With how far all was looked at: who comes back after a long silence begins there.
            _ = alive.tick() => { let _ = write!(chunk, "id: {}\n\n", course.reached()); }
            next = course.next() => match next {
                Ok(lines) => write(&mut chunk, &lines),
                // It comes back by itself, and goes on behind the last cursor.
                Err(End::Slow | End::Over) => return,
            },
        }
    }
}

fn write(chunk: &mut String, lines: &[Line]) {
    for line in lines {
        // Neither holds a line break: the cursor is two numbers, JSON escapes them.
        let _ = write!(chunk, "id: {}\ndata: {}\n\n", line.cursor, line.text.as_str());
    }
}
