//! What an operator does.

use notifyctl::model::{Id, Status};
use notifyctl::store::{Changed, Filter, Selection, Store};

use super::{Place, T, at, enqueue, hand, new, only, sound, status};
use crate::support::hand::Hand;

/// One notification in each status.
fn one_of_each(hand: &mut Hand) -> Vec<(Status, Id)> {
    let mut expiring = new("e");
    expiring.expires_at = Some(at(5));
    let sent_dead = enqueue(&mut *hand.store, T, &[new("a"), new("b"), new("c")]);
    for (claimed, to) in hand.claim(T, 2).iter().zip([Status::Sent, Status::Dead]) {
        assert!(hand.settle(claimed, T, to));
    }
    hand.claim(T, 1);
    let rest = enqueue(&mut *hand.store, at(1), &[new("p"), new("h"), new("x"), expiring]);
    hand.store.hold(at(1), &only(&rest[1..2])).unwrap();
    hand.store.cancel(at(1), &only(&rest[2..3])).unwrap();
    hand.store.expire(at(5), 10).unwrap();
    let ids = [rest[0], rest[1], sent_dead[2], sent_dead[0], sent_dead[1], rest[3], rest[2]];
    let all: Vec<_> = Status::ALL.into_iter().zip(ids).collect();
    for (expected, id) in &all {
        assert_eq!(status(&*hand.store, *id), *expected);
    }
    all
}

pub fn each_verb_applies_where_it_is_legal_and_refuses_elsewhere(place: &dyn Place) {
    type Verb = fn(&mut dyn Store, &Selection) -> Changed;
    let verbs: [(Verb, &[Status], Status); 4] = [
        (|s, w| s.cancel(at(6), w).unwrap(), &[Status::Pending, Status::Held], Status::Cancelled),
        (|s, w| s.hold(at(6), w).unwrap(), &[Status::Pending], Status::Held),
        (|s, w| s.release(at(6), w).unwrap(), &[Status::Held], Status::Pending),
        (
            |s, w| s.requeue(at(6), w).unwrap(),
            &[Status::Dead, Status::Expired, Status::Cancelled],
            Status::Pending,
        ),
    ];
    for (verb, legal, to) in verbs {
        let mut hand = hand(place, "h");
        let all = one_of_each(&mut hand);
        let ids: Vec<Id> = all.iter().map(|(_, id)| *id).collect();
        let changed = verb(&mut *hand.store, &only(&ids));
        for (from, id) in all {
            assert_eq!(changed.changed.contains(&id), legal.contains(&from), "{from} -> {to}");
            assert_eq!(changed.refused.contains(&(id, from)), !legal.contains(&from), "{from} -> {to}");
            assert_eq!(status(&*hand.store, id), if legal.contains(&from) { to } else { from });
        }
        sound(&*hand.store);
    }
}

pub fn a_selection_takes_the_oldest_up_to_its_limit(place: &dyn Place) {
    let mut store = place.open();
    let ids = enqueue(&mut *store, T, &vec![new("a"); 5]);
    let filter = Filter { channel: Some("c".into()), ..Filter::default() };
    let which = Selection::Matching { filter, limit: 3 };
    assert_eq!(store.hold(T, &which).unwrap().changed, ids[..3]);
    assert_eq!(store.hold(T, &which).unwrap().changed, ids[3..]);
    assert_eq!(store.hold(T, &which).unwrap(), Changed::default());
    sound(&*store);
}

pub fn the_oldest_go_first_in_whatever_status_they_are(place: &dyn Place) {
    let mut store = place.open();
    let ids = enqueue(&mut *store, T, &vec![new("a"); 3]);
    store.hold(T, &only(&ids[..1])).unwrap();
    let which = Selection::Matching { filter: Filter::default(), limit: 2 };
    assert_eq!(store.cancel(T, &which).unwrap().changed, ids[..2]);
    sound(&*store);
}

pub fn an_id_that_is_named_twice_changes_once(place: &dyn Place) {
    let mut store = place.open();
    let id = enqueue(&mut *store, T, &[new("a")])[0];
    let changed = store.cancel(T, &only(&[id, id, 4711, 4711])).unwrap();
    assert_eq!(changed, Changed { changed: vec![id], refused: Vec::new(), missing: vec![4711] });
    assert_eq!(store.counts().unwrap().of(Status::Cancelled), 1);
    sound(&*store);
}

pub fn requeued_starts_afresh(place: &dyn Place) {
    let mut hand = hand(place, "h");
    let mut short = new("a");
    short.expires_at = Some(at(100));
    let id = enqueue(&mut *hand.store, T, &[short])[0];
    let one = hand.claim(T, 1).remove(0);
    assert!(hand.settle(&one, T, Status::Dead));
    hand.store.requeue(at(200), &only(&[id])).unwrap();
    let again = hand.claim(at(200), 1).remove(0);
    assert_eq!((again.attempt, again.retries, again.crashes, again.expires_at), (2, 0, 0, None));
    assert!(hand.settle(&again, at(201), Status::Sent));
    sound(&*hand.store);
}

/// Patience begins with the first attempt, and anew when somebody starts it again or lets it go.
pub fn it_is_known_since_when_it_is_deferred(place: &dyn Place) {
    let mut hand = hand(place, "h");
    let id = enqueue(&mut *hand.store, T, &[new("a")])[0];
    let since = |hand: &mut Hand, moment: u64, then: Status| {
        let one = hand.claim(at(moment), 1).remove(0);
        assert!(hand.settle(&one, at(moment), then));
        one.deferred_since
    };
    assert_eq!(since(&mut hand, 100, Status::Pending), None);
    assert_eq!(since(&mut hand, 200, Status::Pending), Some(at(100)));
    assert_eq!(since(&mut hand, 300, Status::Dead), Some(at(100)));
    hand.store.requeue(at(400), &only(&[id])).unwrap();
    assert_eq!(since(&mut hand, 400, Status::Pending), None);
    hand.store.hold(at(500), &only(&[id])).unwrap();
    hand.store.release(at(600), &only(&[id])).unwrap();
    assert_eq!(since(&mut hand, 600, Status::Pending), None);
}

pub fn release_and_requeue_wait_for_not_before(place: &dyn Place) {
    for stop in [Status::Held, Status::Cancelled] {
        let elsewhere = place.another();
        let mut hand = hand(&*elsewhere, "h");
        let mut later = new("a");
        later.not_before = Some(at(100));
        let id = enqueue(&mut *hand.store, T, &[later])[0];
        if stop == Status::Held {
            hand.store.hold(T, &only(&[id])).unwrap();
            hand.store.release(at(10), &only(&[id])).unwrap();
        } else {
            hand.store.cancel(T, &only(&[id])).unwrap();
            hand.store.requeue(at(10), &only(&[id])).unwrap();
        }
        assert!(hand.claim(at(99), 1).is_empty(), "{stop}");
        assert_eq!(hand.claim(at(100), 1).len(), 1, "{stop}");
    }
}

pub fn missing_ids_are_named(place: &dyn Place) {
    let changed = place.open().cancel(T, &only(&[4711])).unwrap();
    assert_eq!(changed, Changed { missing: vec![4711], ..Changed::default() });
}
