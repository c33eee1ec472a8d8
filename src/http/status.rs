//! `GET /v1/status`: the whole store at a glance.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Map, Value};

use super::access::Caller;
use super::problem::{Problem, Refusals, defect};
use super::{App, answers};
use crate::cache::{Answer, Counted, Key};
use crate::model::token::Scope;
use crate::wire;

/// Answers with the same as `notifyctl status --json`. Without the scope `personal`, the other side's words on a channel in trouble
/// and the reason for which one is held are left out.
#[utoipa::path(
    get, path = "/v1/status", operation_id = "status", tag = "store",
    responses(
        (status = 200, description = "Counts, channels, who lives", body = wire::Status),
        Refusals,
    )
)]
pub(super) async fn show(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Problem> {
    let rules = app.current.number();
    // Each view has a name of its own, so that nobody is given what somebody else may see.
    let key = match caller.scopes.allow(Scope::Personal) {
        true => Key::Status(rules),
        false => Key::MaskedStatus(rules),
    };
    let answer = app.answers.get(key).await?.ok_or_else(defect)?;
    let answer = match cache_use(&app) {
        Some(cache) => Answer { body: with(&answer.body, &cache).map_err(|_| defect())?, ..answer },
        None => answer,
    };
    Ok(answers::send(&app.answers, answer))
}

/// What this process counted; `None` without a cache.
fn cache_use(app: &App) -> Option<wire::CacheUse> {
    let (counted, usable) = (app.answers.counters()?.now(), app.answers.works()?);
    let Counted { hits, misses, bypassed, shared, .. } = counted;
    Some(wire::CacheUse {
        pid: std::process::id(),
        usable,
        reads: wire::CacheReads { hits, misses, bypassed, shared },
        hit_rate: counted.hit_rate(),
    })
}

/// `status` with what this process alone knows. It is told after the cache, which gives one process's answer to others.
fn with(status: &[u8], cache: &wire::CacheUse) -> serde_json::Result<Bytes> {
    let mut status: Map<String, Value> = serde_json::from_slice(status)?;
    status.insert("cache".to_owned(), serde_json::to_value(cache)?);
    serde_json::to_vec(&status).map(Bytes::from)
}
