//! One named thread owns the writing connection; async code reaches it through a bounded queue.
//!
//! What may share a transaction waits at a desk, and the thread takes all of it along at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use super::desk::{Desk, LOG_TARGET};
use super::{Exchange, Exchanged, Portion, Result, Store, Taken};
use crate::clock::Clock;

type Call = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// What the thread is asked to do.
pub(super) enum Task {
    /// One call.
    Call(Call),
    /// All rounds of the desk until nobody waits there; only one at a time asks for it.
    Rounds(Arc<Desk>),
}

/// How many calls may wait for the thread; beyond it the callers wait.
const QUEUE: usize = 64;

/// A way to the thread that owns the store.
#[derive(Clone)]
pub struct Handle {
    desk: Arc<Desk>,
}

impl Handle {
    /// Starts the thread `store`, which dates by `clock` what it takes from the desk. Joining it gives the store back, once every
    /// handle is dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        mut store: Box<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<(Self, JoinHandle<Box<dyn Store>>)> {
        let (calls, mut waiting) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || {
            work(&mut *store, &mut waiting);
            store
        })?;
        Ok((Self { desk: Arc::new(Desk::new(calls, clock)) }, thread))
    }

    /// Runs `call` on the thread and waits for its answer. A caller that stops waiting does not undo it.
    ///
    /// # Errors
    /// [`Stopped`] when the thread is gone.
    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut dyn Store) -> T + Send + 'static,
    ) -> std::result::Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |store| {
            // Nobody may be waiting any more; the work is done all the same.
            let _ = answer.send(call(store));
        });
        self.desk.calls.send(Task::Call(call)).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    /// Has `call` run on the thread, without waiting for it.
    ///
    /// # Errors
    /// [`Refused`], at once, and `call` is not run.
    pub fn try_call(
        &self,
        call: impl FnOnce(&mut dyn Store) + Send + 'static,
    ) -> std::result::Result<(), Refused> {
        self.desk.calls.try_reserve()?.send(Task::Call(Box::new(call)));
        Ok(())
    }

    /// Accepts the notifications of one request, together with all that waits; they are on disk when this answers. Who stops
    /// waiting does not undo it.
    ///
    /// # Errors
    /// [`Refused`]; within it the store's own, of this request alone.
    pub async fn enqueue(&self, portion: Portion) -> std::result::Result<Result<Taken>, Refused> {
        let (answer, answered) = oneshot::channel();
        self.desk.put(portion, answer)?;
        answered.await.map_err(|_| Refused::Panicked)
    }

    /// Exchanges, together with what waits to be accepted; gives the exchange back, dated its `lead` ahead of when it was done.
    ///
    /// # Errors
    /// [`Stopped`] when the thread is gone; within it the store's own.
    pub async fn exchange(
        &self,
        exchange: Exchange,
    ) -> std::result::Result<(Exchange, Result<Exchanged>), Stopped> {
        let (answer, answered) = oneshot::channel();
        self.desk.put_exchange(exchange, answer).await?;
        answered.await.map_err(|_| Stopped)
    }

    /// Has `bell` rung, on the thread, behind each acceptance that is on disk, and by [`Handle::ring`].
    pub fn listen(&self, bell: impl Fn() + Send + Sync + 'static) {
        self.desk.listen(Box::new(bell));
    }

    /// Tells those who listen that something has changed.
    pub fn ring(&self) {
        self.desk.ring();
    }

    #[cfg(test)]
    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }
}

/// Does what is asked for until nobody can ask any more.
fn work(store: &mut dyn Store, tasks: &mut mpsc::Receiver<Task>) {
    while let Some(task) = tasks.blocking_recv() {
        match task {
            Task::Call(call) => call(store),
            Task::Rounds(desk) => {
                while desk.serve(store) {
                    // Those who want something else have their turn between two rounds.
                    for _ in 0..QUEUE {
                        let Ok(Task::Call(call)) = tasks.try_recv() else { break };
                        call(store);
                    }
                }
            }
        }
    }
}

/// What `work` answers; `None` after a panic. What was begun is rolled back, and the `thread` serves the next one.
pub(crate) fn guarded<T>(thread: &str, work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        log::error!(target: LOG_TARGET, "a request made the {thread} thread panic");
    }
    done.ok()
}

/// Why a call is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Too many wait already.
    Full,
    /// The thread is gone.
    Stopped,
    /// It made the thread panic; nothing of it has happened.
    Panicked,
}

impl From<TrySendError<()>> for Refused {
    fn from(error: TrySendError<()>) -> Self {
        match error {
            TrySendError::Full(()) => Self::Full,
            TrySendError::Closed(()) => Self::Stopped,
        }
    }
}

/// The thread that owned the store is gone.
#[derive(Debug, thiserror::Error)]
#[error("the store's thread has stopped")]
pub struct Stopped;
