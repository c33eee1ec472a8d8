//! Redis in front of the store's reading half: answers that were given once are given again, sooner, and never
//! older than is said.
//!
//! Owns what lies in Redis, how it is kept true, and when Redis is left alone. Knows neither how an answer is made
//! (that is a [`Source`]) nor how changes of the store are kept (that is [`Changes`]); never writes to the store.
//! Without `[cache] url` there is no cache, and not even a connection.
//!
//! # How it stays true
//!
//! What lies in Redis follows two rules ([`shelf`]). A task per process ([`follower`]) looks several times
//! within `max_age` at what changed in the store, whichever process changed it, and tells Redis. A reader takes a value only
//! from a Redis that knows every change which the store had at a moment at most `max_age` ago; that moment is the
//! answer's age. Whatever else is so (no connection, Redis slow, full, flushed, restored, the follower late),
//! the store is read, and nothing is left behind that could be wrong. What was found there is held in this process for a
//! moment ([`near`]), under the same rule.
//!
//! # What it costs when Redis is ill
//!
//! A reader never connects; it waits `timeout` for one answer and drops the connection when there is none. After three
//! failures in a row nobody asks for five seconds.

mod answer;
mod breaker;
mod counters;
mod flights;
pub mod follower;
mod link;
mod near;
mod options;
mod seal;
pub mod shelf;
mod survey;
mod wanted;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub use answer::{Answer, From, Keep, Key, Loaded, OPEN, Source};
pub use counters::{Counted, Counters};
pub use follower::Changes;
pub use link::Failure;
pub use options::{Options, Place, Way};
pub use seal::Seal;
pub use shelf::{Advanced, Found, Head, Lease};
pub use survey::{Survey, Weight};

use counters::count;
use flights::{Flights, Part};
use link::Link;
use near::{Near, Value};
use wanted::Wanted;

/// The target of every line that is logged here.
pub const LOG_TARGET: &str = "notifyctl::cache";

/// The longest answer that is kept, in bytes; longer ones come from the store.
pub const LONGEST: usize = 256 * 1024;

/// What lies in Redis, for one store.
pub struct Shelf {
    link: Link,
    seal: Seal,
    /// What every name of this store begins with.
    store: String,
    /// What every name of ours begins with.
    prefix: String,
    head_ttl: Duration,
    lease: Duration,
    scripts: shelf::Scripts,
}

/// Answers from Redis where it has them, else from the store.
pub struct Cache<S> {
    source: Arc<S>,
    on: Option<On>,
}

/// What there is when a cache is configured.
struct On {
    state: Arc<State>,
    flights: Flights,
    follower: AbortHandle,
}

/// What readers and the follower share.
struct State {
    shelf: Shelf,
    near: Near,
    wanted: Wanted,
    result_ttl: Duration,
    max_age: Duration,
    /// What Redis has to know, and when the store was seen to hold nothing newer.
    trust: Mutex<Option<Trust>>,
    /// Since when this process's own writes are to be seen.
    own_write: Mutex<Instant>,
    /// Since when what it has accepted is; that changes nothing but the status.
    own_accept: Mutex<Instant>,
    /// Rings when the follower has something to do before its time.
    wake: Notify,
    counters: Counters,
}

/// What a reader goes by.
#[derive(Debug, Clone)]
struct Trust {
    head: Head,
    looked: Instant,
}

impl<S: Source> Cache<S> {
    /// No cache: every answer comes from the store.
    pub fn off(source: S) -> Self {
        Self { source: Arc::new(source), on: None }
    }

    /// A cache on `shelf`, kept true by what `changes` tells. Needs a runtime; returns at once, and answers from the
    /// store until Redis is there.
    pub fn on(source: S, options: &Options, shelf: Shelf, changes: impl Changes) -> Self {
        let source = Arc::new(source);
        let state = Arc::new(State {
            shelf,
            near: Near::default(),
            wanted: Wanted::default(),
            result_ttl: options.result_ttl,
            max_age: options.max_age,
            trust: Mutex::new(None),
            own_write: Mutex::new(Instant::now()),
            own_accept: Mutex::new(Instant::now()),
            wake: Notify::new(),
            counters: Counters::default(),
        });
        let follower = tokio::spawn(follower::follow(Arc::clone(&state), Arc::clone(&source), changes));
        let on = On { state, flights: Flights::default(), follower: follower.abort_handle() };
        Self { source, on: Some(on) }
    }

    /// The answer for `key`; `None` when there is nothing of that id.
    ///
    /// # Errors
    /// Those of the store. Redis gives none.
    pub async fn get(&self, key: Key) -> Result<Option<Answer>, S::Error> {
        let Some(on) = &self.on else { return self.bypass(key).await };
        if let Some(answer) = on.state.near(key) {
            return Ok(Some(answer));
        }
        on.state.wanted.ask(key);
        let not_before = on.state.own(key).max(on.state.oldest());
        match on.flights.join(key, not_before) {
            Part::First(landing) => {
                let answer = on.state.read(&*self.source, key).await?;
                landing.tell(answer.clone());
                Ok(answer)
            }
            Part::Other(begun, mut result) => {
                let told = result.wait_for(Option::is_some).await.ok().and_then(|told| told.clone());
                let from = told.as_ref().and_then(Option::as_ref).map(|answer| match answer.from {
                    From::Hit(age) => From::Hit(age + begun.elapsed()),
                    _ => From::Shared(begun.elapsed()),
                });
                match (told.flatten(), from) {
                    (Some(answer), Some(from @ (From::Hit(age) | From::Shared(age))))
                        if age <= on.state.max_age =>
                    {
                        count(&on.state.counters.shared);
                        Ok(Some(Answer { from, ..answer }))
                    }
                    // It failed, found nothing, or took so long that its answer is old.
                    _ => {
                        count(&on.state.counters.bypassed);
                        self.bypass(key).await
                    }
                }
            }
        }
    }

    /// Where answers come from, past the cache.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }

    /// This process has just changed the store: its own readers are to see that, at once.
    pub fn written(&self) {
        if let Some(on) = &self.on {
            *on.state.own_write.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            on.state.wake.notify_one();
        }
    }

    /// This process has just accepted something: its own readers are to see that in the status, at once. All else is as it was.
    pub fn accepted(&self) {
        if let Some(on) = &self.on {
            *on.state.own_accept.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    /// What became of reads; `None` without a cache.
    #[must_use]
    pub fn counters(&self) -> Option<&Counters> {
        self.on.as_ref().map(|on| &on.state.counters)
    }

    /// Whether answers can come from Redis now; `None` without a cache.
    #[must_use]
    pub fn works(&self) -> Option<bool> {
        self.on.as_ref().map(|on| on.state.trusted().is_some() && on.state.shelf.is_connected())
    }

    /// Whether Redis is left alone now, after failures; `None` without a cache.
    #[must_use]
    pub fn is_left_alone(&self) -> Option<bool> {
        self.on.as_ref().map(|on| !on.state.shelf.is_asked())
    }

    async fn bypass(&self, key: Key) -> Result<Option<Answer>, S::Error> {
        let loaded = self.source.load(key).await?;
        Ok(loaded.map(|loaded| Answer { body: loaded.body, from: From::Bypass }))
    }
}

impl<S> Drop for Cache<S> {
    fn drop(&mut self) {
        if let Some(on) = &self.on {
            on.follower.abort();
        }
    }
}

impl State {
    /// What this process holds, if it may be trusted.
    fn near(&self, key: Key) -> Option<Answer> {
        // Asked before what is held: that is then at least as new.
        let trust = self.trusted()?;
        let value = self.near.get(key)?;
        let age = self.age(&trust, key, value.read)?;
        count(&self.counters.hits);
        count(&self.counters.near);
        Some(Answer { body: value.body, from: From::Hit(age) })
    }

    /// How old a value is: from the moment when the follower looked; or when it was read, for what changes without being
    /// told, and so is not told of this process's own writes either. `None` when it is too old.
    fn age(&self, trust: &Trust, key: Key, read: Option<Instant>) -> Option<Duration> {
        let age = read.map_or(Duration::ZERO, |read| read.elapsed()).max(trust.looked.elapsed());
        (age <= self.max_age && read.is_none_or(|read| read >= self.own(key))).then_some(age)
    }

    /// One read: from Redis if it may be trusted and has it, else from the store.
    async fn read<S: Source>(self: &Arc<Self>, source: &S, key: Key) -> Result<Option<Answer>, S::Error> {
        let asked = Instant::now();
        let found = match self.trusted() {
            Some(trust) => (self.shelf.look_up(&trust.head, key).await).map(|found| (trust, found)),
            None => Err(Failure::Skipped),
        };
        match found {
            Ok((trust, Found::Value { bytes, left, of })) => {
                // Nobody knows when it was read if it has more time left than it was given: Redis's clock was set back.
                let read = of.map(|of| of.checked_sub(left).and_then(|ago| asked.checked_sub(ago)));
                let is_known = read.is_none_or(|read| read.is_some());
                let read = read.flatten();
                if let Some(age) = self.age(&trust, key, read).filter(|_| is_known) {
                    count(&self.counters.hits);
                    let body = Bytes::from(bytes);
                    let value = Value { body: body.clone(), read, ends: asked + left };
                    self.near.hold(&trust.head, key, value);
                    return Ok(Some(Answer { body, from: From::Hit(age) }));
                }
            }
            Ok((_, Found::Lease(lease))) => {
                count(&self.counters.misses);
                let loaded = source.load(key).await;
                let body = loaded.as_ref().ok().and_then(Option::clone);
                tokio::spawn(Arc::clone(self).leave(lease, body));
                return Ok(loaded?.map(|loaded| Answer { body: loaded.body, from: From::Miss }));
            }
            Ok((_, Found::Busy)) => {}
            Ok((_, Found::Behind)) => self.distrust(),
            Ok((_, Found::Foreign)) => {
                count(&self.counters.foreign);
                log::warn!(target: LOG_TARGET, "Redis holds a value that this store never wrote; it was not used");
            }
            Err(Failure::Skipped) => {}
            Err(failure) => {
                self.counters.failed(&failure);
                log::debug!(target: LOG_TARGET, "look up: {failure}");
                self.distrust();
            }
        }
        count(&self.counters.bypassed);
        let loaded = source.load(key).await?;
        Ok(loaded.map(|loaded| Answer { body: loaded.body, from: From::Bypass }))
    }

    /// Reads again what changed, because somebody had asked for it: the next one to ask finds it.
    async fn read_again<S: Source>(self: Arc<Self>, source: Arc<S>, keys: Vec<Key>) {
        for key in keys {
            let Some(trust) = self.trusted() else { return };
            if let Ok(Found::Lease(lease)) = self.shelf.look_up(&trust.head, key).await {
                let loaded = source.load(key).await.ok().flatten();
                Arc::clone(&self).leave(lease, loaded).await;
            }
        }
    }

    /// Leaves what was loaded in Redis, if it still may; nobody waits for it.
    async fn leave(self: Arc<Self>, lease: Lease, loaded: Option<Loaded>) {
        let loaded = loaded.filter(|loaded| loaded.body.len() <= LONGEST);
        let ttl = loaded.as_ref().map(|loaded| match loaded.keep {
            Keep::Settled => (self.result_ttl, false),
            Keep::SettledFor(time) => (time.min(self.result_ttl), false),
            Keep::Open => (OPEN.min(self.result_ttl), false),
            Keep::Moment => (self.max_age, true),
        });
        let left = match (&loaded, ttl) {
            (Some(loaded), Some((ttl, bounded))) => self.shelf.fill(&lease, &loaded.body, ttl, bounded).await,
            _ => return drop(self.shelf.give_back(&lease).await),
        };
        match left {
            Ok(true) => count(&self.counters.filled),
            Ok(false) => count(&self.counters.refused),
            Err(failure) => self.counters.failed(&failure),
        }
    }

    /// What to go by, unless it is too old, or older than a write of this process.
    fn trusted(&self) -> Option<Trust> {
        let not_before = self.own_write().max(self.oldest());
        self.trust().clone().filter(|trust| trust.looked >= not_before)
    }

    fn distrust(&self) {
        self.trust().take();
        self.wake.notify_one();
    }

    /// How long ago the store may have been looked at.
    fn oldest(&self) -> Instant {
        let now = Instant::now();
        now.checked_sub(self.max_age).unwrap_or(now)
    }

    fn own_write(&self) -> Instant {
        *self.own_write.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Since when this process's own doings are to be seen in the answer for `key`.
    fn own(&self, key: Key) -> Instant {
        let accepted = || *self.own_accept.lock().unwrap_or_else(PoisonError::into_inner);
        match key {
            Key::Status(_) | Key::MaskedStatus(_) => self.own_write().max(accepted()),
            Key::Notification(_) | Key::Masked(_) | Key::Batch(_) => self.own_write(),
        }
    }

    fn trust(&self) -> std::sync::MutexGuard<'_, Option<Trust>> {
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
