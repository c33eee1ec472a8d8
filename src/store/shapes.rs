//! The store's rows as the shapes that are shown outside.

use std::collections::BTreeMap;

use super::{self as store, Reader};
use crate::model::{Rate, Status, Timestamp};
use crate::wire;

/// What is configured of a channel, as far as `status` tells it.
#[derive(Debug, Clone, Copy)]
pub struct Configured<'a> {
    /// Its name.
    pub name: &'a str,
    /// `smtp`, `webhook`, `exec` or `file`.
    pub kind: &'static str,
    /// Its limits.
    pub rates: &'a [Rate],
}

/// A notification as lists show it.
#[must_use]
pub fn summary(row: store::Summary) -> wire::Summary {
    wire::Summary {
        id: row.id,
        status: row.status,
        reason: row.reason,
        channel: row.channel,
        priority: row.priority,
        recipient: row.recipient,
        subject: row.subject,
        user_id: row.user_id,
        batch_id: row.batch_id,
        created_at: row.created_at,
        next_attempt_at: (row.status == Status::Pending).then_some(row.next_attempt_at),
        expires_at: row.expires_at,
        settled_at: row.settled_at,
        attempts: row.attempts,
    }
}

/// A notification, whole.
#[must_use]
pub fn notification(
    row: store::Notification,
    stable_id: String,
    attempts: Vec<store::Attempt>,
) -> wire::Notification {
    let content = row.content;
    wire::Notification {
        summary: summary(row.summary),
        stable_id,
        message: content.message,
        html: content.html,
        headers: headers(&content.headers),
        attachments: row.attachments.into_iter().map(attachment).collect(),
        not_before: row.not_before,
        idempotency_key: row.idempotency_key,
        retries: row.retries,
        crashes: row.crashes,
        worker: row.worker,
        lease_expires_at: row.lease_expires_at,
        history: attempts.into_iter().map(attempt).collect(),
    }
}

fn attachment(row: store::Attached) -> wire::Attachment {
    wire::Attachment { name: row.name, media_type: row.media_type, size: row.size }
}

fn headers(headers: &[(String, String)]) -> BTreeMap<String, String> {
    wire::envelope::headers(headers).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn attempt(row: store::Attempt) -> wire::Attempt {
    wire::Attempt {
        number: row.number,
        worker: row.worker,
        started_at: row.started_at,
        ended_at: row.ended_at,
        outcome: row.outcome,
        reason: row.reason,
        detail: row.detail,
        late: row.late,
    }
}

/// A batch with its counts.
#[must_use]
pub fn batch(row: store::Batch) -> wire::Batch {
    wire::Batch {
        id: row.id,
        source: row.source,
        created_at: row.created_at,
        accepted: row.counts.accepted,
        purged: row.counts.purged,
        counts: wire::Counts(row.counts.statuses),
    }
}

fn pass(row: store::PassRecord) -> wire::Pass {
    wire::Pass {
        worker: row.worker,
        started_at: row.started_at,
        ended_at: row.ended_at,
        sent: row.sent,
        deferred: row.deferred,
        dead: row.dead,
        expired: row.expired,
        held: row.held,
    }
}

/// A daemon or a pass that lives.
fn worker(row: store::LiveWorker, now: Timestamp) -> wire::Worker {
    wire::Worker {
        sends: row.sends(),
        worker: row.name,
        roles: row.roles,
        since: row.since,
        seen_at: now.minus(row.silent),
        hangs: row.hangs,
    }
}

/// When somebody who delivers was seen last: the sign of life of one who lives, or the end of a pass.
///
/// # Errors
/// When the store cannot be read.
pub fn sender_seen_at(reader: &dyn Reader, now: Timestamp) -> store::Result<Option<Timestamp>> {
    let live = reader.workers()?.into_iter().filter(|worker| worker.sends() && !worker.hangs);
    let ended = reader.last_pass()?.map(|pass| pass.ended_at);
    Ok(live.map(|worker| now.minus(worker.silent)).chain(ended).max())
}

/// Since when and why a channel is held.
#[must_use]
pub fn hold(state: &store::ChannelState) -> Option<wire::Hold> {
    state.held.clone().map(|(since, reason)| wire::Hold { since, reason })
}

/// What a channel's trouble still keeps back; `None` when nothing does and the next attempt is not a probe.
#[must_use]
pub fn trouble(state: &store::ChannelState, now: Timestamp) -> Option<wire::Trouble> {
    let breaker = &state.breaker;
    let ahead = |at: Option<Timestamp>| at.filter(|at| *at > now);
    (breaker.failures > 0 || ahead(breaker.clears_at()).is_some()).then(|| wire::Trouble {
        failures: breaker.failures,
        paused_until: ahead(breaker.paused_until),
        probing_until: ahead(breaker.probing_until),
        reason: breaker.reason,
        detail: breaker.detail.clone(),
    })
}

/// How far a channel's rates are used: as configured, or as last used when the channel is not configured.
#[must_use]
pub fn rates(
    configured: Option<&[Rate]>,
    state: Option<&store::ChannelState>,
    now: Timestamp,
) -> Vec<wire::Rate> {
    let used = state.map(|state| state.rates.as_slice()).unwrap_or_default();
    let Some(configured) = configured else {
        return used.iter().map(|row| rate(row, now)).collect();
    };
    let unused = |&rate| store::RateState { rate, used: 0, next_free_at: now };
    let found = |wanted: &Rate| used.iter().find(|row| row.rate == *wanted).cloned();
    configured.iter().map(|wanted| rate(&found(wanted).unwrap_or_else(|| unused(wanted)), now)).collect()
}

fn rate(row: &store::RateState, now: Timestamp) -> wire::Rate {
    wire::Rate {
        rate: row.rate.to_string(),
        used: row.used,
        limit: row.rate.limit(),
        next_free_at: (row.next_free_at > now).then_some(row.next_free_at),
    }
}

/// The whole store at a glance: every channel that is configured or was ever used. `place` is the store's URL.
///
/// # Errors
/// When the store cannot be read.
pub fn status(
    reader: &dyn Reader,
    configured: &[Configured<'_>],
    place: String,
    now: Timestamp,
) -> store::Result<wire::Status> {
    let (counts, due, states) = (reader.counts()?, reader.due(now)?, reader.channels(now)?);
    let mut status = wire::Status {
        counts: wire::Counts::default(),
        channels: BTreeMap::new(),
        oldest_due_at: due.iter().filter_map(|row| row.oldest_due_at).min(),
        next_due_at: due.iter().filter_map(|row| row.next_due_at).min(),
        accepted: 0,
        purged: 0,
        last_pass: reader.last_pass()?.map(pass),
        workers: reader.workers()?.into_iter().map(|row| worker(row, now)).collect(),
        sender_seen_at: sender_seen_at(reader, now)?,
        cache: None,
        store: place,
        at: now,
    };
    for one in configured {
        let channel = status.channels.entry(one.name.to_owned()).or_default();
        channel.kind = Some(one.kind.to_owned());
        channel.rates = rates(Some(one.rates), None, now);
    }
    for (name, row) in counts.channels {
        let channel = status.channels.entry(name).or_default();
        channel.counts = wire::Counts(row.statuses);
        channel.accepted = row.accepted;
        channel.purged = row.purged;
        status.counts.add(&channel.counts);
        status.accepted += row.accepted;
        status.purged += row.purged;
    }
    for row in due {
        let channel = status.channels.entry(row.channel).or_default();
        channel.oldest_due_at = row.oldest_due_at;
        channel.next_due_at = row.next_due_at;
    }
    for state in states {
        let configured = configured.iter().find(|one| one.name == state.channel).map(|one| one.rates);
        let channel = status.channels.entry(state.channel.clone()).or_default();
        channel.held = hold(&state);
        channel.trouble = trouble(&state, now);
        channel.rates = rates(configured, Some(&state), now);
    }
    Ok(status)
}
