//! Where what may share a transaction waits for the thread that writes: requests that want to be accepted (group commit),
//! and the exchange of the sender, which may claim them at once.
//!
//! It is one thread for both: two connections of one process would wait for each other asleep, and find their pages out of
//! date after each commit of the other. Sharing the commit, they share its sync, and the pages that both change are written
//! once. Who comes alone is written at once, and what comes meanwhile goes with the next round; only where a round takes long
//! are those who were just answered waited for a little.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::gather::Past;
use super::handle::{Refused, Stopped, Task};
use super::{ErrorKind, Exchange, Exchanged, Portion, Result, Store, Taken, guarded};
use crate::clock::Clock;
use crate::model::Timestamp;

/// How many requests may wait; one more is refused.
const QUEUE: usize = 4_096;

/// One transaction takes so many notifications, but for one request that holds more by itself: others want to write too.
const TOGETHER: usize = 512;

/// Where the desk, and the thread, log what they had to do otherwise.
pub(super) const LOG_TARGET: &str = "notifyctl::store";

type Bell = Box<dyn Fn() + Send + Sync>;

/// Who gets what came of a request.
type Answer = oneshot::Sender<Result<Taken>>;

/// Who gets an exchange back, with what came of it.
type Exchanger = oneshot::Sender<(Exchange, Result<Exchanged>)>;

/// The desk, and the way to the thread that serves it.
pub(super) struct Desk {
    pub(super) calls: mpsc::Sender<Task>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
    bells: RwLock<Vec<Bell>>,
}

#[derive(Default)]
struct Waiting {
    requests: Vec<(Portion, Answer)>,
    exchanges: VecDeque<(Exchange, Exchanger)>,
    /// Whether a round is under way or asked for.
    called: bool,
    last: Option<Past>,
}

/// What one round takes along.
#[derive(Default)]
struct Round {
    portions: Vec<Portion>,
    answers: Vec<Answer>,
    exchange: Option<(Exchange, Exchanger)>,
}

impl Desk {
    pub(super) fn new(calls: mpsc::Sender<Task>, clock: Arc<dyn Clock>) -> Self {
        Self { calls, clock, waiting: Mutex::default(), bells: RwLock::default() }
    }

    pub(super) fn listen(&self, bell: Bell) {
        self.bells.write().unwrap_or_else(PoisonError::into_inner).push(bell);
    }

    pub(super) fn ring(&self) {
        self.bells.read().unwrap_or_else(PoisonError::into_inner).iter().for_each(|bell| bell());
    }

    /// Lets a request wait, and sees that somebody comes for it.
    pub(super) fn put(
        self: &Arc<Self>,
        portion: Portion,
        answer: Answer,
    ) -> std::result::Result<(), Refused> {
        let mut waiting = self.waiting();
        if waiting.requests.len() >= QUEUE {
            return Err(Refused::Full);
        }
        let call = match waiting.called {
            true => None,
            false => Some(self.calls.try_reserve()?),
        };
        waiting.called = true;
        waiting.requests.push((portion, answer));
        // The thread, woken while this is locked, would have to wait for it.
        drop(waiting);
        if let Some(call) = call {
            call.send(Task::Rounds(Arc::clone(self)));
        }
        Ok(())
    }

    /// Lets an exchange wait, to be dated its `lead` ahead, and sees that somebody comes for it.
    pub(super) async fn put_exchange(
        self: &Arc<Self>,
        exchange: Exchange,
        answer: Exchanger,
    ) -> std::result::Result<(), Stopped> {
        // Before anything is changed: who gives up while waiting for room leaves nobody behind for whom nobody comes.
        let call = self.calls.reserve().await.map_err(|_| Stopped)?;
        let mut waiting = self.waiting();
        let called = std::mem::replace(&mut waiting.called, true);
        waiting.exchanges.push_back((exchange, answer));
        drop(waiting);
        if !called {
            call.send(Task::Rounds(Arc::clone(self)));
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one round; says whether somebody waits for the next one.
    pub(super) fn serve(&self, store: &mut dyn Store) -> bool {
        self.gather();
        let begun = Instant::now();
        let now = self.clock.now();
        let round = self.take(now);
        let requests = round.portions.len();
        if let Some(round) = together(store, now, round) {
            // Others may have been waited for: dated before that, it would take the clock for set back.
            let now = self.clock.now();
            if let Some((mut exchange, answer)) = round.exchange {
                exchange.now = now.plus(exchange.lead);
                let exchanged = store.exchange(&exchange);
                let _ = answer.send((exchange, exchanged));
            }
            accept(store, now, &round.portions, round.answers);
        }
        if requests > 0 {
            self.ring();
        }
        let mut waiting = self.waiting();
        let (asking, ended) = (requests + waiting.requests.len(), Instant::now());
        waiting.last = Some(Past { asking, ended, took: ended - begun });
        waiting.called = !waiting.requests.is_empty() || !waiting.exchanges.is_empty();
        waiting.called
    }

    /// Waits for those who are likely to ask again at once, where that is worth it.
    fn gather(&self) {
        let pause = || {
            let waiting = self.waiting();
            waiting.last?.pause(waiting.requests.len(), Instant::now())
        };
        while let Some(pause) = pause() {
            std::thread::sleep(pause);
        }
    }

    /// What goes with a round at `now`: an exchange, and as many requests as fit in.
    fn take(&self, now: Timestamp) -> Round {
        let mut waiting = self.waiting();
        let (mut count, mut requests) = (0, 0);
        for (portion, _) in &waiting.requests {
            count += portion.new.len();
            requests += 1;
            if count >= TOGETHER {
                break;
            }
        }
        let (portions, answers) = waiting.requests.drain(..requests).unzip();
        let exchange = waiting.exchanges.pop_front().map(|(mut exchange, answer)| {
            exchange.now = now.plus(exchange.lead);
            (exchange, answer)
        });
        Round { portions, answers, exchange }
    }
}

/// Does all of `round` in one transaction, where it holds both and nothing that takes long; else, and when it fails, it is given
/// back, to be done one after the other: what keeps the one from the disk may not keep the other. But for others who do not
/// let it write: they have been waited for.
fn together(store: &mut dyn Store, now: Timestamp, round: Round) -> Option<Round> {
    let count: usize = round.portions.iter().map(|portion| portion.new.len()).sum();
    if count == 0 || count > TOGETHER {
        return Some(round);
    }
    let Some((exchange, _)) = &round.exchange else { return Some(round) };
    match guarded("writing", || store.enqueue_and_exchange(now, &round.portions, exchange)) {
        Some(Ok((taken, exchanged))) => {
            answer(round.answers, taken.into_iter().map(Ok));
            if let Some((exchange, answer)) = round.exchange {
                let _ = answer.send((exchange, Ok(exchanged)));
            }
            None
        }
        Some(Err(error)) if error.kind == ErrorKind::Busy => {
            answer(round.answers, round.portions.iter().map(|_| Err(error.clone())));
            if let Some((exchange, answer)) = round.exchange {
                let _ = answer.send((exchange, Err(error)));
            }
            None
        }
        _ => Some(round),
    }
}

/// Commits them all at once, or each alone when something in one of them keeps the others from it.
fn accept(store: &mut dyn Store, now: Timestamp, portions: &[Portion], answers: Vec<Answer>) {
    if portions.is_empty() {
        return;
    }
    let taken = guarded("writing", || match store.enqueue_portions(now, portions) {
        Ok(taken) => taken.into_iter().map(Ok).collect(),
        Err(error) if portions.len() > 1 && is_of_one(error.kind) => {
            log::warn!(target: LOG_TARGET, requests = portions.len(); "written one by one: {error}");
            let alone = |portion| {
                let mut taken = store.enqueue_portions(now, std::slice::from_ref(portion))?;
                taken.pop().ok_or_else(|| error.clone())
            };
            portions.iter().map(alone).collect()
        }
        Err(error) => portions.iter().map(|_| Err(error.clone())).collect::<Vec<_>>(),
    });
    answer(answers, taken.into_iter().flatten());
}

fn answer(answers: Vec<Answer>, taken: impl Iterator<Item = Result<Taken>>) {
    for (answer, taken) in answers.into_iter().zip(taken) {
        // Who is gone has been accepted all the same.
        let _ = answer.send(taken);
    }
}

/// Whether what was written may be the reason, and not where it is written to.
fn is_of_one(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Internal | ErrorKind::Corrupt | ErrorKind::Full)
}

#[cfg(test)]
mod tests;
