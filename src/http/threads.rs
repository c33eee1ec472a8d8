//! The threads that answer. Each has a runtime of its own, and connections of its own, from the first byte to the last.
//!
//! In one runtime of several threads, whatever becomes ready may be taken by any of them, and each wakes another one to help:
//! where there is little to do, that costs more than the answer. A connection stays with its thread; a new one goes
//! to the thread that has the fewest.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

/// The most of them: beyond it they would only wait for the one that writes.
const MOST: usize = 4;

/// The threads; they end when this is dropped, and what they have under way is cut off.
pub(super) struct Threads {
    all: Arc<[Thread]>,
    end: CancellationToken,
}

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    connections: AtomicUsize,
}

impl Threads {
    /// Starts as many as there are processors.
    pub(super) fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(MOST);
        let end = CancellationToken::new();
        // Ends those that have begun, if there is no more.
        let guard = end.clone().drop_guard();
        let all = (0..count).map(|_| Thread::start(end.clone())).collect::<io::Result<_>>()?;
        Ok(Self { all, end: guard.disarm() })
    }

    /// The one that does what belongs to no connection.
    pub(super) fn first(&self) -> &Handle {
        &self.all[0].runtime
    }

    /// What is made from now on, as a listener or a task, is the first one's.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.first().enter()
    }

    pub(super) fn seats(&self) -> Seats {
        Seats(Arc::clone(&self.all))
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl Thread {
    fn start(end: CancellationToken) -> io::Result<Self> {
        let (tell, told) = mpsc::sync_channel(1);
        // The runtime is made there, and ends there: where others answer or send, none may be dropped.
        std::thread::Builder::new().name("http".into()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().thread_name("http-aside").build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let _ = tell.send(Ok(runtime.handle().clone()));
            runtime.block_on(end.cancelled());
            // What hangs aside, on a dead disk, is not waited for.
            runtime.shutdown_background();
        })?;
        let runtime = told.recv().map_err(io::Error::other)??;
        Ok(Self { runtime, connections: AtomicUsize::new(0) })
    }
}

/// Where new connections go.
#[derive(Clone)]
pub(super) struct Seats(Arc<[Thread]>);

impl Seats {
    /// A seat at the thread that has the fewest connections, for one that has `room`.
    pub(super) fn take(&self, room: OwnedSemaphorePermit) -> Seat {
        let connections = |number: &usize| self.0[*number].connections.load(Ordering::Relaxed);
        let number = (0..self.0.len()).min_by_key(connections).unwrap_or(0);
        self.0[number].connections.fetch_add(1, Ordering::Relaxed);
        Seat { all: Arc::clone(&self.0), number, _room: room }
    }
}

/// The place of one connection, at its thread and among all that there may be; free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    all: Arc<[Thread]>,
    number: usize,
    _room: OwnedSemaphorePermit,
}

impl Seat {
    /// The runtime of its thread.
    pub(super) fn runtime(&self) -> &Handle {
        &self.all[self.number].runtime
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.all[self.number].connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    fn room() -> OwnedSemaphorePermit {
        Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap()
    }

    #[test]
    fn a_connection_goes_to_the_thread_that_has_the_fewest() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let thread = || Thread { runtime: runtime.handle().clone(), connections: AtomicUsize::new(0) };
        let seats = Seats((0..3).map(|_| thread()).collect());
        let mut taken: Vec<_> = (0..7).map(|_| seats.take(room())).collect();
        let numbers = |taken: &[Seat]| taken.iter().map(|seat| seat.number).collect::<Vec<_>>();
        assert_eq!(numbers(&taken), [0, 1, 2, 0, 1, 2, 0]);
        // Two of the second thread end.
        taken.retain(|seat| seat.number != 1);
        taken.extend((0..3).map(|_| seats.take(room())));
        assert_eq!(numbers(&taken), [0, 2, 0, 2, 0, 1, 1, 1]);
    }

    #[test]
    fn they_end_with_what_they_have_under_way() {
        let threads = Threads::start().unwrap();
        let (held, gone) = mpsc::channel::<()>();
        let seat = threads.seats().take(room());
        seat.runtime().spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(threads);
        assert!(gone.recv().is_err(), "dropped where it stands");
    }
}
