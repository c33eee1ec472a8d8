//! Tells Redis what changed in the store, whichever process changed it, and readers what Redis has to know.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};

use super::counters::Counted;
use super::{Advanced, Failure, Head, Key, LOG_TARGET, Source, State, Trust};
use crate::model::{Id, Mark, Touched};

/// What changed in the store, in the order of its commits.
pub trait Changes: Send + 'static {
    /// How far the store has come. `None` when it cannot say now.
    fn last(&mut self) -> impl Future<Output = Option<Mark>> + Send;

    /// What changed after the change `after`. `None` when the store cannot say now.
    fn after(&mut self, after: u64) -> impl Future<Output = Option<Touched>> + Send;
}

/// The most notifications that are told of one by one; beyond it a new generation is cheaper.
const MANY: usize = 5_000;

/// The most of what changed that is read again at once because somebody had asked for it. This is how what is settled comes
/// to be in Redis without anybody who sends knowing of it.
const READ_AGAIN: usize = 100;

/// How often Redis is asked what it knows although nothing changed: its head ends when nobody moves it.
const ASK_AGAIN: Duration = Duration::from_secs(600);

/// How often within one look Redis is asked again because it knows something else than was thought.
const ROUNDS: usize = 3;

/// How often Redis is told what became of reads, at most.
const TELL: Duration = Duration::from_secs(1);

/// How often it is looked within `max_age`.
const LOOKS: u32 = 5;

/// Follows for ever.
pub(super) async fn follow<S: Source>(state: Arc<State>, source: Arc<S>, mut changes: impl Changes) {
    let mut clock = tokio::time::interval((state.max_age / LOOKS).max(Duration::from_millis(1)));
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut told, mut told_at) = (Counted::default(), Instant::now());
    let mut follower =
        Follower { state: &state, source: &source, known: None, asked: Instant::now(), trouble: None };
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            () = state.wake.notified() => {}
        }
        match follower.look(&mut changes).await {
            Ok(()) => follower.well(),
            Err(Failure::Skipped) => {}
            Err(failure) => follower.ill(failure),
        }
        // For `cache stats`, which asks no daemon.
        let counted = state.counters.now();
        if counted != told && told_at.elapsed() > TELL && follower.known.is_some() {
            told_at = Instant::now();
            if state.shelf.tell_counts(counted.since(&told)).await.is_ok() {
                told = counted;
            }
        }
    }
}

/// What Redis knows now that it did not know before.
struct Told {
    /// Up to which change it knows all.
    through: u64,
    /// What changed, each once.
    changed: Vec<Id>,
    /// Of that, what lay in Redis: somebody had asked for it.
    wanted: Vec<Key>,
}

impl Told {
    fn nothing(through: u64) -> Self {
        Self { through, changed: Vec::new(), wanted: Vec::new() }
    }
}

struct Follower<'a, S> {
    state: &'a Arc<State>,
    source: &'a Arc<S>,
    /// What Redis was last known to know; `None` when that has to be asked.
    known: Option<Head>,
    /// When that was asked.
    asked: Instant,
    /// The trouble that was told of last.
    trouble: Option<Failure>,
}

impl<S: Source> Follower<'_, S> {
    /// Looks at the store, and at Redis if the store has changed or Redis is not known; tells readers what to go by.
    async fn look(&mut self, changes: &mut impl Changes) -> Result<(), Failure> {
        let looked = Instant::now();
        let last = changes.last().await.ok_or(Failure::Skipped)?;
        let shelf = &self.state.shelf;
        let asked = self.asked.elapsed() < ASK_AGAIN && shelf.is_connected() && self.state.trust().is_some();
        let mut known = self.known.take().filter(|_| asked);
        for _ in 0..ROUNDS {
            let head = match known.take() {
                Some(head) => head,
                None => {
                    self.asked = Instant::now();
                    shelf.open(last).await?
                }
            };
            let told = if head.epoch() != Some(last.epoch) {
                shelf.renew(&head, Some(last)).await?;
                None
            } else if head.through > last.change {
                self.seen_in_store(&head, changes).await?.then(|| Told::nothing(head.through))
            } else if head.through < last.change {
                self.tell(&head, last.epoch, changes).await?
            } else {
                Some(Told::nothing(head.through))
            };
            if let Some(Told { through, changed, mut wanted }) = told {
                wanted.extend(self.state.wanted.of(&changed));
                wanted.sort_unstable();
                wanted.dedup();
                let to = Head { through, ..head.clone() };
                // Before any reader goes by it.
                self.state.near.follow(&head, &to, &changed);
                self.known = Some(to.clone());
                *self.state.trust() = Some(Trust { head: to, looked });
                self.read_again(wanted);
                return Ok(());
            }
        }
        Err(Failure::Skipped)
    }

    /// Somebody else told Redis of changes that were not there yet when the store was looked at: then they are now. Or
    /// the store is an older one than Redis was told of, and nothing there counts.
    async fn seen_in_store(&self, head: &Head, changes: &mut impl Changes) -> Result<bool, Failure> {
        let last = changes.last().await.ok_or(Failure::Skipped)?;
        if last.change >= head.through {
            return Ok(true);
        }
        log::warn!(target: LOG_TARGET, "the store is older than what Redis was told of; all that lies there is dropped");
        self.state.shelf.renew(head, Some(last)).await.map(|_| false)
    }

    /// Tells Redis what changed after `head`; `None` when it has to be asked again what it knows.
    async fn tell(
        &self,
        head: &Head,
        epoch: u64,
        changes: &mut impl Changes,
    ) -> Result<Option<Told>, Failure> {
        let changed = changes.after(head.through).await.ok_or(Failure::Skipped)?;
        let through = changed.through;
        let Some(mut ids) = changed.ids.filter(|ids| ids.len() <= MANY) else {
            self.state.shelf.renew(head, Some(Mark { change: through, epoch })).await?;
            return Ok(None);
        };
        ids.sort_unstable();
        ids.dedup();
        Ok(match self.state.shelf.advance(head, through, &ids).await? {
            Advanced::To(wanted) => Some(Told { through, changed: ids, wanted }),
            Advanced::Known => Some(Told { through, changed: ids, wanted: Vec::new() }),
            Advanced::Behind => None,
        })
    }

    fn read_again(&self, mut keys: Vec<Key>) {
        keys.truncate(READ_AGAIN);
        if !keys.is_empty() {
            tokio::spawn(Arc::clone(self.state).read_again(Arc::clone(self.source), keys));
        }
    }

    fn well(&mut self) {
        if self.trouble.take().is_some() {
            log::info!(target: LOG_TARGET, "Redis is used again");
        }
    }

    fn ill(&mut self, failure: Failure) {
        self.state.counters.failed(&failure);
        if self.trouble.as_ref() != Some(&failure) {
            log::warn!(target: LOG_TARGET, "Redis is not used: {failure}; answers come from the store");
            self.trouble = Some(failure);
        }
    }
}
