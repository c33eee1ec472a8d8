//! `DELETE /v1/notifications/{id}` calls one off, `POST …/requeue` starts one again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::show::unknown;
use crate::http::id::PathId;
use crate::http::problem::{Missing, Problem, Refusals};
use crate::http::{App, LOG_TARGET};
use crate::model::{Id, Status, Timestamp};
use crate::store::{self, Changed, Selection, Store};
use crate::wire::{Fate, Steered};

/// A steering verb.
struct Verb {
    done: &'static str,
    to: Status,
    call: fn(&mut dyn Store, Timestamp, &Selection) -> store::Result<Changed>,
}

const CANCEL: Verb =
    Verb { done: "cancelled", to: Status::Cancelled, call: |store, now, which| store.cancel(now, which) };

const REQUEUE: Verb =
    Verb { done: "requeued", to: Status::Pending, call: |store, now, which| store.requeue(now, which) };

/// Calls off what is pending or held.
#[utoipa::path(
    delete, path = "/v1/notifications/{id}", operation_id = "cancel", tag = "notifications",
    params(("id" = i64, Path, minimum = 1, description = "Its id")),
    responses(
        (status = 200, description = "It is cancelled, or was already", body = Steered),
        Missing,
        (status = 409, description = "It stands where this does not apply", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(in crate::http) async fn cancel(
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Result<Json<Steered>, Problem> {
    steer(&app, id, CANCEL).await
}

/// Starts what is dead, expired or cancelled again.
#[utoipa::path(
    post, path = "/v1/notifications/{id}/requeue", operation_id = "requeue", tag = "notifications",
    params(("id" = i64, Path, minimum = 1, description = "Its id")),
    responses(
        (status = 200, description = "It is pending, or was already", body = Steered),
        Missing,
        (status = 409, description = "It stands where this does not apply", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(in crate::http) async fn requeue(
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Result<Json<Steered>, Problem> {
    steer(&app, id, REQUEUE).await
}

async fn steer(app: &App, id: Id, verb: Verb) -> Result<Json<Steered>, Problem> {
    let now = app.now();
    let Verb { done, to, call } = verb;
    let changed = app.writer.call(move |store| call(store, now, &Selection::Ids(vec![id]))).await??;
    match changed.refused.first() {
        _ if !changed.changed.is_empty() => {
            app.answers.written();
            log::info!(target: LOG_TARGET, id; "{done}");
            Ok(Json(Steered { id, result: Fate::Changed, status: Some(to) }))
        }
        Some(&(_, status)) if status == to => {
            Ok(Json(Steered { id, result: Fate::Unchanged, status: Some(status) }))
        }
        Some((_, status)) => {
            let what = format!("notification {id} is {status} and cannot be {done}");
            Err(Problem::new(StatusCode::CONFLICT).detail(what))
        }
        None => Err(unknown(id)),
    }
}
