//! What can be configured of the HTTP side.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// What can be configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where TCP connections are taken.
    pub listen: Listen,
    /// The Unix socket for local programs; made with mode 0660.
    pub socket: Option<PathBuf>,
    /// Whether programs on this host may speak without a token.
    pub loopback_without_token: bool,
    /// The most bytes of one request's body.
    pub max_body: usize,
    /// The most connections at once; more of them wait to be taken.
    pub max_connections: usize,
    /// No more is accepted while this many are pending.
    pub max_pending: u64,
}

impl Options {
    /// The longest path of a Unix socket, in bytes: what the system's `sun_path` holds, with a NUL behind it.
    pub const SOCKET_PATH: usize = 107;
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: Listen::default(),
            socket: None,
            loopback_without_token: false,
            max_body: 16 << 20,
            max_connections: 4_096,
            max_pending: 1_000_000,
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
