//! How long the other side may take nothing of what it is sent.
//!
//! hyper knows no such limit: whoever asks and never reads would keep its place among the connections for ever.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::crowd::{Crowd, Limit};

/// From the last byte that was taken on, and while others wait for the place of the connection.
const PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE_CROWDED: Duration = Duration::from_secs(10);

/// A connection whose writing fails when nothing is taken for so long.
pub(super) struct Taking<S> {
    stream: S,
    /// Those who wait for its place.
    places: Arc<Crowd>,
    /// Runs while something waits to be taken.
    patience: Option<Limit>,
}

impl<S> Taking<S> {
    pub(super) fn new(stream: S, places: &Arc<Crowd>) -> Self {
        Self { stream, places: Arc::clone(places), patience: None }
    }

    fn within<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.patience = None;
            return written;
        }
        let begin = || Limit::new(&self.places, PATIENCE, PATIENCE_CROWDED);
        let patience = self.patience.get_or_insert_with(begin);
        Pin::new(patience).poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taking<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taking<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.within(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        all: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, all);
        self.within(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.within(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.within(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up_and_who_is_slow_is_not() {
        let (mut client, server) = tokio::io::duplex(16);
        let mut server = Taking::new(server, &Arc::default());
        let slow = tokio::spawn(async move {
            for _ in 0..10 {
                sleep(PATIENCE - Duration::from_secs(1)).await;
                client.read_exact(&mut [0; 8]).await.unwrap();
            }
            client
        });
        server.write_all(&[0; 80]).await.unwrap();
        // One that takes everything has time for the next.
        let client = slow.await.unwrap();
        sleep(PATIENCE * 2).await;
        let began = Instant::now();
        let error = server.write_all(&[0; 80]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());
        drop(client);
    }
}
