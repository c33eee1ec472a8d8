//! The way to one endpoint: its connections, and what it means when one does not come about or gives no reply.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper::{Request, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use tokio::time::timeout;
use tower::ServiceExt;
use url::{Host, Position, Url};

use super::body::{Progress, Tracked};
use super::chain;
use super::pool::Pool;
use super::session::Session;
use super::stream::Stream;
use crate::model::{Outcome, Reason, Verdict};
use crate::tls::Trust;

/// The most time for looking up the name, connecting and agreeing on TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the requests of one channel go. Follows no redirect, asks no proxy, tries nothing again.
pub struct Client {
    connector: HttpConnector,
    /// For the connector: scheme, host and port.
    place: Uri,
    /// For the request: path and query.
    target: Uri,
    /// For the request: host and port, as in the URL.
    pub host: HeaderValue,
    /// For `https`: whom to trust, and whom the certificate must be for.
    tls: Option<(Trust, ServerName<'static>)>,
    limit: Duration,
    pool: Pool,
}

impl Client {
    /// The way to `url`, `http` or `https`, for attempts that may take as long as `timeout`.
    ///
    /// # Errors
    /// What is wrong with the URL, without showing it.
    pub fn new(url: &Url, trust: Trust, timeout: Duration) -> Result<Self, String> {
        let unfit = "is not a URL that can be requested";
        let part = |text: &str| text.parse::<Uri>().map_err(|error| format!("{unfit} ({error})"));
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let name = match url.host().ok_or(unfit)? {
            Host::Domain(name) => ServerName::try_from(name.to_owned()).map_err(|_| unfit),
            Host::Ipv4(address) => Ok(ServerName::from(std::net::IpAddr::from(address))),
            Host::Ipv6(address) => Ok(ServerName::from(std::net::IpAddr::from(address))),
        };
        let tls = match url.scheme() {
            "https" => Some((trust, name?)),
            // A host without certificates may well speak plain HTTP.
            _ => None,
        };
        let limit = CONNECT_TIMEOUT.min(timeout / 2);
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        // Each of several addresses gets its share.
        connector.set_connect_timeout(Some(limit));
        Ok(Self {
            connector,
            place: part(&format!("{}://{host}/", url.scheme()))?,
            target: part(&url[Position::BeforePath..Position::AfterQuery])?,
            host: HeaderValue::try_from(host).map_err(|_| unfit)?,
            tls,
            limit,
            pool: Pool::default(),
        })
    }

    /// A request for the URL; its method and headers are the caller's.
    pub fn request(&self, body: Tracked) -> Request<Tracked> {
        let mut request = Request::new(body);
        *request.uri_mut() = self.target.clone();
        request
    }

    /// A connection that is there, as far as this host knows, or a new one.
    ///
    /// # Errors
    /// A verdict: the channel's trouble.
    pub async fn session(&self) -> Result<Session, Verdict> {
        if let Some(session) = self.pool.take() {
            return Ok(session);
        }
        match timeout(self.limit, self.open()).await {
            Ok(opened) => opened,
            Err(_) => Err(out_of_time(Progress::Nothing, self.limit)),
        }
    }

    /// Keeps a connection that is ready for the next request.
    pub fn give_back(&self, session: Session) {
        self.pool.give_back(session);
    }

    /// Keeps no connection for a while.
    pub fn keep_none(&self) {
        self.pool.keep_none();
    }

    /// Hangs up on all that wait.
    pub fn close(&self) {
        self.pool.close();
    }

    async fn open(&self) -> Result<Session, Verdict> {
        let trouble = |reason, error: &dyn StdError| Verdict::channel_trouble(reason, &chain(error));
        // Before anybody is called.
        let tls = match &self.tls {
            Some((trust, name)) => {
                let connector =
                    trust.verifying().map_err(|error| Verdict::channel_trouble(Reason::Tls, &error))?;
                Some((trust, connector, name))
            }
            None => None,
        };
        let connecting = self.connector.clone().oneshot(self.place.clone());
        let plain = connecting.await.map_err(|error| trouble(Reason::Unreachable, &error))?.into_inner();
        let stream = match tls {
            None => Stream::plain(plain),
            Some((trust, connector, name)) => match connector.connect(name.clone(), plain).await {
                Ok(stream) => Stream::tls(stream),
                Err(error) => {
                    trust.failed(&error);
                    let reason = if is_tls(&error) { Reason::Tls } else { Reason::Unreachable };
                    return Err(trouble(reason, &error));
                }
            },
        };
        Session::open(stream).await.map_err(|error| trouble(Reason::Unreachable, &error))
    }
}

/// Whether a handshake failed for TLS's own reasons, or the other side hung up in the middle of it.
fn is_tls(error: &io::Error) -> bool {
    tls_error(error).is_some() || error.kind() == io::ErrorKind::UnexpectedEof
}

/// The verdict on a request that failed without a reply, having come so far; `detail` without secrets.
pub fn without_reply(error: &hyper::Error, progress: Progress, detail: &str) -> Verdict {
    // Under TLS 1.3 we hear of this when our part of the handshake is done and the request under way.
    if let Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) = tls_error(error) {
        return Verdict::channel_trouble(Reason::Tls, detail);
    }
    match progress {
        Progress::Nothing | Progress::Part => Verdict::new(Outcome::Deferred, Reason::ConnectionLost, detail),
        // A reset, an end, or no HTTP at all: it may have been taken before.
        Progress::Whole => Verdict::new(Outcome::Unknown, Reason::NoAnswer, detail),
    }
}

/// The verdict on a request that had come so far when its time was over.
pub fn out_of_time(progress: Progress, timeout: Duration) -> Verdict {
    let detail = |what| format!("{what} within {timeout:?}");
    match progress {
        Progress::Nothing => Verdict::channel_trouble(Reason::Timeout, &detail("no connection")),
        Progress::Part => {
            Verdict::new(Outcome::Deferred, Reason::Timeout, &detail("the request was not taken whole"))
        }
        Progress::Whole => Verdict::new(Outcome::Unknown, Reason::NoAnswer, &detail("no answer")),
    }
}

fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    // What an I/O error wraps is not its source.
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return tls_error(inner);
    }
    tls_error(error.source()?)
}
