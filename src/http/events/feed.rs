//! One thread that looks at the store for everybody who watches, and hands what it finds to each of them once.
//!
//! While nobody watches it sleeps. Whoever comes or goes, and however slow, never makes it wait: what a watcher does not
//! take in time is written over ([`broadcast`]).

use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use tokio::sync::broadcast;

use crate::http::LOG_TARGET;
use crate::model::{Cursor, Event, EventFilter};
use crate::store::{self, Reader, Store};
use crate::wire::{self, Sight};

/// The time between two looks at whether anything was committed elsewhere; a look costs microseconds.
const LOOK: Duration = Duration::from_millis(20);

/// The shortest time between two of them, so that what comes in a stream is handed on in pieces: at least, for each who
/// watches (each piece wakes them all), and at most.
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_EACH: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How long it rests when the store cannot be read.
const REST: Duration = Duration::from_secs(1);

/// How many events make a piece, at most, and how many pieces a watcher may be behind.
pub(super) const PIECE: usize = 1_024;
const PIECES: usize = 16;

/// What happened, from one place to another.
pub(super) struct Piece {
    pub(super) from: Cursor,
    pub(super) to: Cursor,
    pub(super) told: Vec<Told>,
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

/// The way to the thread; it ends when this is dropped.
pub(in crate::http) struct Feed {
    pieces: broadcast::Sender<Arc<Piece>>,
    waker: Arc<Waker>,
}

impl Feed {
    /// Starts it on a connection of its own.
    pub(in crate::http) fn start(store: Box<dyn Store>) -> std::io::Result<Self> {
        let (pieces, _) = broadcast::channel(PIECES);
        let waker = Arc::new(Waker::default());
        let (sender, asleep) = (pieces.clone(), Arc::clone(&waker));
        std::thread::Builder::new().name("http-events".into()).spawn(move || {
            let reader: &dyn Reader = &*store;
            look(reader, &sender, &asleep);
        })?;
        Ok(Self { pieces, waker })
    }

    /// What happens from now on, in pieces.
    pub(super) fn watch(&self) -> broadcast::Receiver<Arc<Piece>> {
        let pieces = self.pieces.subscribe();
        self.waker.ring(Rung::Look);
        pieces
    }

    /// This process has committed something.
    pub(in crate::http) fn ring(&self) {
        if self.pieces.receiver_count() > 0 {
            self.waker.ring(Rung::Look);
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.waker.ring(Rung::End);
    }
}

/// Looks until it is told to end.
fn look(reader: &dyn Reader, pieces: &broadcast::Sender<Arc<Piece>>, waker: &Waker) {
    let mut next = None;
    loop {
        let patience = match hand_on(reader, pieces, &mut next) {
            // Nobody watches: until somebody does.
            Ok(None) => None,
            Ok(Some(version)) => {
                let changed = || reader.version().map_or(true, |now| now != version);
                if waker.wait_while(LOOK, || pieces.receiver_count() > 0 && !changed()) == Rung::End {
                    return;
                }
                Some(pause(pieces.receiver_count()))
            }
            Err(error) => {
                log::warn!(target: LOG_TARGET, "look for events: {error}");
                Some(REST)
            }
        };
        if waker.wait(patience) == Rung::End {
            return;
        }
    }
}

/// How long it rests between two pieces.
fn pause(watchers: usize) -> Duration {
    let all = PAUSE_EACH.saturating_mul(u32::try_from(watchers).unwrap_or(u32::MAX));
    all.clamp(PAUSE, LONGEST_PAUSE)
}

/// Hands on what there is behind `next`; says which version of the store that was, or that nobody watches.
fn hand_on(
    reader: &dyn Reader,
    pieces: &broadcast::Sender<Arc<Piece>>,
    next: &mut Option<Cursor>,
) -> store::Result<Option<u64>> {
    let version = reader.version()?;
    loop {
        if pieces.receiver_count() == 0 {
            *next = None;
            return Ok(None);
        }
        let from = match *next {
            Some(next) => next,
            // Whoever came before this moment reads the rest from the store.
            None => *next.insert(reader.cursor(None)?),
        };
        let told = reader.events(from, &EventFilter::default(), PIECE)?;
        *next = Some(told.next);
        // What is missing, whoever wants it asks the store for, and is told there.
        let from = told.gap.unwrap_or(from);
        if told.next != from {
            let told_each = told.events.into_iter().map(Told::new).collect();
            // That nobody is left is seen above.
            let _ = pieces.send(Arc::new(Piece { from, to: told.next, told: told_each }));
        }
        if !told.more {
            return Ok(Some(version));
        }
    }
}

/// By what it is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Rung {
    #[default]
    Nothing,
    Look,
    End,
}

/// Where the thread sleeps.
#[derive(Default)]
struct Waker {
    rung: Mutex<Rung>,
    bell: Condvar,
}

impl Waker {
    fn ring(&self, how: Rung) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        // The end is not taken back.
        if *rung != Rung::End {
            *rung = how;
        }
        drop(rung);
        self.bell.notify_one();
    }

    /// Waits until it is rung, or for `patience`.
    fn wait(&self, patience: Option<Duration>) -> Rung {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        rung = match patience {
            Some(patience) => {
                let waited = self.bell.wait_timeout_while(rung, patience, |rung| *rung == Rung::Nothing);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = self.bell.wait_while(rung, |rung| *rung == Rung::Nothing);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        match *rung {
            Rung::End => Rung::End,
            how => {
                *rung = Rung::Nothing;
                how
            }
        }
    }

    /// Waits in steps until it is rung, or `quiet` is over.
    fn wait_while(&self, step: Duration, quiet: impl Fn() -> bool) -> Rung {
        loop {
            match self.wait(Some(step)) {
                Rung::Nothing if quiet() => {}
                how => return how,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_who_watch_are_told_less_often_but_within_a_moment() {
        assert_eq!([0, 1, 50].map(pause), [PAUSE; 3]);
        assert_eq!(pause(1_000), Duration::from_millis(100));
        assert_eq!(pause(usize::MAX), LONGEST_PAUSE);
    }
}
