//! The bytes of a connection: plain or TLS, one reply at a time, bounded.
//!
//! A reply is let through only while one is awaited: what comes unasked is trouble, because one stray line would
//! shift the answer to one message onto another. That also refuses replies slipped in before TLS begins.
//!
//! Knows no SMTP but the shape of a reply, and no limit of time. Whoever stops waiting for a reply can wait for
//! it again.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::framer::Framer;
use super::reply::{Broken, Reply};

/// The most bytes of one reply that are looked at, in search of its end.
const REPLY_LIMIT: usize = 1 << 20;

/// How much is read at once.
const CHUNK: usize = 4096;

/// A connection's bytes.
pub struct Wire {
    stream: Stream,
    framer: Framer,
    /// Read, but from `at` on not looked at yet.
    unread: Vec<u8>,
    at: usize,
    /// Bytes of the reply under way that have been looked at.
    seen: usize,
    /// Its tidied lines.
    lines: Vec<u8>,
    /// Replies that may come.
    awaited: usize,
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
        Self {
            stream: Stream::Plain(stream),
            framer: Framer::default(),
            unread: Vec::with_capacity(CHUNK),
            at: 0,
            seen: 0,
            lines: Vec::new(),
            awaited: 1,
        }
    }

    /// Goes over to TLS.
    ///
    /// # Errors
    /// When the other side is not who it should be, does not speak TLS, or has said more than was awaited.
    pub async fn start_tls(&mut self, connector: &TlsConnector, name: ServerName<'static>) -> io::Result<()> {
        if !self.is_in_step() {
            return Err(out_of_step());
        }
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        self.stream = Stream::Tls(Box::new(connector.connect(name, stream).await?));
        Ok(())
    }

    /// Announces that what is sent next has so many answers.
    ///
    /// # Errors
    /// When the other side has said something although nothing was awaited.
    pub fn ask(&mut self, answers: usize) -> io::Result<()> {
        if self.awaited == 0 && !self.is_in_step() {
            return Err(out_of_step());
        }
        self.awaited += answers;
        Ok(())
    }

    /// Writes all of `bytes` and hands them to the system; counts in `sent` what was taken, whatever comes.
    ///
    /// # Errors
    /// When not all of them were taken; the last ones then never left this host.
    pub async fn send(&mut self, bytes: &[u8], sent: &mut usize) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let taken = self.stream.write(rest).await?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            *sent += taken;
            rest = &rest[taken..];
        }
        self.stream.flush().await
    }

    /// Waits for the next reply that is awaited.
    ///
    /// # Errors
    /// When none comes, or something that is none.
    pub async fn reply(&mut self) -> Result<Reply, Broken> {
        if self.awaited == 0 {
            return Err(out_of_step().into());
        }
        loop {
            if self.at < self.unread.len() {
                let (taken, complete) = self.framer.take(&self.unread[self.at..], &mut self.lines);
                self.at += taken;
                self.seen += taken;
                if complete {
                    self.awaited -= 1;
                    self.seen = 0;
                    let reply = Reply::parse(&self.lines);
                    self.lines.clear();
                    return reply.ok_or_else(|| Broken::Garbled("neither a code nor words for it".into()));
                }
                if self.seen > REPLY_LIMIT {
                    return Err(Broken::Garbled("a reply without an end".into()));
                }
            }
            self.unread.clear();
            self.at = 0;
            if self.read_more().await? == 0 {
                return Err(Broken::Lost("closed by the relay".into()));
            }
        }
    }

    /// Waits until something is here to be read, or never will be.
    pub async fn arrives(&mut self) {
        if self.at == self.unread.len() {
            self.unread.clear();
            self.at = 0;
            // What it fails with is told to whoever reads.
            let _ = self.read_more().await;
        }
    }

    async fn read_more(&mut self) -> io::Result<usize> {
        let Self { stream, unread, .. } = self;
        stream.read_buf(unread).await
    }

    /// Who is at the other end.
    ///
    /// # Errors
    /// When nobody is any more.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.stream {
            Stream::Plain(stream) => stream.peer_addr(),
            Stream::Tls(stream) => stream.get_ref().0.peer_addr(),
            Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Whether nothing waits to be read, as far as this host knows: neither a farewell nor an end.
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        self.is_in_step() && Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer).is_pending()
    }

    /// Whether everything that was said has been read.
    fn is_in_step(&self) -> bool {
        self.at == self.unread.len()
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
