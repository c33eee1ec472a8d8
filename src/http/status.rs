//! `GET /v1/status`: the whole store at a glance.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::problem::{Problem, Refusals, defect};
use super::{App, answers};
use crate::cache::Key;

/// Answers with the same as `notifyctl status --json`.
#[utoipa::path(
    get, path = "/v1/status", operation_id = "status", tag = "store",
    responses(
        (status = 200, description = "Counts, channels, who lives", body = crate::wire::Status),
        Refusals,
    )
)]
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let answer = app.answers.get(Key::Status(app.rules.number())).await?;
    answer.map(|answer| answers::send(&app.answers, answer)).ok_or_else(defect)
}
