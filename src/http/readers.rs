//! The connections that are read on: never behind a write. What may take long is read by threads of their own, never by
//! those that answer; what costs microseconds is read where it is asked for, because to hand it over costs more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use tokio::sync::{Semaphore, mpsc, oneshot};

use super::problem::{Problem, defect, stopped};
use crate::store::{Reader, Store, guarded};

type Call = Box<dyn FnOnce(&dyn Store) + Send>;

/// How many calls may wait; beyond it the callers wait.
const QUEUE: usize = 256;

/// How many threads have looked yet.
static LOOKING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The connection that this thread tries first: what that one has read is in this processor's caches.
    static OWN: usize = LOOKING.fetch_add(1, Ordering::Relaxed);
}

/// The way to the connections.
pub(super) struct Readers {
    calls: mpsc::Sender<Call>,
    stores: Arc<[Mutex<Box<dyn Store>>]>,
    /// One for each connection but one.
    searches: Arc<Semaphore>,
}

impl Readers {
    /// Starts a thread for each; they end when this is dropped.
    pub(super) fn start(stores: Vec<Box<dyn Store>>) -> std::io::Result<Self> {
        let (calls, waiting) = mpsc::channel::<Call>(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        let stores: Arc<[_]> = stores.into_iter().map(Mutex::new).collect();
        for number in 0..stores.len() {
            let (stores, waiting) = (Arc::clone(&stores), Arc::clone(&waiting));
            std::thread::Builder::new().name("http-reader".into()).spawn(move || {
                // Whoever is free waits with the key in hand; the others wait for the key.
                let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                while let Some(call) = next() {
                    // Whoever asked is told that this is a defect, and the next one is served.
                    let store = || stores[number].lock().unwrap_or_else(PoisonError::into_inner);
                    let _ = guarded("reading", || call(&**store()));
                }
            })?;
        }
        let searches = Arc::new(Semaphore::new(stores.len().saturating_sub(1).max(1)));
        Ok(Self { calls, stores, searches })
    }

    /// Runs `call`, which may have to look at the whole store. There is always a connection on which nobody does: who posts,
    /// shows a token or asks for a few rows does not wait for who searches.
    pub(super) async fn search<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Reader) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let place = Arc::clone(&self.searches).acquire_owned().await.map_err(|_| stopped())?;
        self.call(move |reader| {
            let found = call(reader);
            // Kept until here, also when nobody waits for the answer any more.
            drop(place);
            found
        })
        .await
    }

    /// Runs `call`, which reads a little, on one of the threads.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Reader) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        self.ask(move |store| call(store)).await
    }

    /// Runs `call`, which costs microseconds, at once where a connection is free; else on one of the threads.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn Reader) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let own = OWN.with(|own| *own) % self.stores.len();
        let (before, from_own) = self.stores.split_at(own);
        for store in from_own.iter().chain(before) {
            match store.try_lock() {
                Ok(store) => return Ok(call(&**store)),
                // A call that panicked has changed nothing: it could only read.
                Err(TryLockError::Poisoned(store)) => return Ok(call(&**store.into_inner())),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        self.call(call).await
    }

    /// Runs `call` on one of the threads, past all that may stand before the reading half.
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

    /// So many connections to a new store in the folder.
    fn start(connections: usize) -> (tempfile::TempDir, Arc<Readers>) {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("n.db"));
        let options = Options { url, busy_timeout: std::time::Duration::from_secs(5) };
        let open = |_| store::open(&options, Access::Create, SystemClock.now()).unwrap();
        let readers = Readers::start((0..connections).map(open).collect()).unwrap();
        (folder, Arc::new(readers))
    }

    #[tokio::test]
    async fn a_call_that_panics_takes_no_thread_with_it() {
        let (_folder, readers) = start(1);
        for _ in 0..3 {
            let failed: Result<(), Problem> = readers.call(|_| panic!("as a defect would")).await;
            assert_eq!(failed.unwrap_err().into_response().status(), 500);
        }
        let counted = readers.call(|reader| reader.counts().unwrap().channels.len()).await;
        assert_eq!(counted.unwrap(), 0);
        let counted = readers.look(|reader| reader.counts().unwrap().channels.len()).await;
        assert_eq!(counted.unwrap(), 0);
    }

    #[tokio::test]
    async fn who_reads_a_little_waits_for_no_search_and_a_search_that_nobody_waits_for_keeps_its_place() {
        let (_folder, readers) = start(2);
        let mut ends = Vec::new();
        for _ in 0..4 {
            let (free, blocked) = std::sync::mpsc::channel::<()>();
            let (begins, begun) = oneshot::channel();
            let search = tokio::spawn({
                let readers = Arc::clone(&readers);
                async move {
                    let call = move |_: &dyn Reader| {
                        let _ = begins.send(());
                        let _ = blocked.recv();
                    };
                    readers.search(call).await.unwrap();
                }
            });
            if ends.is_empty() {
                begun.await.unwrap();
                // Its caller hangs up while it is under way.
                search.abort();
            }
            ends.push(free);
        }
        tokio::task::yield_now().await;
        let patience = std::time::Duration::from_secs(30);
        let counted = tokio::time::timeout(patience, readers.call(|reader| reader.counts().is_ok())).await;
        assert!(counted.expect("it waits for none of them").unwrap());
    }

    #[tokio::test]
    async fn a_look_waits_for_nobody_who_reads_for_long() {
        let (_folder, readers) = start(2);
        let (free, blocked) = std::sync::mpsc::channel::<()>();
        let (begins, begun) = oneshot::channel();
        let long = tokio::spawn({
            let readers = Arc::clone(&readers);
            async move {
                let call = move |_: &dyn Reader| {
                    begins.send(()).unwrap();
                    let _ = blocked.recv();
                };
                readers.call(call).await.unwrap();
            }
        });
        begun.await.unwrap();
        let here = std::thread::current().id();
        let looked = readers.look(move |_| std::thread::current().id() == here).await;
        assert!(looked.unwrap(), "where it is asked for, on the other connection");
        drop(free);
        long.await.unwrap();
    }
}
