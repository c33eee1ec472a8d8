//! What pages of other origins may ask from a browser: nothing, unless their origin is configured.

use axum::http::{HeaderName, HeaderValue, Method, header};
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::Origin;

/// For how long a browser need not ask again whether it may ask.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Answers a browser's question on behalf of these origins; `None` when there are none. A token is shown in a header, which
/// pages must have been given: cookies and the like are never asked for.
pub(super) fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    let origins: Vec<_> =
        origins.iter().filter_map(|origin| HeaderValue::try_from(origin.as_str()).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let key = HeaderName::from_static("idempotency-key");
    let id = HeaderName::from_static("x-request-id");
    let cursor = HeaderName::from_static("last-event-id");
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_methods([Method::GET, Method::POST, Method::DELETE])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, key, cursor, id.clone()])
            .expose_headers([header::LOCATION, header::RETRY_AFTER, id])
            .max_age(REMEMBERED),
    )
}
