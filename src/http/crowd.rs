//! Whether somebody waits, and limits of time that are shorter then: who is slow has time, but not that of the others.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// For how long who waits has nobody give way: those that come quickly take turns.
const MOMENT: Duration = Duration::from_secs(1);

/// How often it is looked whether somebody waits.
const LOOK: Duration = Duration::from_millis(500);

/// How many wait for the same, and have for longer than a moment.
#[derive(Debug, Default)]
pub(super) struct Crowd(AtomicUsize);

impl Crowd {
    /// Waits for `place`.
    pub(super) async fn wait<T>(&self, place: impl Future<Output = T>) -> T {
        let mut place = std::pin::pin!(place);
        match timeout(MOMENT, &mut place).await {
            Ok(place) => place,
            Err(_) => {
                let _waits = Waits::among(self);
                place.await
            }
        }
    }

    /// Whether anybody waits.
    pub(super) fn waits(&self) -> bool {
        self.0.load(Relaxed) > 0
    }
}

/// One who waits, until it is dropped: its caller may hang up meanwhile.
struct Waits<'a>(&'a Crowd);

impl<'a> Waits<'a> {
    fn among(all: &'a Crowd) -> Self {
        all.0.fetch_add(1, Relaxed);
        Self(all)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

/// A limit of time, and a shorter one while somebody waits.
pub(super) struct Limit {
    crowd: Arc<Crowd>,
    ends: Instant,
    ends_crowded: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Limit {
    /// From now on.
    pub(super) fn new(crowd: &Arc<Crowd>, usual: Duration, crowded: Duration) -> Self {
        let now = Instant::now();
        let (ends, ends_crowded) = (now + usual, now + crowded);
        Self { crowd: Arc::clone(crowd), ends, ends_crowded, sleep: Box::pin(sleep_until(ends_crowded)) }
    }
}

impl Future for Limit {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            let now = Instant::now();
            if now >= self.ends || now >= self.ends_crowded && self.crowd.waits() {
                return Poll::Ready(());
            }
            let next = self.ends.min(self.ends_crowded.max(now + LOOK));
            self.sleep.as_mut().reset(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_limit_is_shorter_while_somebody_has_waited_for_longer_than_a_moment() {
        let [usual, crowded] = [30, 3].map(Duration::from_secs);
        let crowd = Arc::new(Crowd::default());
        for (waits_at, waits_for, took) in [
            // Seconds, and how many of them the limit is.
            (0, 60, 3..=4),
            (10, 60, 11..=12),
            (0, 2, 30..=30),
            (28, 60, 29..=30),
        ] {
            let waiting = tokio::spawn({
                let crowd = Arc::clone(&crowd);
                async move {
                    tokio::time::sleep(Duration::from_secs(waits_at)).await;
                    crowd.wait(tokio::time::sleep(Duration::from_secs(waits_for))).await;
                }
            });
            let began = Instant::now();
            Limit::new(&crowd, usual, crowded).await;
            assert!(took.contains(&began.elapsed().as_secs()), "{waits_at}: {:?}", began.elapsed());
            waiting.abort();
            let _ = waiting.await;
            assert!(!crowd.waits());
        }
    }
}
