//! Where what may share a transaction waits for the thread that writes: requests that want to be accepted (group commit),
//! and the exchange of the sender, which may claim them at once.
//!
//! It is one thread for both: two connections of one process would wait for each other asleep, and find their pages out of
//! date after each commit of the other. Sharing the commit, they share its sync, and the pages that both change are written
//! once. Who comes alone is written at once, and what comes meanwhile goes with the next round; only where a round takes long
//! are those who were just answered waited for a little.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::gather::Past;
use super::handle::{Call, Refused, Stopped};
use super::{ErrorKind, Exchange, Exchanged, Portion, Result, Store, Taken};
use crate::clock::Clock;
use crate::model::Timestamp;

/// How many requests may wait; one more is refused.
const QUEUE: usize = 4_096;

/// One transaction takes so many notifications, but for one request that holds more by itself: others want to write too.
const TOGETHER: usize = 512;

/// Where the desk logs what it had to do otherwise.
const LOG_TARGET: &str = "notifyctl::store";

type Bell = Box<dyn Fn() + Send + Sync>;

/// Who gets what came of a request.
type Answer = oneshot::Sender<Result<Taken>>;

/// Who gets an exchange back, with what came of it.
type Exchanger = oneshot::Sender<(Exchange, Result<Exchanged>)>;

/// The desk, and the way to the thread that serves it.
pub(super) struct Desk {
    pub(super) calls: mpsc::Sender<Call>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<Waiting>,
    bells: RwLock<Vec<Bell>>,
}

#[derive(Default)]
struct Waiting {
    requests: Vec<(Portion, Answer)>,
    exchanges: VecDeque<(Exchange, Duration, Exchanger)>,
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
    pub(super) fn new(calls: mpsc::Sender<Call>, clock: Arc<dyn Clock>) -> Self {
        Self { calls, clock, waiting: Mutex::default(), bells: RwLock::default() }
    }

    pub(super) fn try_call(&self, call: Call) -> std::result::Result<(), Refused> {
        self.calls.try_reserve()?.send(call);
        Ok(())
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
            call.send(self.next_round());
        }
        Ok(())
    }

    /// Lets an exchange wait that is to be dated `lead` ahead, and sees that somebody comes for it.
    pub(super) async fn put_exchange(
        self: &Arc<Self>,
        exchange: Exchange,
        lead: Duration,
        answer: Exchanger,
    ) -> std::result::Result<(), Stopped> {
        // Before anything is changed: who gives up while waiting for room leaves nobody behind for whom nobody comes.
        let call = self.calls.reserve().await.map_err(|_| Stopped)?;
        let mut waiting = self.waiting();
        let called = std::mem::replace(&mut waiting.called, true);
        waiting.exchanges.push_back((exchange, lead, answer));
        drop(waiting);
        if !called {
            call.send(self.next_round());
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_round(self: &Arc<Self>) -> Call {
        let desk = Arc::clone(self);
        Box::new(move |store| desk.serve(store))
    }

    /// Does one round, and asks for another behind those who want to write meanwhile.
    fn serve(self: Arc<Self>, store: &mut dyn Store) {
        loop {
            self.gather();
            let begun = Instant::now();
            let now = self.clock.now();
            let round = self.take(now);
            let requests = round.portions.len();
            if let Some(round) = together(store, now, round) {
                if let Some((exchange, answer)) = round.exchange {
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
            if waiting.requests.is_empty() && waiting.exchanges.is_empty() {
                waiting.called = false;
                return;
            }
            // Where there is no room to ask, those who wait go first: nobody else would come for them.
            if self.try_call(self.next_round()).is_ok() {
                return;
            }
        }
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
        let exchange = waiting.exchanges.pop_front().map(|(mut exchange, lead, answer)| {
            exchange.now = now.plus(lead);
            (exchange, answer)
        });
        Round { portions, answers, exchange }
    }
}

/// Does all of `round` in one transaction, where it holds both and nothing that takes long; else, and when it fails, it is given
/// back, to be done one after the other: what keeps the one from the disk may not keep the other.
fn together(store: &mut dyn Store, now: Timestamp, round: Round) -> Option<Round> {
    let count: usize = round.portions.iter().map(|portion| portion.new.len()).sum();
    if count == 0 || count > TOGETHER {
        return Some(round);
    }
    let Some((exchange, _)) = &round.exchange else { return Some(round) };
    match guarded(|| store.enqueue_and_exchange(now, &round.portions, exchange)) {
        Some(Ok((taken, exchanged))) => {
            answer(round.answers, taken.into_iter().map(Ok));
            if let Some((exchange, answer)) = round.exchange {
                let _ = answer.send((exchange, Ok(exchanged)));
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
    let taken = guarded(|| match store.enqueue_portions(now, portions) {
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

/// What `work` answers; `None` after a panic. What was begun is rolled back, and the thread serves the next one.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        log::error!(target: LOG_TARGET, "a request made the writing thread panic");
    }
    done.ok()
}

/// Whether what was written may be the reason, and not where it is written to.
fn is_of_one(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Internal | ErrorKind::Corrupt | ErrorKind::Full)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::{Access, Claim, Handle, Options, Reader};
    use super::*;
    use crate::clock::SystemClock;
    use crate::model::{Content, Id, NewNotification};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    struct Desks {
        _folder: tempfile::TempDir,
        path: std::path::PathBuf,
        store: Handle,
        worker: Id,
    }

    async fn start() -> Desks {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n.db");
        let url = format!("sqlite://{}", path.display()).parse().unwrap();
        let options = Options { url, busy_timeout: Duration::from_secs(5) };
        let opened = super::super::open(&options, Access::Create, NOW).unwrap();
        let (store, _) = Handle::start(opened, Arc::new(SystemClock)).unwrap();
        let worker = store.call(|store| store.register(NOW, "desk").unwrap().id()).await.unwrap();
        Desks { _folder: folder, path, store, worker }
    }

    impl Desks {
        /// Keeps the thread from working until the answer is dropped.
        fn block(&self) -> mpsc::Sender<()> {
            let (free, blocked) = mpsc::channel::<()>();
            let (begins, begun) = mpsc::channel();
            let call = move |_: &mut dyn Store| {
                begins.send(()).unwrap();
                _ = blocked.recv();
            };
            self.store.try_call(call).unwrap();
            begun.recv().unwrap();
            free
        }

        fn put(&self, portion: Portion) -> oneshot::Receiver<Result<Taken>> {
            let (answer, answered) = oneshot::channel();
            self.store.desk().put(portion, answer).unwrap();
            answered
        }

        /// An exchange that claims all there is, on its way.
        async fn claim(&self) -> oneshot::Receiver<(Exchange, Result<Exchanged>)> {
            let claim = Claim {
                channel: "mail".into(),
                limit: 10_000,
                rates: Vec::new(),
                lease: Duration::from_secs(60),
                lease_token: 1,
            };
            let exchange = Exchange { worker: self.worker, claim: vec![claim], ..Exchange::default() };
            let (answer, answered) = oneshot::channel();
            self.store.desk().put_exchange(exchange, Duration::ZERO, answer).await.unwrap();
            answered
        }
    }

    fn portion(count: usize) -> Portion {
        let content =
            Content { recipient: "a@example.org".into(), message: "m".into(), ..Content::default() };
        let new = NewNotification { channel: "mail".into(), content, ..NewNotification::default() };
        Portion { new: vec![new; count], key_expires_at: NOW, batch: None }
    }

    fn accepted(store: &mut dyn Store) -> u64 {
        let reader: &dyn Reader = store;
        reader.counts().unwrap().channels.get("mail").map_or(0, |counts| counts.accepted)
    }

    fn claimed(answer: (Exchange, Result<Exchanged>)) -> usize {
        answer.1.unwrap().claims.iter().map(|reply| reply.claimed.len()).sum()
    }

    #[tokio::test]
    async fn what_waits_goes_together_and_others_have_their_turn_between_two_rounds() {
        let desks = start().await;
        let free = desks.block();
        let answers: Vec<_> = (0..=TOGETHER).map(|_| desks.put(portion(1))).collect();
        let between = tokio::spawn({
            let store = desks.store.clone();
            async move { store.call(accepted).await.unwrap() }
        });
        tokio::task::yield_now().await;
        drop(free);
        assert_eq!(between.await.unwrap(), TOGETHER as u64);
        for answered in answers {
            assert!(matches!(answered.await.unwrap().unwrap(), Taken::Whole { .. }));
        }
        // Whoever comes when nobody waits any more finds somebody to come for them, too.
        desks.store.enqueue(portion(1)).await.unwrap().unwrap();
        assert_eq!(desks.store.call(accepted).await.unwrap(), TOGETHER as u64 + 2);
    }

    #[tokio::test]
    async fn an_exchange_goes_with_what_is_accepted_and_claims_it_at_once() {
        let desks = start().await;
        for (requests, of_each, found) in [(3, 2, 6), (1, TOGETHER + 1, 0), (0, 0, TOGETHER + 1)] {
            let free = desks.block();
            let answers: Vec<_> = (0..requests).map(|_| desks.put(portion(of_each))).collect();
            let exchanged = desks.claim().await;
            drop(free);
            assert_eq!(claimed(exchanged.await.unwrap()), found, "a long one is not waited for");
            for answered in answers {
                answered.await.unwrap().unwrap();
            }
        }
    }

    #[tokio::test]
    async fn what_keeps_the_one_from_the_disk_does_not_keep_the_other() {
        for (refused, works) in [("BEFORE UPDATE", (true, false)), ("BEFORE INSERT", (false, true))] {
            let desks = start().await;
            desks.store.enqueue(portion(1)).await.unwrap().unwrap();
            let trigger = format!(
                "CREATE TRIGGER t {refused} ON notifications BEGIN SELECT RAISE(ABORT, 'on purpose'); END"
            );
            rusqlite::Connection::open(&desks.path).unwrap().execute_batch(&trigger).unwrap();
            let free = desks.block();
            let answered = desks.put(portion(1));
            let exchanged = desks.claim().await;
            drop(free);
            let (_, exchanged) = exchanged.await.unwrap();
            assert_eq!((answered.await.unwrap().is_ok(), exchanged.is_ok()), works, "{refused}");
        }
    }

    #[tokio::test]
    async fn behind_a_long_round_those_who_were_answered_are_waited_for() {
        const MANY: usize = 1_000;
        let desks = start().await;
        // On a busy machine whoever asks again may come too late.
        for _ in 0..50 {
            desks.store.enqueue(portion(MANY)).await.unwrap().unwrap();
            let exchanged = desks.claim().await;
            std::thread::sleep(Duration::from_millis(1));
            let answered = desks.put(portion(1));
            let found = claimed(exchanged.await.unwrap());
            answered.await.unwrap().unwrap();
            if found == MANY + 1 {
                return;
            }
            desks.claim().await.await.unwrap().1.unwrap();
        }
        panic!("nobody was waited for");
    }

    #[tokio::test]
    async fn who_listens_hears_of_what_is_accepted_and_of_nothing_else() {
        let desks = start().await;
        let (bell, rung) = mpsc::channel();
        desks.store.listen(move || _ = bell.send(()));
        desks.claim().await.await.unwrap().1.unwrap();
        desks.store.call(|_| ()).await.unwrap();
        assert!(rung.try_recv().is_err());
        desks.store.enqueue(portion(1)).await.unwrap().unwrap();
        desks.store.call(|_| ()).await.unwrap();
        assert!(rung.try_recv().is_ok());
    }

    #[tokio::test]
    async fn where_too_much_waits_one_more_is_refused_and_the_next_is_taken() {
        let desks = start().await;
        let free = desks.block();
        while desks.store.try_call(|_| ()) != Err(Refused::Full) {}
        let refused = desks.store.enqueue(portion(1)).await;
        assert_eq!(refused.unwrap_err(), Refused::Full, "nobody would come for it");
        drop(free);
        desks.store.call(|_| ()).await.unwrap();
        desks.store.enqueue(portion(1)).await.unwrap().unwrap();
        let free = desks.block();
        let answers: Vec<_> = (0..QUEUE).map(|_| desks.put(portion(1))).collect();
        assert_eq!(desks.store.enqueue(portion(1)).await.unwrap_err(), Refused::Full);
        drop(free);
        for answered in answers {
            answered.await.unwrap().unwrap();
        }
        assert_eq!(desks.store.call(accepted).await.unwrap(), QUEUE as u64 + 1);
    }
}
