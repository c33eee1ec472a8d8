//! `GET /v1/notifications`: those that match, page by page.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use chrono::Local;
use serde::Serialize;
use utoipa::ToSchema;

use super::schema;
use crate::http::access::{self, Caller};
use crate::http::problem::{Problem, Refusals};
use crate::http::{App, query, texts};
use crate::model::token::Scope;
use crate::model::{Id, Timestamp};
use crate::store::{Filter, Order, Page, shapes};
use crate::wire::words;
use crate::{units, wire};

/// How many one page holds unless it is said otherwise.
const PAGE: usize = 100;

/// One page of a listing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NotificationPage)]
pub(in crate::http) struct Answer {
    /// Those of this page.
    notifications: Vec<wire::Summary>,
    /// What the next page is asked for with, as `cursor`; null on the last one.
    next_cursor: Option<String>,
}

/// What can be asked with, in the order in which it is told.
const PARAMETERS: [&str; 11] =
    ["status", "channel", "batch", "user", "to", "since", "until", "retrying", "limit", "order", "cursor"];

/// Answers with what `notifyctl list --json` writes, one page at a time.
#[utoipa::path(
    get, path = "/v1/notifications", operation_id = "list", tag = "notifications",
    params(
        ("status" = Option<Vec<words::NotificationStatus>>, Query, explode, description = "In this status; several by saying it again, or with commas between"),
        ("channel" = Option<String>, Query, description = "On this channel"),
        ("batch" = Option<i64>, Query, minimum = 1, description = "Of this batch"),
        ("user" = Option<String>, Query, description = "For this user; needs the scope `personal`"),
        ("to" = Option<String>, Query, description = "To exactly this recipient; needs the scope `personal`"),
        ("since" = Option<texts::Past>, Query, description = "Enqueued at or after: a time, or a duration ago (`2h`)"),
        ("until" = Option<texts::Past>, Query, description = "Enqueued before: a time, or a duration ago"),
        ("retrying" = Option<bool>, Query, description = "`true`: those alone that are pending with at least one retry used up"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000, description = "How many at most; 100 unless said otherwise"),
        ("order" = Option<schema::Order>, Query, description = "`newest` first (unless said otherwise), or `oldest`"),
        ("cursor" = Option<texts::PageCursor>, Query, description = "`next_cursor` of the page before"),
    ),
    responses(
        (status = 200, description = "One page", body = Answer),
        (status = 400, description = "A parameter cannot be meant", body = crate::http::problem::Shape, content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(in crate::http) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Query(given): Query<Vec<(String, String)>>,
) -> Result<Json<Answer>, Problem> {
    let asked = read(&given, app.now());
    let (filter, page) = asked.map_err(|what| Problem::new(StatusCode::BAD_REQUEST).detail(what))?;
    let sees_people = caller.scopes.allow(Scope::Personal);
    // Whoever is told whether there is one has learnt whom it is for, masked or not.
    if !sees_people && (filter.user_id.is_some() || filter.recipient.is_some()) {
        return Err(access::lacks(
            &caller,
            Scope::Personal,
            ", without which nobody is sought by `to` or `user`",
        ));
    }
    let rows = app.readers.search(move |reader| reader.list(&filter, &page)).await??;
    let last = rows.last().filter(|_| rows.len() == page.limit).map(|row| row.id.to_string());
    let mut notifications: Vec<_> = rows.into_iter().map(shapes::summary).collect();
    if !sees_people {
        notifications.iter_mut().for_each(wire::Summary::mask);
    }
    Ok(Json(Answer { notifications, next_cursor: last }))
}

/// What the parameters mean, or which one cannot be meant and why.
fn read(given: &[(String, String)], now: Timestamp) -> Result<(Filter, Page), String> {
    let mut filter = Filter::default();
    let mut page = Page { order: Order::NewestFirst, after: None, limit: PAGE };
    query::check(given, &PARAMETERS, &["status"])?;
    for (name, value) in given {
        let wrong = |what: &dyn ToString| format!("{name}: {}", what.to_string());
        let number =
            || value.parse().ok().filter(|id: &Id| *id > 0).ok_or_else(|| wrong(&"is not a positive number"));
        let past = || units::past(value, now, &Local).map(Some).map_err(|what| wrong(&what));
        match name.as_str() {
            "status" => query::add(&mut filter.statuses, value).map_err(|what| wrong(&what))?,
            "channel" => filter.channel = Some(value.clone()),
            "batch" => filter.batch_id = Some(number()?),
            "user" => filter.user_id = Some(value.clone()),
            "to" => filter.recipient = Some(value.clone()),
            "since" => filter.since = past()?,
            "until" => filter.until = past()?,
            "retrying" => filter.retrying = value.parse().map_err(|_| wrong(&"is neither true nor false"))?,
            "cursor" => page.after = Some(number()?),
            "limit" => {
                let limit = usize::try_from(number()?).ok().filter(|limit| *limit <= Page::LIMIT);
                page.limit = limit.ok_or_else(|| wrong(&format_args!("is more than {}", Page::LIMIT)))?;
            }
            "order" => {
                page.order = match value.as_str() {
                    "newest" => Order::NewestFirst,
                    "oldest" => Order::OldestFirst,
                    _ => return Err(wrong(&"is neither newest nor oldest")),
                }
            }
            _ => return Err(query::unknown(name, &PARAMETERS)),
        }
    }
    Ok((filter, page))
}
