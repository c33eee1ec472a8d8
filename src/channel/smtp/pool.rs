//! Open connections between messages: few, young, and never trusted to be there still.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::session::Session;
use crate::clock;

/// The most messages of one connection; relays count them too, and close in the middle of one otherwise.
pub const MESSAGES: u32 = 100;

/// The longest that a connection waits for its next message.
const IDLE: Duration = Duration::from_secs(60);

/// How long saying goodbye may take, over all connections.
const GOODBYE: Duration = Duration::from_secs(1);

/// Connections that wait, the one used last on top.
#[derive(Default)]
pub struct Pool(Mutex<Vec<(Session, Duration)>>);

impl Pool {
    /// A connection that is still there, as far as this host knows. What is too old is dropped.
    pub fn take(&self) -> Option<Session> {
        let now = clock::since_boot();
        let mut waiting = self.lock();
        waiting.retain(|(_, since)| now.saturating_sub(*since) < IDLE);
        while let Some((mut session, _)) = waiting.pop() {
            if session.wire.is_quiet() {
                return Some(session);
            }
        }
        None
    }

    /// Keeps a connection that is ready for the next message, unless it has carried its share.
    pub async fn give_back(&self, session: Session) {
        if session.carried < MESSAGES {
            self.lock().push((session, clock::since_boot()));
        } else {
            let _ = timeout(GOODBYE, session.quit()).await;
        }
    }

    /// Says goodbye on every connection, within a second.
    pub async fn close(&self) {
        let waiting = std::mem::take(&mut *self.lock());
        let mut leaving: JoinSet<()> = waiting.into_iter().map(|(session, _)| session.quit()).collect();
        // Who has not answered by then is hung up on: dropping the set ends its tasks.
        let _ = timeout(GOODBYE, async { while leaving.join_next().await.is_some() {} }).await;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Session, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
