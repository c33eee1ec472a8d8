//! `GET /v1/history`: what was accepted and settled lately, step by step, so that a chart has a past when it is opened.
//!
//! Differences between the store's own counters, so that it is right whichever process did it; kept in memory, for an hour
//! at most. One small reading a step is all that it costs.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use chrono::Local;
use tokio::time::{MissedTickBehavior, interval};

use super::problem::{Problem, Refusals};
use super::{App, LOG_TARGET, query, texts};
use crate::clock::Clock;
use crate::model::{Status, Timestamp};
use crate::store::Counts;
use crate::units;
use crate::wire::{self, Flow, Step};

/// How long a step is, unless the machine has better things to do.
const STEP: Duration = Duration::from_secs(10);

/// How many are kept: an hour.
const KEPT: usize = 360;

/// The steps of the last hour.
#[derive(Default)]
pub(super) struct History(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Where all stood at the end of the last step, and when, since boot.
    last: Option<(BTreeMap<String, Flow>, Duration)>,
    steps: VecDeque<Step>,
}

impl History {
    /// `counts` are those of `now`, which is `since_boot` on a clock that nobody sets.
    fn add(&self, counts: &Counts, now: Timestamp, since_boot: Duration) {
        let stands: BTreeMap<_, _> =
            counts.channels.iter().map(|(name, counts)| (name.clone(), stand(counts))).collect();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, at)) = &kept.last {
            let took = since_boot.saturating_sub(*at);
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let happened = |(name, stand): (&String, &Flow)| {
                let flow = between(before.get(name).copied().unwrap_or_default(), *stand);
                (flow != Flow::default()).then(|| (name.clone(), flow))
            };
            let channels = stands.iter().filter_map(happened).collect();
            kept.steps.push_back(Step { at: now, took_ms, channels });
            if kept.steps.len() > KEPT {
                kept.steps.pop_front();
            }
        }
        kept.last = Some((stands, since_boot));
    }

    /// Those that ended after `since`.
    fn steps(&self, since: Option<Timestamp>) -> Vec<Step> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.steps.iter().filter(|step| since.is_none_or(|since| step.at > since)).cloned().collect()
    }
}

fn stand(counts: &crate::store::ChannelCounts) -> Flow {
    Flow {
        accepted: counts.accepted,
        sent: counts.of(Status::Sent),
        dead: counts.of(Status::Dead),
        expired: counts.of(Status::Expired),
    }
}

/// A purge or a requeue takes away from what is settled: that is no step back.
fn between(before: Flow, after: Flow) -> Flow {
    Flow {
        accepted: after.accepted.saturating_sub(before.accepted),
        sent: after.sent.saturating_sub(before.sent),
        dead: after.dead.saturating_sub(before.dead),
        expired: after.expired.saturating_sub(before.expired),
    }
}

/// Looks once a step, until the end.
pub(super) async fn keep(app: Arc<App>) {
    let mut step = interval(STEP);
    step.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while app.stopping.run_until_cancelled(step.tick()).await.is_some() {
        match app.readers.call(|reader| reader.counts()).await {
            Ok(Ok(counts)) => app.history.add(&counts, app.now(), app.clock.since_boot()),
            Ok(Err(error)) => log::warn!(target: LOG_TARGET, "no step of the history: {error}"),
            // It is ending; or a reading failed, which is no reason to look no more.
            Err(_) => {}
        }
    }
}

/// Answers with the steps.
#[utoipa::path(
    get, path = "/v1/history", operation_id = "history", tag = "store",
    params(
        ("since" = Option<texts::Past>, Query, description = "Steps that ended after this: a time, or a duration ago"),
    ),
    responses(
        (status = 200, description = "Steps of some ten seconds, of an hour at most", body = wire::History),
        (status = 400, description = "A parameter cannot be meant", body = super::problem::Shape, content_type = "application/problem+json"),
        Refusals,
    )
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Query(given): Query<Vec<(String, String)>>,
) -> Result<Json<wire::History>, Problem> {
    let at = app.now();
    let since = since(&given, at).map_err(|what| Problem::new(StatusCode::BAD_REQUEST).detail(what))?;
    Ok(Json(wire::History { steps: app.history.steps(since), at }))
}

fn since(given: &[(String, String)], now: Timestamp) -> Result<Option<Timestamp>, String> {
    query::check(given, &["since"], &[])?;
    let read = |(_, value): &(String, String)| units::past(value, now, &Local);
    given.first().map(read).transpose().map_err(|what| format!("since: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ChannelCounts;

    fn counts(accepted: u64, sent: u64, dead: u64) -> Counts {
        let mut statuses = [0; Status::ALL.len()];
        statuses[Status::Sent as usize] = sent;
        statuses[Status::Dead as usize] = dead;
        let channel = ChannelCounts { statuses, accepted, ..ChannelCounts::default() };
        Counts { channels: BTreeMap::from([("mail".to_owned(), channel)]), ..Counts::default() }
    }

    #[test]
    fn a_step_is_what_happened_and_a_purge_is_no_step_back() {
        let history = History::default();
        let looks = [counts(5, 5, 0), counts(9, 7, 1), counts(9, 7, 1), counts(9, 0, 2)];
        for (n, counts) in (0_u32..).zip(&looks) {
            history.add(counts, Timestamp(i64::from(n) * 10_000), STEP * n);
        }
        let steps = history.steps(None);
        let flow = |accepted, sent, dead| Flow { accepted, sent, dead, expired: 0 };
        let told: Vec<_> = steps.iter().map(|step| step.channels.get("mail").copied()).collect();
        // What was there before the first look is no step.
        assert_eq!(told, [Some(flow(4, 2, 1)), None, Some(flow(0, 0, 1))]);
        assert!(steps.iter().all(|step| step.took_ms == 10_000));
        assert_eq!(history.steps(Some(Timestamp(20_000))), &steps[2..]);
    }

    #[test]
    fn an_hour_is_kept() {
        let history = History::default();
        for n in 0..400 {
            history.add(&counts(u64::from(n), 0, 0), Timestamp(i64::from(n)), STEP * n);
        }
        let steps = history.steps(None);
        assert_eq!((steps.len(), steps[0].at, steps[KEPT - 1].at), (KEPT, Timestamp(40), Timestamp(399)));
    }
}
