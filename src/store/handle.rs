//! One named thread owns the writing connection; async code reaches it through a bounded queue.

use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::Store;

type Call = Box<dyn FnOnce(&mut dyn Store) + Send>;

/// How many calls may wait for the thread; beyond it the callers wait.
const QUEUE: usize = 64;

/// A way to the thread that owns the store.
#[derive(Clone)]
pub struct Handle {
    calls: mpsc::Sender<Call>,
}

impl Handle {
    /// Starts the thread `store`. Joining it gives the store back, once every handle is dropped.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(mut store: Box<dyn Store>) -> std::io::Result<(Self, JoinHandle<Box<dyn Store>>)> {
        let (calls, mut waiting) = mpsc::channel::<Call>(QUEUE);
        let thread = std::thread::Builder::new().name("store".into()).spawn(move || {
            while let Some(call) = waiting.blocking_recv() {
                call(&mut *store);
            }
            store
        })?;
        Ok((Self { calls }, thread))
    }

    /// Runs `call` on the thread and waits for its answer. A caller that stops waiting does not undo it.
    ///
    /// # Errors
    /// [`Stopped`] when the thread is gone.
    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut dyn Store) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |store| {
            // Nobody may be waiting any more; the work is done all the same.
            let _ = answer.send(call(store));
        });
        self.calls.send(call).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    /// Has `call` run on the thread, without waiting for it.
    ///
    /// # Errors
    /// [`Refused`], at once, and `call` is not run.
    pub fn try_call(&self, call: impl FnOnce(&mut dyn Store) + Send + 'static) -> Result<(), Refused> {
        self.calls.try_send(Box::new(call)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Refused::Full,
            mpsc::error::TrySendError::Closed(_) => Refused::Stopped,
        })
    }
}

/// Why a call is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Too many wait already.
    Full,
    /// The thread is gone.
    Stopped,
}

/// The thread that owned the store is gone.
#[derive(Debug, thiserror::Error)]
#[error("the store's thread has stopped")]
pub struct Stopped;
