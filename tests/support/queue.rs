//! A sandbox's store, filled through the library: notifications brought to any status in a few milliseconds.

use std::time::Duration;

use notifyctl::clock::{Clock, SystemClock};
use notifyctl::model::{Id, NewNotification, Outcome, Reason, Status, Timestamp, Verdict};
use notifyctl::store::{Access, Claimed, Exchange, NewBatch, Next, Selection};

use super::Sandbox;
use super::hand::{Hand, sqlite, unused};

pub use super::hand::plain;

/// A hand on a sandbox's store.
pub struct Queue {
    pub hand: Hand,
}

/// Never the limit in a test.
const LEASE: Duration = Duration::from_secs(600);

impl Queue {
    pub fn new(sandbox: &Sandbox) -> Self {
        let store = sqlite(&sandbox.db(), Access::Create, now());
        Self { hand: Hand::new(store, now(), "mx.example.org:1:2", LEASE) }
    }

    /// Enqueues one that is due at once.
    pub fn pending(&mut self, channel: &str, recipient: &str) -> Id {
        self.enqueue(plain(channel, recipient))
    }

    pub fn enqueue(&mut self, new: NewNotification) -> Id {
        let now = now();
        self.hand.store.enqueue(now, now.plus(LEASE), &[new]).expect("enqueue")[0].id
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
        self.hand.store.enqueue_batch(now, &batch, &mut rows).expect("enqueue").expect("rows").id
    }

    /// Enqueues one and brings it to `status`.
    pub fn at(&mut self, status: Status, channel: &str) -> Id {
        let new = plain(channel, &format!("{status}@example.org"));
        match status {
            Status::Expired => {
                let begun = now().minus(LEASE);
                let new = NewNotification { expires_at: Some(begun.plus(LEASE / 2)), ..new };
                let id = self.hand.store.enqueue(begun, now(), &[new]).expect("enqueue")[0].id;
                self.hand.store.expire(now(), 1).expect("expire");
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
            Status::Held => drop(self.hand.store.hold(now(), &only).expect("hold")),
            Status::Cancelled => drop(self.hand.store.cancel(now(), &only).expect("cancel")),
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
        let mut settlement = self.hand.settlement(&claimed, now(), status, verdict);
        settlement.transition.next_attempt_at = settlement.ended_at.plus(Duration::from_secs(3_600));
        let exchange = Exchange { settle: vec![settlement], ..self.hand.exchange(now()) };
        assert_eq!(self.hand.store.exchange(&exchange).expect("settle").settled, [true]);
    }

    /// Claims `id` and nothing else; its attempt is then under way.
    pub fn claim(&mut self, id: Id, channel: &str) -> Claimed {
        let claimed = self.hand.claim_from(now(), channel, 10_000, &[]).claimed;
        let (wanted, others): (Vec<_>, Vec<_>) = claimed.into_iter().partition(|one| one.id == id);
        let exchange =
            Exchange { give_back: others.iter().map(unused).collect(), ..self.hand.exchange(now()) };
        self.hand.store.exchange(&exchange).expect("give back");
        wanted.into_iter().next().expect("it is due on that channel")
    }

    pub fn status(&self, id: Id) -> Option<Status> {
        self.hand.store.get(id).expect("read").map(|row| row.summary.status)
    }
}

/// The time that the binary sees, too.
pub fn now() -> Timestamp {
    SystemClock.now()
}
