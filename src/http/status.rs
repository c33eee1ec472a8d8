//! `GET /v1/status`: the whole store at a glance.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::App;
use super::problem::Problem;
use crate::wire;

/// Answers with the same as `notifyctl status --json`.
#[utoipa::path(
    get, path = "/v1/status", operation_id = "status", tag = "store",
    responses(
        (status = 200, description = "Counts, channels, who lives", body = wire::Status),
        (status = 401, description = "A token is missing", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 403, description = "The token may not do this", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 429, description = "Too much at once", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 503, description = "Not now; Retry-After says when", body = crate::http::problem::Shape, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<wire::Status>, Problem> {
    let (rules, now) = (app.rules(), app.now());
    Ok(Json(app.readers.call(move |reader| rules.status(reader, now)).await??))
}
