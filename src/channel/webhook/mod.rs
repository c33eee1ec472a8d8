//! The webhook kind: one HTTP request to an endpoint of the operator's choice.
//!
//! The body is the JSON of `wire::envelope`, or what the operator's template makes of it; the request is
//! signed as Standard Webhooks says when there are secrets. No redirect is followed, no proxy asked, and
//! nothing retried here. What a reply means is said in `reply`; without one, it depends on how far the
//! request had come (`body`): when all of it may have arrived, its end is unknown.

mod body;
mod client;
mod pool;
mod reply;
mod session;
mod settings;
mod signature;
mod stream;
mod template;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{
    CONTENT_ENCODING, DATE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use hyper::{Method, Response};
use secrecy::SecretString;
use tokio::time::{Instant, timeout_at};
use url::Url;

use self::body::{Tracked, Tracker};
use self::client::Client;
use self::reply::Reply;
use self::session::Session;
use self::signature::Signer;
use self::template::Template;
use super::scrub::Scrub;
use super::{Attempt, BuildError, Channel, Envelope};
use crate::clock::{Clock, SystemClock};
use crate::model::{Outcome, Reason, Verdict};
use crate::secret::Source;
use crate::tls::Trust;

/// How much of a reply's body is read: enough for a JSON object that asks for patience.
const REPLY_LIMIT: usize = 16 * 1024;

/// The headers of Standard Webhooks.
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// How long a reply's body may take: its status line has said what matters.
const REPLY_PATIENCE: Duration = Duration::from_secs(5);

/// The options of a channel of kind `webhook`.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to, `http` or `https`. A secret: for many chat services whoever knows it may post.
    /// Read when the channel is built.
    pub url: Source,
    /// The method: `POST` unless said otherwise.
    pub method: String,
    /// Further headers, as (name, value); they win over notifyctl's own. The values may be secrets.
    pub headers: Vec<(String, SecretString)>,
    /// A template (minijinja) for the body; `None` for the envelope as JSON.
    pub body: Option<Body>,
    /// A file of secrets, one a line (`whsec_` and base64), with each of which the request is signed as
    /// Standard Webhooks says; several while they are being rotated. `None` for no signature.
    pub secrets_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted beside the system's; for a private certificate authority.
    pub ca_file: Option<PathBuf>,
    /// The limit of time for one attempt, from looking up the name to the end of the reply.
    pub timeout: Duration,
}

/// Where a body template stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// In the configuration itself.
    Inline(String),
    /// In this file, read when the channel is built.
    File(PathBuf),
}

impl Options {
    /// What `method` is when nothing is said.
    pub const METHOD: &'static str = "POST";
    /// What `timeout` is when nothing is said.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// A POST of the JSON envelope to `url`, unsigned, with the default of everything else.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self {
            url: Source::Inline(url),
            method: Self::METHOD.to_owned(),
            headers: Vec::new(),
            body: None,
            secrets_file: None,
            ca_file: None,
            timeout: Self::TIMEOUT,
        }
    }
}

/// A channel of kind `webhook`.
pub struct Webhook {
    url: Url,
    method: Method,
    headers: HeaderMap,
    template: Option<Template>,
    signer: Option<Signer>,
    timeout: Duration,
    scrub: Scrub,
    client: Client,
}

impl Webhook {
    /// Builds it; reads the secrets, opens no connection.
    ///
    /// # Errors
    /// When a secret or the template cannot be read, or an option cannot be used.
    pub fn new(name: &str, options: &Options) -> Result<Self, BuildError> {
        let bad = |key| move |what| BuildError { channel: name.to_owned(), key, what };
        let mut scrub = Scrub::default();
        let url = settings::url(&options.url, &mut scrub).map_err(bad("url"))?;
        let method = settings::method(&options.method).map_err(bad("method"))?;
        let mut headers = settings::headers(&options.headers, &url, &mut scrub).map_err(bad("headers"))?;
        let template = settings::template(options.body.as_ref(), &headers).map_err(bad("body"))?;
        let signer = match &options.secrets_file {
            Some(file) => Some(settings::signer(file, &mut scrub).map_err(bad("secrets_file"))?),
            None => None,
        };
        let trust = Trust::new(options.ca_file.as_deref()).map_err(bad("ca_file"))?;
        let client = Client::new(&url, trust, options.timeout).map_err(bad("url"))?;
        headers.insert(HOST, client.host.clone());
        // For those of one request.
        headers.reserve(3);
        Ok(Self { url, method, headers, template, signer, timeout: options.timeout, scrub, client })
    }

    async fn post(&self, envelope: &Envelope) -> Verdict {
        let (headers, body) = match self.request(envelope) {
            Ok(request) => request,
            Err(what) => return Verdict::new(Outcome::Rejected, Reason::Unsendable, &what),
        };
        let end = Instant::now() + self.timeout;
        let mut session = match self.client.session().await {
            Ok(session) => session,
            Err(verdict) => return Verdict { detail: self.scrub.apply(&verdict.detail), ..verdict },
        };
        let tracker = Tracker::default();
        let mut request = self.client.request(Tracked::new(body.into(), tracker.clone()));
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = headers;
        match timeout_at(end, session.exchange(request)).await {
            Ok(Ok(response)) => {
                // Whatever becomes of its body, this is the answer.
                let patience = end.saturating_duration_since(Instant::now()).min(REPLY_PATIENCE);
                let reply = self.read(session, response, patience).await;
                let said = self.scrub.apply(String::from_utf8_lossy(&reply.body).trim());
                reply.verdict(&said, SystemClock.now())
            }
            Ok(Err(error)) => {
                if session.carried == 2 {
                    self.client.keep_none();
                }
                let detail = self.scrub.apply(&chain(&error));
                client::without_reply(&error, tracker.progress(), &detail)
            }
            Err(_) => client::out_of_time(tracker.progress(), self.timeout),
        }
    }

    /// What of a response matters, and of its body so much as comes within `patience` and [`REPLY_LIMIT`].
    async fn read(&self, mut session: Session, response: Response<Incoming>, patience: Duration) -> Reply {
        let (head, mut body) = response.into_parts();
        let header = |name| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
        let (bytes, ended) = session.read(&mut body, REPLY_LIMIT, patience).await;
        if ended {
            self.client.give_back(session);
        }
        Reply {
            status: head.status.as_u16(),
            location: header(LOCATION).map(|target| settings::origin(&self.url, &target)),
            retry_after: header(RETRY_AFTER),
            date: header(DATE),
            body: match header(CONTENT_ENCODING).is_some_and(|coding| coding.eq_ignore_ascii_case("gzip")) {
                true => reply::unzipped(&bytes, REPLY_LIMIT),
                false => bytes,
            },
        }
    }

    /// The body, and with the configured headers those of Standard Webhooks: the id is the same on every
    /// attempt and is sent unsigned, too, so that the other side can tell a repetition.
    fn request(&self, envelope: &Envelope) -> Result<(HeaderMap, Vec<u8>), String> {
        let body = match &self.template {
            Some(template) => template.render(&envelope.shape())?,
            None => as_json(envelope).map_err(|error| error.to_string())?,
        };
        let value = |text: &str| HeaderValue::from_str(text).map_err(|error| error.to_string());
        let mut headers = self.headers.clone();
        let id = envelope.stable_id.as_str();
        headers.insert(WEBHOOK_ID, value(id)?);
        if let Some(signer) = &self.signer {
            let timestamp = SystemClock.now().0.div_euclid(1000).to_string();
            headers.insert(WEBHOOK_TIMESTAMP, value(&timestamp)?);
            headers.insert(WEBHOOK_SIGNATURE, value(&signer.sign(id, &timestamp, &body))?);
        }
        Ok((headers, body))
    }
}

impl Channel for Webhook {
    fn attempt<'a>(&'a self, envelope: &'a Envelope) -> Attempt<'a> {
        Box::pin(self.post(envelope))
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.client.close();
        Box::pin(std::future::ready(()))
    }
}

/// The envelope as JSON, in a buffer that hardly ever grows on the way.
fn as_json(envelope: &Envelope) -> serde_json::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(envelope.content.message.len() * 9 / 8 + 512);
    serde_json::to_writer(&mut body, &envelope.shape())?;
    Ok(body)
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}
