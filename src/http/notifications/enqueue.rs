//! `POST /v1/notifications`: accept one or many, durably, or say what is wrong with each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::posted::Posted;
use super::rows::{self, ROWS, Rows};
use super::schema;
use super::show::shown;
use crate::http::access::Caller;
use crate::http::budget::{BYTES, Room};
use crate::http::problem::{Problem, Refusals, RowProblem, defect};
use crate::http::settling::{self, What};
use crate::http::{App, answer, body, query, texts};
use crate::model::{self, Limits, NewNotification, Timestamp};
use crate::store::{Portion, RequestKey, Taken, shapes};
use crate::wire;
use crate::wire::row::{NewRow, Row};

/// What a batch that came over HTTP is said to come from.
const SOURCE: &str = "http";

/// The longest `Idempotency-Key`, in bytes: a row's number has to go behind it.
const KEY: usize = Limits::LINE - 10;

/// Accepts what the body holds: all of it, or nothing. A list is a batch.
#[utoipa::path(
    post, path = "/v1/notifications", operation_id = "enqueue", tag = "notifications",
    params(
        ("wait" = Option<texts::Wait>, Query, description = "Answer when all is settled, after so long at the latest: `10s`; 60s at most"),
        ("Idempotency-Key" = Option<texts::HeaderKey>, Header, nullable = false, description = "Makes repeating safe: it belongs to the whole request for a day, or as configured. The same request again (however its JSON is written) is answered as before, with `created` false; anything else under it is refused (409). The `key` of each notification is this too, in a list with a slash and the number of its row from 1 behind it"),
    ),
    request_body(content(
        (Posted = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 202, description = "On disk", body = schema::Taken, headers(("Location" = String, description = "Where to ask how it is"))),
        (status = 200, description = "Settled, as `wait` asked for", body = schema::Settled),
        (status = 400, description = "It cannot be read", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 408, description = "The body did not come in time", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 409, description = "A key was used before for something else; nothing was enqueued", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 413, description = "It is too large", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 415, description = "It is neither JSON nor lines of JSON", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 422, description = "A row is wrong; nothing was enqueued", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(in crate::http) async fn enqueue(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(given): Query<Vec<(String, String)>>,
    request: Request,
) -> Result<Response, Problem> {
    let wait = wait(&given)?;
    let form = body::form(request.headers())?;
    let key = key(request.headers())?;
    let full = app.pending.admit(&app.readers).await.err();
    let full = match full {
        // What has a key may be there already, and takes no more room then.
        Some(problem) if key.is_none() => return Err(problem),
        full => full,
    };
    let (bytes, room) = body::read(&app, request).await?;
    let read = move || {
        let mut rows = rows::read(form, &bytes)?;
        let key = key.map(|key| rows.guard(key)).transpose()?;
        Ok((rows, key.flatten()))
    };
    let ((rows, key), held) = aside(Held::by(room), read).await?;
    let single = rows.single;
    let taken = match full {
        None => take(&app, rows, key.clone(), held).await,
        Some(problem) => Err(problem),
    };
    let taken = match taken {
        Ok(taken) => taken,
        // What could not be accepted any more may have been.
        Err(problem) => before(&app, key.clone()).await.ok_or(problem)?,
    };
    app.answers.accepted();
    match taken {
        Taken::Whole { batch, new } if !single || new.len() > 1 => {
            let notifications = new.iter().map(|one| wire::Accepted::new(one.id, one.created)).collect();
            let answer = wire::AcceptedBatch { batch, notifications };
            if let (Some(id), Some(time)) = (batch, wait)
                && settling::settled(&app, What::Batch(id), time).await?
                && let Some(batch) = app.readers.call(move |reader| reader.batch(id)).await??
            {
                return Ok(Json(shapes::batch(batch)).into_response());
            }
            let place = batch.map(|id| format!("/v1/batches/{id}"));
            Ok(accepted(place, &answer))
        }
        Taken::Whole { new, .. } => {
            let one = new.first().ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR))?;
            let answer = wire::Accepted::new(one.id, one.created);
            if let Some(time) = wait
                && settling::settled(&app, What::One(one.id), time).await?
                && let Some(whole) = shown(&app, &caller, one.id).await?
            {
                return Ok(Json(whole).into_response());
            }
            Ok(accepted(Some(answer.status_url.clone()), &answer))
        }
        Taken::Conflict { position, id } => Err(conflict(position, id)),
        Taken::KeyUsed { since } => Err(key_used(key, since)),
    }
}

/// Has all of the request accepted, if nothing is wrong with it.
async fn take(app: &Arc<App>, rows: Rows, request: Option<RequestKey>, held: Held) -> Result<Taken, Problem> {
    let (single, now) = (rows.single, app.now());
    let (new, held) = accept(app, now, rows.rows, held).await?;
    let batch = (!single || new.len() > 1).then(|| SOURCE.to_owned());
    let portion = Portion { new, key_expires_at: now.plus(app.rules().key_window()), batch, request };
    Ok(match held.is_little() {
        true => {
            let taken = app.writer.enqueue(portion).await?;
            drop(held);
            taken
        }
        false => app.writer.enqueue_large(portion, held).await?,
    })
}

/// What is answered to a request whose key was used before, also where its moment is past by now, or its channel gone.
async fn before(app: &App, request: Option<RequestKey>) -> Option<Taken> {
    let (request, now) = (request?, app.now());
    let found = app.readers.call(move |reader| reader.request(now, &request)).await;
    // Who is refused anyway hears the reason of that.
    found.ok()?.ok()?
}

fn accepted(place: Option<String>, answer: &impl serde::Serialize) -> Response {
    let Ok(body) = serde_json::to_vec(answer) else { return defect().into_response() };
    let mut response = answer::json(StatusCode::ACCEPTED, body);
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

fn key_used(key: Option<RequestKey>, since: Option<Timestamp>) -> Problem {
    let key = key.map_or(String::new(), |request| format!(" `{}`", request.key));
    let when = since.map_or("before".to_owned(), |at| format!("at {}", wire::rfc3339(at)));
    let what = format!(
        "the Idempotency-Key{key} was used {when} for something else, and nothing was enqueued; what is new needs a key of its own, \
         what is repeated has to be as it was"
    );
    Problem::new(StatusCode::CONFLICT).detail(what)
}

/// How long the answer may wait for the end; not at all unless it is said.
fn wait(given: &[(String, String)]) -> Result<Option<Duration>, Problem> {
    let read = || match given {
        [] => Ok(None),
        [(name, _), ..] if name != "wait" => Err(query::unknown(name, &["wait"])),
        [(_, value)] => settling::time(value).map(Some),
        [_, (name, _), ..] if name != "wait" => Err(query::unknown(name, &["wait"])),
        _ => Err("wait: is given twice".to_owned()),
    };
    read().map_err(|what| Problem::new(StatusCode::BAD_REQUEST).detail(what))
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
    let plain = |key: &&str| !key.contains('\t');
    let key =
        key.to_str().ok().filter(plain).ok_or_else(|| wrong("holds something else than visible ASCII"))?;
    // The draft writes it as a quoted string; most programs do not.
    let bare = key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key);
    match bare.len() {
        0 => Err(wrong("is empty")),
        n if n > KEY => Err(wrong(&format!("is {n} bytes long; at most {KEY} are taken"))),
        _ => Ok(Some(bare.to_owned())),
    }
}

impl Rows {
    /// Gives each row its key: the header's own for a single one, with its number behind it in a list. That of the whole is
    /// given back, unless a row is wrong: what was left out of it is not what it says.
    fn guard(&mut self, key: String) -> Result<Option<RequestKey>, Problem> {
        if self.rows.iter().any(|(_, row)| row.key.is_some()) {
            let what = "the header Idempotency-Key and the field `key` are both given; keep one";
            return Err(Problem::new(StatusCode::BAD_REQUEST).detail(what));
        }
        if self.rows.iter().any(|(_, row)| !row.flaws.is_empty()) {
            return Ok(None);
        }
        let single = self.single;
        let sha256 = wire::row::sha256(single, self.rows.iter().map(|(_, row)| row));
        let request = RequestKey { key, sha256 };
        for (number, (_, row)) in (1..).zip(&mut self.rows) {
            row.key = Some(if single { request.key.clone() } else { request.of_row(number) });
        }
        Ok(Some(request))
    }
}

/// The memory that was set aside for a request.
struct Held {
    body: Room,
    /// For what goes to more than one.
    copies: Option<Room>,
}

impl Held {
    fn by(body: Room) -> Self {
        Self { body, copies: None }
    }

    /// Whether what it is for takes no long time either.
    fn is_little(&self) -> bool {
        self.body.is_small() && self.copies.is_none()
    }
}

/// Checks every row, and makes notifications of them.
async fn accept(
    app: &Arc<App>,
    now: Timestamp,
    rows: Vec<(String, Row)>,
    held: Held,
) -> Result<(Vec<NewNotification>, Held), Problem> {
    let (users, same) = (users(app, &rows).await?, Arc::clone(app));
    let ((rows, copies), mut held) = aside(held, move || check(&same, now, &users, rows)).await?;
    held.copies = app.budget.copies(copies).await?;
    let make = move || {
        let mut new = Vec::with_capacity(rows.iter().map(NewRow::len).sum());
        new.extend(rows.into_iter().flatten());
        Ok(new)
    };
    aside(held, make).await
}

/// Does what takes long for a large body where it holds up nobody else's request. What is held for it is given back with what is
/// done: work that was begun goes on, also where the caller has hung up.
async fn aside<T: Send + 'static>(
    held: Held,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<(T, Held), Problem> {
    if held.is_little() {
        return Ok((work()?, held));
    }
    match tokio::task::spawn_blocking(move || Ok((work()?, held))).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The daemon has ended meanwhile.
            Err(_) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE)),
        },
    }
}

/// The rows, and how many bytes more than they hold what is made of them will hold.
fn check(
    app: &App,
    now: Timestamp,
    users: &HashMap<String, String>,
    rows: Vec<(String, Row)>,
) -> Result<(Vec<NewRow>, usize), Problem> {
    let rules = app.rules();
    let terms = rules.terms(now);
    let mut intake = rules.intake(now, users);
    let (mut new, mut problems) = (Vec::with_capacity(rows.len()), Vec::new());
    let (mut torn, mut count, mut bytes, mut copies) = (false, 0, 0_usize, 0_usize);
    for (place, row) in rows {
        torn |= row.torn;
        match row.into_new(&terms, &mut *intake) {
            // Counted before they are made.
            Ok(row) => {
                count += row.len();
                let (one, others) = (row.bytes(), row.len() - 1);
                copies = copies.saturating_add(one.saturating_mul(others));
                bytes = bytes.saturating_add(one.saturating_mul(row.len()));
                if count > ROWS {
                    return Err(rows::too_many(count));
                }
                if bytes > BYTES {
                    let what =
                        format!("the notifications hold {bytes} bytes together; at most {BYTES} are taken");
                    return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE).detail(what));
                }
                new.push(row);
            }
            Err(found) => problems.extend(found.into_iter().map(|one| RowProblem::new(&place, one))),
        }
    }
    if problems.is_empty() {
        return Ok((new, copies));
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

#[cfg(test)]
mod tests {
    use std::thread::current;

    use futures_util::FutureExt;

    use super::*;
    use crate::http::budget::Budget;

    const LARGE: usize = 32 << 20;

    fn budget() -> &'static Budget {
        Box::leak(Box::new(Budget::new(LARGE)))
    }

    #[tokio::test]
    async fn what_takes_long_is_done_where_nobody_else_is_answered() {
        let here = current().id();
        let (little, large) = (Room::default(), budget().large(LARGE).await.unwrap());
        let done_on = async |room| aside(Held::by(room), || Ok(current().id())).await.map(|(on, _)| on);
        assert!(done_on(little).await.is_ok_and(|on| on == here));
        assert!(done_on(large).await.is_ok_and(|on| on != here));
    }

    #[tokio::test]
    async fn memory_is_held_as_long_as_it_is_worked_on_also_where_the_caller_hangs_up() {
        let budget = budget();
        let (goes_on, blocked) = std::sync::mpsc::channel::<()>();
        let (begins, begun) = tokio::sync::oneshot::channel();
        let room = budget.large(LARGE).await.unwrap();
        let bytes = vec![0_u8; LARGE];
        let work = move || {
            let _ = begins.send(());
            let _ = blocked.recv();
            Ok(bytes.len())
        };
        let request = tokio::spawn(aside(Held::by(room), work));
        begun.await.unwrap();
        request.abort();
        assert!(request.await.is_err_and(|error| error.is_cancelled()));
        let next = budget.large(LARGE);
        tokio::pin!(next);
        assert!(next.as_mut().now_or_never().is_none(), "the memory is another one's, and worked on yet");
        drop(goes_on);
        assert!(next.await.is_ok());
    }
}
