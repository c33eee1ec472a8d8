//! `GET /v1/notifications/{id}`: everything about one, with each of its attempts.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use crate::cache::Key;
use crate::http::access::Caller;
use crate::http::id::PathId;
use crate::http::problem::{Missing, Problem, Refusals};
use crate::http::readers::Readers;
use crate::http::{App, answers};
use crate::model::token::Scope;
use crate::model::{Id, Timestamp, stable_id};
use crate::store::shapes;
use crate::wire;

/// Answers with the same as `notifyctl show --json`.
#[utoipa::path(
    get, path = "/v1/notifications/{id}", operation_id = "show", tag = "notifications",
    params(("id" = i64, Path, minimum = 1, description = "Its id")),
    responses(
        (status = 200, description = "Everything about it", body = wire::Notification),
        Missing,
        Refusals,
    )
)]
pub(in crate::http) async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Response, Problem> {
    // Each view has a name of its own, so that nobody is given what somebody else may see.
    let key = match caller.scopes.allow(Scope::Personal) {
        true => Key::Notification(id),
        false => Key::Masked(id),
    };
    let answer = app.answers.get(key).await?.ok_or_else(|| unknown(id))?;
    Ok(answers::send(&app.answers, answer))
}

/// One notification as it is in the store now, as far as the caller may see it.
pub(super) async fn shown(app: &App, caller: &Caller, id: Id) -> Result<Option<wire::Notification>, Problem> {
    let mut shown = app.answers.source().whole(id).await?;
    if let Some(shown) = shown.as_mut().filter(|_| !caller.scopes.allow(Scope::Personal)) {
        shown.mask();
    }
    Ok(shown)
}

/// One notification, whole, and until when its key stands in it.
pub(in crate::http) async fn whole(
    readers: &Readers,
    store_id: &str,
    id: Id,
) -> Result<Option<(wire::Notification, Option<Timestamp>)>, Problem> {
    let found = readers.look(move |reader| reader.history(id)).await??;
    Ok(found.map(|(row, attempts)| {
        let ends = row.key_expires_at;
        (shapes::notification(row, stable_id(store_id, id), attempts), ends)
    }))
}

/// There is no such notification.
pub(super) fn unknown(id: Id) -> Problem {
    Problem::missing(format!("there is no notification {id}; a purge may have removed it"))
}
