//! Whether the process lives.

use axum::http::StatusCode;

/// `GET /healthz`: it lives, and its threads answer. Whether it can work is another question.
pub(super) async fn live() -> (StatusCode, &'static str) {
    (StatusCode::OK, "ok\n")
}
