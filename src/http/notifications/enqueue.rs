//! `POST /v1/notifications`: accept one or many, durably, or say what is wrong with each.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::rows::{self, ROWS, Rows};
use crate::http::problem::{Problem, RowProblem};
use crate::http::{App, body};
use crate::model::{self, Limits, NewNotification, Timestamp};
use crate::store::{Portion, Taken};
use crate::wire;
use crate::wire::row::Row;

/// What a batch that came over HTTP is said to come from.
const SOURCE: &str = "http";

/// The most bytes that the notifications of one request may hold: a long message to many recipients is one each.
const BYTES: usize = 64 << 20;

/// Accepts what the body holds.
pub(in crate::http) async fn enqueue(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let form = body::form(&headers)?;
    let key = key(&headers)?;
    app.pending.admit(&app.readers).await?;
    let (bytes, _room) = body::read(&app, &headers, body).await?;
    let mut rows = rows::read(form, &bytes)?;
    drop(bytes);
    if let Some(key) = key {
        rows.guard(&key)?;
    }
    let single = rows.single;
    let now = app.now();
    let new = accept(&app, now, rows.rows).await?;
    let many = !single || new.len() > 1;
    let window = app.rules().key_window();
    let portion = Portion { new, key_expires_at: now.plus(window), batch: many.then(|| SOURCE.to_owned()) };
    match app.writer.enqueue(portion).await? {
        Taken::Whole { batch, new } if many => {
            let notifications = new.iter().map(|one| wire::Accepted::new(one.id, one.created)).collect();
            let answer = wire::AcceptedBatch { batch, notifications };
            let place = batch.map(|id| format!("/v1/batches/{id}"));
            Ok(accepted(place, &answer))
        }
        Taken::Whole { new, .. } => {
            let one = new.first().ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR))?;
            let answer = wire::Accepted::new(one.id, one.created);
            Ok(accepted(Some(answer.status_url.clone()), &answer))
        }
        Taken::Conflict { position, id } => Err(conflict(position, id)),
    }
}

fn accepted(place: Option<String>, answer: &impl serde::Serialize) -> Response {
    let mut response = (StatusCode::ACCEPTED, axum::Json(answer)).into_response();
    if let Some(place) = place.and_then(|place| place.try_into().ok()) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn conflict(position: usize, id: Option<model::Id>) -> Problem {
    let other = match id {
        Some(id) => format!("notification {id}"),
        None => "another one of this request".to_owned(),
    };
    let what = format!(
        "number {} has the key of {other}, which says something else; nothing was enqueued",
        position + 1
    );
    Problem::new(StatusCode::CONFLICT).detail(what)
}

/// The duplicate guard of the whole request.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let wrong = |what: &str| {
        let what = format!("the header Idempotency-Key {what}");
        Problem::new(StatusCode::BAD_REQUEST).detail(what)
    };
    let mut given = headers.get_all("idempotency-key").iter();
    let Some(key) = given.next() else { return Ok(None) };
    if given.next().is_some() {
        return Err(wrong("is given twice"));
    }
    let key = key.to_str().map_err(|_| wrong("holds something else than visible ASCII"))?;
    // The draft writes it as a quoted string; most programs do not.
    let bare = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    match bare.len() {
        0 => Err(wrong("is empty")),
        n if n > Limits::LINE - 10 => Err(wrong("is too long")),
        _ => Ok(Some(bare.to_owned())),
    }
}

impl Rows {
    /// Gives each row its key: the header's own for a single one, with its number behind it in a list.
    fn guard(&mut self, key: &str) -> Result<(), Problem> {
        if self.rows.iter().any(|(_, row)| row.key.is_some()) {
            let what = "the header Idempotency-Key and the field `key` are both given; keep one";
            return Err(Problem::new(StatusCode::BAD_REQUEST).detail(what));
        }
        let single = self.single;
        for (number, (_, row)) in (1..).zip(&mut self.rows) {
            row.key = Some(if single { key.to_owned() } else { format!("{key}/{number}") });
        }
        Ok(())
    }
}

/// Checks every row, and makes notifications of them.
async fn accept(
    app: &App,
    now: Timestamp,
    rows: Vec<(String, Row)>,
) -> Result<Vec<NewNotification>, Problem> {
    let users = users(app, &rows).await?;
    let rules = app.rules();
    let terms = rules.terms(now);
    let mut intake = rules.intake(now, &users);
    let (mut new, mut problems) = (Vec::with_capacity(rows.len()), Vec::new());
    let (mut torn, mut bytes) = (false, 0_usize);
    for (place, row) in rows {
        torn |= row.torn;
        match row.into_new(&terms, &mut *intake) {
            // Counted before they are made.
            Ok(row) => {
                let count = new.len() + row.len();
                bytes = bytes.saturating_add(row.bytes().saturating_mul(row.len()));
                if count > ROWS {
                    return Err(rows::too_many(count));
                }
                if bytes > BYTES {
                    let what =
                        format!("the notifications hold {bytes} bytes together; at most {BYTES} are taken");
                    return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(what));
                }
                new.extend(row);
            }
            Err(found) => problems.extend(found.into_iter().map(|one| RowProblem::new(&place, one))),
        }
    }
    if problems.is_empty() {
        return Ok(new);
    }
    if torn {
        return Err(rows::not_json(problems));
    }
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail("nothing was enqueued").problems(problems))
}

/// The recipients of the users that rows name in place of one.
async fn users(app: &App, rows: &[(String, Row)]) -> Result<HashMap<String, String>, Problem> {
    let mut wanted: Vec<String> =
        rows.iter().filter(|(_, row)| row.to.is_empty()).filter_map(|(_, row)| row.user_id.clone()).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    wanted.sort_unstable();
    wanted.dedup();
    let found = app.readers.call(move |reader| {
        let mut known = HashMap::new();
        for id in wanted {
            if let Some(user) = reader.user(&id)? {
                known.insert(id, user.recipient);
            }
        }
        Ok::<_, crate::store::Error>(known)
    });
    Ok(found.await??)
}
