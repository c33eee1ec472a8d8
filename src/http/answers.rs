//! What a cache may stand in front of: answers made from the store, ready to be sent.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::problem::Problem;
use super::readers::Readers;
use super::{Current, LOG_TARGET, notifications};
use crate::cache::{Answer, Cache, Changes, Keep, Key, Loaded, Options, Seal, Shelf, Source};
use crate::clock::{Clock, SystemClock};
use crate::model::{Id, Mark, Status, Touched};
use crate::store::shapes;
use crate::wire;

/// Where an answer comes from, and how old it may be.
const HEADER: HeaderName = HeaderName::from_static("notifyctl-cache");

/// The most changes that are told one by one.
const MANY: usize = 20_000;

/// Most answers are no longer than this, in bytes.
const MOST_ARE: usize = 1 << 10;

/// Answers from the store.
pub(super) struct Answers {
    readers: Arc<Readers>,
    rules: Arc<Current>,
    store_id: String,
}

/// A cache in front of them, or none; inside of a runtime.
pub(super) fn cached(
    readers: &Arc<Readers>,
    rules: &Arc<Current>,
    store_id: &str,
    options: Option<&Options>,
) -> Cache<Answers> {
    let answers =
        Answers { readers: Arc::clone(readers), rules: Arc::clone(rules), store_id: store_id.to_owned() };
    let Some(options) = options else { return Cache::off(answers) };
    let place = |error: std::io::Error| format!("{}: {error}", options.key_file.display());
    let shelf = Seal::of_file(&options.key_file).map_err(place);
    match shelf.and_then(|seal| Shelf::new(options, store_id, seal)) {
        Ok(shelf) => Cache::on(answers, options, shelf, Told(Arc::clone(readers))),
        // It is optional every second.
        Err(why) => {
            log::error!(target: LOG_TARGET, "no cache, answers come from the store: {why}");
            Cache::off(answers)
        }
    }
}

/// Sends an answer; where it comes from is said when there is a cache.
pub(super) fn send(cache: &Cache<Answers>, answer: Answer) -> Response {
    let mut response = super::answer::json(StatusCode::OK, answer.body);
    if cache.works().is_some()
        && let Ok(from) = HeaderValue::try_from(answer.from.to_string())
    {
        response.headers_mut().insert(HEADER, from);
    }
    response
}

impl Answers {
    /// One notification, whole, as it is in the store now.
    pub(super) async fn whole(&self, id: Id) -> Result<Option<wire::Notification>, Problem> {
        notifications::whole(&self.readers, &self.store_id, id).await
    }
}

impl Source for Answers {
    type Error = Problem;

    async fn load(&self, key: Key) -> Result<Option<Loaded>, Problem> {
        match key {
            Key::Notification(id) | Key::Masked(id) => {
                let found = self.whole(id).await?;
                let Some(mut shown) = found else { return Ok(None) };
                if let Key::Masked(_) = key {
                    shown.mask();
                }
                let keep = match shown.summary.status {
                    // Its lease is extended without a word.
                    Status::Sending => Keep::Moment,
                    status if status.is_final() => Keep::Settled,
                    _ => Keep::Open,
                };
                loaded(&shown, keep).map(Some)
            }
            Key::Batch(id) => {
                let found = self.readers.call(move |reader| reader.batch(id)).await??;
                found.map(|batch| loaded(&shapes::batch(batch), Keep::Moment)).transpose()
            }
            Key::Status(_) | Key::MaskedStatus(_) => {
                let (rules, now) = (self.rules.get(), SystemClock.now());
                let mut status = self.readers.call(move |reader| rules.status(reader, now)).await??;
                if let Key::MaskedStatus(_) = key {
                    status.mask();
                }
                loaded(&status, Keep::Moment).map(Some)
            }
        }
    }
}

fn loaded(shape: &impl serde::Serialize, keep: Keep) -> Result<Loaded, Problem> {
    let mut body = Vec::with_capacity(MOST_ARE);
    serde_json::to_writer(&mut body, shape).map_err(|_| super::problem::defect())?;
    Ok(Loaded { body: body.into(), keep })
}

/// What changed, as the store tells it.
struct Told(Arc<Readers>);

impl Changes for Told {
    async fn last(&mut self) -> Option<Mark> {
        self.0.call(|reader| reader.mark()).await.ok()?.ok()
    }

    async fn after(&mut self, after: u64) -> Option<Touched> {
        self.0.call(move |reader| reader.touched(after, MANY)).await.ok()?.ok()
    }
}
