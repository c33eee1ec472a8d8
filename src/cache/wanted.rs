//! What this process was asked for a short while ago: when that changes it is read again at once, and the next one to
//! ask finds it in Redis. What is being sent lies there for a moment only, so Redis alone could not tell that anybody waits for it.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use super::Key;
use crate::model::Id;

/// How many are remembered.
const MANY: NonZeroUsize = NonZeroUsize::new(10_000).expect("some");

/// For how long somebody who has asked is taken to ask again.
const LATELY: Duration = Duration::from_secs(60);

/// Who was asked for, and when last.
pub(super) struct Wanted(Mutex<LruCache<Key, Instant>>);

impl Default for Wanted {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MANY)))
    }
}

impl Wanted {
    /// Somebody asks for `key`.
    pub(super) fn ask(&self, key: Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).put(key, Instant::now());
    }

    /// Of these notifications, what was asked for lately.
    pub(super) fn of(&self, ids: &[Id]) -> Vec<Key> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |key: &Key| asked.peek(key).is_some_and(|asked| asked.elapsed() < LATELY);
        ids.iter().flat_map(|id| Key::of(*id)).filter(lately).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_was_asked_for_a_minute_ago_is_not_wanted_any_more() {
        let wanted = Wanted::default();
        wanted.ask(Key::Notification(7));
        tokio::time::advance(LATELY / 2).await;
        wanted.ask(Key::Masked(8));
        assert_eq!(wanted.of(&[6, 7, 8]), [Key::Notification(7), Key::Masked(8)]);
        tokio::time::advance(LATELY / 2).await;
        assert_eq!(wanted.of(&[6, 7, 8]), [Key::Masked(8)]);
        (0..i64::try_from(MANY.get()).unwrap()).for_each(|id| wanted.ask(Key::Notification(id)));
        assert_eq!(wanted.of(&[8]), [Key::Notification(8)], "others took its place");
    }
}
