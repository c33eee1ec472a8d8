//! `GET /metrics`: numbers for Prometheus.
//!
//! What the store counts comes from the store when it is asked for, so that it is right across processes and
//! restarts; what attempts and requests took is counted here, per process, as they happen. Labels are names of
//! channels, and words of closed lists: never what was told, or to whom.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, Method, StatusCode, header};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::App;
use super::answers::Answers;
use super::problem::{Problem, Refusals};
use crate::cache::{Cache, Counters};
use crate::clock::since_boot;
use crate::model::{Outcome, Reason, Status, Timestamp};
use crate::store::{Settlement, Space};
use crate::wire;

/// How it is written (the version is that of OpenMetrics).
const TYPE: (HeaderName, &str) =
    (header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The most channels that have a name in the numbers; those beyond it are told as one.
const CHANNELS: usize = 200;

/// What those are told as.
const OTHERS: &str = "(others)";

type Labels = Vec<(&'static str, String)>;

/// The labels of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: &'static str,
    route: &'static str,
    status: u16,
}

/// What this process has counted. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Counted>);

struct Counted {
    attempts: Family<Labels, Counter>,
    durations: Family<Labels, Histogram, fn() -> Histogram>,
    ages: Family<Labels, Histogram, fn() -> Histogram>,
    requests: Family<Asked, Histogram, fn() -> Histogram>,
    limited: Family<Labels, Counter>,
    leases_lost: Counter,
    named: Named,
    /// The sending loop's last sign of life, in milliseconds since the machine was started; 0 without one.
    beat: AtomicU64,
}

/// The channels that have a name in the numbers. Who has one keeps it: a channel that comes later and would stand before them
/// moves none to the others, whose counters would leap. But for those that are not configured any more: where there is no room,
/// one that is takes their place.
#[derive(Default)]
struct Named(Mutex<BTreeSet<String>>);

impl Named {
    /// Whether `channel` has one; now, if there is room.
    fn has(&self, channel: &str) -> bool {
        let mut names = self.names();
        names.contains(channel) || names.len() < CHANNELS && names.insert(channel.to_owned())
    }

    /// The name of `channel`, or that of the others.
    fn of(&self, channel: &str) -> String {
        if self.has(channel) { channel } else { OTHERS }.to_owned()
    }

    /// Gives names to those that are `configured`, as long as any can be had. Gives those back that had to go for it.
    fn prefer(&self, configured: &BTreeSet<&str>) -> Vec<String> {
        let mut names = self.names();
        let mut without: Vec<_> = configured.iter().filter(|name| !names.contains(**name)).collect();
        // Those that have gone, behind as many as there is room for.
        let lack = (names.len() + without.len()).saturating_sub(CHANNELS);
        let gone = names.iter().filter(|name| !configured.contains(name.as_str()));
        let gone: Vec<_> = gone.take(lack).cloned().collect();
        names.retain(|name| !gone.contains(name));
        without.truncate(CHANNELS - names.len());
        names.extend(without.into_iter().map(|name| (*name).to_owned()));
        gone
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Counted {
    fn default() -> Self {
        let of = |make: fn() -> Histogram| Family::new_with_constructor(make);
        Self {
            attempts: Family::default(),
            durations: of(|| {
                Histogram::new([0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
            }),
            ages: of(|| {
                Histogram::new([
                    0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0, 86_400.0,
                ])
            }),
            requests: Family::new_with_constructor(|| {
                Histogram::new([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0])
            }),
            limited: Family::default(),
            leases_lost: Counter::default(),
            named: Named::default(),
            beat: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// An attempt was settled: how long it took, and how long ago its notification had been enqueued; `None` for an
    /// attempt of a dead worker.
    pub fn attempt(&self, settlement: &Settlement, times: Option<(Duration, Duration)>) {
        let name = self.0.named.of(&settlement.channel);
        let verdict = &settlement.verdict;
        self.0.attempts.get_or_create(&of_attempt(&name, verdict.outcome, verdict.reason)).inc();
        if let Some((took, age)) = times {
            let channel = of_channel(name);
            self.0.durations.get_or_create(&channel).observe(took.as_secs_f64());
            if settlement.transition.status.is_final() {
                self.0.ages.get_or_create(&channel).observe(age.as_secs_f64());
            }
        }
    }

    /// Those that are `configured` have a name, if any can be had; what was counted of one that had to go for it is forgotten.
    fn prefer(&self, configured: &BTreeSet<&str>) {
        for name in self.0.named.prefer(configured) {
            for (outcome, reason) in Outcome::ALL
                .iter()
                .flat_map(|outcome| Reason::ALL.iter().map(move |reason| (outcome, reason)))
            {
                self.0.attempts.remove(&of_attempt(&name, *outcome, *reason));
            }
            let channel = of_channel(name);
            self.0.durations.remove(&channel);
            self.0.ages.remove(&channel);
            self.0.limited.remove(&channel);
        }
    }

    /// A result was refused, because its lease was lost.
    pub fn lease_lost(&self) {
        self.0.leases_lost.inc();
    }

    /// A claim on `channel` waits for a rate.
    pub fn limited(&self, channel: &str) {
        self.0.limited.get_or_create(&of_channel(self.0.named.of(channel))).inc();
    }

    /// A request was answered.
    pub(super) fn answered(&self, method: &Method, route: &'static str, status: StatusCode, took: Duration) {
        let method = match *method {
            Method::GET | Method::HEAD => "GET",
            Method::POST => "POST",
            Method::DELETE => "DELETE",
            _ => "other",
        };
        let asked = Asked { method, route, status: status.as_u16() };
        self.0.requests.get_or_create(&asked).observe(took.as_secs_f64());
    }

    /// The sending loop moves.
    pub fn beat(&self) {
        let now = u64::try_from(since_boot().as_millis()).unwrap_or(u64::MAX);
        self.0.beat.store(now.max(1), Ordering::Relaxed);
    }

    /// How long ago the sending loop gave its last sign of life; `None` where there is none in this process.
    pub(super) fn silent(&self) -> Option<Duration> {
        match self.0.beat.load(Ordering::Relaxed) {
            0 => None,
            beat => Some(since_boot().saturating_sub(Duration::from_millis(beat))),
        }
    }

    fn register(&self, registry: &mut Registry) {
        let counted = &self.0;
        registry.register("attempts", "Attempts settled by this process", counted.attempts.clone());
        registry.register_with_unit(
            "attempt_duration",
            "How long attempts of this process took",
            Unit::Seconds,
            counted.durations.clone(),
        );
        registry.register_with_unit(
            "settled_after",
            "From enqueueing to the final status, of what this process settled for good",
            Unit::Seconds,
            counted.ages.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "How long requests to this process took, until their answer began",
            Unit::Seconds,
            counted.requests.clone(),
        );
        registry.register("limiter_waits", "Claims that had to wait for a rate", counted.limited.clone());
        registry.register(
            "leases_lost",
            "Results that were refused because their lease was lost",
            counted.leases_lost.clone(),
        );
    }
}

fn of_channel(name: String) -> Labels {
    vec![("channel", name)]
}

fn of_attempt(name: &str, outcome: Outcome, reason: Reason) -> Labels {
    let mut labels = of_channel(name.to_owned());
    labels.extend([("outcome", outcome.to_string()), ("reason", reason.to_string())]);
    labels
}

/// The numbers of the store, and of this process.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "store",
    responses(
        (status = 200, description = "Numbers in the text format of OpenMetrics, for Prometheus", body = String, content_type = "application/openmetrics-text"),
        Refusals,
    )
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    let (rules, now) = (app.rules(), app.now());
    let read = app.readers.call(move |reader| Ok((rules.status(reader, now)?, reader.space()?)));
    let read: crate::store::Result<(wire::Status, Space)> = read.await?;
    let (status, space) = read?;
    let mut registry = Registry::with_prefix("notifyctl");
    // Not the type `info`, which readers of the older text format refuse the whole page for.
    let build = Family::<Labels, Gauge>::default();
    build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
    registry.register("build_info", "Which notifyctl this is", build);
    let configured = status.channels.iter().filter(|(_, channel)| channel.kind.is_some());
    app.metrics.prefer(&configured.map(|(name, _)| name.as_str()).collect());
    of_store(&mut registry, &app.metrics.0.named, &status, space, now);
    of_cache(&mut registry, &app.answers);
    app.metrics.register(&mut registry);
    let mut text = String::new();
    // To write to a string does not fail.
    if encode(&mut text, &registry).is_err() {
        let _ = write!(text, "# EOF");
    }
    Ok(([TYPE], text))
}

/// What the store says of itself.
fn of_store(registry: &mut Registry, named: &Named, status: &wire::Status, space: Space, now: Timestamp) {
    let depth = Family::<Labels, Gauge>::default();
    let (accepted, purged) = (Family::<Labels, Counter>::default(), Family::<Labels, Counter>::default());
    let (oldest, held, failures) = (
        Family::<Labels, Gauge<f64, AtomicU64>>::default(),
        Family::<Labels, Gauge>::default(),
        Family::<Labels, Gauge>::default(),
    );
    let (used, limit) = (Family::<Labels, Gauge>::default(), Family::<Labels, Gauge>::default());
    for (name, channel) in &status.channels {
        let named = named.has(name);
        let of = |more: &[(&'static str, String)]| {
            let mut labels = of_channel(if named { name } else { OTHERS }.to_owned());
            labels.extend_from_slice(more);
            labels
        };
        for which in Status::ALL {
            depth
                .get_or_create(&of(&[("status", which.to_string())]))
                .inc_by(signed(channel.counts.of(which)));
        }
        accepted.get_or_create(&of(&[])).inc_by(channel.accepted);
        purged.get_or_create(&of(&[])).inc_by(channel.purged);
        let age = channel.oldest_due_at.map_or(0.0, |at| now.since(at).as_secs_f64());
        let oldest = oldest.get_or_create(&of(&[]));
        oldest.set(oldest.get().max(age));
        held.get_or_create(&of(&[])).inc_by(i64::from(channel.held.is_some()));
        let in_a_row = channel.trouble.as_ref().map_or(0, |trouble| trouble.failures);
        failures.get_or_create(&of(&[])).inc_by(i64::from(in_a_row));
        for rate in channel.rates.iter().filter(|_| named) {
            let labels = of(&[("rate", rate.rate.clone())]);
            used.get_or_create(&labels).set(i64::from(rate.used));
            limit.get_or_create(&labels).set(i64::from(rate.limit));
        }
    }
    registry.register("notifications", "How many stand where", depth);
    registry.register("accepted", "Notifications ever accepted", accepted);
    registry.register("purged", "Notifications removed by a purge", purged);
    registry.register_with_unit(
        "oldest_due",
        "For how long the oldest due one is due; 0 when none is",
        Unit::Seconds,
        oldest,
    );
    registry.register("channel_held", "Whether the whole channel is held", held);
    registry.register(
        "channel_failures",
        "How many attempts in a row have met trouble of the channel",
        failures,
    );
    registry.register("rate_used", "Attempts that count against a rate now", used);
    registry.register("rate_limit", "Attempts that a rate allows", limit);

    let workers = Family::<Labels, Gauge>::default();
    for role in status.workers.iter().filter(|worker| !worker.hangs).flat_map(|worker| &worker.roles) {
        workers.get_or_create(&vec![("role", role.clone())]).inc();
    }
    registry.register("workers", "Daemons and passes that live, by what they do", workers);
    let silent = Gauge::<f64, AtomicU64>::default();
    // Without a number nobody would be told that nobody delivers.
    silent.set(status.sender_seen_at.map_or(f64::INFINITY, |at| now.since(at).as_secs_f64()));
    registry.register_with_unit(
        "sender_silent",
        "How long ago somebody who delivers was seen; +Inf when there is no daemon and was no pass",
        Unit::Seconds,
        silent,
    );
    for (name, help, bytes) in [
        ("store_free", "Room on the file system of the store", space.free),
        ("store_disk", "Size of the file system of the store", space.size),
        ("store_log", "Size of the write-ahead log", space.log),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(signed(bytes));
        registry.register_with_unit(name, help, Unit::Bytes, gauge);
    }
}

/// What became of this process's reads through the cache, and whether Redis is asked; nothing without a cache.
fn of_cache(registry: &mut Registry, cache: &Cache<Answers>) {
    let (Some(counted), Some(works), Some(alone)) =
        (cache.counters().map(Counters::now), cache.works(), cache.is_left_alone())
    else {
        return;
    };
    let family = |label: &'static str, parts: &[(&str, u64)]| {
        let family = Family::<Labels, Counter>::default();
        for (word, n) in parts {
            family.get_or_create(&vec![(label, (*word).to_owned())]).inc_by(*n);
        }
        family
    };
    let reads = [
        ("hit", counted.hits),
        ("miss", counted.misses),
        ("bypass", counted.bypassed),
        ("shared", counted.shared),
    ];
    registry.register(
        "cache_reads",
        "Reads of this process through the cache, by what became of them",
        family("result", &reads),
    );
    let near = Counter::<u64>::default();
    near.inc_by(counted.near);
    registry.register("cache_near", "Hits that were answered without asking Redis again", near);
    let fills = [("filled", counted.filled), ("refused", counted.refused)];
    registry.register(
        "cache_fills",
        "Values brought to Redis; refused ones came too late, what they say had changed",
        family("result", &fills),
    );
    let other = counted.errors.saturating_sub(counted.timeouts);
    let errors = [("timeout", counted.timeouts), ("foreign", counted.foreign), ("other", other)];
    registry.register(
        "cache_errors",
        "Calls to Redis that came to nothing, and values that this store never wrote",
        family("reason", &errors),
    );
    for (name, help, is_so) in [
        ("cache_usable", "Whether answers can come from Redis now", works),
        ("cache_breaker_open", "Whether Redis is left alone now, after failures", alone),
    ] {
        let gauge = Gauge::<i64>::default();
        gauge.set(is_so.into());
        registry.register(name, help, gauge);
    }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_keeps_its_name_whoever_comes_later() {
        let named = Named::default();
        let first: Vec<_> = (0..CHANNELS).map(|n| format!("m{n}")).collect();
        assert!(first.iter().all(|channel| named.has(channel)));
        assert!(!named.has("a"), "there is no room");
        assert!(first.iter().all(|channel| named.has(channel)));
    }

    fn labels(family: &Family<Labels, Counter>) -> BTreeSet<String> {
        let mut registry = Registry::default();
        registry.register("n", "-", family.clone());
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn a_channel_that_is_configured_takes_the_place_of_one_that_has_gone_and_of_no_other() {
        let metrics = Metrics::default();
        let names: Vec<_> = (0..2 * CHANNELS).map(|n| format!("c{n:03}")).collect();
        let configured = |range: std::ops::Range<usize>| names[range].iter().map(String::as_str).collect();
        metrics.prefer(&configured(0..CHANNELS));
        // A year of reloads: one comes and one goes.
        for n in 0..CHANNELS {
            metrics.limited(&names[n]);
            metrics.prefer(&configured(n..n + CHANNELS));
            assert!(metrics.0.named.has(&names[n + CHANNELS - 1]));
        }
        assert!(labels(&metrics.0.limited).len() <= CHANNELS);
        // One that has gone keeps its name as long as nobody needs it.
        metrics.prefer(&configured(CHANNELS..CHANNELS + 1));
        assert!(metrics.0.named.has(&names[CHANNELS + 1]));
        // More than there are names for: who has one keeps it.
        let before = metrics.0.named.names().clone();
        metrics.prefer(&configured(0..2 * CHANNELS));
        assert_eq!(*metrics.0.named.names(), before);
        metrics.limited(&names[0]);
        assert!(labels(&metrics.0.limited).iter().any(|line| line.contains(OTHERS)));
    }
}
