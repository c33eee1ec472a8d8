//! Waiting until what was accepted is settled: `?wait=10s`.
//!
//! Whoever waits for one notification is woken by what happens to it (`events::feed`), and looks at its row then. A batch is
//! many: whoever waits for one looks at its counters from time to time.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::App;
use super::events::Live;
use super::problem::Problem;
use super::readers::Readers;
use crate::model::Id;
use crate::store::{self, Filter, Order, Page, Reader};
use crate::{units, wire};

/// The longest time that is waited.
const LONGEST: Duration = Duration::from_secs(60);

/// The shortest and the longest time between two looks when nothing wakes who waits; it doubles.
const LOOKS_AT_ONE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));
const LOOKS_AT_BATCH: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));

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
    // From before the first look, so that nothing happens between the two.
    let (live, looks) = match what {
        What::One(id) => (Some(app.events.one(id)), LOOKS_AT_ONE),
        What::Batch(_) => (None, LOOKS_AT_BATCH),
    };
    let settled = wait(&app.readers, what, live, looks, Instant::now() + time);
    app.stopping.run_until_cancelled(settled).await.unwrap_or(Ok(false))
}

/// Looks until it is settled, or until `end`: when `live` says that something happened, and from time to time.
async fn wait(
    readers: &Readers,
    what: What,
    mut live: Option<Live>,
    (mut pause, longest): (Duration, Duration),
    end: Instant,
) -> Result<bool, Problem> {
    loop {
        if readers.look(move |reader| is_settled(reader, what)).await?? {
            return Ok(true);
        }
        let now = Instant::now();
        if now >= end {
            return Ok(false);
        }
        let stirs = async {
            match &mut live {
                Some(live) => live.stirs().await,
                None => std::future::pending().await,
            }
        };
        // Either way it is time to look.
        let _ = timeout_at(end.min(now + pause), stirs).await;
        pause = (pause * 2).min(longest);
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

#[cfg(test)]
mod tests {
    use super::super::events::Feed;
    use super::super::events::tests::{Ground, NOW};
    use super::*;
    use crate::store::Selection;

    /// Longer than anything takes here, on a machine that has better things to do too.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Waits for one that is called off behind the first look; says whether that was seen before the time was over.
    async fn sees(feed: impl FnOnce(&Ground) -> Feed, looks: (Duration, Duration)) -> bool {
        let ground = Ground::new(1);
        let feed = feed(&ground);
        let end = Instant::now() + PATIENCE;
        let wait = wait(&ground.readers, What::One(1), Some(feed.watch(Some(1))), looks, end);
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            ground.store().cancel(NOW, &Selection::Ids(vec![1])).unwrap();
        };
        let (settled, ()) = tokio::join!(wait, cancel);
        settled.unwrap() && Instant::now() < end
    }

    #[tokio::test]
    async fn who_waits_for_one_is_woken_by_what_happens_to_it() {
        assert!(sees(|ground| Feed::start(ground.store()).unwrap(), (PATIENCE, PATIENCE)).await);
    }

    #[tokio::test]
    async fn one_of_which_nothing_is_heard_is_looked_at_all_the_same() {
        // One that hands nothing on.
        assert!(sees(|_| Feed::default(), LOOKS_AT_ONE).await);
    }
}
