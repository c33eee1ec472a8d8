//! `GET /v1/status`: the whole store at a glance.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::App;
use super::problem::Problem;
use crate::wire;

/// Answers with the same as `notifyctl status --json`.
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<wire::Status>, Problem> {
    let (rules, now) = (app.rules(), app.now());
    Ok(Json(app.readers.call(move |reader| rules.status(reader, now)).await??))
}
