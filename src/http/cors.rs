//! What pages of other origins may ask from a browser: nothing, unless their origin is configured.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::Current;

/// For how long a browser need not ask again whether it may ask.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Answers a browser's question on behalf of the origins that are configured now. A token is shown in a header, which pages must
/// have been given: cookies and the like are never asked for.
pub(super) fn layer(current: Arc<Current>) -> CorsLayer {
    let key = HeaderName::from_static("idempotency-key");
    let id = HeaderName::from_static("x-request-id");
    let cursor = HeaderName::from_static("last-event-id");
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |asks, _| {
            current.admission().cors_origins.iter().any(|origin| asks == origin.as_str())
        }))
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, key, cursor, id.clone()])
        .expose_headers([header::LOCATION, header::RETRY_AFTER, id])
        .max_age(REMEMBERED)
}
