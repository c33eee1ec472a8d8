//! One process that claims and settles, without the engine: what the store's own tests drive it with, and what
//! brings notifications to any status for the others.

use std::path::Path;
use std::time::Duration;

use notifyctl::model::{Content, NewNotification, Outcome, Reason, Status, Timestamp, Transition, Verdict};
use notifyctl::store::{
    Access, Claim, ClaimReply, Claimed, Exchange, GiveBack, Options, Settlement, Store, StoreUrl, Worker,
    open,
};

/// The store in the SQLite file at `path`.
pub fn sqlite(path: &Path, access: Access, now: Timestamp) -> Box<dyn Store> {
    let options = Options { url: StoreUrl::Sqlite(path.into()), busy_timeout: Duration::from_secs(30) };
    open(&options, access, now).expect("open the store")
}

/// The channel of what is not about several.
pub const CHANNEL: &str = "c";

/// A connection, a worker that is announced on it, and the lease of its claims.
pub struct Hand {
    pub store: Box<dyn Store>,
    pub worker: Box<dyn Worker>,
    lease: Duration,
    token: i64,
}

impl Hand {
    pub fn new(mut store: Box<dyn Store>, now: Timestamp, name: &str, lease: Duration) -> Self {
        let worker = store.register(now, name).expect("register");
        let token = worker.id();
        Self { store, worker, lease, token }
    }

    /// A round in which nothing is done yet.
    pub fn exchange(&self, now: Timestamp) -> Exchange {
        Exchange { now, worker: self.worker.id(), jitter: 0.5, ..Exchange::default() }
    }

    /// A claim under a token of its own.
    pub fn wish(&mut self, channel: &str, limit: u32, rates: &[&str]) -> Claim {
        self.token += 1;
        Claim {
            channel: channel.into(),
            limit,
            rates: rates.iter().map(|rate| rate.parse().expect("a rate")).collect(),
            lease: self.lease,
            lease_token: self.token,
        }
    }

    /// Claims from `channel` within `rates`.
    pub fn claim_from(&mut self, now: Timestamp, channel: &str, limit: u32, rates: &[&str]) -> ClaimReply {
        let claim = vec![self.wish(channel, limit, rates)];
        let exchange = Exchange { claim, ..self.exchange(now) };
        self.store.exchange(&exchange).expect("claim").claims.remove(0)
    }

    /// Claims from [`CHANNEL`] within `rates`.
    pub fn claim_with(&mut self, now: Timestamp, limit: u32, rates: &[&str]) -> ClaimReply {
        self.claim_from(now, CHANNEL, limit, rates)
    }

    /// Claims from [`CHANNEL`].
    pub fn claim(&mut self, now: Timestamp, limit: u32) -> Vec<Claimed> {
        self.claim_with(now, limit, &[]).claimed
    }

    /// The result of an attempt that took no time; what is deferred is due again after 30 seconds.
    pub fn settlement(
        &self,
        claimed: &Claimed,
        now: Timestamp,
        status: Status,
        verdict: Verdict,
    ) -> Settlement {
        let transition = Transition {
            status,
            next_attempt_at: now.plus(Duration::from_secs(30)),
            reason: verdict.reason,
            retries: claimed.retries + 1,
            crashes: 0,
        };
        result(claimed, self.worker.id(), (now, now), verdict, transition)
    }

    /// Settles one; says whether its lease was still good.
    pub fn settle(&mut self, claimed: &Claimed, now: Timestamp, status: Status) -> bool {
        let verdict = match status {
            Status::Sent => Verdict::sent("250 2.0.0 Ok: queued as 4F2"),
            Status::Pending => Verdict::new(Outcome::Deferred, Reason::TemporaryFailure, "451 later"),
            _ => Verdict::new(Outcome::Rejected, Reason::RecipientRejected, "550 5.1.1 no such user"),
        };
        self.settle_as(claimed, now, status, verdict)
    }

    pub fn settle_as(&mut self, claimed: &Claimed, now: Timestamp, status: Status, verdict: Verdict) -> bool {
        let settle = vec![self.settlement(claimed, now, status, verdict)];
        let exchange = Exchange { settle, ..self.exchange(now) };
        self.store.exchange(&exchange).expect("settle").settled[0]
    }
}

/// What `worker` writes of an attempt from `began` to `ended`.
pub fn result(
    claimed: &Claimed,
    worker: notifyctl::model::Id,
    (started_at, ended_at): (Timestamp, Timestamp),
    verdict: Verdict,
    transition: Transition,
) -> Settlement {
    Settlement {
        id: claimed.id,
        attempt: claimed.attempt,
        lease_token: claimed.lease_token,
        channel: claimed.channel.clone(),
        batch_id: claimed.batch_id,
        worker,
        started_at,
        ended_at,
        verdict,
        transition,
    }
}

/// A claim that is not used; it still counts against the channel's rates.
pub fn unused(claimed: &Claimed) -> GiveBack {
    GiveBack {
        id: claimed.id,
        attempt: claimed.attempt,
        lease_token: claimed.lease_token,
        channel: claimed.channel.clone(),
        batch_id: claimed.batch_id,
        uncounted: false,
    }
}

/// One that is due at once and says as little as it may.
pub fn plain(channel: &str, recipient: &str) -> NewNotification {
    NewNotification {
        channel: channel.into(),
        content: Content {
            recipient: recipient.into(),
            subject: Some("disk full".into()),
            message: "The disk of db1 is full.\n".into(),
            ..Content::default()
        },
        ..NewNotification::default()
    }
}
