//! What every request and every answer go through: an id, a log line, headers that keep browsers from guessing, and
//! a handler's panic.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tower::ServiceExt;

use super::LOG_TARGET;
use super::access::Call;
use super::problem::Problem;

/// By which a request is known to both sides.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken from a caller.
const ID_LIMIT: usize = 64;

/// What browsers are told, whatever the answer.
const SECURITY: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    // In one piece: for its own ones, an id and those for browsers.
    headers.reserve(3 + SECURITY.len());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Answers one request.
pub(super) async fn answer(router: Router, call: Call, mut request: Request) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let uri = request.uri().clone();
    let call = Arc::new(call);
    request.extensions_mut().insert(Arc::clone(&call));
    let answered = std::panic::AssertUnwindSafe(router.oneshot(request)).catch_unwind().await;
    let mut response = match answered {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) => {
            // What it said may hold what was told, and to whom.
            log::error!(target: LOG_TARGET, request = id.to_str().unwrap_or_default(); "a request made its handler panic");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
                .detail("this is a defect of notifyctl; the log names the request")
                .into_response()
        }
    };
    let status = response.status();
    let level = match status.is_server_error() {
        true => log::Level::Warn,
        false if uri.path().starts_with("/v1/") => log::Level::Info,
        false => log::Level::Debug,
    };
    log::log!(
        target: LOG_TARGET, level,
        request = id.to_str().unwrap_or_default(),
        method = method.as_str(),
        path = shown(uri.path()),
        status = status.as_u16(),
        ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        peer:% = call.peer,
        by = caller(&call).as_str();
        "answered"
    );
    let headers = response.headers_mut();
    headers.reserve(1 + SECURITY.len());
    headers.insert(REQUEST_ID, id);
    for (name, value) in SECURITY {
        // A page may say something else of itself.
        headers.entry(name).or_insert(value);
    }
    response
}

/// Who asked, as far as that is known.
fn caller(call: &Call) -> String {
    call.caller.get().map(|caller| caller.who.to_string()).unwrap_or_default()
}

/// The beginning of a path: whoever asks for something that there is not may write anything into it.
fn shown(path: &str) -> &str {
    const LIMIT: usize = 100;
    match path.char_indices().nth(LIMIT) {
        Some((end, _)) => &path[..end],
        None => path,
    }
}

/// The caller's own id, when it can be shown, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let plain = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        (1..=ID_LIMIT).contains(&bytes.len()) && bytes.iter().all(fits)
    };
    match headers.get(REQUEST_ID).filter(plain) {
        Some(own) => own.clone(),
        None => {
            let random = format!("{:016x}", fastrand::u64(..));
            HeaderValue::try_from(random).unwrap_or(HeaderValue::from_static("-"))
        }
    }
}
