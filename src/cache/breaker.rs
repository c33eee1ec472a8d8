//! When Redis is left alone: after three failures in a row nobody asks for a while, and then one does.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// How many calls in a row may fail before nobody asks any more.
const FAILURES: u32 = 3;

/// What is known of Redis's health, by this process.
#[derive(Debug)]
pub(super) struct Breaker {
    pause: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Set while it is open; moved ahead by whoever is let through to probe.
    until: Option<Instant>,
}

impl Breaker {
    /// One that opens for `pause`.
    pub(super) fn new(pause: Duration) -> Self {
        Self { pause, state: Mutex::default() }
    }

    /// Whether a call may be made now. When a pause is over, one is let through, and the others wait for what
    /// comes of it.
    pub(super) fn admits(&self) -> bool {
        let mut state = self.state();
        match state.until {
            None => true,
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                state.until = Some(Instant::now() + self.pause);
                true
            }
        }
    }

    /// Whoever was let through has a connection, which says little of the other side: the call it is for is let through
    /// too.
    pub(super) fn connected(&self) {
        if let Some(until) = &mut self.state().until {
            *until = Instant::now();
        }
    }

    /// Whether it lets everything through.
    pub(super) fn is_closed(&self) -> bool {
        self.state().until.is_none()
    }

    /// A call was answered.
    pub(super) fn answered(&self) {
        *self.state() = State::default();
    }

    /// A call was not answered, or with nonsense.
    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.until = Some(Instant::now() + self.pause);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing in here panics, so nothing is half-done.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn three_failures_in_a_row_open_it_and_one_probe_at_a_time_may_close_it() {
        const PAUSE: Duration = Duration::from_secs(5);
        let breaker = Breaker::new(PAUSE);
        breaker.failed();
        breaker.failed();
        breaker.answered();
        breaker.failed();
        breaker.failed();
        assert!(breaker.admits() && breaker.is_closed());
        breaker.failed();
        assert!(!breaker.admits() && !breaker.is_closed());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits());
        assert!(!breaker.admits(), "one probe at a time");
        breaker.failed();
        assert!(!breaker.admits());
        tokio::time::advance(PAUSE).await;
        assert!(breaker.admits());
        breaker.connected();
        assert!(!breaker.is_closed() && breaker.admits(), "what it connected for is no second probe");
        assert!(!breaker.admits());
        breaker.answered();
        breaker.connected();
        assert!(breaker.admits() && breaker.admits() && breaker.is_closed());
    }
}
