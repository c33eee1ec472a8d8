//! Who watches live: all that happens, or one notification each. Whoever watches one is woken by what happens to that one.
//!
//! Nothing is lost between the store and here: who comes is registered first and looks at the store then. Whoever came while
//! the feed was looking already, for others, is told how far that look went, and looks again if it is not as far.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::model::{Cursor, Event, EventFilter, Id};
use crate::store::Events;
use crate::wire::{self, Sight};

/// How many pieces a watcher may be behind.
const PIECES: usize = 16;

/// What happened, up to one place.
pub(super) struct Piece {
    /// Whoever is not as far as this looks at the store: something before it is not told here.
    pub(super) gap: Option<Cursor>,
    pub(super) to: Cursor,
    pub(super) told: Vec<Arc<Told>>,
}

/// One event, and how it is written; made when the first one wants it, and once for all.
pub(super) struct Told {
    pub(super) event: Event,
    whole: OnceLock<Utf8Bytes>,
    masked: OnceLock<Utf8Bytes>,
}

impl Told {
    pub(super) fn new(event: Event) -> Self {
        Self { event, whole: OnceLock::new(), masked: OnceLock::new() }
    }

    /// As JSON, for someone who sees that much.
    pub(super) fn text(&self, sight: Sight) -> Utf8Bytes {
        let text = match sight {
            Sight::Whole => &self.whole,
            Sight::Masked => &self.masked,
        };
        let shape = || wire::Event::new(self.event.clone(), sight);
        text.get_or_init(|| serde_json::to_string(&shape()).unwrap_or_default().into()).clone()
    }
}

type Pieces = broadcast::Sender<Arc<Piece>>;

/// Everybody who watches live. What one does not take in time is written over, and nobody is waited for.
pub(super) struct Registry {
    /// To those who watch everything.
    all: Pieces,
    each: Mutex<Each>,
}

/// Those who watch one notification.
#[derive(Default)]
struct Each {
    of: HashMap<Id, One>,
    /// The keys of it, for the store.
    ids: Arc<BTreeSet<Id>>,
    /// Those for which the look that is under way does not ask.
    new: HashSet<Id>,
}

struct One {
    pieces: Pieces,
    watchers: usize,
}

/// For what one look at the store asks.
pub(super) enum Wanted {
    /// All that happens.
    All,
    /// What happens to these.
    These(Arc<BTreeSet<Id>>),
}

impl Wanted {
    /// For nothing: whoever watches comes anew.
    pub(super) fn nothing() -> Self {
        Self::These(Arc::default())
    }

    pub(super) fn filter(&self) -> EventFilter {
        let ids = match self {
            Self::All => Arc::default(),
            Self::These(ids) => Arc::clone(ids),
        };
        EventFilter { ids, ..EventFilter::default() }
    }
}

impl Default for Registry {
    fn default() -> Self {
        let (all, _) = broadcast::channel(PIECES);
        Self { all, each: Mutex::default() }
    }
}

impl Registry {
    /// One more watches: the notification `id`, or everything.
    pub(super) fn enter(self: &Arc<Self>, id: Option<Id>) -> Live {
        let Some(id) = id else { return Live { pieces: self.all.subscribe(), place: None } };
        let mut each = self.each();
        let Each { of, ids, new } = &mut *each;
        let one = of.entry(id).or_insert_with(|| {
            Arc::make_mut(ids).insert(id);
            new.insert(id);
            One { pieces: broadcast::channel(PIECES).0, watchers: 0 }
        });
        one.watchers += 1;
        Live { pieces: one.pieces.subscribe(), place: Some((id, Arc::downgrade(self))) }
    }

    fn leave(&self, id: Id) {
        let mut each = self.each();
        let Each { of, ids, new } = &mut *each;
        let Some(one) = of.get_mut(&id) else { return };
        one.watchers -= 1;
        if one.watchers == 0 {
            of.remove(&id);
            Arc::make_mut(ids).remove(&id);
            new.remove(&id);
        }
    }

    fn each(&self) -> MutexGuard<'_, Each> {
        self.each.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is kept of anybody.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let each = self.each();
        each.of.is_empty() && each.ids.is_empty() && each.new.is_empty() && self.watch_everything() == 0
    }

    /// Whether anybody watches.
    pub(super) fn is_watched(&self) -> bool {
        self.watch_everything() > 0 || !self.each().of.is_empty()
    }

    /// How many are woken by every piece.
    pub(super) fn watch_everything(&self) -> usize {
        self.all.receiver_count()
    }

    /// For what a look that begins now asks; `None` when nobody watches.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let mut each = self.each();
        each.new.clear();
        match (self.watch_everything(), each.of.is_empty()) {
            (1.., _) => Some(Wanted::All),
            (0, false) => Some(Wanted::These(Arc::clone(&each.ids))),
            (0, true) => None,
        }
    }

    /// Hands on what a look has found that asked for `wanted`.
    pub(super) fn hand(&self, wanted: &Wanted, found: Events) {
        let Events { events, next: to, gap, .. } = found;
        let told: Vec<_> = events.into_iter().map(|event| Arc::new(Told::new(event))).collect();
        let end = Arc::new(Piece { gap: Some(to), to, told: Vec::new() });
        let each = self.each();
        let mut pieces: BTreeMap<Id, Vec<_>> = BTreeMap::new();
        for told in &told {
            if let Some(id) = told.event.id.filter(|id| each.of.contains_key(id)) {
                pieces.entry(id).or_default().push(Arc::clone(told));
            }
        }
        // That nobody is there any more is seen at the next look.
        let tell = |id: &Id, piece| each.of.get(id).map(|one| one.pieces.send(piece));
        match gap {
            Some(_) => each.of.keys().filter(|id| !pieces.contains_key(id)).for_each(|id| {
                tell(id, Arc::clone(&end));
            }),
            None if matches!(wanted, Wanted::These(_)) => each.new.iter().for_each(|id| {
                tell(id, Arc::clone(&end));
            }),
            None => {}
        }
        for (id, told) in pieces {
            tell(&id, Arc::new(Piece { gap, to, told }));
        }
        let _ = match wanted {
            Wanted::All => self.all.send(Arc::new(Piece { gap, to, told })),
            // Whoever watches everything came while the look was under way.
            Wanted::These(_) => self.all.send(end),
        };
    }
}

/// A place among those who watch; it is free again when this is dropped.
pub(in crate::http) struct Live {
    pieces: broadcast::Receiver<Arc<Piece>>,
    place: Option<(Id, Weak<Registry>)>,
}

impl Live {
    /// What happens next.
    ///
    /// # Errors
    /// When more happened than may wait, or the feed is gone.
    pub(super) async fn next(&mut self) -> Result<Arc<Piece>, RecvError> {
        self.pieces.recv().await
    }

    /// Forgets what waits: the store is about to be asked, and knows it.
    pub(super) fn skip(&mut self) {
        self.pieces = self.pieces.resubscribe();
    }

    /// Waits until something may have happened to what is watched; without end when the feed is gone.
    pub(in crate::http) async fn stirs(&mut self) {
        if let Err(RecvError::Closed) = self.pieces.recv().await {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some((id, registry)) = &self.place
            && let Some(registry) = registry.upgrade()
        {
            registry.leave(*id);
        }
    }
}
