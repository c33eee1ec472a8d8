//! The log: one line per attempt with fixed keys, one per channel in trouble.

use std::time::Duration;

use log::Level;

use super::LOG_TARGET;
use crate::model::{Outcome, Scope, Status};
use crate::store::Settlement;

/// The level of the line about an attempt; `known` when the channel's trouble has been told before.
///
/// A deferral is everyday business (greylisting) and has its retry: at `warn` cron would mail each of them.
pub(super) fn level(settlement: &Settlement, known: bool) -> Level {
    let verdict = &settlement.verdict;
    match (settlement.transition.status, verdict.outcome, verdict.scope) {
        (Status::Dead, ..) => Level::Error,
        (Status::Sent, ..) => Level::Info,
        (_, Outcome::Deferred, Scope::Notification) => Level::Info,
        (_, Outcome::Deferred, Scope::Channel) if known => Level::Info,
        _ => Level::Warn,
    }
}

/// One line about an attempt; `what` is `attempt` unless its result could not be written.
pub(super) fn attempt(level: Level, settlement: &Settlement, took: Duration, worker: &str, what: &str) {
    if !log::log_enabled!(target: LOG_TARGET, level) {
        return;
    }
    log::log!(
        target: LOG_TARGET,
        level,
        id = settlement.id,
        attempt = settlement.attempt,
        channel = settlement.channel.as_str(),
        outcome = settlement.verdict.outcome.as_str(),
        reason = settlement.verdict.reason.as_str(),
        detail = settlement.verdict.detail.as_str(),
        ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        worker = worker,
        status = settlement.transition.status.as_str();
        "{what}"
    );
}
