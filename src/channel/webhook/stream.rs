//! The bytes below HTTP: plain or TLS, and so few of them before an answer has begun that no peer can hold up others.
//!
//! hyper reads what comes before the final head (RFC 9110 section 15.2: any number of 1xx) for as long as it comes, in
//! one go, and everybody else on this thread would wait.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The most bytes of an answer before its body: 1xx heads, and the final one. Usual servers send 8 to 16 KiB at most.
pub const HEAD_LIMIT: usize = 64 * 1024;

/// After how many of them others have a turn.
const TURN: usize = 8 * 1024;

/// How many bytes a stream may still read. Shared between it and whoever waits for the answer.
#[derive(Clone)]
pub struct Leash(Arc<AtomicUsize>);

impl Leash {
    /// A request leaves: what comes now is the head of its answer.
    pub fn shorten(&self) {
        self.0.store(HEAD_LIMIT, Ordering::Relaxed);
    }

    /// No answer is awaited, or its head has come: nobody reads more than is asked for.
    pub fn let_go(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }

    fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn used(&self, bytes: usize) {
        if self.left() != usize::MAX {
            self.0.store(self.left().saturating_sub(bytes), Ordering::Relaxed);
        }
    }
}

/// A connection on a leash.
pub struct Stream {
    wire: Wire,
    leash: Leash,
    /// Whether others had a turn since the last read.
    paused: bool,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// A connection without TLS.
    pub fn plain(stream: TcpStream) -> Self {
        Self::new(Wire::Plain(stream))
    }

    /// A connection on which TLS has been agreed.
    pub fn tls(stream: TlsStream<TcpStream>) -> Self {
        Self::new(Wire::Tls(Box::new(stream)))
    }

    fn new(wire: Wire) -> Self {
        Self { wire, leash: Leash(Arc::new(AtomicUsize::new(usize::MAX))), paused: false }
    }

    /// What it is held by.
    pub fn leash(&self) -> Leash {
        self.leash.clone()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let left = this.leash.left();
        if left == 0 {
            let why = format!("the answer's head is longer than {} KiB", HEAD_LIMIT / 1024);
            return Poll::Ready(Err(io::Error::other(why)));
        }
        if left < HEAD_LIMIT - TURN && !this.paused {
            this.paused = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.paused = false;
        let before = buffer.filled().len();
        let read = match &mut this.wire {
            Wire::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        this.leash.used(buffer.filled().len() - before);
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_write_vectored(context, parts),
            Wire::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.wire {
            Wire::Plain(stream) => stream.is_write_vectored(),
            Wire::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_flush(context),
            Wire::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn while_an_answer_is_awaited_others_have_their_turns_and_it_ends() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let flood = std::thread::spawn(move || while server.write_all(&[b'x'; 4096]).is_ok() {});
        // All of it must be there at once, or reading waits by itself.
        let mut there = vec![0; HEAD_LIMIT / 2];
        while client.peek(&mut there).await.unwrap() < there.len() {
            tokio::task::yield_now().await;
        }
        let mut stream = Stream::plain(client);
        stream.leash().shorten();
        let (mut streak, mut longest, mut all) = (0, 0, 0);
        let end = poll_fn(|context| {
            loop {
                let mut bytes = [0; TURN];
                let mut buffer = ReadBuf::new(&mut bytes);
                match Pin::new(&mut stream).poll_read(context, &mut buffer) {
                    Poll::Ready(Ok(())) => {
                        streak += buffer.filled().len();
                        all += buffer.filled().len();
                        longest = longest.max(streak);
                        assert!(all <= HEAD_LIMIT, "it does not end");
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(error.to_string()),
                    Poll::Pending => {
                        streak = 0;
                        return Poll::Pending;
                    }
                }
            }
        })
        .await;
        assert_eq!((all, end.as_str()), (HEAD_LIMIT, "the answer's head is longer than 64 KiB"));
        assert!(longest <= 2 * TURN, "{longest} bytes in one turn");
        drop(stream);
        flood.join().unwrap();
    }
}
