//! Whether the process lives.

use axum::http::StatusCode;

/// `GET /healthz`: it lives, and its threads answer. Whether it can work is another question.
#[utoipa::path(
    get, path = "/healthz", operation_id = "live", tag = "store", security(()),
    responses((status = 200, description = "The process lives", body = String, content_type = "text/plain"))
)]
pub(super) async fn live() -> (StatusCode, &'static str) {
    (StatusCode::OK, "ok\n")
}
