//! Whether the process lives, and whether it can work.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{App, LOG_TARGET};
use crate::units;

/// The longest that the store may take to let somebody write.
const PATIENCE: Duration = Duration::from_secs(2);

/// Room on the disk below which nothing more can be taken.
const ROOM: u64 = 1 << 20;

/// For how long the sending loop may give no sign of life: three of those that it owes.
const SILENCE: Duration = Duration::from_secs(30);

/// `GET /healthz`: it lives, and its threads answer. Whether it can work is another question.
#[utoipa::path(
    get, path = "/healthz", operation_id = "live", tag = "store", security(()),
    responses((status = 200, description = "The process lives", body = String, content_type = "text/plain"))
)]
pub(super) async fn live() -> (StatusCode, &'static str) {
    (StatusCode::OK, "ok\n")
}

/// `GET /readyz`: whether it can work: the store can be written, nothing drains, and the sending loop moves.
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let reasons: Vec<String> =
        [draining(&app), unwritable(&app).await, silent(&app)].into_iter().flatten().collect();
    match reasons.is_empty() {
        true => (StatusCode::OK, Json(json!({ "ready": true }))),
        false => (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "ready": false, "reasons": reasons }))),
    }
}

fn draining(app: &App) -> Option<String> {
    app.stopping.is_cancelled().then(|| "it is draining".to_owned())
}

/// Without the store's own words: who asks needs no token.
async fn unwritable(app: &App) -> Option<String> {
    let now = app.now();
    let space = app.readers.call(|reader| reader.space());
    // Expires nothing, and takes the lock that every write takes.
    let write = app.writer.call(move |store| store.expire(now, 0).map(drop));
    let looked = tokio::time::timeout(PATIENCE, async { (write.await, space.await) }).await;
    match looked {
        Err(_) => Some(format!("the store could not be written within {}", units::span(PATIENCE))),
        Ok((Ok(Ok(())), Ok(Ok(space)))) if space.free >= ROOM => None,
        Ok((Ok(Ok(())), Ok(Ok(_)))) => Some("the disk of the store is full".to_owned()),
        Ok((write, space)) => {
            log::warn!(target: LOG_TARGET, "not ready: {write:?}, {space:?}");
            Some("the store cannot be used".to_owned())
        }
    }
}

fn silent(app: &App) -> Option<String> {
    let silent = app.metrics.silent().filter(|silent| *silent > SILENCE)?;
    Some(format!("the sending loop gave no sign of life for {}", units::span(silent)))
}
