//! What there is to ask for, as an OpenAPI document made from the handlers themselves.

use axum::Json;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use super::{batches, events, health, history, metrics, notifications, status, texts};

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "notifyctl",
        description = "A durable notification queue. What is answered with 202 is on disk.",
    ),
    servers((url = "/")),
    tags((name = "notifications"), (name = "batches"), (name = "events"), (name = "store")),
    security((), ("token" = [])),
    modifiers(&Token),
    // What is said of frames, and what parameters are made of, is not gathered from the paths.
    components(schemas(
        crate::wire::Frame,
        notifications::Order,
        texts::EventCursor,
        texts::HeaderKey,
        texts::PageCursor,
        texts::Past,
        texts::Wait,
    )),
    paths(
        notifications::enqueue::enqueue,
        notifications::list::list,
        notifications::show::show,
        notifications::steer::cancel,
        notifications::steer::requeue,
        batches::show,
        events::watch,
        status::show,
        history::show,
        metrics::show,
        health::live,
        health::ready,
    )
)]
pub(super) struct Document;

/// Who may ask: a token, but for programs that need none.
struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().security_schemes.insert("token".into(), scheme.into());
    }
}

/// `GET /v1/openapi.json`.
pub(super) async fn show() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}

/// The document as it is kept beside the code: indented JSON.
///
/// # Errors
/// When it cannot be written, which cannot be.
pub fn document() -> serde_json::Result<String> {
    Document::openapi().to_pretty_json()
}
