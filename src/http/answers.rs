//! What a cache may stand in front of: answers made from the store, ready to be sent.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use super::problem::Problem;
use super::readers::Readers;
use super::{Current, LOG_TARGET, notifications};
use crate::cache::{Answer, Cache, Changes, Keep, Key, Loaded, OPEN, Options, Seal, Shelf, Source};
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
        let found = notifications::whole(&self.readers, &self.store_id, id).await?;
        Ok(found.map(|(shown, _)| shown))
    }
}

impl Source for Answers {
    type Error = Problem;

    async fn load(&self, key: Key) -> Result<Option<Loaded>, Problem> {
        match key {
            Key::Notification(id) | Key::Masked(id) => {
                let found = notifications::whole(&self.readers, &self.store_id, id).await?;
                let Some((mut shown, key_ends)) = found else { return Ok(None) };
                if let Key::Masked(_) = key {
                    shown.mask();
                }
                let key_left = key_ends.map(|ends| ends.since(SystemClock.now()));
                let keep = keep(shown.summary.status, key_left);
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

/// For how long an answer about a notification may be kept; `key_left` is for how long its key still guards it.
fn keep(status: Status, key_left: Option<Duration>) -> Keep {
    match (status, key_left) {
        // Its lease is extended without a word.
        (Status::Sending, _) => Keep::Moment,
        // So goes a key whose window is over.
        (_, Some(Duration::ZERO)) => Keep::Moment,
        (status, Some(left)) if status.is_final() => Keep::SettledFor(left),
        (status, None) if status.is_final() => Keep::Settled,
        (_, Some(left)) if left < OPEN => Keep::Moment,
        _ => Keep::Open,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_no_longer_than_the_key_that_it_shows() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (status, left, kept) in [
            (Status::Sent, None, Keep::Settled),
            (Status::Sent, seconds(60), Keep::SettledFor(Duration::from_secs(60))),
            (Status::Sent, seconds(0), Keep::Moment),
            (Status::Pending, None, Keep::Open),
            (Status::Held, seconds(60), Keep::Open),
            (Status::Pending, seconds(9), Keep::Moment),
            (Status::Pending, seconds(0), Keep::Moment),
            (Status::Sending, None, Keep::Moment),
            (Status::Sending, seconds(60), Keep::Moment),
        ] {
            assert_eq!(keep(status, left), kept, "{status} with {left:?} left");
        }
    }
}
