//! The way to the thread that writes, for requests: what comes back is what they are answered.

use super::problem::{Problem, defect, stopped};
use crate::store::{Handle, Portion, Refused, Store, Taken, guarded};

/// The way to the thread that writes.
pub(super) struct Writer(Handle);

impl Writer {
    pub(super) fn new(store: Handle) -> Self {
        Self(store)
    }

    /// Accepts the notifications of one request; they are on disk when this answers.
    pub(super) async fn enqueue(&self, portion: Portion) -> Result<Taken, Problem> {
        Ok(self.0.enqueue(portion).await.map_err(why)??)
    }

    /// The same for a request that takes much memory: it keeps its `room` until it is on disk, also when its caller stops
    /// waiting.
    pub(super) async fn enqueue_large(
        &self,
        portion: Portion,
        room: impl Send + 'static,
    ) -> Result<Taken, Problem> {
        let handle = self.0.clone();
        let enqueues = tokio::spawn(async move {
            let taken = handle.enqueue(portion).await;
            drop(room);
            taken
        });
        Ok(enqueues.await.map_err(|_| stopped())?.map_err(why)??)
    }

    /// Runs `call` on the thread, and rings. A caller that stops waiting does not undo it; after a panic it is told that this
    /// is a defect, what was begun is rolled back, and the thread serves the next one.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut dyn Store) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let rings = self.0.clone();
        let call = move |store: &mut dyn Store| {
            let answer = guarded("writing", || call(store));
            rings.ring();
            answer
        };
        self.0.call(call).await.map_err(|_| stopped())?.ok_or_else(defect)
    }
}

/// Why nothing was accepted.
fn why(refused: Refused) -> Problem {
    match refused {
        Refused::Full => Problem::later("too much waits to be written", 1),
        Refused::Stopped => stopped(),
        Refused::Panicked => defect(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::clock::SystemClock;
    use crate::model::Timestamp;
    use crate::store::{self, Access, Options};

    #[tokio::test]
    async fn a_call_that_panics_takes_no_thread_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("n.db").display()).parse().unwrap();
        let options = Options { url, busy_timeout: Duration::from_secs(5) };
        let store = store::open(&options, Access::Create, Timestamp(1)).unwrap();
        let writer = Writer::new(Handle::start(store, Arc::new(SystemClock)).unwrap().0);
        let failed: Result<(), Problem> = writer.call(|_| panic!("as a defect would")).await;
        assert!(failed.is_err());
        let counts = writer.call(|store| store.counts().map(drop)).await;
        assert!(counts.is_ok_and(|counts| counts.is_ok()));
    }
}
