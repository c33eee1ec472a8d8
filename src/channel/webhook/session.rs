//! One HTTP connection, driven by whoever waits for its answer: no task of its own, so nobody is woken between two.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::coop::unconstrained;
use tokio::time::timeout;

use super::body::Tracked;
use super::stream::{HEAD_LIMIT, Leash, Stream};

/// A connection that carries one request after another.
pub struct Session {
    sender: SendRequest<Tracked>,
    line: Line,
    leash: Leash,
    /// Requests that it has carried, or tried to.
    pub carried: u32,
}

/// What moves the bytes, until it has ended.
struct Line(Option<Connection<TokioIo<Stream>, Tracked>>);

impl Session {
    /// HTTP/1.1 over `stream`; nothing is said yet.
    ///
    /// # Errors
    /// hyper's own.
    pub async fn open(stream: Stream) -> hyper::Result<Self> {
        let leash = stream.leash();
        let (sender, connection) =
            Builder::new().max_buf_size(HEAD_LIMIT).handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, line: Line(Some(connection)), leash, carried: 0 })
    }

    /// Whether the next request can leave at once, as far as this host knows: nobody has hung up or said a thing.
    pub fn is_quiet(&mut self) -> bool {
        self.line.advance(&mut Context::from_waker(Waker::noop()));
        self.line.0.is_some() && self.sender.is_ready()
    }

    /// Sends a request, and waits for the head of its answer.
    ///
    /// # Errors
    /// Whatever kept the answer from coming.
    pub async fn exchange(&mut self, request: Request<Tracked>) -> hyper::Result<Response<Incoming>> {
        self.carried += 1;
        self.leash.shorten();
        let answer = self.line.drive(self.sender.send_request(request)).await;
        self.leash.let_go();
        answer
    }

    /// The beginning of a body: so much as comes within `patience`, up to `limit` bytes. Whether that is all of it,
    /// and the connection is good for another request.
    pub async fn read(&mut self, body: &mut Incoming, limit: usize, patience: Duration) -> (Vec<u8>, bool) {
        let (mut bytes, mut ended) = (Vec::new(), body.is_end_stream());
        if ended {
            return (bytes, true);
        }
        let reading = async {
            while bytes.len() < limit && !ended {
                match self.line.drive(body.frame()).await {
                    Some(Ok(frame)) => {
                        let data = frame.into_data().unwrap_or_default();
                        bytes.extend_from_slice(&data[..data.len().min(limit - bytes.len())]);
                        ended = body.is_end_stream();
                    }
                    Some(Err(_)) => break,
                    None => ended = true,
                }
            }
        };
        // What came until then is enough.
        let _ = timeout(patience, reading).await;
        (bytes, ended)
    }
}

impl Line {
    /// What `what` comes to; all that it waits for comes over this line.
    async fn drive<T>(&mut self, what: impl Future<Output = T>) -> T {
        // Nobody need wake it: it is asked whenever the line has moved. So it must never put off by itself what it has.
        let mut what = pin!(unconstrained(what));
        std::future::poll_fn(|context| {
            self.advance(context);
            what.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await
    }

    fn advance(&mut self, context: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && let Poll::Ready(_) = Pin::new(connection).poll(context)
        {
            self.0 = None;
        }
    }
}
