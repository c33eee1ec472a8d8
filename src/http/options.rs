//! What can be configured of the HTTP side.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::access::{Grant, Locals, Proxy};
use crate::model::Rate;
use crate::model::rate::RateError;

/// What can be configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where TCP connections are taken.
    pub listen: Listen,
    /// The Unix socket for local programs; made with mode 0660.
    pub socket: Option<PathBuf>,
    /// Whether programs on this host may speak without a token.
    pub loopback_without_token: bool,
    /// What users of this host may through the Unix socket, beside the daemon's own user and root.
    pub socket_users: Vec<Grant>,
    /// The same for groups.
    pub socket_groups: Vec<Grant>,
    /// The most connections at once; more of them wait to be taken, but for the socket's own
    /// ([`SOCKET_PLACES`](super::SOCKET_PLACES)).
    pub max_connections: usize,
    /// What may change while it runs.
    pub admission: Admission,
}

/// What is let in; it may change while those who ask are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Whose word on a client's address is taken.
    pub proxies: Vec<Proxy>,
    /// How often one token may ask; `None` is as often as it likes.
    pub token_limit: Option<Rate>,
    /// How often one address may ask over TCP.
    pub address_limit: Option<Rate>,
    /// The origins whose pages may ask from a browser (CORS).
    pub cors_origins: Vec<Origin>,
    /// The most bytes of one request's body.
    pub max_body: usize,
    /// No more is accepted while this many are pending.
    pub max_pending: u64,
}

impl Options {
    /// The longest path of a Unix socket, in bytes: what the system's `sun_path` holds, with a NUL behind it.
    pub const SOCKET_PATH: usize = 107;

    /// What would keep a daemon from starting, each with its key.
    pub fn problems(&self) -> impl Iterator<Item = (&'static str, String)> {
        let users = Locals::new(&self.socket_users, &[]).err().map(|what| ("socket_users", what));
        let groups = Locals::new(&[], &self.socket_groups).err().map(|what| ("socket_groups", what));
        users.into_iter().chain(groups)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            socket: None,
            loopback_without_token: false,
            socket_users: Vec::new(),
            socket_groups: Vec::new(),
            max_connections: 4_096,
            admission: Admission::default(),
        }
    }
}

impl Default for Admission {
    fn default() -> Self {
        let usual = Rate::new(100, Duration::from_secs(1));
        Self {
            proxies: Vec::new(),
            token_limit: usual,
            address_limit: usual,
            cors_origins: Vec::new(),
            max_body: 16 << 20,
            max_pending: 1_000_000,
        }
    }
}

/// Where a page comes from: `https://app.example.org`, as a browser writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let origin = url::Url::parse(text).ok().map(|url| url.origin().ascii_serialization());
        match origin.filter(|origin| origin == text && text.starts_with("http")) {
            Some(origin) => Ok(Self(origin)),
            None => {
                let text = text.escape_debug();
                Err(format!("`{text}` is no origin as browsers write it, as in \"https://app.example.org\""))
            }
        }
    }
}

/// A rate, or none: `"100/1s"`, `"off"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance(pub Option<Rate>);

impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(rate) => rate.fmt(f),
            None => f.pad("off"),
        }
    }
}

impl FromStr for Allowance {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            text => text
                .parse()
                .map(|rate| Self(Some(rate)))
                .map_err(|error: RateError| format!("{error}, and not \"off\"")),
        }
    }
}

/// Where TCP connections are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// At this address; port 0 is any free one.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl Default for Listen {
    fn default() -> Self {
        Self::At(SocketAddr::from(([127, 0, 0, 1], 8025)))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Off => f.pad("off"),
        }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            let text = text.escape_debug();
            format!("`{text}` is no IP address with a port, as in \"127.0.0.1:8025\" or \"[::1]:8025\", and not \"off\"")
        })
    }
}
