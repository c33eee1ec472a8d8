//! `GET /v1/batches/{id}`: how far many that came together are.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::id::PathId;
use super::problem::{Missing, Problem, Refusals};
use super::{App, answers};
use crate::cache::Key;
use crate::wire;

/// Answers with the same as `notifyctl status --batch ID --json`.
#[utoipa::path(
    get, path = "/v1/batches/{id}", operation_id = "batch", tag = "batches",
    params(("id" = i64, Path, minimum = 1, description = "Its id")),
    responses(
        (status = 200, description = "How far it is", body = wire::Batch),
        Missing,
        Refusals,
    )
)]
pub(super) async fn show(State(app): State<Arc<App>>, PathId(id): PathId) -> Result<Response, Problem> {
    let found = app.answers.get(Key::Batch(id)).await?;
    let answer = found.ok_or_else(|| Problem::missing(format!("there is no batch {id}")))?;
    Ok(answers::send(&app.answers, answer))
}
