//! Group commit: one thread writes, and all that waits for it becomes one transaction.
//!
//! Nothing lingers: who comes alone is committed at once, and what comes meanwhile goes with the next.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::problem::{Problem, defect, stopped};
use super::{Bell, LOG_TARGET};
use crate::clock::{Clock, SystemClock};
use crate::store::{self, ErrorKind, Portion, Store, Taken};

/// How many requests may wait; one more is answered that it should come later.
const QUEUE: usize = 4_096;

/// One transaction takes so many notifications, but for one request that holds more by itself: others want to write too.
const TOGETHER: usize = 512;

type Call = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// What waits for the thread.
enum Work {
    Portion(Portion, oneshot::Sender<store::Result<Taken>>),
    Call(Call),
}

/// The way to the thread that writes.
pub(super) struct Writer {
    queue: mpsc::Sender<Work>,
}

impl Writer {
    /// Starts the thread; it ends when this is dropped and nothing waits any more.
    pub(super) fn start(mut store: Box<dyn Store>, bell: Bell) -> std::io::Result<Self> {
        let (queue, mut waiting) = mpsc::channel(QUEUE);
        thread::Builder::new().name("http-writer".into()).spawn(move || {
            while let Some(first) = waiting.blocking_recv() {
                // Whoever waits for it is told that this is a defect; what was begun is rolled back, and the next one is served.
                let round = AssertUnwindSafe(|| round(&mut *store, first, &mut waiting, &bell));
                if catch_unwind(round).is_err() {
                    log::error!(target: LOG_TARGET, "a request made the writing thread panic");
                }
            }
        })?;
        Ok(Self { queue })
    }

    /// Accepts the notifications of one request; they are on disk when this answers.
    pub(super) async fn enqueue(&self, portion: Portion) -> Result<Taken, Problem> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Work::Portion(portion, answer)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Problem::later("too much waits to be written", 1),
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        Ok(answered.await.map_err(|_| defect())??)
    }

    /// Runs `call` on the thread. A caller that stops waiting does not undo it.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut dyn Store) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, answered) = oneshot::channel();
        let call = Work::Call(Box::new(move |store| {
            // Nobody may be waiting any more; the work is done all the same.
            let _ = answer.send(call(store));
        }));
        self.queue.send(call).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| defect())
    }
}

/// Does `first`, together with what waits behind it.
fn round(store: &mut dyn Store, first: Work, waiting: &mut mpsc::Receiver<Work>, bell: &Bell) {
    let (mut portions, mut answers) = (Vec::new(), Vec::new());
    let (mut next, mut count) = (Some(first), 0);
    let call = loop {
        match next {
            Some(Work::Portion(portion, answer)) => {
                count += portion.new.len();
                portions.push(portion);
                answers.push(answer);
            }
            Some(Work::Call(call)) => break Some(call),
            None => break None,
        }
        if count >= TOGETHER {
            break None;
        }
        next = waiting.try_recv().ok();
    };
    if !portions.is_empty() {
        let taken = commit(store, &portions);
        bell();
        for (answer, taken) in answers.into_iter().zip(taken) {
            // Who is gone has been accepted all the same.
            let _ = answer.send(taken);
        }
    }
    if let Some(call) = call {
        call(store);
        bell();
    }
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
