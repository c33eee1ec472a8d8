//! One thread that looks at the store for everybody who watches, and hands what it finds to those whom it concerns.
//!
//! While nobody watches it sleeps. While all who watch mean one notification each, it asks for those alone: the others cost
//! their part of a packed row, and no look at them. Whoever comes or goes, and however slow, never makes it wait.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::most;
use super::registry::{Live, Registry, Wanted};
use crate::http::LOG_TARGET;
use crate::model::{Cursor, Id};
use crate::store::{self, Events, Reader, Store};

/// The time between two looks at whether anything was committed elsewhere; a look costs microseconds.
const LOOK: Duration = Duration::from_millis(5);

/// The shortest time between two of them, so that what comes in a stream is handed on in pieces: at least, for each who
/// watches everything (each piece wakes them all), and at most.
const PAUSE: Duration = Duration::from_millis(5);
const PAUSE_EACH: Duration = Duration::from_micros(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How long it rests when the store cannot be read.
const REST: Duration = Duration::from_secs(1);

/// The way to the thread; it ends when this is dropped. One that was not started hands nothing on by itself.
#[derive(Default)]
pub(in crate::http) struct Feed {
    pub(super) registry: Arc<Registry>,
    waker: Arc<Waker>,
}

impl Feed {
    /// Starts it on a connection of its own.
    pub(in crate::http) fn start(store: Box<dyn Store>) -> std::io::Result<Self> {
        let feed = Self::default();
        let (registry, waker) = (Arc::clone(&feed.registry), Arc::clone(&feed.waker));
        std::thread::Builder::new().name("http-events".into()).spawn(move || {
            let reader: &dyn Reader = &*store;
            look(reader, &registry, &waker);
        })?;
        Ok(feed)
    }

    /// What happens from now on, in pieces: to the notification `id`, or all of it.
    pub(in crate::http) fn watch(&self, id: Option<Id>) -> Live {
        let live = self.registry.enter(id);
        self.waker.ring(Rung::Look);
        live
    }

    /// This process has committed something.
    pub(in crate::http) fn ring(&self) {
        if self.registry.is_watched() {
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
fn look(reader: &dyn Reader, registry: &Registry, waker: &Waker) {
    let mut next = None;
    loop {
        let rung = match hand_on(reader, registry, &mut next) {
            // Nobody watches: until somebody does.
            Ok(None) => waker.wait(None),
            Ok(Some(version)) => {
                let handed = Instant::now();
                let changed = || reader.version().map_or(true, |now| now != version);
                match waker.wait_while(LOOK, || registry.is_watched() && !changed()) {
                    Rung::End => Rung::End,
                    _ => waker.rest(pause(registry.watch_everything()).saturating_sub(handed.elapsed())),
                }
            }
            Err(error) => {
                log::warn!(target: LOG_TARGET, "look for events: {error}");
                waker.rest(REST)
            }
        };
        if rung == Rung::End {
            return;
        }
    }
}

/// How long it rests between two pieces that wake so many.
fn pause(woken: usize) -> Duration {
    let all = PAUSE_EACH.saturating_mul(u32::try_from(woken).unwrap_or(u32::MAX));
    all.clamp(PAUSE, LONGEST_PAUSE)
}

/// Hands on what there is behind `next`; says which version of the store that was, or that nobody watches.
pub(super) fn hand_on(
    reader: &dyn Reader,
    registry: &Registry,
    next: &mut Option<Cursor>,
) -> store::Result<Option<u64>> {
    let version = reader.version()?;
    loop {
        let Some(wanted) = registry.wanted() else {
            *next = None;
            return Ok(None);
        };
        let Some(from) = *next else {
            // Whoever came before this moment reads the rest from the store.
            let now = *next.insert(reader.cursor(None)?);
            let nothing = Events { events: Vec::new(), next: now, gap: Some(now), more: false };
            registry.hand(&Wanted::nothing(), nothing);
            continue;
        };
        let filter = wanted.filter();
        let found = reader.events(from, &filter, most(&filter))?;
        let more = found.more;
        *next = Some(found.next);
        if found.next != from || found.gap.is_some() {
            registry.hand(&wanted, found);
        }
        if !more {
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
        // The end is not taken back, and what is rung for already wakes nobody again.
        if *rung == Rung::End || *rung == how {
            return;
        }
        *rung = how;
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
        taken(&mut rung)
    }

    /// Waits for all of `time`, but for the end; what it is rung for meanwhile is looked at behind that.
    fn rest(&self, time: Duration) -> Rung {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.bell.wait_timeout_while(rung, time, |rung| *rung != Rung::End);
        taken(&mut waited.unwrap_or_else(PoisonError::into_inner).0)
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

/// What it was rung for, once; but for the end, which stays.
fn taken(rung: &mut Rung) -> Rung {
    match *rung {
        Rung::End => Rung::End,
        _ => std::mem::take(rung),
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

    #[test]
    fn what_happens_meanwhile_shortens_no_pause_but_the_end_does() {
        const TIME: Duration = Duration::from_millis(20);
        let waker = Waker::default();
        waker.ring(Rung::Look);
        let begun = Instant::now();
        assert_eq!(waker.rest(TIME), Rung::Look);
        assert!(begun.elapsed() >= TIME);
        assert_eq!(waker.wait(Some(Duration::ZERO)), Rung::Nothing, "it was taken, and is looked at now");
        waker.ring(Rung::End);
        waker.ring(Rung::Look);
        assert_eq!(waker.rest(Duration::from_secs(3_600)), Rung::End);
    }
}
