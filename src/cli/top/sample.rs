//! What is shown: read from the store when it has changed, with what happened from one reading to the next.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::cli::face::Face;
use crate::cli::standing;
use crate::config::Config;
use crate::model::{Id, Status, Timestamp};
use crate::store::{self, ErrorKind, Filter, Order, Page, Summary, shapes};
use crate::wire;

/// How many of the latest dead are shown.
const DEAD: usize = 50;

/// How many samples are remembered: enough for the widest terminal.
const SAMPLES: usize = 400;

/// For how long nothing is read while nobody commits: what changes with time alone (rates, who lives) is that old.
const QUIET: Duration = Duration::from_secs(5);

/// Everything that is shown, of one moment.
pub(super) struct Sample {
    pub(super) status: wire::Status,
    /// The latest ones, the newest first, each with where it stands in words.
    pub(super) dead: Vec<(Summary, String)>,
}

/// Where samples come from.
pub(super) struct Source {
    reader: Box<dyn store::Store>,
    config: Config,
    version: Option<u64>,
    read_at: Timestamp,
    pub(super) sample: Sample,
    pub(super) history: History,
    /// The words of those that are dead, by id and attempts: they do not change.
    words: HashMap<(Id, u32), String>,
}

impl Source {
    /// Reads the first sample.
    pub(super) fn new(
        reader: Box<dyn store::Store>,
        config: Config,
        now: Timestamp,
    ) -> Result<Self, crate::cli::Error> {
        let version = Some(reader.version()?);
        let status = look(&*reader, &config, now)?;
        let mut history = History::default();
        history.add(&status, Duration::ZERO);
        let sample = Sample { status, dead: Vec::new() };
        let mut source =
            Self { reader, config, version, read_at: now, sample, history, words: HashMap::new() };
        source.read_dead(now)?;
        Ok(source)
    }

    /// Looks again; `took` is how long the last look is over. Reads nothing while nobody has committed.
    pub(super) fn look(&mut self, now: Timestamp, took: Duration) -> Result<(), crate::cli::Error> {
        let version = Some(self.reader.version()?);
        if version != self.version
            || now.since(self.read_at) >= QUIET
            || now < self.read_at
            || self.is_moving()
        {
            self.sample.status = look(&*self.reader, &self.config, now)?;
            if version != self.version {
                self.read_dead(now)?;
            }
            (self.version, self.read_at) = (version, now);
        }
        self.history.add(&self.sample.status, took);
        Ok(())
    }

    /// Whether what is read is not the store any more: it was moved or removed.
    pub(super) fn is_moved(&self) -> bool {
        self.reader.version().is_err_and(|error| error.kind == ErrorKind::Moved)
    }

    /// Another connection to the same store, to change something.
    pub(super) fn writer(&self, now: Timestamp) -> Result<Box<dyn store::Store>, crate::cli::Error> {
        Ok(store::open(&self.config.store, store::Access::Existing, now)?)
    }

    /// Whether something changes with the time alone, soon: a rate is in use.
    fn is_moving(&self) -> bool {
        self.sample.status.channels.values().any(|channel| channel.rates.iter().any(|rate| rate.used > 0))
    }

    fn read_dead(&mut self, now: Timestamp) -> Result<(), crate::cli::Error> {
        let filter = Filter { statuses: vec![Status::Dead], ..Filter::default() };
        let page = Page { order: Order::NewestFirst, after: None, limit: DEAD };
        let rows = self.reader.list(&filter, &page)?;
        let mut words = HashMap::with_capacity(rows.len());
        for row in &rows {
            let key = (row.id, row.attempts);
            let known = match self.words.remove(&key) {
                Some(known) => known,
                None => self.said(row, now)?,
            };
            words.insert(key, known);
        }
        let told = |row: Summary| {
            let said = words[&(row.id, row.attempts)].clone();
            (row, said)
        };
        self.sample.dead = rows.into_iter().map(told).collect();
        self.words = words;
        Ok(())
    }

    fn said(&self, row: &Summary, now: Timestamp) -> Result<String, crate::cli::Error> {
        let face = Face { colour: false, width: None, now };
        let what = standing::of(&*self.reader, row, &face)?.what;
        // The moment has a column of its own.
        Ok(what.split_once(", ").map_or(what.clone(), |(_, rest)| rest.to_owned()))
    }
}

fn look(reader: &dyn store::Store, config: &Config, now: Timestamp) -> store::Result<wire::Status> {
    shapes::status(reader, &config.configured(), config.store.url.to_string(), now)
}

/// What happened between the samples, per channel.
#[derive(Default)]
pub(super) struct History {
    last: BTreeMap<String, [u64; 2]>,
    /// The newest last: how long it took, and what was sent and what died meanwhile.
    steps: VecDeque<(Duration, BTreeMap<String, [u64; 2]>)>,
}

/// What is counted over time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Sent = 0,
    Dead = 1,
}

impl History {
    fn add(&mut self, status: &wire::Status, took: Duration) {
        let now: BTreeMap<String, [u64; 2]> = status
            .channels
            .iter()
            .map(|(name, channel)| {
                (name.clone(), [Status::Sent, Status::Dead].map(|at| channel.counts.of(at)))
            })
            .collect();
        if !took.is_zero() {
            // A purge or a requeue takes away from them: that is no step back in time.
            let gone = |name: &String, n: [u64; 2]| {
                let before = self.last.get(name).copied().unwrap_or_default();
                [n[0].saturating_sub(before[0]), n[1].saturating_sub(before[1])]
            };
            let step = now.iter().map(|(name, n)| (name.clone(), gone(name, *n))).collect();
            self.steps.push_back((took, step));
            if self.steps.len() > SAMPLES {
                self.steps.pop_front();
            }
        }
        self.last = now;
    }

    /// How many per step, the newest last, at most `limit`, on channels that `fits`.
    pub(super) fn counts(&self, kind: Kind, limit: usize, fits: impl Fn(&str) -> bool) -> Vec<u64> {
        let skip = self.steps.len().saturating_sub(limit);
        self.steps.iter().skip(skip).map(|(_, step)| total(step, kind, &fits)).collect()
    }

    /// How many a second over the last `steps`, on channels that `fits`.
    pub(super) fn rate(&self, kind: Kind, steps: usize, fits: impl Fn(&str) -> bool) -> f64 {
        let skip = self.steps.len().saturating_sub(steps);
        let (mut time, mut n) = (Duration::ZERO, 0);
        for (took, step) in self.steps.iter().skip(skip) {
            time += *took;
            n += total(step, kind, &fits);
        }
        #[expect(clippy::cast_precision_loss, reason = "for people, with one digit behind the point")]
        let n = n as f64;
        if time.is_zero() { 0.0 } else { n / time.as_secs_f64() }
    }
}

fn total(step: &BTreeMap<String, [u64; 2]>, kind: Kind, fits: &impl Fn(&str) -> bool) -> u64 {
    step.iter().filter(|(name, _)| fits(name)).map(|(_, n)| n[kind as usize]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(sent: u64) -> wire::Status {
        let mut counts = wire::Counts::default();
        counts.0[Status::Sent as usize] = sent;
        let channel = wire::ChannelStatus { counts, ..wire::ChannelStatus::default() };
        wire::Status {
            counts,
            channels: BTreeMap::from([("a".to_owned(), channel)]),
            oldest_due_at: None,
            next_due_at: None,
            accepted: sent,
            purged: 0,
            last_pass: None,
            workers: Vec::new(),
            sender_seen_at: None,
            cache: None,
            store: String::new(),
            at: Timestamp(0),
        }
    }

    #[test]
    fn what_happened_is_the_difference_and_a_purge_is_no_step_back() {
        let mut history = History::default();
        let second = Duration::from_secs(1);
        history.add(&status(100), Duration::ZERO);
        for sent in [110, 130, 5, 6] {
            history.add(&status(sent), second);
        }
        assert_eq!(history.counts(Kind::Sent, 10, |_| true), [10, 20, 0, 1]);
        assert_eq!(history.counts(Kind::Sent, 2, |_| true), [0, 1]);
        assert_eq!(history.counts(Kind::Sent, 2, |name| name == "b"), [0, 0]);
        assert!((history.rate(Kind::Sent, 4, |_| true) - 7.75).abs() < 1e-9);
        assert!(history.rate(Kind::Dead, 4, |_| true).abs() < 1e-9);
    }
}
