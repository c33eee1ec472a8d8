//! `GET /v1/status`: the whole store at a glance.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::problem::{Problem, defect};
use super::{App, answers};
use crate::cache::Key;

/// Answers with the same as `notifyctl status --json`.
#[utoipa::path(
    get, path = "/v1/status", operation_id = "status", tag = "store",
    responses(
        (status = 200, description = "Counts, channels, who lives", body = crate::wire::Status),
        (status = 401, description = "A token is missing", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 403, description = "The token may not do this", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 429, description = "Too much at once", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 503, description = "Not now; Retry-After says when", body = crate::http::problem::Shape, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let answer = app.answers.get(Key::Status(app.rules.number())).await?;
    answer.map(|answer| answers::send(&app.answers, answer)).ok_or_else(defect)
}
