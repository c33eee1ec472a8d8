//! Whom a connection comes from, and who asks.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio_util::sync::CancellationToken;

use super::local::Credentials;
use crate::http::App;
use crate::http::problem::{Problem, defect};
use crate::http::threads::Seat;
use crate::model::token::Scopes;
use crate::store::Token;

/// A request's connection, and who asks on it; an extension of each request.
#[derive(Debug)]
pub(in crate::http) struct Call {
    /// Whom the connection comes from.
    pub(in crate::http) peer: Peer,
    /// Its place, kept for as long as anything goes on with it: a WebSocket outlives the requests.
    pub(in crate::http) seat: Arc<Seat>,
    /// Ends the connection at once, where an answer that goes on is not taken.
    pub(in crate::http) hang_up: CancellationToken,
    /// Who asks, once that is known.
    pub(in crate::http) caller: OnceLock<Caller>,
}

/// Whom a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Peer {
    /// Over TCP.
    Address(SocketAddr),
    /// Over the Unix socket, from a process of this user.
    User(Credentials),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.ip().fmt(f),
            Self::User(who) => write!(f, "uid {}", who.uid),
        }
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub(in crate::http) struct Caller {
    /// Who it is.
    pub(in crate::http) who: Who,
    /// What that one may.
    pub(in crate::http) scopes: Scopes,
}

/// By what a caller is known.
#[derive(Debug, Clone)]
pub(in crate::http) enum Who {
    /// By a token.
    Token(Arc<Token>),
    /// By the kernel, as a user of this host.
    User(u32),
    /// As some program on this host.
    Loopback,
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Problem> {
        let call = parts.extensions.get::<Arc<Call>>();
        call.and_then(|call| call.caller.get()).cloned().ok_or_else(defect)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(token) => write!(f, "token {} ({})", token.id, token.name),
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Loopback => f.write_str("loopback"),
        }
    }
}
