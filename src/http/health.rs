//! Whether the process lives, and whether it can work.
//!
//! Nothing is written to find out whether the store can be written, as long as all writes succeed: the lock that every write
//! takes is taken and given back, and the file system is asked whether it takes anything, and how much. After a write
//! that failed, one that changes nothing has to get to disk first.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::{App, LOG_TARGET};
use crate::store::{ErrorKind, Space};
use crate::units;

/// The longest that the store may take to let somebody write.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where there is no room, whoever says so: a quota is not asked for, it is run into.
const FULL: &str = "the disk of the store is full";

/// For how long the sending loop may give no sign of life: three of those that it owes.
const SILENCE: Duration = Duration::from_secs(30);

/// `GET /healthz`: it lives, and answers. Whether it can work is another question.
#[utoipa::path(
    get, path = "/healthz", operation_id = "live", tag = "store", security(()),
    responses((status = 200, description = "The process lives", body = String, content_type = "text/plain"))
)]
pub(super) async fn live() -> (StatusCode, &'static str) {
    (StatusCode::OK, "ok\n")
}

/// Whether it can work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Readiness)]
pub(super) struct Ready {
    /// Whether it can.
    ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// `GET /readyz`: whether it can work: the store can be written, nothing drains, and the sending loop moves.
#[utoipa::path(
    get, path = "/readyz", operation_id = "ready", tag = "store", security(()),
    responses(
        (status = 200, description = "It can work", body = Ready),
        (status = 503, description = "It cannot, and why", body = Ready),
    )
)]
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Ready>) {
    let draining = app.stopping.is_cancelled().then(|| "it is draining".to_owned());
    let silent = app.metrics.silent().and_then(standing_still);
    let unwritable = app.looked.share(unwritable(&app)).await;
    let reasons: Vec<String> = [draining, unwritable, silent].into_iter().flatten().collect();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Ready { ready: reasons.is_empty(), reasons }))
}

/// Why the store could not be written when that was looked at last, and when the look ended. Who asks needs no token, and a look
/// stands in the way of those who write: all who ask while one is under way are told what it finds.
#[derive(Default)]
pub(super) struct Looked(Mutex<Option<(Instant, Option<String>)>>);

impl Looked {
    async fn share(&self, look: impl Future<Output = Option<String>>) -> Option<String> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((_, why)) = last.as_ref().filter(|(ended, _)| *ended >= asked) {
            return why.clone();
        }
        let why = look.await;
        *last = Some((Instant::now(), why.clone()));
        why
    }
}

/// Without the store's own words: who asks needs no token.
async fn unwritable(app: &App) -> Option<String> {
    let space = app.readers.call(|reader| reader.space());
    let write = app.writer.call(|store| store.prove());
    let looked = tokio::time::timeout(PATIENCE, async { (write.await, space.await) }).await;
    match looked {
        Err(_) => Some(format!("the store could not be written within {}", units::span(PATIENCE))),
        Ok((Ok(Ok(())), Ok(Ok(space)))) => cramped(space),
        Ok((write, space)) => {
            log::warn!(target: LOG_TARGET, "not ready: {write:?}, {space:?}");
            let full = matches!(&write, Ok(Err(error)) if error.kind == ErrorKind::Full);
            Some(if full { FULL } else { "the store cannot be used" }.to_owned())
        }
    }
}

/// Why nothing could be written where the store lies.
fn cramped(space: Space) -> Option<String> {
    match space {
        Space { read_only: true, .. } => Some("the file system of the store is read-only".to_owned()),
        space if is_short(space) => Some(FULL.to_owned()),
        Space { .. } => None,
    }
}

/// Whether there is too little room where the store lies for more to be taken.
pub(super) const fn is_short(space: Space) -> bool {
    space.free < Space::FULL
}

/// Why the sending loop, `silent` for so long, delivers nothing.
fn standing_still(silent: Duration) -> Option<String> {
    let too_long = silent > SILENCE;
    too_long.then(|| format!("the sending loop gave no sign of life for {}", units::span(silent)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_loop_may_be_silent_for_three_of_its_signs_of_life() {
        assert_eq!(standing_still(SILENCE), None);
        let why = standing_still(SILENCE + Duration::from_secs(1)).unwrap();
        assert!(why.contains("no sign of life for 31 s"), "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_ask_at_once_share_one_look() {
        let (looked, looks) = (Looked::default(), AtomicU32::new(0));
        let ask = || {
            looked.share(async {
                looks.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PATIENCE).await;
                Some(FULL.to_owned())
            })
        };
        let asked = futures_util::future::join_all((0..100).map(|_| ask())).await;
        assert!(asked.iter().all(|why| why.as_deref() == Some(FULL)));
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        tokio::time::sleep(Duration::from_millis(1)).await;
        ask().await;
        assert_eq!(looks.load(Ordering::Relaxed), 2, "it is looked again");
    }
}
