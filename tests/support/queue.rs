//! A sandbox's store, filled through the library: notifications brought to any status in a few milliseconds.

use std::time::Duration;

use notifyctl::clock::{Clock, SystemClock};
use notifyctl::model::{
    Content, Id, NewNotification, Outcome, Priority, Reason, Status, Timestamp, Transition, Verdict,
};
use notifyctl::store::{
    Access, Claim, Claimed, Exchange, GiveBack, NewBatch, Next, Options, Selection, Settlement, Store,
    Worker, open,
};

use super::Sandbox;

/// A store, and a worker that claims from it.
pub struct Queue {
    pub store: Box<dyn Store>,
    worker: Box<dyn Worker>,
    token: i64,
}

/// Never the limit in a test.
const LEASE: Duration = Duration::from_secs(600);

impl Queue {
    pub fn new(sandbox: &Sandbox) -> Self {
        let url = format!("sqlite://{}", sandbox.db().display()).parse().expect("a URL");
        let options = Options { url, busy_timeout: Duration::from_secs(10) };
        let mut store = open(&options, Access::Create, now()).expect("open the store");
        let worker = store.register(now(), "mx.example.org:1:2").expect("register");
        Self { store, worker, token: 0 }
    }

    /// Enqueues one that is due at once.
    pub fn pending(&mut self, channel: &str, recipient: &str) -> Id {
        self.enqueue(plain(channel, recipient))
    }

    pub fn enqueue(&mut self, new: NewNotification) -> Id {
        let now = now();
        self.store.enqueue(now, now.plus(LEASE), &[new]).expect("enqueue")[0].id
    }

    /// Enqueues `n` that are due at once, as a batch; their ids are the last `n`.
    pub fn batch(&mut self, channel: &str, n: usize) -> Id {
        let now = now();
        let batch = NewBatch { source: "nightly.csv".into(), key_expires_at: now.plus(LEASE) };
        let mut left = n;
        let mut rows = || match left {
            0 => Next::Commit,
            _ => {
                left -= 1;
                Next::Row(Box::new(plain(channel, &format!("user{left}@example.org"))))
            }
        };
        self.store.enqueue_batch(now, &batch, &mut rows).expect("enqueue").expect("rows").id
    }

    /// Enqueues one and brings it to `status`.
    pub fn at(&mut self, status: Status, channel: &str) -> Id {
        let new = plain(channel, &format!("{status}@example.org"));
        match status {
            Status::Expired => {
                let begun = now().minus(LEASE);
                let new = NewNotification { expires_at: Some(begun.plus(LEASE / 2)), ..new };
                let id = self.store.enqueue(begun, now(), &[new]).expect("enqueue")[0].id;
                self.store.expire(now(), 1).expect("expire");
                id
            }
            _ => {
                let id = self.enqueue(new);
                self.bring(id, channel, status);
                id
            }
        }
    }

    fn bring(&mut self, id: Id, channel: &str, status: Status) {
        let only = Selection::Ids(vec![id]);
        match status {
            Status::Pending => {}
            Status::Held => drop(self.store.hold(now(), &only).expect("hold")),
            Status::Cancelled => drop(self.store.cancel(now(), &only).expect("cancel")),
            Status::Sending => drop(self.claim(id, channel)),
            Status::Sent => self.settle(id, channel, status, Verdict::sent("250 2.0.0 Ok: queued as 4F2")),
            Status::Dead => {
                let words = "550 5.1.1 no such user";
                let verdict = Verdict::new(Outcome::Rejected, Reason::RecipientRejected, words);
                self.settle(id, channel, status, verdict);
            }
            Status::Expired => unreachable!("expired as it was enqueued"),
        }
    }

    /// One attempt for `id`, which is due on `channel`, ends with `verdict`, and leaves it at `status`.
    pub fn settle(&mut self, id: Id, channel: &str, status: Status, verdict: Verdict) {
        let claimed = self.claim(id, channel);
        let now = now();
        let settlement = Settlement {
            id,
            attempt: claimed.attempt,
            lease_token: claimed.lease_token,
            channel: claimed.channel,
            batch_id: claimed.batch_id,
            worker: self.worker.id(),
            started_at: now,
            ended_at: now,
            transition: Transition {
                status,
                next_attempt_at: now.plus(Duration::from_secs(3_600)),
                reason: verdict.reason,
                retries: claimed.retries + 1,
                crashes: 0,
            },
            verdict,
        };
        let exchange = Exchange { settle: vec![settlement], ..self.round(now) };
        assert_eq!(self.store.exchange(&exchange).expect("settle").settled, [true]);
    }

    /// Claims `id` and nothing else; its attempt is then under way.
    pub fn claim(&mut self, id: Id, channel: &str) -> Claimed {
        self.token += 1;
        let claim = Claim {
            channel: channel.into(),
            limit: 10_000,
            rates: Vec::new(),
            lease: LEASE,
            lease_token: self.token,
        };
        let exchange = Exchange { claim: vec![claim], ..self.round(now()) };
        let claimed = self.store.exchange(&exchange).expect("claim").claims.remove(0).claimed;
        let (wanted, others): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|one| one.id == id);
        let give_back = others.into_iter().map(|one| GiveBack {
            id: one.id,
            attempt: one.attempt,
            lease_token: one.lease_token,
            channel: one.channel,
            batch_id: one.batch_id,
        });
        let exchange = Exchange { give_back: give_back.collect(), ..self.round(now()) };
        self.store.exchange(&exchange).expect("give back");
        wanted.into_iter().next().expect("it is due on that channel")
    }

    fn round(&self, now: Timestamp) -> Exchange {
        Exchange { now, worker: self.worker.id(), jitter: 0.5, ..Exchange::default() }
    }

    pub fn status(&self, id: Id) -> Option<Status> {
        self.store.get(id).expect("read").map(|row| row.summary.status)
    }
}

/// The time that the binary sees, too.
pub fn now() -> Timestamp {
    SystemClock.now()
}

pub fn plain(channel: &str, recipient: &str) -> NewNotification {
    NewNotification {
        channel: channel.into(),
        content: Content {
            recipient: recipient.into(),
            subject: Some("disk full".into()),
            message: "The disk of db1 is full.\n".into(),
            ..Content::default()
        },
        user_id: None,
        priority: Priority::Normal,
        not_before: None,
        expires_at: None,
        idempotency_key: None,
    }
}
