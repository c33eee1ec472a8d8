//! Connections: taken while there is room, bounded in time, ended in order.
//!
//! A loop of our own, because `axum::serve` gives hyper no timer (no limit of time holds) and takes connections
//! without end.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::{Call, Credentials, Peer};
use super::crowd::Crowd;
use super::listen::{self, Socket};
use super::recurring::Recurring;
use super::router::Routers;
use super::taking::Taking;
use super::threads::{Seat, Seats};
use super::{App, Error, Handed, LOG_TARGET, Listen, Options, answer, idle, unread};

/// At the end, how long what is asked just then is heard yet.
const LAST_CALL: Duration = Duration::from_millis(100);

/// The most headers of a request, and the most bytes of its head.
const HEADERS: usize = 64;
const HEAD_BYTES: usize = 32 << 10;

/// The most bytes that are read ahead of a request.
const BUFFER: usize = 64 << 10;

/// How long it rests when a connection cannot be taken: there are too many open files, which takes time to pass.
const REST: Duration = Duration::from_millis(100);

/// The places that the Unix socket has of its own, beside those that there are for all: whoever comes over the network, and
/// however many they are, they keep no program of this host waiting.
pub const SOCKET_PLACES: usize = 64;

/// How often it is said at most that all places are taken.
const TELL: Duration = Duration::from_secs(60);

/// What all connections have in common.
struct Serving {
    routers: Routers,
    /// Places for all.
    room: Arc<Semaphore>,
    /// More of them, for those who come by the socket.
    of_socket: Arc<Semaphore>,
    /// How many there are for all, and when it was told last that none is left.
    places: usize,
    told: Mutex<Option<Instant>>,
    /// Those who wait for one.
    crowd: Arc<Crowd>,
    /// That connections cannot be taken.
    untaken: Recurring,
    tracker: TaskTracker,
    seats: Seats,
    stopping: CancellationToken,
}

/// Listens on what was handed to us, or else where the options say; says at which TCP address.
pub(super) fn start(
    app: &Arc<App>,
    handed: Handed,
    tracker: &TaskTracker,
    seats: Seats,
) -> Result<Option<SocketAddr>, Error> {
    let (tcp, unix) = match handed.is_empty() {
        true => own(&app.options)?,
        false => listen::handed(handed)?,
    };
    let address = tcp.first().and_then(|listener| listener.local_addr().ok());
    let serving = Arc::new(Serving {
        routers: Routers::new(app),
        room: Arc::new(Semaphore::new(app.options.max_connections)),
        of_socket: Arc::new(Semaphore::new(SOCKET_PLACES)),
        places: app.options.max_connections,
        told: Mutex::default(),
        crowd: Arc::clone(&app.places),
        untaken: Recurring::default(),
        tracker: tracker.clone(),
        seats,
        stopping: app.stopping.clone(),
    });
    for listener in tcp {
        let serving = Arc::clone(&serving);
        tracker.spawn(async move {
            while let Some((taken, room)) = serving.next(listener.accept(), serving.place()).await {
                match taken {
                    Ok((stream, address)) => serving.tcp(stream, address, room),
                    Err(error) => serving.rest(&error).await,
                }
            }
        });
    }
    for socket in unix {
        let serving = Arc::clone(&serving);
        tracker.spawn(async move {
            while let Some((taken, room)) =
                serving.next(socket.listener.accept(), serving.place_at_socket()).await
            {
                match taken {
                    Ok((stream, _)) => serving.unix(stream, room),
                    Err(error) => serving.rest(&error).await,
                }
            }
        });
    }
    Ok(address)
}

/// Listens where the options say.
fn own(options: &Options) -> Result<(Vec<TcpListener>, Vec<Socket>), Error> {
    let tcp = match options.listen {
        Listen::At(address) => Some(listen::tcp(address)?),
        Listen::Off => None,
    };
    let has_guests = !options.socket_users.is_empty() || !options.socket_groups.is_empty();
    let mode = if has_guests { listen::OPEN } else { listen::OWN };
    let unix = options.socket.as_deref().map(|path| listen::unix(path, mode)).transpose()?;
    Ok((tcp.into_iter().collect(), unix.into_iter().collect()))
}

impl Serving {
    /// One that was gone before it was taken is nobody's trouble.
    async fn rest(self: &Arc<Self>, error: &io::Error) {
        use io::ErrorKind as Kind;
        if matches!(error.kind(), Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted) {
            return;
        }
        if self.untaken.begins() {
            log::warn!(target: LOG_TARGET, "take a connection: {error}; who comes waits until one can be taken");
            let serving = Arc::clone(self);
            let tells = async move {
                while let Some(times) = serving.untaken.goes_on().await {
                    log::warn!(target: LOG_TARGET, times; "connections could not be taken, again and again");
                }
                log::warn!(target: LOG_TARGET, "connections are taken again");
            };
            tokio::spawn(self.stopping.clone().run_until_cancelled_owned(tells));
        }
        tokio::time::sleep(REST).await;
    }

    /// The next connection, as soon as there is room for it; `None` at the end. Room is asked for when it is there: a listener to
    /// which nobody comes must not keep a place from the others.
    async fn next<T>(
        &self,
        accept: impl Future<Output = T>,
        place: impl Future<Output = Option<OwnedSemaphorePermit>>,
    ) -> Option<(T, OwnedSemaphorePermit)> {
        let next = async {
            let taken = accept.await;
            Some((taken, place.await?))
        };
        self.stopping.run_until_cancelled(next).await.flatten()
    }

    /// A place for whoever comes.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.room).try_acquire_owned() {
            return Some(place);
        }
        self.tell();
        self.crowd.wait(Arc::clone(&self.room).acquire_owned()).await.ok()
    }

    /// Says that no place is left, but not for each who comes: who waits is told nothing.
    fn tell(&self) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() > TELL) {
            *told = Some(Instant::now());
            let places = self.places;
            log::warn!(target: LOG_TARGET, "all {places} connections of http.max_connections are taken: who comes by TCP waits");
        }
    }

    /// A place for who comes by the socket: one for all as long as there is any, then one of its own; else whichever is free
    /// first.
    async fn place_at_socket(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            place = self.place() => place,
            own = Arc::clone(&self.of_socket).acquire_owned() => own.ok(),
        }
    }

    fn tcp(self: &Arc<Self>, stream: TcpStream, address: SocketAddr, room: OwnedSemaphorePermit) {
        // Answers are small, and none is to wait for another.
        let _ = stream.set_nodelay(true);
        let stream = stream.into_std();
        self.seat(room, move || Ok((TcpStream::from_std(stream?)?, Peer::Address(address))));
    }

    fn unix(self: &Arc<Self>, stream: UnixStream, room: OwnedSemaphorePermit) {
        let stream = stream.into_std();
        self.seat(room, move || {
            let stream = UnixStream::from_std(stream?)?;
            let peer = stream.peer_cred()?;
            Ok((stream, Peer::User(Credentials { uid: peer.uid(), gid: peer.gid() })))
        });
    }

    /// Has one of the threads converse on what `adopt` makes its own.
    fn seat<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: &Arc<Self>,
        room: OwnedSemaphorePermit,
        adopt: impl FnOnce() -> io::Result<(S, Peer)> + Send + 'static,
    ) {
        let (serving, seat) = (Arc::clone(self), Arc::new(self.seats.take(room)));
        let runtime = seat.runtime().clone();
        let conversation = async move {
            match adopt() {
                Ok((stream, peer)) => serving.converse(stream, peer, seat).await,
                Err(error) => log::debug!(target: LOG_TARGET, "take a connection: {error}"),
            }
        };
        self.tracker.spawn_on(conversation, &runtime);
    }

    /// Answers one request after another until either side has enough.
    async fn converse(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Peer,
        seat: Arc<Seat>,
    ) {
        let hang_up = CancellationToken::new();
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let (router, seat, hang_up) = (self.routers.now(), Arc::clone(&seat), hang_up.clone());
            async move {
                let (head, rest) = request.into_parts();
                let (rest, held_back) = unread::body(&head, rest, &self.stopping);
                let request = Request::from_parts(head, rest);
                let call = Call { peer, seat, hang_up, caller: OnceLock::new() };
                let mut response = answer::answer(router, call, request).await;
                if held_back.is_so() {
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().entry(header::CONNECTION).or_insert(close);
                }
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let (mut serves, stream) = idle::limited(Taking::new(stream, &self.crowd), &self.crowd);
        let connection = serves
            .max_headers(HEADERS)
            .max_header_size(HEAD_BYTES)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = hang_up.cancelled() => return,
            () = self.stopping.cancelled() => match timeout(LAST_CALL, connection.as_mut()).await {
                Ok(ended) => ended,
                Err(_) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            },
        };
        if let Err(error) = ended {
            log::debug!(target: LOG_TARGET, peer:% = peer; "connection: {error}");
        }
    }
}
