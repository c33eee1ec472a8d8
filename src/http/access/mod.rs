//! Who may ask for what, and how often. Each route names its scope; whoever it is must have it before a byte of the
//! body is read.
//!
//! Whoever shows a token is what the token says, and nothing else. Without one only this host's programs may speak:
//! through the Unix socket, by the kernel's word on who they are; through TCP, from a loopback address, when
//! `loopback_without_token` says so. Nothing of a token is logged but its number and name.

mod act;
mod caller;
mod forwarded;
mod limit;
mod local;
mod tokens;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::{Problem, defect};
use super::{App, Error, LOG_TARGET, Options};
use crate::clock::Clock;
use crate::model::token::{Scope, Scopes};
use crate::model::{Id, Rate};
pub use act::AUDIT_TARGET;
use act::Act;
pub(super) use caller::{Call, Caller, Peer, Who};
pub use forwarded::Proxy;
use limit::Limiter;
pub(super) use local::Credentials;
pub use local::Grant;
pub(super) use local::Locals;
use tokens::{Refusal, Tokens};

/// What decides.
pub(super) struct Access {
    tokens: Tokens,
    locals: Locals,
    by_token: Limiter<Id>,
    by_address: Limiter<IpAddr>,
}

impl Access {
    /// As the options say.
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        Ok(Self {
            tokens: Tokens::default(),
            locals: Locals::new(&options.socket_users, &options.socket_groups).map_err(Error::Access)?,
            by_token: Limiter::default(),
            by_address: Limiter::default(),
        })
    }
}

/// What `next` answers to a request for `route`, if whoever asks has the scope.
pub(super) async fn guard<F: Future<Output = Response>>(
    app: &Arc<App>,
    scope: Scope,
    route: &'static str,
    mut request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let Some(call) = request.extensions().get::<Arc<Call>>().map(Arc::clone) else {
        return defect().into_response();
    };
    let caller = match identify(app, scope, call.peer, request.headers()).await {
        Ok(caller) => call.caller.get_or_init(|| caller),
        Err(problem) => return problem.into_response(),
    };
    let act = match scope {
        Scope::Admin => Some(Act::of(&mut request, route).await),
        _ => None,
    };
    let response = match admit(app, scope, caller) {
        Ok(()) => next(request).await,
        Err(problem) => problem.into_response(),
    };
    // Who tries what that one may not is on record too; but not as often as that one likes.
    if let Some(act) = act.filter(|_| response.status() != StatusCode::TOO_MANY_REQUESTS) {
        act.log(caller, &response);
    }
    response
}

/// Who it is that asks for what needs `scope`, unless its address asks too often.
async fn identify(app: &Arc<App>, scope: Scope, peer: Peer, headers: &HeaderMap) -> Result<Caller, Problem> {
    if let Peer::Address(address) = peer {
        let admission = app.current.admission();
        let client = forwarded::household(forwarded::client(address.ip(), headers, &admission.proxies));
        within(&app.access.by_address, admission.address_limit, client, app.clock.since_boot())
            .map_err(|(rate, wait)| too_often("this address", rate, wait))?;
    }
    match token_of(headers) {
        Some(token) => {
            let token = app.access.tokens.verify(app, token?).await.map_err(refused)?;
            Ok(Caller { scopes: token.scopes, who: Who::Token(token) })
        }
        None => local(app, peer, headers).ok_or_else(|| {
            unknown(&format!(
                "this needs a token with the scope `{scope}`; `notifyctl token create` makes one"
            ))
        }),
    }
}

/// Whether that one may do what needs `scope`, and not too often.
fn admit(app: &App, scope: Scope, caller: &Caller) -> Result<(), Problem> {
    if let Who::Token(token) = &caller.who {
        let rate = app.current.admission().token_limit;
        within(&app.access.by_token, rate, token.id, app.clock.since_boot())
            .map_err(|(rate, wait)| too_often("this token", rate, wait))?;
    }
    match caller.scopes.allow(scope) {
        true => Ok(()),
        false => Err(lacks(caller, scope, "")),
    }
}

/// What `caller` is told who lacks `scope`, and what for.
pub(super) fn lacks(caller: &Caller, scope: Scope, what_for: &str) -> Problem {
    let who = if let Who::Token(_) = caller.who { "token" } else { "user" };
    let detail = format!("this {who} lacks the scope `{scope}`{what_for}");
    Problem::new(StatusCode::FORBIDDEN).detail(detail).with(header::WWW_AUTHENTICATE, challenge(scope))
}

/// How often it is looked whether who watches still may.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until `caller` would be refused, give or take two seconds: its token has expired or was revoked. For ever for who
/// shows none: what such a one may is said by the configuration, for as long as this process lives.
pub(super) async fn refused_later(app: Arc<App>, caller: Caller) {
    let Who::Token(token) = caller.who else { return std::future::pending().await };
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        // While the store cannot be asked there is nothing to be told of it either.
        if let Ok(None) = app.access.tokens.good(&app, token.id).await {
            return;
        }
    }
}

/// What is missing, for a program (RFC 6750).
fn challenge(scope: Scope) -> HeaderValue {
    let text = format!("Bearer realm=\"notifyctl\", error=\"insufficient_scope\", scope=\"{scope}\"");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
}

/// Takes one request from the allowance of `key`, if there is a limit; else that limit, and how long to wait.
fn within<K: std::hash::Hash + Eq>(
    limiter: &Limiter<K>,
    limit: Option<Rate>,
    key: K,
    now: Duration,
) -> Result<(), (Rate, Duration)> {
    let Some(rate) = limit else { return Ok(()) };
    limiter.take(rate, key, now).map_err(|wait| (rate, wait))
}

/// What `who` is told, who may come again after `wait`.
fn too_often(who: &str, rate: Rate, wait: Duration) -> Problem {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
    Problem::new(StatusCode::TOO_MANY_REQUESTS)
        .detail(format!("{who} asks more often than {rate}"))
        .with(header::RETRY_AFTER, HeaderValue::from(seconds))
}

/// The token that is shown: as a bearer, or, by a page in a browser, which can give a WebSocket no header of its own, among
/// the protocols that it offers. Never in the address, which others log.
fn token_of(headers: &HeaderMap) -> Option<Result<&str, Problem>> {
    if let Some(shown) = headers.get(header::AUTHORIZATION) {
        let bearer = shown.to_str().ok().and_then(|shown| shown.split_once(' '));
        let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        return Some(bearer.map(|(_, token)| token.trim()).ok_or_else(|| refused(Refusal::NoGood)));
    }
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    offered
        .find_map(|word| Some(word.trim()).filter(|word| word.starts_with(crate::secret::token::PREFIX)))
        .map(Ok)
}

/// Nobody knows who that is.
fn unknown(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED)
        .detail(detail)
        .header(header::WWW_AUTHENTICATE, "Bearer realm=\"notifyctl\"")
}

fn refused(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::NoGood => Problem::new(StatusCode::UNAUTHORIZED)
            .detail("the token is not good: it is none, or it has expired or was revoked")
            .header(header::WWW_AUTHENTICATE, "Bearer realm=\"notifyctl\", error=\"invalid_token\""),
        Refusal::Unknown(problem) => problem,
    }
}

/// Who it is without a token. What a proxy passed on comes from somebody else, whoever runs the proxy.
fn local(app: &Arc<App>, peer: Peer, headers: &HeaderMap) -> Option<Caller> {
    match peer {
        _ if forwarded::is_passed_on(headers) => None,
        Peer::User(who) if app.access.locals.knows(who) => {
            Some(Caller { who: Who::User(who.uid), scopes: app.access.locals.scopes(who) })
        }
        Peer::User(_) => None,
        Peer::Address(address) => {
            let local = app.options.loopback_without_token && is_local_program(address, headers);
            local.then(|| Caller { who: Who::Loopback, scopes: Scopes::all() })
        }
    }
}

/// A page in a browser on this host speaks from a loopback address too: by a name of its own that leads here, or with
/// another `Origin`. It is no local program.
fn is_local_program(address: SocketAddr, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let host = text(header::HOST);
    let own_page = |origin: &str| host.is_some_and(|host| origin.strip_prefix("http://") == Some(host));
    address.ip().to_canonical().is_loopback()
        && host.is_none_or(names_this_host)
        && text(header::ORIGIN).is_none_or(own_page)
}

fn names_this_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Warns of what can hardly be meant.
pub(super) async fn warn(app: Arc<App>, address: SocketAddr) {
    if address.ip().is_loopback() {
        return;
    }
    log::warn!(
        target: LOG_TARGET,
        "{address} is no loopback address: tokens cross the network unencrypted unless a proxy with TLS stands before it"
    );
    if let Ok(Ok(tokens)) = app.readers.ask(|store| store.tokens()).await
        && tokens.iter().all(|token| token.standing(app.now()) != crate::model::token::Standing::Good)
    {
        log::warn!(target: LOG_TARGET, "there is no token that is good: nobody may speak at {address}; `notifyctl token create` makes one");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_host_are_local() {
        for host in ["localhost", "LOCALHOST:8025", "127.0.0.1:8025", "127.1.2.3", "[::1]:8025", "[::1]"] {
            assert!(names_this_host(host), "{host}");
        }
        for host in
            ["", "evil.example", "localhost.evil.example:80", "10.0.0.1", "[::2]:80", "127.0.0.1.nip.io"]
        {
            assert!(!names_this_host(host), "{host}");
        }
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_page_in_a_browser_is_no_local_program() {
        let here: SocketAddr = "127.0.0.1:4711".parse().unwrap();
        for (lines, is) in [
            (&[][..], true),
            (&[("host", "localhost:8025")], true),
            (&[("host", "evil.example")], false),
            (&[("host", "127.0.0.1:8025"), ("origin", "https://evil.example")], false),
            (&[("host", "127.0.0.1:8025"), ("origin", "null")], false),
            // Our own page.
            (&[("host", "127.0.0.1:8025"), ("origin", "http://127.0.0.1:8025")], true),
            (&[("host", "127.0.0.1:8025"), ("origin", "http://127.0.0.1:80")], false),
            (&[("host", "evil.example"), ("origin", "http://evil.example")], false),
        ] {
            assert_eq!(is_local_program(here, &headers(lines)), is, "{lines:?}");
        }
        assert!(is_local_program("[::1]:1".parse().unwrap(), &headers(&[])));
        assert!(is_local_program("[::ffff:127.0.0.1]:1".parse().unwrap(), &headers(&[])));
        assert!(!is_local_program("192.0.2.1:1".parse().unwrap(), &headers(&[])));
    }

    #[test]
    fn a_token_is_shown_as_a_bearer_or_among_the_protocols() {
        let shown = |lines: &[(&'static str, &str)]| {
            token_of(&headers(lines)).map(|token| token.ok().map(str::to_owned))
        };
        assert_eq!(shown(&[]), None);
        assert_eq!(shown(&[("authorization", "Bearer nctl_1_x")]), Some(Some("nctl_1_x".into())));
        assert_eq!(shown(&[("authorization", "bearer  nctl_1_x")]), Some(Some("nctl_1_x".into())));
        // Whoever shows something else is not taken for somebody without one.
        assert_eq!(shown(&[("authorization", "Basic YTpi")]), Some(None));
        assert_eq!(shown(&[("authorization", "Bearer")]), Some(None));
        let offered = [("sec-websocket-protocol", "notifyctl.v1, nctl_1_x")];
        assert_eq!(shown(&offered), Some(Some("nctl_1_x".into())));
        assert_eq!(shown(&[("sec-websocket-protocol", "notifyctl.v1")]), None);
    }
}
