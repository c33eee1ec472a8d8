//! Whom a connection comes from, and who asks.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::local::Credentials;
use crate::model::token::Scopes;
use crate::store::Token;

/// Whom a connection comes from; an extension of each request.
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

/// Who asks, once that is known; an extension of the request, and of its answer for the log.
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

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(token) => write!(f, "token {} ({})", token.id, token.name),
            Self::User(uid) => write!(f, "uid {uid}"),
            Self::Loopback => f.write_str("loopback"),
        }
    }
}
