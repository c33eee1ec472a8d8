//! The HTTP client of a channel, and what it means when it gets no reply.

use std::error::Error as StdError;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use rustls::AlertDescription;

use super::body::Progress;
use super::chain;
use crate::model::{Outcome, Reason, Verdict};
use crate::tls::{self, Trust};

/// The most time for looking up the name, connecting and agreeing on TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection is kept for the next request: shorter than usual servers (5 s) keep it, so that
/// a request hardly ever meets one that is just being closed, which leaves its end unknown.
const IDLE: Duration = Duration::from_secs(4);

/// The client of one channel, made when it is first needed: commands that send nothing do not pay for it.
pub struct LazyClient {
    trust: Trust,
    made: OnceLock<Client>,
}

impl LazyClient {
    /// A client that trusts whom `trust` says.
    pub fn new(trust: Trust) -> Self {
        Self { trust, made: OnceLock::new() }
    }

    /// The client.
    ///
    /// # Errors
    /// When this host has no certificates to trust.
    pub fn get(&self, url: &Url, timeout: Duration) -> Result<&Client, Verdict> {
        if let Some(client) = self.made.get() {
            return Ok(client);
        }
        let client = self.make(url, timeout)?;
        Ok(self.made.get_or_init(|| client))
    }

    fn make(&self, url: &Url, timeout: Duration) -> Result<Client, Verdict> {
        let tls = match url.scheme() {
            "https" => self.trust.verifying().cloned(),
            // A host without certificates may well speak plain HTTP.
            _ => tls::nobody(),
        };
        let tls = tls.map_err(|error| Verdict::channel_trouble(Reason::Tls, &error))?;
        Client::builder()
            .tls_backend_preconfigured(tls.config().as_ref().clone())
            .user_agent(concat!("notifyctl/", env!("CARGO_PKG_VERSION")))
            // Whatever the environment of cron or a login says: the operator has configured this URL.
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT.min(timeout / 2))
            .pool_idle_timeout(IDLE)
            .build()
            .map_err(|error| Verdict::channel_trouble(Reason::LocalError, &chain(&error.without_url())))
    }
}

/// The verdict on a request that failed without a reply, having come so far; `detail` without secrets.
pub fn without_reply(error: &reqwest::Error, progress: Progress, detail: &str) -> Verdict {
    if is_tls(error) {
        Verdict::channel_trouble(Reason::Tls, detail)
    } else if error.is_connect() {
        Verdict::channel_trouble(Reason::Unreachable, detail)
    } else {
        match progress {
            Progress::Nothing | Progress::Part => {
                Verdict::new(Outcome::Deferred, Reason::ConnectionLost, detail)
            }
            // A reset, an end, or no HTTP at all: it may have been taken before.
            Progress::Whole => Verdict::new(Outcome::Unknown, Reason::NoAnswer, detail),
        }
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

/// Whether TLS could not be agreed on, or the certificate is not the right one.
fn is_tls(error: &reqwest::Error) -> bool {
    match tls_error(error) {
        // Under TLS 1.3 we hear of this when our part of the handshake is done and the request under way.
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)) => true,
        Some(_) => error.is_connect(),
        // The other side hung up in the middle of it.
        None => error.is_connect() && chain(error).contains("tls handshake eof"),
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
