//! What is asked for, what is answered, and where the answer comes from.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::model::Id;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// One notification, as those see it who may see everything.
    Notification(Id),
    /// One notification without personal data.
    Masked(Id),
    /// How far the notifications of one batch are.
    Batch(Id),
    /// The whole store at a glance; the number tells apart what differs by configuration.
    Status(u64),
    /// The same without what may hold personal data.
    MaskedStatus(u64),
}

impl Key {
    /// Every answer that changes with a notification.
    pub(super) fn of(id: Id) -> [Self; 2] {
        [Self::Notification(id), Self::Masked(id)]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Notification(id) => write!(f, "n:{id}"),
            Self::Masked(id) => write!(f, "m:{id}"),
            Self::Batch(id) => write!(f, "b:{id}"),
            Self::Status(which) => write!(f, "s:{which:x}"),
            Self::MaskedStatus(which) => write!(f, "t:{which:x}"),
        }
    }
}

/// For how long an answer may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// For `result_ttl`: it is settled. Telling of changes ends it earlier.
    Settled,
    /// The same, but no longer than this: then it may be another one without being told.
    SettledFor(Duration),
    /// For some seconds. Telling of changes ends it earlier.
    Open,
    /// For `max_age`: it changes with time, and without being told.
    Moment,
}

/// How long [`Keep::Open`] is.
pub const OPEN: Duration = Duration::from_secs(10);

/// An answer, made from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What is answered, ready to be sent.
    pub body: Bytes,
    /// For how long it may be kept.
    pub keep: Keep,
}

/// Where answers come from when the cache has none. Each call reads the store anew.
pub trait Source: Send + Sync + 'static {
    /// Why there is no answer.
    type Error: Send;

    /// Makes the answer; `None` when there is nothing of that id.
    fn load(&self, key: Key) -> impl Future<Output = Result<Option<Loaded>, Self::Error>> + Send;
}

/// An answer, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What is answered.
    pub body: Bytes,
    /// Where it comes from.
    pub from: From,
}

/// Where an answer comes from. Its `Display` is the value of the header `Notifyctl-Cache`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Redis, or what this process has just found there. Nothing in it is older than this.
    Hit(Duration),
    /// The store; it is in Redis from now on, unless it has changed since.
    Miss,
    /// The store; Redis has no part in it.
    Bypass,
    /// Another read of the same, which began this long ago.
    Shared(Duration),
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hit(age) => write!(f, "hit; age={}", age.as_millis()),
            Self::Miss => f.write_str("miss"),
            Self::Bypass => f.write_str("bypass"),
            Self::Shared(age) => write!(f, "shared; age={}", age.as_millis()),
        }
    }
}
