//! What watchers are told: all of it, once, in the order in which it was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use notifyctl::model::{Cursor, Event, EventFilter, EventKind, Id, Outcome, Reason, Scope, Status, Verdict};
use notifyctl::store::{Exchange, NewBatch, Next, Purge, Store};

use super::{Place, T, at, enqueue, hand, new, only};
use crate::support::hand::{plain, unused};

/// Everything behind `after`, `limit` at a time.
fn all(store: &dyn Store, after: Cursor, filter: &EventFilter, limit: usize) -> Vec<Event> {
    let (mut events, mut next) = (Vec::new(), after);
    loop {
        let told = store.events(next, filter, limit).unwrap();
        assert_eq!(told.gap, None, "behind {next}");
        events.extend(told.events);
        next = told.next;
        if !told.more {
            return events;
        }
    }
}

fn whole(store: &dyn Store) -> Vec<Event> {
    all(store, Cursor::default(), &EventFilter::default(), 100)
}

fn about(ids: &[Id]) -> Arc<BTreeSet<Id>> {
    Arc::new(ids.iter().copied().collect())
}

fn steps(events: &[Event]) -> Vec<(EventKind, Option<Id>, Option<Status>)> {
    events.iter().map(|event| (event.kind, event.id, event.status)).collect()
}

pub fn each_step_is_told_in_the_order_in_which_it_was_taken(place: &dyn Place) {
    let (mut hand, mut shell) = (hand(place, "h"), place.open());
    let ids = enqueue(&mut *shell, T, &[new("a"), new("b")]);
    let claimed = hand.claim(at(1), 2);
    let late = enqueue(&mut *shell, at(2), &[new("c")])[0];
    let give_back = vec![unused(&claimed[1])];
    let settle = vec![hand.settlement(
        &claimed[0],
        at(3),
        Status::Dead,
        Verdict::new(Outcome::Rejected, Reason::RecipientRejected, "550"),
    )];
    hand.store.exchange(&Exchange { settle, give_back, ..hand.exchange(at(4)) }).unwrap();
    shell.hold(at(5), &only(&[late])).unwrap();
    shell.release(at(6), &only(&[late])).unwrap();
    shell.cancel(at(7), &only(&[late])).unwrap();
    shell.requeue(at(8), &only(&[ids[0], late])).unwrap();
    let mut short = new("d");
    short.expires_at = Some(at(10));
    let short = enqueue(&mut *shell, at(9), &[short])[0];
    shell.expire(at(10), 10).unwrap();
    let events = whole(&*place.open());
    use EventKind::{Attempt, Cancelled, Enqueued, Expired, Held, Released, Requeued, Settled};
    let one = |kind, id, status| (kind, Some(id), Some(status));
    assert_eq!(
        steps(&events),
        [
            one(Enqueued, ids[0], Status::Pending),
            one(Enqueued, ids[1], Status::Pending),
            one(Attempt, ids[0], Status::Sending),
            one(Attempt, ids[1], Status::Sending),
            one(Enqueued, late, Status::Pending),
            one(Settled, ids[0], Status::Dead),
            one(Attempt, ids[1], Status::Pending),
            one(Held, late, Status::Held),
            one(Released, late, Status::Pending),
            one(Cancelled, late, Status::Cancelled),
            one(Requeued, ids[0], Status::Pending),
            one(Requeued, late, Status::Pending),
            one(Enqueued, short, Status::Pending),
            one(Expired, short, Status::Expired),
        ]
    );
    let dead = &events[5];
    assert_eq!(
        (dead.outcome, dead.reason, dead.attempt),
        (Some(Outcome::Rejected), Some(Reason::RecipientRejected), Some(1))
    );
    assert_eq!((dead.channel.as_str(), dead.recipient.as_deref(), dead.at), ("c", Some("a"), at(3)));
    assert_eq!((events[0].at, events[2].at, events[13].at), (T, at(1), at(10)));
}

pub fn a_watcher_goes_on_from_any_event(place: &dyn Place) {
    let mut hand = hand(place, "h");
    enqueue(&mut *hand.store, T, &vec![new("a"); 7]);
    let claimed = hand.claim(T, 5);
    hand.store.cancel(T, &only(&[6, 7])).unwrap();
    for one in &claimed {
        assert!(hand.settle(one, at(1), Status::Sent));
    }
    enqueue(&mut *hand.store, T, &[new("b")]);
    let events = whole(&*hand.store);
    assert_eq!(events.len(), 7 + 5 + 2 + 5 + 1);
    for (n, event) in events.iter().enumerate() {
        for limit in [1, 2, 3, 100] {
            let rest = all(&*hand.store, event.cursor, &EventFilter::default(), limit);
            assert_eq!(rest, events[n + 1..], "behind {} by {limit}", event.cursor);
        }
    }
    let end = hand.store.cursor(None).unwrap();
    assert_eq!(end, events.last().unwrap().cursor);
    // Looked at, and nothing there: the place stays.
    let told = hand.store.events(end, &EventFilter::default(), 10).unwrap();
    assert_eq!((told.events, told.next, told.gap, told.more), (vec![], end, None, false));
}

pub fn a_watcher_misses_nothing_of_many_processes_and_hears_nothing_twice(place: &dyn Place) {
    const EACH: usize = 40;
    let over = AtomicBool::new(false);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        let shells: Vec<_> = (0..2)
            .map(|_| {
                let mut store = place.open();
                scope.spawn(move || {
                    for n in 0..EACH {
                        match n % 4 {
                            0 => batch(&mut *store, 3),
                            _ => drop(enqueue(&mut *store, T, &[new("a")])),
                        }
                    }
                })
            })
            .collect();
        let workers: Vec<_> = ["one", "two"]
            .map(|name| {
                let (mut hand, over) = (hand(place, name), &over);
                scope.spawn(move || {
                    let until = Instant::now() + Duration::from_secs(60);
                    loop {
                        let claimed = hand.claim(at(1), 5);
                        if claimed.is_empty() && over.load(Ordering::SeqCst) || Instant::now() > until {
                            break;
                        }
                        for one in claimed {
                            assert!(hand.settle(&one, at(1), Status::Sent));
                        }
                    }
                })
            })
            .into();
        let watcher = place.open();
        let mut next = Cursor::default();
        let mut joined = false;
        loop {
            if !joined && shells.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                over.store(true, Ordering::SeqCst);
                joined = true;
            }
            let ended = workers.iter().all(std::thread::ScopedJoinHandle::is_finished);
            let told = watcher.events(next, &EventFilter::default(), 7).unwrap();
            assert_eq!(told.gap, None);
            let more = told.more;
            next = told.next;
            seen.extend(told.events);
            if ended && !more {
                break;
            }
        }
    });
    // The same as for who comes afterwards, and each notification's life in its order.
    assert_eq!(seen, whole(&*place.open()));
    let mut lives: BTreeMap<Id, Vec<Status>> = BTreeMap::new();
    for event in &seen {
        lives.entry(event.id.unwrap()).or_default().push(event.status.unwrap());
    }
    assert_eq!(lives.len(), 2 * (EACH / 4 * 3 + EACH / 4 * 3));
    for (id, life) in lives {
        assert_eq!(life, [Status::Pending, Status::Sending, Status::Sent], "{id}");
    }
}

fn batch(store: &mut dyn Store, rows: usize) {
    let batch = NewBatch { source: "x.csv".into(), key_expires_at: at(1) };
    let mut left = rows;
    let mut source = || match left.checked_sub(1) {
        Some(rest) => {
            left = rest;
            Next::Row(Box::new(new("a")))
        }
        None => Next::Commit,
    };
    store.enqueue_batch(T, &batch, &mut source).unwrap().expect("accepted");
}

pub fn filters_narrow_what_is_told_and_never_stop_it(place: &dyn Place) {
    let mut hand = hand(place, "h");
    let ids = enqueue(&mut *hand.store, T, &[plain("c", "a"), plain("d", "b"), plain("c", "e")]);
    for channel in ["c", "d"] {
        for one in hand.claim_from(T, channel, 5, &[]).claimed {
            assert!(hand.settle(&one, at(1), Status::Sent));
        }
    }
    let events = whole(&*hand.store);
    let filters = [
        EventFilter { channel: Some("d".into()), ..EventFilter::default() },
        EventFilter { statuses: vec![Status::Sent], ..EventFilter::default() },
        EventFilter { statuses: vec![Status::Sending, Status::Pending], ..EventFilter::default() },
        EventFilter { ids: about(&ids[2..]), ..EventFilter::default() },
        EventFilter { ids: about(&[ids[2], ids[0], 4711]), ..EventFilter::default() },
        EventFilter {
            ids: about(&ids[..1]),
            statuses: vec![Status::Sent],
            channel: Some("c".into()),
            ..EventFilter::default()
        },
        EventFilter { kinds: vec![EventKind::Settled], ..EventFilter::default() },
        EventFilter { kinds: vec![EventKind::Enqueued, EventKind::Held], ..EventFilter::default() },
        EventFilter { ids: about(&[4711]), ..EventFilter::default() },
    ];
    for filter in filters {
        let wanted: Vec<Event> = events.iter().filter(|event| filter.means(event)).cloned().collect();
        for limit in [1, 100] {
            assert_eq!(all(&*hand.store, Cursor::default(), &filter, limit), wanted, "{filter:?} by {limit}");
        }
        assert_eq!(wanted.is_empty(), filter.ids == about(&[4711]), "{filter:?}");
        let told = hand.store.events(Cursor::default(), &filter, 100).unwrap();
        assert_eq!(told.next, hand.store.cursor(None).unwrap(), "one is as far as if all had been meant");
    }
}

pub fn one_can_begin_at_a_moment(place: &dyn Place) {
    let mut hand = hand(place, "h");
    for second in 0..20 {
        enqueue(&mut *hand.store, at(2 * second), &[new("a")]);
        let one = hand.claim(at(2 * second), 1).remove(0);
        assert!(hand.settle(&one, at(2 * second + 1), Status::Sent));
    }
    let events = whole(&*hand.store);
    for since in 0..42 {
        let from = hand.store.cursor(Some(at(since))).unwrap();
        let wanted: Vec<Event> = events.iter().filter(|event| event.at >= at(since)).cloned().collect();
        assert_eq!(all(&*hand.store, from, &EventFilter::default(), 100), wanted, "since {since} s");
    }
    assert_eq!(hand.store.cursor(Some(at(0))).unwrap(), Cursor::default());
}

pub fn a_channel_that_is_held_or_in_trouble_is_told(place: &dyn Place) {
    let mut hand = hand(place, "h");
    enqueue(&mut *hand.store, T, &[new("a")]);
    let one = hand.claim(T, 1).remove(0);
    let down = Verdict {
        scope: Scope::Channel,
        ..Verdict::new(Outcome::Deferred, Reason::Unreachable, "connection refused")
    };
    assert!(hand.settle_as(&one, at(1), Status::Pending, down));
    let again = hand.claim(at(60), 1).remove(0);
    assert!(hand.settle(&again, at(61), Status::Sent));
    let long = "ü".repeat(300);
    hand.store.hold_channel(at(62), "c", &long).unwrap();
    assert!(hand.store.release_channel(at(63), "c").unwrap());
    assert!(!hand.store.release_channel(at(64), "c").unwrap());
    let about: Vec<_> = whole(&*hand.store)
        .into_iter()
        .filter(|event| event.id.is_none())
        .map(|event| (event.kind, event.at, event.channel, event.reason, event.detail.map(|text| text.len())))
        .collect();
    let c = || "c".to_owned();
    assert_eq!(
        about,
        [
            (EventKind::Alert, at(1), c(), Some(Reason::Unreachable), None),
            (EventKind::Alert, at(61), c(), Some(Reason::Accepted), None),
            (EventKind::Held, at(62), c(), None, Some(200)),
            (EventKind::Released, at(63), c(), None, None),
        ]
    );
}

pub fn what_was_purged_is_told_no_more_and_the_rest_is(place: &dyn Place) {
    let mut hand = hand(place, "h");
    enqueue(&mut *hand.store, T, &[new("old"), new("young"), new("old")]);
    let claimed = hand.claim(T, 3);
    for (one, when) in claimed.iter().zip([at(1), at(90), at(1)]) {
        assert!(hand.settle(one, when, Status::Sent));
    }
    let before = whole(&*hand.store);
    let purge =
        Purge { statuses: vec![Status::Sent], settled_before: at(50), now: at(100), from: 0, limit: 100 };
    assert_eq!(hand.store.purge(&purge).unwrap().removed, 2);
    let kept = |events: &[Event]| -> Vec<Event> {
        events.iter().filter(|event| event.id == Some(claimed[1].id)).cloned().collect()
    };
    assert_eq!(whole(&*hand.store), kept(&before));
    for (n, event) in before.iter().enumerate() {
        let rest = all(&*hand.store, event.cursor, &EventFilter::default(), 1);
        assert_eq!(rest, kept(&before[n + 1..]), "behind {}", event.cursor);
    }
}

pub fn a_place_that_was_never_there_is_a_gap(place: &dyn Place) {
    let mut store = place.open();
    enqueue(&mut *store, T, &[new("a")]);
    for ahead in [Cursor { enqueued: 2, told: 0 }, Cursor { enqueued: 1, told: 1 }] {
        let told = store.events(ahead, &EventFilter::default(), 10).unwrap();
        let end = store.cursor(None).unwrap();
        assert_eq!((told.gap, told.events, told.next), (Some(end), vec![], end));
    }
}
