//! What was only announced behind another one: whatever ends the worker's hold on it, it was not tried.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use notifyctl::channel::{Attempt, Channel, Envelope, Supply};
use notifyctl::delivery::Lane;
use notifyctl::model::{Id, Outcome, Reason, Status, Verdict};
use tokio_util::sync::CancellationToken;

use super::rig::{Rig, Scripted, lane, runtime, until};

/// What a channel does that has one notification under way and one announced behind it.
#[derive(Clone, Copy)]
enum End {
    Hangs,
    Panics,
    GivesBack,
}

/// Takes two, and comes to its end with them.
struct Announcing {
    end: End,
    /// Cancelled before it panics, so that nothing more is claimed.
    drain: CancellationToken,
    /// The pairs that it had, each in the order in which it got them.
    pairs: Mutex<Vec<(Id, Id)>>,
}

impl Channel for Announcing {
    fn attempt<'a>(&'a self, _envelope: &'a Envelope) -> Attempt<'a> {
        unreachable!("it is handed a supply")
    }

    fn carry<'a>(&'a self, supply: &'a mut dyn Supply) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let Some(first) = supply.next() else { return };
            let Some(second) = supply.next() else { return supply.ended(first.id, Verdict::sent("ok")) };
            assert!(supply.next().is_none(), "one ahead is the most");
            self.pairs.lock().unwrap().push((first.id, second.id));
            match self.end {
                End::Hangs => std::future::pending().await,
                End::Panics => {
                    self.drain.cancel();
                    panic!("a defect, on purpose")
                }
                End::GivesBack => {
                    supply.ended(first.id, Verdict::new(Outcome::Unknown, Reason::NoAnswer, "lost"));
                    supply.untried(second.id);
                }
            }
        })
    }
}

fn announcing(rig: &Rig, end: End) -> (Arc<Announcing>, Lane) {
    let drain = rig.stop.drain.clone();
    let channel = Arc::new(Announcing { end, drain, pairs: Mutex::default() });
    let like = lane("a", &Scripted::accepting());
    (Arc::clone(&channel), Lane { channel, max_in_flight: 2, ..like })
}

/// The first of the pair has an unknown end for this reason; of the second there is no attempt.
fn assert_ends(rig: &Rig, (first, second): (Id, Id), reason: Reason) {
    let store = rig.store();
    let attempts = store.attempts(first).unwrap();
    assert_eq!((attempts[0].outcome, attempts[0].reason), (Some(Outcome::Unknown), Some(reason)));
    assert_eq!(store.attempts(second).unwrap(), [], "it was not tried");
    let second = store.get(second).unwrap().unwrap().summary;
    assert_eq!((second.status, second.attempts), (Status::Pending, 0));
}

#[test]
fn a_worker_that_must_end_gives_back_what_was_only_announced() {
    let rig = Rig::new();
    rig.enqueue("a", 4);
    let (channel, lane) = announcing(&rig, End::Hangs);
    let mut store = rig.store();
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    let run = rig.deliver(store, worker, vec![lane]);
    let tally = runtime().block_on(async {
        let run = tokio::spawn(run);
        until("two pairs are under way", || channel.pairs.lock().unwrap().len() == 2).await;
        rig.stop.drain.cancel();
        rig.stop.abandon.cancel();
        run.await.unwrap().unwrap()
    });
    assert_eq!((tally.total.deferred, tally.given_back), (2, 2));
    for pair in channel.pairs.lock().unwrap().iter() {
        assert_ends(&rig, *pair, Reason::NoAnswer);
    }
}

#[test]
fn a_channel_that_panics_takes_nothing_with_it_that_was_only_announced() {
    let rig = Rig::new();
    rig.enqueue("a", 8);
    let (channel, lane) = announcing(&rig, End::Panics);
    let tally = rig.pass(vec![Lane { max_in_flight: 1, ..lane }]);
    assert_eq!(tally.total.deferred, 1);
    let pair = channel.pairs.lock().unwrap()[0];
    assert_ends(&rig, pair, Reason::LocalError);
}

#[test]
fn what_is_given_back_untried_is_claimed_again_in_the_same_pass() {
    let rig = Rig::new();
    let ids = rig.enqueue("a", 3);
    let (channel, lane) = announcing(&rig, End::GivesBack);
    let tally = rig.pass(vec![Lane { max_in_flight: 1, ..lane }]);
    let (lost, again) = channel.pairs.lock().unwrap()[0];
    assert_eq!((tally.total.sent, tally.total.deferred), (2, 1), "{ids:?}");
    assert_eq!(rig.store().attempts(lost).unwrap()[0].outcome, Some(Outcome::Unknown));
    let attempts = rig.store().attempts(again).unwrap();
    assert_eq!((attempts.len(), attempts[0].number), (1, 1), "what was taken back is no attempt");
}
