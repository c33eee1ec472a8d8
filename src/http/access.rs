//! Who may ask for what. Each route names its scope; whoever it is must have it before a byte of the body is read.
//!
//! Without a token only this host's programs may speak: through the Unix socket whoever runs the daemon, and
//! root; through TCP, from a loopback address, when `loopback_without_token` says so.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;

use super::App;
use super::problem::Problem;

/// Whom a connection comes from; an extension of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// Over TCP.
    Address(SocketAddr),
    /// Over the Unix socket, from a process of this user.
    User(u32),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.ip().fmt(f),
            Self::User(uid) => write!(f, "uid {uid}"),
        }
    }
}

/// What a route lets one do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Enqueue.
    Enqueue,
    /// Read what there is, with personal data.
    Read,
    /// Steer: cancel, requeue.
    Admin,
}

impl Scope {
    /// Its word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

/// The methods of a route, for whoever has the scope.
pub(super) fn needs(scope: Scope, app: &Arc<App>, methods: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    let app = Arc::clone(app);
    methods.route_layer(from_fn(move |request: Request, next: Next| {
        let app = Arc::clone(&app);
        async move { guard(&app, scope, request, next).await }
    }))
}

async fn guard(app: &App, scope: Scope, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match allow(app, scope, &parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

/// Whether the request may do what needs `scope`.
fn allow(app: &App, scope: Scope, parts: &Parts) -> Result<(), Problem> {
    let local = match parts.extensions.get() {
        Some(Peer::User(uid)) => *uid == 0 || *uid == rustix::process::geteuid().as_raw(),
        Some(Peer::Address(address)) => {
            app.options.loopback_without_token
                && address.ip().to_canonical().is_loopback()
                && names_this_host(&parts.headers)
        }
        None => false,
    };
    if local {
        return Ok(());
    }
    let detail = format!("this needs a token with the scope `{}`", scope.as_str());
    Err(Problem::new(StatusCode::UNAUTHORIZED).detail(detail).header(header::WWW_AUTHENTICATE, "Bearer"))
}

/// A page in a browser on this host speaks from a loopback address too: by a name of its own that leads here, or with
/// an `Origin`. Neither is a local program.
fn names_this_host(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    !headers.contains_key(header::ORIGIN) && host.is_none_or(is_loopback)
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_host_are_local() {
        for host in ["localhost", "LOCALHOST:8025", "127.0.0.1:8025", "127.1.2.3", "[::1]:8025", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:80", "10.0.0.1", "[::2]:80", "127.0.0.1.nip.io"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
