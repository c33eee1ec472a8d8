//! The threads that read, each with a connection of its own: never behind a write, never on the threads that answer.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::problem::{Problem, stopped};
use crate::store::{Reader, Store};

type Call = Box<dyn FnOnce(&dyn Store) + Send>;

/// How many calls may wait; beyond it the callers wait.
const QUEUE: usize = 256;

/// The way to the threads that read.
pub(super) struct Readers {
    calls: mpsc::Sender<Call>,
}

impl Readers {
    /// Starts a thread for each; they end when this is dropped.
    pub(super) fn start(stores: Vec<Box<dyn Store>>) -> std::io::Result<Self> {
        let (calls, waiting) = mpsc::channel::<Call>(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        for store in stores {
            let waiting = Arc::clone(&waiting);
            std::thread::Builder::new().name("http-reader".into()).spawn(move || {
                // Whoever is free waits with the key in hand; the others wait for the key.
                let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                while let Some(call) = next() {
                    call(&*store);
                }
            })?;
        }
        Ok(Self { calls })
    }

    /// Runs `call` on one of them.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Reader) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        self.ask(move |store| call(store)).await
    }

    /// Runs `call` on one of them, past all that may stand before the reading half.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Store) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, answered) = oneshot::channel();
        let call: Call = Box::new(move |store| {
            // Nobody may be waiting any more.
            let _ = answer.send(call(store));
        });
        self.calls.send(call).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())
    }
}
