//! The JSON shapes shown outside and read from outside; only ever extended.

mod cache;
mod channel;
mod configuration;
pub mod envelope;
mod event;
mod history;
pub mod mask;
mod notification;
pub mod receipt;
pub mod row;
mod shape;
mod status;
mod steering;
pub mod tally;
mod token;
mod why;
pub mod words;

use chrono::{DateTime, SecondsFormat, Utc};

pub use cache::{Cache, CacheReads, CacheUse};
pub use channel::{Channel, Hold, Rate, Test, Trouble};
pub use configuration::Configuration;
pub use event::{Event, Frame, Mark, Sight};
pub use history::{Flow, History, Step};
pub use notification::{Attachment, Attempt, Notification, Standing, Summary};
pub use receipt::{Accepted, AcceptedBatch};
pub use status::{Batch, ChannelStatus, Counts, Pass, Status, Worker};
pub use steering::{Check, Fate, Finding, Purge, Steered, TableStats};
pub use token::Token;
pub use why::{Obstacle, Why};

use crate::model::Timestamp;

/// RFC 3339 in UTC with milliseconds: `2026-11-20T02:00:00.000Z`.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    match DateTime::<Utc>::from_timestamp_millis(at.0) {
        Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true),
        // Beyond the year 262000: nothing that a clock or an option could have given.
        None => format!("{}ms", at.0),
    }
}

/// The candidate that was probably meant by `word`, if one is near enough.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Beyond the length of any name it is not a typing mistake, and the comparison costs its square.
    if word.len() > 64 {
        return None;
    }
    let distance = |candidate: &&str| strsim::damerau_levenshtein(&word.to_lowercase(), candidate);
    let near = candidates.into_iter().min_by_key(distance)?;
    (distance(&near) <= 1 + word.len() / 4).then_some(near)
}
