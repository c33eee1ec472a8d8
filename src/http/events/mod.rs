//! `GET /v1/events`: what happens, as it happens, by whichever process: as a WebSocket, as Server-Sent Events, or a page at a
//! time as JSON. For watching alone: nothing can be changed by it.

mod course;
mod feed;
mod registry;
mod stream;
#[cfg(test)]
pub(in crate::http) mod tests;
mod websocket;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;
use utoipa::ToSchema;

pub(in crate::http) use feed::Feed;
pub(in crate::http) use registry::Live;

use super::access::{self, Call, Caller};
use super::problem::{Problem, Refusals};
use super::{App, Origin, query, texts};
use crate::model::event::NoCursor;
use crate::model::token::Scope;
use crate::model::{Cursor, EventFilter, Id};
use crate::store::Events as Told;
use crate::wire::{self, Sight, words};
use course::Course;

/// The most who watch at once.
const WATCHERS: usize = 2_000;

/// How many events are looked at in one piece.
const PIECE: usize = 1_000;

/// The same where some notifications are meant: all that are kept, for the others cost next to nothing.
const PIECE_OF_SOME: usize = 1_000_000;

/// The most that may be told again to whoever comes; of acceptances, and of others.
const LAST: u32 = 1_000;

/// The protocol that a WebSocket may ask for; a token may stand beside it.
const PROTOCOL: &str = "notifyctl.v1";

/// What watching needs.
pub(in crate::http) struct Watching {
    feed: Arc<Feed>,
    room: Arc<Semaphore>,
    tracker: TaskTracker,
}

impl Watching {
    /// Those who watch are waited for at the end by `tracker`.
    pub(in crate::http) fn new(feed: Arc<Feed>, tracker: TaskTracker) -> Self {
        Self { feed, room: Arc::new(Semaphore::new(WATCHERS)), tracker }
    }

    /// What happens to the notification `id` from now on.
    pub(in crate::http) fn one(&self, id: Id) -> Live {
        self.feed.watch(Some(id))
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let full = |_| Problem::later(format!("{WATCHERS} watch already"), 10);
        Arc::clone(&self.room).try_acquire_owned().map_err(full)
    }
}

/// How many events are looked at in one piece of what `filter` means.
fn most(filter: &EventFilter) -> usize {
    if filter.ids.is_empty() { PIECE } else { PIECE_OF_SOME }
}

/// What may stand in the query, in the order in which it is told. A token never does: queries are written into logs.
const PARAMETERS: [&str; 6] = ["after", "last", "channel", "type", "status", "id"];

/// What is asked for.
#[derive(Debug, Default)]
struct Asked {
    after: Option<Cursor>,
    last: Option<u32>,
    filter: EventFilter,
}

impl Asked {
    /// What the parameters mean, or which one cannot be meant and why.
    fn of(given: &[(String, String)]) -> Result<Self, String> {
        query::check(given, &PARAMETERS, &["type", "status"])?;
        let mut asked = Self::default();
        for (name, value) in given {
            let wrong = |what: &dyn ToString| format!("{name}: {}", what.to_string());
            match name.as_str() {
                "after" => asked.after = Some(value.parse().map_err(|what: NoCursor| wrong(&what))?),
                "last" => {
                    let last = value.parse().ok().filter(|last| (1..=LAST).contains(last));
                    let between = || wrong(&format_args!("is not between 1 and {LAST}"));
                    asked.last = Some(last.ok_or_else(between)?);
                }
                "channel" => asked.filter.channel = Some(value.clone()),
                "type" => query::add(&mut asked.filter.kinds, value).map_err(|what| wrong(&what))?,
                "status" => query::add(&mut asked.filter.statuses, value).map_err(|what| wrong(&what))?,
                "id" => {
                    let id: Option<Id> = value.parse().ok().filter(|id| *id > 0);
                    let id = id.ok_or_else(|| wrong(&"is not a positive number"))?;
                    asked.filter.ids = Arc::new(BTreeSet::from([id]));
                }
                _ => return Err(query::unknown(name, &PARAMETERS)),
            }
        }
        Ok(asked)
    }

    /// Where to begin: what the query says, or what a browser says that comes back; without either, from now on.
    async fn begin(&self, app: &App, headers: &HeaderMap) -> Result<Option<Cursor>, Problem> {
        // What the browser has seen since then is further on.
        let seen = headers.get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
        let seen: Option<Cursor> = seen.map(str::parse).transpose().map_err(no_cursor)?;
        match (seen.or(self.after), self.last) {
            (None, Some(last)) => {
                let end = app.readers.call(|reader| reader.cursor(None)).await??;
                Ok(Some(end.back(last)))
            }
            (after, _) => Ok(after),
        }
    }
}

fn no_cursor(what: NoCursor) -> Problem {
    bad(format!("Last-Event-ID: {what}"))
}

fn bad(what: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).detail(what)
}

/// A page of events, for who asks again and again.
#[derive(Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(in crate::http) struct Page {
    events: Vec<wire::Event>,
    /// What to ask for as `after` next.
    next: String,
    /// Whether events before these are not kept any more.
    gap: bool,
    /// Whether there is more right now.
    more: bool,
}

/// What happens, as it happens: over a WebSocket, as Server-Sent Events, or as JSON a page at a time.
///
/// A request to upgrade is answered with 101, and each text frame is one `Frame`. Without one it is a stream of Server-Sent
/// Events, whose `id` is the cursor and whose `data` a `Frame`; or, for who accepts `application/json` and no stream, one page.
/// A WebSocket begins with a frame of the type `ready`; `gap` says that events before it are not kept any more. Either ends
/// within two seconds when its token is revoked or expires.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "events", tag = "events",
    params(
        ("after" = Option<texts::EventCursor>, Query, description = "Behind this cursor; from now on unless said otherwise. A browser's `Last-Event-ID` wins over it"),
        ("last" = Option<u32>, Query, minimum = 1, maximum = 1000, description = "Begin so many events before now, where no cursor says otherwise"),
        ("channel" = Option<String>, Query, description = "Of this channel"),
        ("type" = Option<Vec<words::EventType>>, Query, explode, description = "Of this type; several by saying it again, or with commas between"),
        ("status" = Option<Vec<words::NotificationStatus>>, Query, explode, description = "That leads to this status; several by saying it again, or with commas between"),
        ("id" = Option<i64>, Query, minimum = 1, description = "Of this notification"),
    ),
    responses(
        (status = 200, description = "A page, or a stream without end", content((Page = "application/json"), (String = "text/event-stream"))),
        (status = 101, description = "A WebSocket (the protocol `notifyctl.v1`, if one is named) on which nothing is taken"),
        (status = 400, description = "A parameter cannot be meant", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        (status = 426, description = "A WebSocket of another version than 13", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(in crate::http) async fn watch(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Arc<Call>>,
    caller: Caller,
    Query(given): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    refuse_strangers(&headers, &app.current.admission().cors_origins)?;
    let sight = if caller.scopes.allow(Scope::Personal) { Sight::Whole } else { Sight::Masked };
    let asked = Asked::of(&given).map_err(bad)?;
    let after = asked.begin(&app, &headers).await?;
    let filter = asked.filter;
    if wants_websocket(&headers) {
        let upgrade = upgrade.map_err(|error| no_websocket(&error))?;
        let room = app.events.enter()?;
        let (course, ready) = Course::begin(&app.readers, &app.events.feed, after, filter, sight).await?;
        let (tracker, stopping) = (app.events.tracker.clone(), app.stopping.clone());
        let refused = access::refused_later(app, caller);
        let upgrade = upgrade
            .protocols([PROTOCOL])
            .max_message_size(websocket::MESSAGE)
            .max_frame_size(websocket::MESSAGE)
            .read_buffer_size(websocket::MESSAGE)
            .write_buffer_size(websocket::BUFFER)
            .max_write_buffer_size(4 * websocket::BUFFER);
        let seat = Arc::clone(&call.seat);
        return Ok(upgrade.on_upgrade(move |socket| {
            tracker.track_future(async move {
                websocket::tell(socket, course, ready, stopping, refused).await;
                drop((room, seat));
            })
        }));
    }
    if wants_json(&headers) {
        return page(&app, after, filter, sight).await.map(|page| Json(page).into_response());
    }
    let room = app.events.enter()?;
    let (course, ready) = Course::begin(&app.readers, &app.events.feed, after, filter, sight).await?;
    let (response, writer) = stream::answer();
    let (tracker, stopping) = (app.events.tracker.clone(), app.stopping.clone());
    let refused = access::refused_later(app, caller);
    tracker.spawn(async move {
        stream::tell(writer, course, ready, stopping, refused, call.hang_up.clone()).await;
        drop(room);
    });
    Ok(response)
}

async fn page(app: &App, after: Option<Cursor>, filter: EventFilter, sight: Sight) -> Result<Page, Problem> {
    let told = app.readers.search(move |reader| match after {
        Some(after) => reader.events(after, &filter, most(&filter)),
        None => reader.cursor(None).map(|next| Told { events: Vec::new(), next, gap: None, more: false }),
    });
    let told = told.await??;
    Ok(Page {
        events: told.events.into_iter().map(|event| wire::Event::new(event, sight)).collect(),
        next: told.next.to_string(),
        gap: told.gap.is_some(),
        more: told.more,
    })
}

/// Whether a WebSocket is asked for. Whatever else somebody would like to speak (Java's client: `h2c`) may be passed over
/// (RFC 9110, 7.8).
fn wants_websocket(headers: &HeaderMap) -> bool {
    let named = headers.get_all(header::UPGRADE).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("websocket"))
}

/// Why there is none. Another version is told which one there is (RFC 6455, 4.4).
fn no_websocket(error: &WebSocketUpgradeRejection) -> Problem {
    match error {
        WebSocketUpgradeRejection::InvalidWebSocketVersionHeader(_) => {
            Problem::new(StatusCode::UPGRADE_REQUIRED)
                .detail(error.body_text())
                .header(header::SEC_WEBSOCKET_VERSION, "13")
                .header(header::UPGRADE, "websocket")
                .header(header::CONNECTION, "Upgrade")
        }
        _ => bad(error.body_text()),
    }
}

/// Whether JSON is asked for, and no stream.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepts = |media: &str| {
        headers
            .get_all(header::ACCEPT)
            .iter()
            .any(|value| value.to_str().is_ok_and(|value| value.contains(media)))
    };
    accepts("application/json") && !accepts("text/event-stream")
}

/// A page of another origin must not watch by way of somebody's browser, unless it may ask: the same-origin policy does not
/// cover WebSockets.
fn refuse_strangers(headers: &HeaderMap, friends: &[Origin]) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = origin.to_str().unwrap_or_default();
    let is_own = match (origin.split_once("://"), host) {
        (Some((_, own)), Some(host)) => own.eq_ignore_ascii_case(host),
        _ => false,
    };
    match is_own || friends.iter().any(|friend| friend.as_str() == origin) {
        true => Ok(()),
        false => {
            Err(Problem::new(StatusCode::FORBIDDEN).detail("events are not for pages of another origin"))
        }
    }
}
