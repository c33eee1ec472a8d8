//! The bytes under lettre's connection: plain or TLS, one reply at a time, bounded.
//!
//! lettre owns its stream; a [`Wire`] is shared with it, so that STARTTLS can be done with our own TLS
//! configuration, a message can be written at once, and we can tell whether a connection is still in step.
//! A reply is let through only while one is awaited: what comes unasked is trouble, because one stray line would
//! shift the answer to one message onto another. That also refuses replies slipped in before TLS begins.
//!
//! Knows no SMTP but the shape of a reply, and no limit of time.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::framer::Framer;

/// The most bytes of one reply that are looked at, in search of its end.
const REPLY_LIMIT: usize = 1 << 20;

/// How many replies are kept for [`Wire::first_replies`]: the greeting and the answer to EHLO.
const FIRST: usize = 2;

/// A connection's bytes; clones share them.
#[derive(Clone)]
pub struct Wire(Arc<Mutex<Inner>>);

struct Inner {
    stream: Stream,
    framer: Framer,
    /// Read, but not looked at yet.
    unread: Vec<u8>,
    /// Bytes of the reply under way that have been looked at.
    seen: usize,
    /// Tidied lines for lettre, from `at` on.
    ready: Vec<u8>,
    at: usize,
    /// Replies that may be let through.
    awaited: usize,
    /// The other side has said its last.
    ended: bool,
    /// The first replies, and the one under way.
    first: Vec<Vec<u8>>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Being upgraded, or lost in the attempt.
    Gone,
}

impl Wire {
    /// A wire on which the other side speaks first.
    pub fn new(stream: TcpStream) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            stream: Stream::Plain(stream),
            framer: Framer::default(),
            unread: Vec::new(),
            seen: 0,
            ready: Vec::new(),
            at: 0,
            awaited: 1,
            ended: false,
            first: vec![Vec::new()],
        })))
    }

    /// Goes over to TLS.
    ///
    /// # Errors
    /// When the other side is not who it should be, does not speak TLS, or has said more than was awaited.
    pub async fn start_tls(&self, connector: &TlsConnector, name: ServerName<'static>) -> io::Result<()> {
        let stream = {
            let mut inner = self.lock();
            if !inner.is_in_step() {
                return Err(out_of_step());
            }
            std::mem::replace(&mut inner.stream, Stream::Gone)
        };
        let Stream::Plain(stream) = stream else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let stream = connector.connect(name, stream).await?;
        self.lock().stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// Waits until the awaited reply is here, and leaves it for lettre to read.
    ///
    /// # Errors
    /// As reading.
    pub async fn reply_arrives(&self) -> io::Result<()> {
        poll_fn(|context| self.lock().poll_ready(context)).await
    }

    /// Lets one more reply through, for commands that were written together.
    pub fn await_another(&self) {
        self.lock().awaited += 1;
    }

    /// Writes all of `bytes` and hands them to the system.
    ///
    /// # Errors
    /// When not all of them were taken; the last ones then never left this host.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let mut wire = self.clone();
        wire.write_all(bytes).await?;
        wire.flush().await
    }

    /// The greeting and the answer to EHLO, as far as they are here.
    pub fn first_replies(&self) -> Vec<String> {
        let lines = |reply: &Vec<u8>| String::from_utf8_lossy(reply).into_owned();
        self.lock().first.iter().filter(|reply| !reply.is_empty()).map(lines).collect()
    }

    /// Whether the other side has closed its end.
    pub fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Whether nothing waits to be read, as far as this host knows: neither a farewell nor an end.
    pub fn is_quiet(&self) -> bool {
        let mut inner = self.lock();
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        inner.is_in_step()
            && !inner.ended
            && Pin::new(&mut inner.stream).poll_read(&mut context, &mut buffer).is_pending()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in here panics half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Whether everything that was said has been read.
    fn is_in_step(&self) -> bool {
        self.unread.is_empty() && self.at == self.ready.len()
    }

    /// Ready when there is something for lettre to read, or will never be.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.at < self.ready.len() || self.ended {
                return Poll::Ready(Ok(()));
            }
            if self.awaited == 0 {
                return Poll::Ready(Err(out_of_step()));
            }
            if self.unread.is_empty() {
                ready!(self.poll_more(context))?;
            }
            self.frame();
            if self.seen > REPLY_LIMIT {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a reply without an end",
                )));
            }
        }
    }

    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [0; 4096];
        let mut buffer = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        self.ended = buffer.filled().is_empty();
        self.unread.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }

    /// Moves lines of the awaited reply from `unread` to `ready`.
    fn frame(&mut self) {
        if self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
        }
        let start = self.ready.len();
        let (taken, complete) = self.framer.take(&self.unread, &mut self.ready);
        self.unread.drain(..taken);
        self.seen += taken;
        if self.first.len() <= FIRST
            && let Some(reply) = self.first.last_mut()
        {
            reply.extend_from_slice(&self.ready[start..]);
        }
        if complete {
            self.awaited -= 1;
            self.seen = 0;
            if self.first.len() <= FIRST {
                self.first.push(Vec::new());
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        ready!(inner.poll_ready(context))?;
        let rest = &inner.ready[inner.at..];
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        inner.at += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        if inner.awaited == 0 {
            if !inner.is_in_step() {
                return Poll::Ready(Err(out_of_step()));
            }
            inner.awaited = 1;
        }
        Pin::new(&mut inner.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lock().stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.lock().stream {
            Stream::Plain(stream) => stream.peer_addr(),
            Stream::Tls(stream) => stream.get_ref().0.peer_addr(),
            Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

fn out_of_step() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the relay said something that was not its turn to say")
}
