//! The events over a WebSocket (RFC 6455): one text frame each, and nothing is taken but what keeps it alive.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use futures_util::SinkExt;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::course::{Course, End, Line};
use crate::http::LOG_TARGET;

/// The longest message that is taken; none has any use here.
pub(super) const MESSAGE: usize = 4 << 10;

/// Bytes that may wait to be written.
pub(super) const BUFFER: usize = 64 << 10;

/// How long the other side may take for what it is sent.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What the log says of one who does not.
pub(super) const DROPPED: &str = "a watcher does not take what it is sent; dropped";

/// How often it is asked whether it is there, and how long it may be silent.
const PING: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_secs(60);

/// How long the other side has to say that it heard why this ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why the other side takes nothing more.
struct Gone;

/// Tells everything until either side has enough.
pub(super) async fn tell(
    mut socket: WebSocket,
    mut course: Course,
    ready: Line,
    stopping: CancellationToken,
    refused: impl Future<Output = ()>,
) {
    tokio::pin!(refused);
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut lines = vec![ready];
    let farewell = loop {
        if send(&mut socket, std::mem::take(&mut lines)).await.is_err() {
            log::info!(target: LOG_TARGET, "{DROPPED}");
            return;
        }
        tokio::select! {
            () = stopping.cancelled() => break (close_code::AWAY, "notifyctl is ending"),
            () = &mut refused => break (close_code::POLICY, "the token is not good any more"),
            message = socket.recv() => match message {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => heard = Instant::now(),
                Some(Ok(Message::Text(_) | Message::Binary(_))) => {
                    break (close_code::POLICY, "this is for watching; nothing is taken here");
                }
                Some(Ok(Message::Close(_))) => {
                    // The answer to it (RFC 6455, 5.5.1) is ready, and waits for this.
                    let _ = timeout(FAREWELL, SinkExt::flush(&mut socket)).await;
                    return;
                }
                Some(Err(_)) => break (close_code::PROTOCOL, "this cannot be read, or is more than is taken here"),
                None => return,
            },
            _ = ping.tick() => {
                if heard.elapsed() > SILENCE || flush(&mut socket, Message::Ping(Default::default())).await.is_err() {
                    return;
                }
            }
            next = course.next() => match next {
                Ok(next) => lines = next,
                Err(End::Slow) => break (close_code::AGAIN, "too slow; go on behind the last cursor"),
                Err(End::Over) => break (close_code::ERROR, "the store cannot be read; the log says why"),
            },
        }
    };
    let (code, reason) = farewell;
    // Whoever does not take it sees the connection end.
    if flush(&mut socket, Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await.is_ok() {
        // What is left unread when a connection ends takes with it what was said last (RFC 6455, 7.1.1).
        let _ = timeout(FAREWELL, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
    }
}

/// Writes all of it; who does not take it in time is not waited for.
async fn send(socket: &mut WebSocket, lines: Vec<Line>) -> Result<(), Gone> {
    let writes = async {
        for line in lines {
            socket.feed(Message::Text(line.text)).await?;
        }
        socket.flush().await
    };
    matches!(timeout(PATIENCE, writes).await, Ok(Ok(()))).then_some(()).ok_or(Gone)
}

async fn flush(socket: &mut WebSocket, message: Message) -> Result<(), Gone> {
    matches!(timeout(PATIENCE, SinkExt::send(socket, message)).await, Ok(Ok(()))).then_some(()).ok_or(Gone)
}
