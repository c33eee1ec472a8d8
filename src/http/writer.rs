//! Group commit: all that waits for the thread that writes becomes one transaction.
//!
//! It is the store's own thread, which the sender uses too: two connections of one process would wait for each other
//! asleep, and find their pages out of date after each commit of the other. They take turns, round by round.
//! Nothing lingers: who comes alone is committed at once, and what comes meanwhile goes with the next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::problem::{Problem, defect, stopped};
use super::{Bell, LOG_TARGET};
use crate::clock::{Clock, SystemClock};
use crate::store::{self, ErrorKind, Handle, Portion, Refused, Store, Taken};

/// How many requests may wait; one more is answered that it should come later.
const QUEUE: usize = 4_096;

/// One transaction takes so many notifications, but for one request that holds more by itself: others want to write too.
const TOGETHER: usize = 512;

/// The way to the thread that writes.
pub(super) struct Writer(Arc<Desk>);

/// Where requests wait for it.
struct Desk {
    store: Handle,
    waiting: Mutex<Waiting>,
    bell: Bell,
}

#[derive(Default)]
struct Waiting {
    requests: Vec<(Portion, Answer)>,
    /// Whether a round is under way or asked for.
    called: bool,
}

type Answer = oneshot::Sender<store::Result<Taken>>;

impl Writer {
    /// Writes by way of `store`; `bell` is rung after each commit.
    pub(super) fn new(store: Handle, bell: Bell) -> Self {
        Self(Arc::new(Desk { store, waiting: Mutex::default(), bell }))
    }

    /// Accepts the notifications of one request; they are on disk when this answers.
    pub(super) async fn enqueue(&self, portion: Portion) -> Result<Taken, Problem> {
        let (answer, answered) = oneshot::channel();
        self.0.put(portion, answer)?;
        Ok(answered.await.map_err(|_| defect())??)
    }

    /// Runs `call` on the thread. A caller that stops waiting does not undo it.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut dyn Store) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let desk = Arc::clone(&self.0);
        let call = move |store: &mut dyn Store| {
            let answer = guarded(|| call(store));
            (desk.bell)();
            answer
        };
        self.0.store.call(call).await.map_err(|_| stopped())?.ok_or_else(defect)
    }
}

impl Desk {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request wait, and sees that somebody comes for it.
    fn put(self: &Arc<Self>, portion: Portion, answer: Answer) -> Result<(), Problem> {
        let full = || Problem::later("too much waits to be written", 1);
        let mut waiting = self.waiting();
        if waiting.requests.len() >= QUEUE {
            return Err(full());
        }
        if !waiting.called {
            self.call_round().map_err(|refused| match refused {
                Refused::Full => full(),
                Refused::Stopped => stopped(),
            })?;
            waiting.called = true;
        }
        waiting.requests.push((portion, answer));
        Ok(())
    }

    fn call_round(self: &Arc<Self>) -> Result<(), Refused> {
        let desk = Arc::clone(self);
        self.store.try_call(move |store| desk.round(store))
    }

    /// Commits what waits, and asks for another round behind those who want to write meanwhile.
    fn round(self: Arc<Self>, store: &mut dyn Store) {
        loop {
            let (portions, answers) = self.take();
            let taken = guarded(|| commit(store, &portions));
            (self.bell)();
            for (answer, taken) in answers.into_iter().zip(taken.into_iter().flatten()) {
                // Who is gone has been accepted all the same.
                let _ = answer.send(taken);
            }
            let mut waiting = self.waiting();
            if waiting.requests.is_empty() {
                waiting.called = false;
                return;
            }
            // Where there is no room to ask, those who wait go first: nobody else would come for them.
            if self.call_round().is_ok() {
                return;
            }
        }
    }

    /// The requests of one round, at least one.
    fn take(&self) -> (Vec<Portion>, Vec<Answer>) {
        let mut waiting = self.waiting();
        let (mut count, mut requests) = (0, 0);
        for (portion, _) in &waiting.requests {
            count += portion.new.len();
            requests += 1;
            if count >= TOGETHER {
                break;
            }
        }
        waiting.requests.drain(..requests).unzip()
    }
}

/// What `work` answers; `None` after a panic. Whoever waits for it is told that this is a defect; what was begun is rolled
/// back, and the thread serves the next one.
fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        log::error!(target: LOG_TARGET, "a request made the writing thread panic");
    }
    done.ok()
}

/// Commits them all at once, or each alone when something in one of them keeps the others from it.
fn commit(store: &mut dyn Store, portions: &[Portion]) -> Vec<store::Result<Taken>> {
    let now = SystemClock.now();
    match store.enqueue_portions(now, portions) {
        Ok(taken) => taken.into_iter().map(Ok).collect(),
        Err(error) if portions.len() > 1 && is_of_one(error.kind) => {
            log::warn!(target: LOG_TARGET, requests = portions.len(); "written one by one: {error}");
            let alone = |portion| {
                let mut taken = store.enqueue_portions(now, std::slice::from_ref(portion))?;
                taken.pop().ok_or_else(|| error.clone())
            };
            portions.iter().map(alone).collect()
        }
        Err(error) => portions.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// Whether what was written may be the reason, and not where it is written to.
fn is_of_one(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Internal | ErrorKind::Corrupt | ErrorKind::Full)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::model::{Content, NewNotification, Timestamp};
    use crate::store::{Access, Options, Reader};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn start() -> (tempfile::TempDir, Handle, Writer) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("n.db").display()).parse().unwrap();
        let options = Options { url, busy_timeout: Duration::from_secs(5) };
        let (store, _) = Handle::start(store::open(&options, Access::Create, NOW).unwrap()).unwrap();
        let writer = Writer::new(store.clone(), Arc::new(|| ()));
        (folder, store, writer)
    }

    /// Keeps the thread from working until the answer is dropped.
    fn block(store: &Handle) -> mpsc::Sender<()> {
        let (free, blocked) = mpsc::channel::<()>();
        store.try_call(move |_| _ = blocked.recv()).unwrap();
        free
    }

    fn one() -> Portion {
        let content =
            Content { recipient: "a@example.org".into(), message: "m".into(), ..Content::default() };
        let new = NewNotification { channel: "mail".into(), content, ..NewNotification::default() };
        Portion { new: vec![new], key_expires_at: NOW, batch: None }
    }

    fn accepted(store: &mut dyn Store) -> u64 {
        let reader: &dyn Reader = store;
        reader.counts().unwrap().channels.get("mail").map_or(0, |counts| counts.accepted)
    }

    #[tokio::test]
    async fn what_waits_goes_together_and_others_have_their_turn_between_two_rounds() {
        let (_folder, store, writer) = start();
        let free = block(&store);
        let mut answers = Vec::new();
        for _ in 0..TOGETHER + 1 {
            let (answer, answered) = oneshot::channel();
            writer.0.put(one(), answer).unwrap();
            answers.push(answered);
        }
        let between = tokio::spawn({
            let store = store.clone();
            async move { store.call(accepted).await.unwrap() }
        });
        tokio::task::yield_now().await;
        drop(free);
        assert_eq!(between.await.unwrap(), TOGETHER as u64);
        for answered in answers {
            assert!(matches!(answered.await.unwrap().unwrap(), Taken::Whole { .. }));
        }
        // Whoever comes when nobody waits any more finds somebody to come for them, too.
        writer.enqueue(one()).await.unwrap();
        assert_eq!(store.call(accepted).await.unwrap(), TOGETHER as u64 + 2);
    }

    #[tokio::test]
    async fn a_call_that_panics_takes_no_thread_with_it() {
        let (_folder, store, writer) = start();
        let failed: Result<(), Problem> = writer.call(|_| panic!("as a defect would")).await;
        assert!(failed.is_err());
        writer.enqueue(one()).await.unwrap();
        assert_eq!(store.call(accepted).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn where_too_much_waits_one_more_is_refused_and_the_next_is_taken() {
        let (_folder, store, writer) = start();
        let free = block(&store);
        while store.try_call(|_| ()) != Err(Refused::Full) {}
        assert!(writer.enqueue(one()).await.is_err(), "nobody would come for it");
        drop(free);
        store.call(|_| ()).await.unwrap();
        writer.enqueue(one()).await.unwrap();
        let free = block(&store);
        let mut answers = Vec::new();
        for _ in 0..QUEUE {
            let (answer, answered) = oneshot::channel();
            writer.0.put(one(), answer).unwrap();
            answers.push(answered);
        }
        assert!(writer.enqueue(one()).await.is_err());
        drop(free);
        for answered in answers {
            answered.await.unwrap().unwrap();
        }
        assert_eq!(store.call(accepted).await.unwrap(), QUEUE as u64 + 1);
    }
}
