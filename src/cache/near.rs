//! What this process holds of Redis itself: who asks for the same again and again is not sent there each time.
//!
//! The follower tells it of every change before any reader may go by that change; so it is never behind what readers trust.
//! A value comes from a hit in Redis alone, and only while nothing has changed since the head that it was found under.
//! It ends soon in any case: Redis is asked again, and heard when it was flushed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use lru::LruCache;
use tokio::time::Instant;

use super::{Head, Key};
use crate::model::Id;

/// The most that is held, in bytes of values.
const ROOM: usize = 8 << 20;

/// What a value takes up beside its bytes, about.
const BESIDE: usize = 256;

/// How long a value is held at most before Redis is asked again.
const LONGEST: Duration = Duration::from_secs(1);

/// Values, each as new as the head that was told last.
pub(super) struct Near(Mutex<Held>);

struct Held {
    /// Up to which change they are true; `None` before the first one was told.
    at: Option<Head>,
    values: LruCache<Key, Value>,
    bytes: usize,
}

/// A value that was found in Redis.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// What is answered.
    pub(super) body: Bytes,
    /// When it was read from the store, for what changes without being told.
    pub(super) read: Option<Instant>,
    /// Until when it lies in Redis.
    pub(super) ends: Instant,
}

impl Value {
    fn weight(&self) -> usize {
        self.body.len() + BESIDE
    }
}

impl Default for Near {
    fn default() -> Self {
        Self(Mutex::new(Held { at: None, values: LruCache::unbounded(), bytes: 0 }))
    }
}

impl Near {
    /// What is held for `key`, true up to the change that was told last.
    pub(super) fn get(&self, key: Key) -> Option<Value> {
        let mut held = self.held();
        let value = held.values.get(&key)?.clone();
        if value.ends > Instant::now() {
            return Some(value);
        }
        held.remove(key);
        None
    }

    /// Holds what was found under `head`, unless another one has been told since.
    pub(super) fn hold(&self, head: &Head, key: Key, value: Value) {
        let mut held = self.held();
        if held.at.as_ref() != Some(head) || value.weight() > ROOM / 8 {
            return;
        }
        let value = Value { ends: value.ends.min(Instant::now() + LONGEST), ..value };
        held.remove(key);
        held.bytes += value.weight();
        held.values.put(key, value);
        while held.bytes > ROOM
            && let Some((_, oldest)) = held.values.pop_lru()
        {
            held.bytes -= oldest.weight();
        }
    }

    /// Is told that `changed` is all that changed after `from` and up to `to`. Whatever does not follow on what was told
    /// before leaves nothing held.
    pub(super) fn follow(&self, from: &Head, to: &Head, changed: &[Id]) {
        let mut held = self.held();
        if held.at.as_ref() == Some(from) && from.generation == to.generation {
            changed.iter().flat_map(|id| Key::of(*id)).for_each(|key| held.remove(key));
        } else {
            held.values.clear();
            held.bytes = 0;
        }
        held.at = Some(to.clone());
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn remove(&mut self, key: Key) {
        if let Some(value) = self.values.pop(&key) {
            self.bytes -= value.weight();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(generation: &str, through: u64) -> Head {
        Head { generation: generation.into(), through }
    }

    fn value(length: usize) -> Value {
        let ends = Instant::now() + Duration::from_secs(3_600);
        Value { body: vec![b'x'; length].into(), read: None, ends }
    }

    const SEVEN: Key = Key::Notification(7);
    const EIGHT: Key = Key::Masked(8);

    #[tokio::test(start_paused = true)]
    async fn what_changed_is_held_no_longer_and_the_rest_is() {
        let near = Near::default();
        let (one, two) = (head("a-0", 1), head("a-0", 2));
        near.hold(&one, SEVEN, value(10));
        assert!(near.get(SEVEN).is_none(), "nothing was told yet");
        near.follow(&head("a-0", 0), &one, &[]);
        near.hold(&one, SEVEN, value(10));
        near.hold(&one, EIGHT, value(10));
        near.follow(&one, &one, &[]);
        assert!(near.get(SEVEN).is_some() && near.get(EIGHT).is_some());
        near.follow(&one, &two, &[8]);
        assert!(near.get(SEVEN).is_some());
        assert!(near.get(EIGHT).is_none(), "however it is shown");
        near.hold(&one, EIGHT, value(10));
        assert!(near.get(EIGHT).is_none(), "it was found before the change");
        near.hold(&two, EIGHT, value(10));
        assert!(near.get(EIGHT).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_and_another_generation_end_everything() {
        for next in [(head("a-0", 2), head("a-0", 3)), (head("b-0", 1), head("b-0", 1))] {
            let near = Near::default();
            let one = head("a-0", 1);
            near.follow(&one, &one, &[]);
            near.hold(&one, SEVEN, value(10));
            near.follow(&next.0, &next.1, &[]);
            assert!(near.get(SEVEN).is_none(), "{next:?}");
            near.hold(&next.1, SEVEN, value(10));
            assert!(near.get(SEVEN).is_some(), "{next:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_held_for_longer_than_redis_does_or_a_second() {
        let near = Near::default();
        let one = head("a-0", 1);
        near.follow(&one, &one, &[]);
        let soon = Instant::now() + Duration::from_millis(100);
        near.hold(&one, SEVEN, Value { ends: soon, ..value(10) });
        near.hold(&one, EIGHT, value(10));
        tokio::time::advance(Duration::from_millis(101)).await;
        assert!(near.get(SEVEN).is_none() && near.get(EIGHT).is_some());
        tokio::time::advance(LONGEST).await;
        assert!(near.get(EIGHT).is_none());
        assert_eq!(near.held().bytes, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_asked_for_in_a_long_time_makes_room() {
        let near = Near::default();
        let one = head("a-0", 1);
        near.follow(&one, &one, &[]);
        let many = i64::try_from(2 * ROOM / (1 << 14)).unwrap();
        for id in 0..many {
            near.hold(&one, Key::Notification(id), value(1 << 14));
            assert!(near.get(Key::Notification(0)).is_some(), "what is asked for stays");
        }
        assert!(near.get(Key::Notification(1)).is_none());
        assert!(near.get(Key::Notification(many - 1)).is_some());
        near.hold(&one, Key::Notification(0), value(1));
        near.hold(&one, EIGHT, value(ROOM / 8));
        assert!(near.get(EIGHT).is_none(), "one alone takes no great part of it");
        let held = near.held();
        let bytes: usize = held.values.iter().map(|(_, value)| value.weight()).sum();
        assert_eq!(held.bytes, bytes);
        assert!(bytes <= ROOM);
    }
}
