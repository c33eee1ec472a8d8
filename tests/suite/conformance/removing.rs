//! Purging, copying and proving.

use notifyctl::model::{Attachment, Status};
use notifyctl::store::{Access, ErrorKind, Purge};

use super::{Place, T, at, enqueue, hand, new, only, sound, status};
use crate::support::hand::sqlite;

fn purge(limit: usize) -> Purge {
    let statuses = vec![Status::Sent, Status::Cancelled];
    Purge { statuses, settled_before: at(50), now: at(100), from: 0, limit }
}

pub fn a_purge_removes_only_old_final_ones_with_all_that_is_theirs(place: &dyn Place) {
    let mut hand = hand(place, "h");
    let mut whole = new("a");
    whole.content.attachments =
        vec![Attachment { name: "a".into(), media_type: "text/plain".into(), content: b"x".to_vec() }];
    let ids = enqueue(&mut *hand.store, T, &[whole, new("dead"), new("young"), new("pending")]);
    let claimed = hand.claim(T, 3);
    assert!(hand.settle(&claimed[0], at(1), Status::Sent));
    assert!(hand.settle(&claimed[1], at(1), Status::Dead));
    assert!(hand.settle(&claimed[2], at(50), Status::Sent));
    let purged = hand.store.purge(&purge(100)).unwrap();
    assert_eq!((purged.removed, purged.next), (1, None));
    assert_eq!(hand.store.get(ids[0]).unwrap(), None);
    assert_eq!(hand.store.attempts(ids[0]).unwrap(), []);
    for (id, expected) in [(ids[1], Status::Dead), (ids[2], Status::Sent), (ids[3], Status::Pending)] {
        assert_eq!(status(&*hand.store, id), expected);
    }
    let counts = hand.store.counts().unwrap().channels["c"];
    assert_eq!((counts.accepted, counts.purged), (4, 1));
    sound(&*hand.store);
}

pub fn a_purge_goes_in_bites(place: &dyn Place) {
    let mut store = place.open();
    let ids = enqueue(&mut *store, T, &vec![new("a"); 25]);
    store.cancel(T, &only(&ids)).unwrap();
    let (mut bite, mut bites, mut removed) = (purge(10), 0, 0);
    loop {
        let purged = store.purge(&bite).unwrap();
        bites += 1;
        removed += purged.removed;
        match purged.next {
            Some(next) => bite.from = next,
            None => break,
        }
    }
    assert_eq!((removed, bites), (25, 3));
    sound(&*store);
}

pub fn a_row_from_a_time_to_come_does_not_end_a_purge(place: &dyn Place) {
    let mut store = place.open();
    let mut ids = enqueue(&mut *store, T, &[new("a")]);
    // By a clock that was ahead for a moment.
    ids.extend(enqueue(&mut *store, at(1_000), &[new("b")]));
    ids.extend(enqueue(&mut *store, T, &[new("c")]));
    let young = enqueue(&mut *store, at(60), &[new("d")]);
    store.cancel(at(1), &only(&ids)).unwrap();
    let purged = store.purge(&purge(100)).unwrap();
    assert_eq!((purged.removed, purged.next), (3, None));
    assert!(store.get(young[0]).unwrap().is_some());
    sound(&*store);
}

pub fn a_worker_is_named_as_long_as_an_attempt_of_it_is_kept(place: &dyn Place) {
    let mut hand = hand(place, "host:1:2");
    enqueue(&mut *hand.store, T, &[new("old"), new("young")]);
    let first = hand.claim(T, 1).remove(0);
    assert!(hand.settle(&first, at(1), Status::Sent));
    // A year later it runs on.
    let year = 366 * 86_400;
    let second = hand.claim(at(year), 1).remove(0);
    assert!(hand.settle(&second, at(year + 1), Status::Sent));
    assert_eq!(hand.store.purge(&purge(100)).unwrap().removed, 1);
    assert_eq!(hand.store.attempts(second.id).unwrap()[0].worker, "host:1:2");
}

pub fn a_purge_leaves_what_stands_between(place: &dyn Place) {
    let mut hand = hand(place, "h");
    let ids = enqueue(&mut *hand.store, T, &vec![new("a"); 9]);
    for one in hand.claim(T, 9) {
        // Every third stays.
        let status = if one.id % 3 == 0 { Status::Dead } else { Status::Sent };
        assert!(hand.settle(&one, at(1), status));
    }
    assert_eq!(hand.store.purge(&purge(5)).unwrap().next, Some(ids[5]));
    assert_eq!(hand.store.purge(&Purge { from: ids[5], ..purge(5) }).unwrap().next, None);
    for id in ids {
        let stays = usize::from(id % 3 == 0);
        assert_eq!(hand.store.get(id).unwrap().iter().len(), stays, "{id}");
        assert_eq!(hand.store.attempts(id).unwrap().len(), stays, "{id}");
    }
    sound(&*hand.store);
}

pub fn keys_outlive_a_purge(place: &dyn Place) {
    let mut store = place.open();
    let mut one = new("a");
    one.idempotency_key = Some("k".into());
    let first = store.enqueue(T, at(1_000), &[one.clone()]).unwrap()[0];
    store.cancel(T, &only(&[first.id])).unwrap();
    assert_eq!(store.purge(&purge(10)).unwrap().removed, 1);
    let again = store.enqueue(at(100), at(2_000), &[one]).unwrap()[0];
    assert_eq!((again.id, again.created), (first.id, false));
}

pub fn a_backup_is_equal_and_is_never_overwritten(place: &dyn Place) {
    let mut store = place.open();
    enqueue(&mut *store, T, &vec![new("a"); 10]);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("copy.db");
    store.backup(&target).unwrap();
    let copy = sqlite(&target, Access::Read, T);
    assert_eq!(copy.counts().unwrap(), store.counts().unwrap());
    assert_eq!(copy.identity().unwrap(), store.identity().unwrap());
    sound(&*copy);
    assert_eq!(store.backup(&target).unwrap_err().kind, ErrorKind::Exists);
}

/// The check itself must be able to fail.
pub fn a_broken_counter_is_found(place: &dyn Place) {
    let mut store = place.open();
    let ids = enqueue(&mut *store, T, &[new("a")]);
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("copy.db");
    store.backup(&target).unwrap();
    let raw = rusqlite::Connection::open(&target).unwrap();
    raw.execute("DELETE FROM notifications WHERE id = ?1", [ids[0]]).unwrap();
    drop(raw);
    let broken = sqlite(&target, Access::Existing, T);
    let checks: Vec<_> = broken.check().unwrap().iter().map(|finding| finding.check).collect();
    assert!(checks.contains(&"counters"), "{checks:?}");
}
