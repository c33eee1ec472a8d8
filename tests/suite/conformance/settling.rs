//! Writing results back, and what becomes of workers that never do.

use std::time::Duration;

use notifyctl::model::{Outcome, Reason, Status, Verdict};
use notifyctl::store::PassRecord;

use super::{LEASE, Place, T, at, enqueue, hand, new, sound, status};
use crate::support::hand::Hand;

pub fn every_outcome_is_on_record(place: &dyn Place) {
    let mut hand = hand(place, "host:1:2");
    let id = enqueue(&mut *hand.store, T, &[new("a")])[0];
    let first = hand.claim(T, 1).remove(0);
    let under_way = hand.store.attempts(id).unwrap();
    assert_eq!((under_way.len(), under_way[0].ended_at, under_way[0].outcome), (1, None, None));
    assert!(hand.settle(&first, at(1), Status::Pending));
    assert!(hand.claim(at(30), 1).is_empty());
    let second = hand.claim(at(31), 1).remove(0);
    assert_eq!((second.attempt, second.retries), (2, 1));
    assert!(hand.settle(&second, at(32), Status::Sent));
    let attempts = hand.store.attempts(id).unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.unwrap()).collect();
    assert_eq!(outcomes, [Outcome::Deferred, Outcome::Sent]);
    assert_eq!(
        (attempts[1].worker.as_str(), attempts[1].detail.as_str()),
        ("host:1:2", "250 2.0.0 Ok: queued as 4F2")
    );
    let settled = hand.store.get(id).unwrap().unwrap().summary;
    assert_eq!((settled.status, settled.settled_at, settled.attempts), (Status::Sent, Some(at(32)), 2));
    assert_eq!(hand.store.counts().unwrap().of(Status::Sent), 1);
    sound(&*hand.store);
}

pub fn a_late_settlement_changes_nothing_and_leaves_evidence(place: &dyn Place) {
    let (mut slow, mut quick) = (hand(place, "slow"), hand(place, "quick"));
    let id = enqueue(&mut *slow.store, T, &[new("a")])[0];
    let lost = slow.claim(T, 1).remove(0);
    slow.worker.begin(0, id).unwrap();
    // Somebody takes it for dead and settles its attempt as unknown; then tries again.
    assert!(quick.settle(&lost, at(100), Status::Pending));
    let again = quick.claim(at(200), 1).remove(0);
    assert!(!slow.settle(&lost, at(201), Status::Sent), "the lease is lost");
    assert_eq!(status(&*slow.store, id), Status::Sending);
    assert_eq!(
        slow.store.attempts(id).unwrap()[0].late.as_deref(),
        Some("sent accepted 250 2.0.0 Ok: queued as 4F2")
    );
    assert!(quick.settle(&again, at(202), Status::Sent));
    assert!(!quick.settle(&again, at(203), Status::Dead), "and nothing is settled twice");
    assert_eq!(status(&*slow.store, id), Status::Sent);
    sound(&*slow.store);
}

pub fn of_two_heirs_the_second_leaves_no_evidence_in_place_of_the_workers_own(place: &dyn Place) {
    let (mut slow, mut heir, mut other) = (hand(place, "slow"), hand(place, "heir"), hand(place, "other"));
    let id = enqueue(&mut *slow.store, T, &[new("a")])[0];
    let lost = slow.claim(T, 1).remove(0);
    // Both have found it in the hands of one that hangs.
    let died = Verdict::new(Outcome::Unknown, Reason::WorkerDied, "the worker died during the attempt");
    assert!(heir.settle_as(&lost, at(100), Status::Pending, died.clone()));
    assert!(!other.settle_as(&lost, at(100), Status::Pending, died));
    let late = |hand: &Hand| hand.store.attempts(id).unwrap()[0].late.clone();
    assert_eq!(late(&slow), None);
    assert!(!slow.settle(&lost, at(101), Status::Sent));
    assert_eq!(late(&slow).as_deref(), Some("sent accepted 250 2.0.0 Ok: queued as 4F2"));
}

pub fn a_dead_workers_notifications_are_told_apart(place: &dyn Place) {
    let (mut dead, mut heir) = (hand(place, "dead"), hand(place, "heir"));
    enqueue(&mut *dead.store, T, &vec![new("a"); 3]);
    let claimed = dead.claim(T, 3);
    dead.worker.begin(0, claimed[1].id).unwrap();
    // Dropped: for the others it is gone, though by its own end it leaves no record of what had begun.
    drop(dead);
    let me = heir.worker.id();
    let orphans = heir.store.orphans(me, LEASE, 100).unwrap();
    assert_eq!(orphans.len(), 3);
    assert!(orphans.iter().all(|orphan| orphan.claimed_at == T));
    assert!(orphans.iter().any(|orphan| orphan.begun != Some(false) && orphan.claimed.id == claimed[1].id));
    assert_eq!(heir.store.orphans(me, LEASE, 2).unwrap().len(), 2);
}

pub fn a_living_workers_notifications_are_no_orphans(place: &dyn Place) {
    let (mut one, mut other) = (hand(place, "one"), hand(place, "other"));
    enqueue(&mut *one.store, T, &[new("a")]);
    assert_eq!(one.claim(T, 1).len(), 1);
    let me = other.worker.id();
    assert!(other.store.orphans(me, LEASE, 100).unwrap().is_empty());
    // However far the wall clock is ahead: it takes no part.
    let mine = one.worker.id();
    assert!(one.store.orphans(mine, Duration::ZERO, 100).unwrap().is_empty(), "one's own are no orphans");
}

pub fn what_passed_its_last_moment_expires(place: &dyn Place) {
    let mut store = place.open();
    let mut short = new("a");
    short.expires_at = Some(at(10));
    let ids = enqueue(&mut *store, T, &[short.clone(), short, new("b")]);
    store.hold(T, &super::only(&ids[..1])).unwrap();
    assert_eq!(store.expire(at(9), 100).unwrap(), 0);
    assert_eq!(store.expire(at(10), 1).unwrap(), 1);
    assert_eq!(store.expire(at(10), 100).unwrap(), 1);
    assert_eq!(store.counts().unwrap().of(Status::Expired), 2);
    assert_eq!(status(&*store, ids[2]), Status::Pending);
    sound(&*store);
}

pub fn leases_are_extended(place: &dyn Place) {
    let mut hand = hand(place, "h");
    let id = enqueue(&mut *hand.store, T, &[new("a")])[0];
    hand.claim(T, 1);
    let lease = |hand: &Hand| hand.store.get(id).unwrap().unwrap().lease_expires_at;
    assert_eq!(lease(&hand), Some(T.plus(LEASE)));
    let worker = hand.worker.id();
    hand.store.extend(worker, at(500)).unwrap();
    assert_eq!(lease(&hand), Some(at(500)));
}

pub fn passes_are_remembered(place: &dyn Place) {
    let mut store = place.open();
    assert_eq!(store.last_pass().unwrap(), None);
    for sent in 0..(PassRecord::KEPT as u64 + 5) {
        store.record_pass(&PassRecord { worker: "h:1:2".into(), sent, ..PassRecord::default() }).unwrap();
    }
    assert_eq!(store.last_pass().unwrap().unwrap().sent, PassRecord::KEPT as u64 + 4);
}
