//! `GET /v1/status`: the whole store at a glance.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::access::Caller;
use super::problem::{Problem, Refusals, defect};
use super::{App, answers};
use crate::cache::Key;
use crate::model::token::Scope;

/// Answers with the same as `notifyctl status --json`. Without the scope `personal`, the other side's words on a channel in trouble
/// and the reason for which one is held are left out.
#[utoipa::path(
    get, path = "/v1/status", operation_id = "status", tag = "store",
    responses(
        (status = 200, description = "Counts, channels, who lives", body = crate::wire::Status),
        Refusals,
    )
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Problem> {
    let rules = app.rules.number();
    // Each view has a name of its own, so that nobody is given what somebody else may see.
    let key = match caller.scopes.allow(Scope::Personal) {
        true => Key::Status(rules),
        false => Key::MaskedStatus(rules),
    };
    let answer = app.answers.get(key).await?;
    answer.map(|answer| answers::send(&app.answers, answer)).ok_or_else(defect)
}
