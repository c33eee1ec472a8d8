//! Connections that wait for the next request, for a few seconds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::session::Session;
use crate::clock;

/// How long a connection is kept for the next request: shorter than usual servers (5 s) keep it, so that
/// a request hardly ever meets one that is just being closed, which leaves its end unknown.
const IDLE: Duration = Duration::from_secs(4);

/// How long none is kept when the second request of one got no answer. Some servers hang up behind each answer and do not
/// say so before: the end of every request that meets that is unknown, and it may be sent twice.
const SINGLY: Duration = Duration::from_secs(600);

/// Connections that wait, the one used last on top.
#[derive(Default)]
pub struct Pool(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    sessions: Vec<(Session, Duration)>,
    /// Until when none is kept.
    none_until: Duration,
    /// Hangs up on those that wait for too long, as long as any wait.
    sweeper: Option<AbortOnDropHandle<()>>,
}

impl Pool {
    /// A connection that is still there, as far as this host knows.
    pub fn take(&self) -> Option<Session> {
        let mut waiting = lock(&self.0);
        if waiting.sessions.is_empty() {
            return None;
        }
        waiting.forget_the_old();
        while let Some((mut session, _)) = waiting.sessions.pop() {
            if session.is_quiet() {
                return Some(session);
            }
        }
        None
    }

    /// Keeps a connection that is ready for the next request.
    pub fn give_back(&self, session: Session) {
        let mut waiting = lock(&self.0);
        if clock::since_boot() < waiting.none_until {
            return;
        }
        waiting.sessions.push((session, clock::since_boot()));
        if waiting.sweeper.is_none() {
            let sweeping = tokio::spawn(sweep(Arc::clone(&self.0)));
            waiting.sweeper = Some(AbortOnDropHandle::new(sweeping));
        }
    }

    /// Hangs up on all that wait, and keeps none for [`SINGLY`].
    pub fn keep_none(&self) {
        let mut waiting = lock(&self.0);
        waiting.sessions.clear();
        waiting.none_until = clock::since_boot() + SINGLY;
    }

    /// Hangs up on all that wait.
    pub fn close(&self) {
        *lock(&self.0) = Waiting::default();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Waiting {
    fn forget_the_old(&mut self) {
        let now = clock::since_boot();
        self.sessions.retain(|(_, since)| now.saturating_sub(*since) < IDLE);
    }
}

/// A daemon may have nothing to send for hours.
async fn sweep(waiting: Arc<Mutex<Waiting>>) {
    loop {
        sleep(IDLE).await;
        let mut waiting = lock(&waiting);
        waiting.forget_the_old();
        if waiting.sessions.is_empty() {
            waiting.sweeper = None;
            return;
        }
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
