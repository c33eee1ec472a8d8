//! The threads that read, each with a connection of its own: never behind a write, never on the threads that answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::LOG_TARGET;
use super::problem::{Problem, defect, stopped};
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
                    // Whoever asked is told that this is a defect, and the next one is served.
                    if catch_unwind(AssertUnwindSafe(|| call(&*store))).is_err() {
                        log::error!(target: LOG_TARGET, "a request made a reading thread panic");
                    }
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
        answered.await.map_err(|_| defect())
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::store::{self, Access, Options, StoreUrl};

    #[tokio::test]
    async fn a_call_that_panics_takes_no_thread_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("n.db"));
        let options = Options { url, busy_timeout: std::time::Duration::from_secs(5) };
        let store = store::open(&options, Access::Create, SystemClock.now()).unwrap();
        let readers = Readers::start(vec![store]).unwrap();
        for _ in 0..3 {
            let failed: Result<(), Problem> = readers.call(|_| panic!("as a defect would")).await;
            assert_eq!(failed.unwrap_err().into_response().status(), 500);
        }
        let counted = readers.call(|reader| reader.counts().unwrap().channels.len()).await;
        assert_eq!(counted.unwrap(), 0);
    }
}
