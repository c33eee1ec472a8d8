//! One notification of the model, and what each verb makes of it.

use notifyctl::model::{Content, Id, NewNotification, Reason, Status, Timestamp};
use notifyctl::store::{Attempt, Claimed, Notification, Summary};

/// A notification: what is shown of it, its attempts that ended, and who has it.
pub struct Row {
    pub shown: Notification,
    pub tried: Vec<Attempt>,
    pub lease: Option<Lease>,
    /// Since when it is deferred.
    pub deferred_since: Option<Timestamp>,
    /// Whether it was claimed as the one that probes a channel in trouble.
    pub probes: bool,
}

pub struct Lease {
    pub worker: Id,
    pub name: String,
    pub token: i64,
    pub claimed_at: Timestamp,
    /// The same in time that nobody sets back.
    pub really: Timestamp,
}

impl Row {
    pub fn accepted(now: Timestamp, id: Id, batch_id: Option<Id>, new: &NewNotification) -> Self {
        let summary = Summary {
            id,
            batch_id,
            user_id: new.user_id.clone(),
            channel: new.channel.clone(),
            status: Status::Pending,
            priority: new.priority,
            recipient: new.content.recipient.clone(),
            subject: new.content.subject.clone(),
            created_at: now,
            next_attempt_at: new.not_before.map_or(now, |at| at.max(now)),
            expires_at: new.expires_at,
            settled_at: None,
            attempts: 0,
            reason: None,
        };
        let shown = Notification {
            summary,
            content: new.content.clone(),
            // None of them has any.
            attachments: Vec::new(),
            not_before: new.not_before,
            idempotency_key: None,
            key_expires_at: None,
            retries: 0,
            crashes: 0,
            worker: None,
            lease_expires_at: None,
        };
        Self { shown, tried: Vec::new(), lease: None, deferred_since: None, probes: false }
    }

    /// Whether `token` is that of the lease under which attempt number `attempt` is made.
    pub fn is_leased(&self, attempt: u32, token: i64) -> bool {
        self.shown.summary.attempts == attempt
            && self.lease.as_ref().is_some_and(|lease| lease.token == token)
    }

    /// Stands at `status` from now on, in nobody's hands.
    pub fn becomes(&mut self, status: Status, reason: Option<Reason>, now: Timestamp) {
        let summary = &mut self.shown.summary;
        (summary.status, summary.reason) = (status, reason);
        summary.settled_at = status.is_final().then_some(now);
        (self.shown.worker, self.shown.lease_expires_at) = (None, None);
    }

    /// As a worker gets it.
    pub fn claimed(&self, content: Content) -> Claimed {
        let Summary { id, batch_id, priority, created_at, expires_at, attempts, .. } = self.shown.summary;
        Claimed {
            id,
            attempt: attempts,
            lease_token: self.lease.as_ref().map_or(0, |lease| lease.token),
            channel: self.shown.summary.channel.clone(),
            batch_id,
            user_id: self.shown.summary.user_id.clone(),
            priority,
            created_at,
            expires_at,
            retries: self.shown.retries,
            crashes: self.shown.crashes,
            deferred_since: self.deferred_since,
            probes: self.probes,
            content,
        }
    }

    /// Those that ended, and the one under way.
    pub fn attempts(&self) -> Vec<Attempt> {
        let under_way = self.lease.as_ref().map(|lease| Attempt {
            number: self.shown.summary.attempts,
            worker: lease.name.clone(),
            started_at: lease.claimed_at,
            ended_at: None,
            outcome: None,
            reason: None,
            detail: String::new(),
            late: None,
        });
        self.tried.iter().cloned().chain(under_way).collect()
    }

    pub fn cancel(&mut self, now: Timestamp) {
        self.becomes(Status::Cancelled, Some(Reason::Operator), now);
    }

    pub fn hold(&mut self, now: Timestamp) {
        self.becomes(Status::Held, Some(Reason::Operator), now);
    }

    /// Due at once, or at `not_before`.
    pub fn release(&mut self, now: Timestamp) {
        self.becomes(Status::Pending, None, now);
        self.shown.summary.next_attempt_at = self.shown.not_before.map_or(now, |at| at.max(now));
        self.deferred_since = None;
    }

    /// The same, with a fresh retry schedule and no expiry.
    pub fn requeue(&mut self, now: Timestamp) {
        self.release(now);
        self.shown.summary.expires_at = None;
        (self.shown.retries, self.shown.crashes) = (0, 0);
    }
}
