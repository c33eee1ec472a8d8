//! Waiting until what was accepted is settled: `?wait=10s`.
//!
//! Each who waits looks for itself, at one row or one counter, at most every 250 ms. What the events are told from (`events::feed`)
//! could be sooner, but has every event of the store read as long as one waits: under load that is everybody's, for somebody who
//! waits for one of them.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::App;
use super::problem::Problem;
use crate::model::Id;
use crate::store::{self, Filter, Order, Page, Reader};
use crate::{units, wire};

/// The longest time that is waited.
const LONGEST: Duration = Duration::from_secs(60);

/// The shortest and the longest time between two looks; it doubles.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

/// What is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    One(Id),
    Batch(Id),
}

/// How long is to be waited: the value of `wait`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(time) if time > LONGEST => Err(format!("wait: is longer than {}s", LONGEST.as_secs())),
        Ok(time) => Ok(time),
        Err(error) => Err(format!("wait: {error}")),
    }
}

/// Waits; false when the time is over before, or this process ends.
pub(super) async fn settled(app: &App, what: What, time: Duration) -> Result<bool, Problem> {
    let end = Instant::now() + time;
    let mut pause = LOOKS.0;
    loop {
        if app.readers.call(move |reader| is_settled(reader, what)).await?? {
            return Ok(true);
        }
        let now = Instant::now();
        if now >= end {
            return Ok(false);
        }
        let next = sleep_until(end.min(now + pause));
        if app.stopping.run_until_cancelled(next).await.is_none() {
            return Ok(false);
        }
        pause = (pause * 2).min(LOOKS.1);
    }
}

fn is_settled(reader: &dyn Reader, what: What) -> store::Result<bool> {
    Ok(match what {
        What::One(id) => {
            // The newest that is older than the next id: a step into the primary key, and no content is read.
            let page = Page { order: Order::NewestFirst, after: Some(id.saturating_add(1)), limit: 1 };
            let rows = reader.list(&Filter::default(), &page)?;
            // One that is gone was settled before it was purged.
            rows.first().filter(|row| row.id == id).is_none_or(|row| row.status.is_final())
        }
        What::Batch(id) => reader.batch(id)?.is_none_or(|batch| {
            let counts = wire::Counts(batch.counts.statuses);
            counts.settled() + batch.counts.purged >= batch.counts.accepted
        }),
    })
}
