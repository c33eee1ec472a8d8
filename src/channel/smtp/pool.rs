//! Open connections between messages: few, young, and never trusted to be there still.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::session::Session;
use crate::clock;

/// The most messages of one connection; relays count them too, and close in the middle of one otherwise.
pub const MESSAGES: u32 = 100;

/// The longest that a connection waits for its next message.
const IDLE: Duration = Duration::from_secs(60);

/// How long saying goodbye may take, over all connections.
const GOODBYE: Duration = Duration::from_secs(1);

/// Connections that wait, the one used last on top.
pub struct Pool {
    waiting: Arc<Mutex<Waiting>>,
    idle: Duration,
}

#[derive(Default)]
struct Waiting {
    sessions: Vec<(Session, Duration)>,
    /// Says goodbye on those that wait for too long, as long as any wait.
    sweeper: Option<AbortOnDropHandle<()>>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { waiting: Arc::default(), idle: IDLE }
    }
}

impl Pool {
    /// A connection that is still there, as far as this host knows. What is too old is dropped.
    pub fn take(&self) -> Option<Session> {
        let mut waiting = lock(&self.waiting);
        drop(waiting.old(self.idle));
        while let Some((mut session, _)) = waiting.sessions.pop() {
            if session.wire.is_quiet() {
                return Some(session);
            }
        }
        None
    }

    /// Keeps a connection that is ready for the next message, unless it has carried its share.
    pub async fn give_back(&self, session: Session) {
        if session.carried >= MESSAGES {
            let _ = timeout(GOODBYE, session.quit()).await;
            return;
        }
        let mut waiting = lock(&self.waiting);
        waiting.sessions.push((session, clock::since_boot()));
        if waiting.sweeper.is_none() {
            let sweeping = tokio::spawn(sweep(Arc::clone(&self.waiting), self.idle));
            waiting.sweeper = Some(AbortOnDropHandle::new(sweeping));
        }
    }

    /// Says goodbye on every connection, within a second.
    pub async fn close(&self) {
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        goodbye(waiting.sessions).await;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        *lock(&self.waiting) = Waiting::default();
    }
}

impl Waiting {
    /// Takes out those that have waited for too long: the first ones.
    fn old(&mut self, idle: Duration) -> Vec<(Session, Duration)> {
        let now = clock::since_boot();
        let young = self.sessions.partition_point(|(_, since)| now.saturating_sub(*since) >= idle);
        self.sessions.drain(..young).collect()
    }
}

/// A daemon may have nothing to send for hours, and relays count who is connected.
async fn sweep(waiting: Arc<Mutex<Waiting>>, idle: Duration) {
    loop {
        sleep(idle).await;
        let old = lock(&waiting).old(idle);
        goodbye(old).await;
        let mut waiting = lock(&waiting);
        if waiting.sessions.is_empty() {
            waiting.sweeper = None;
            return;
        }
    }
}

/// Who has not answered within a second is hung up on: dropping the set ends its tasks.
async fn goodbye(sessions: Vec<(Session, Duration)>) {
    let mut leaving: JoinSet<()> = sessions.into_iter().map(|(session, _)| session.quit()).collect();
    let _ = timeout(GOODBYE, async { while leaving.join_next().await.is_some() {} }).await;
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use tokio::net::TcpStream;

    use super::super::wire::Wire;
    use super::*;

    #[tokio::test]
    async fn a_connection_that_nobody_needs_is_left_with_a_goodbye() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let pool = Pool { waiting: Arc::default(), idle: Duration::from_millis(100) };
        for _ in 0..2 {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (mut relay, _) = listener.accept().unwrap();
            relay.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            pool.give_back(Session::new(Wire::new(stream))).await;
            let said = tokio::task::spawn_blocking(move || {
                let mut said = String::new();
                relay.read_to_string(&mut said).map(|_| said)
            });
            assert_eq!(said.await.unwrap().unwrap(), "QUIT\r\n");
            assert!(pool.take().is_none());
        }
    }
}
