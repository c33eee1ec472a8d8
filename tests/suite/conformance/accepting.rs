//! Accepting and reading back.

use notifyctl::model::{Attachment, Content, Cursor, EventFilter, Id, NewNotification, Priority, Status};
use notifyctl::store::{
    Attached, Claim, Enqueued, Exchange, Filter, NewBatch, Next, Order, Page, Portion, Purge, RequestKey,
    Taken, User,
};

use super::{CHANNEL, Place, T, at, enqueue, hand, ids, new, sound};
use crate::support::hand::Hand;

pub fn what_was_enqueued_reads_back_whole(place: &dyn Place) {
    let mut store = place.open();
    let mut one = new("a@example.org");
    one.user_id = Some("42".into());
    one.priority = Priority::High;
    one.expires_at = Some(at(3_600));
    one.idempotency_key = Some("k".into());
    one.content.subject = Some("Grüße".into());
    one.content.html = Some("<p>hello</p>".into());
    one.content.headers = vec![("X-A".into(), "b".into())];
    one.content.attachments = vec![Attachment {
        name: "a.bin".into(),
        media_type: "application/octet-stream".into(),
        content: vec![0, 255],
    }];
    let id = enqueue(&mut *store, T, std::slice::from_ref(&one))[0];
    // Another connection sees it: it is committed.
    let read = place.open().get(id).unwrap().unwrap();
    assert_eq!(read.content, without_attachments(&one));
    let attached = Attached { name: "a.bin".into(), media_type: "application/octet-stream".into(), size: 2 };
    assert_eq!(read.attachments, [attached]);
    assert_eq!(read.summary.user_id, one.user_id);
    assert_eq!(read.summary.priority, Priority::High);
    assert_eq!(read.summary.status, Status::Pending);
    assert_eq!(read.summary.expires_at, one.expires_at);
    assert_eq!(read.summary.created_at, T);
    assert_eq!(read.idempotency_key.as_deref(), Some("k"));
    assert!(read.key_expires_at.is_some_and(|at| at > read.summary.created_at), "{read:?}");
    assert_eq!(store.get(id + 1).unwrap(), None);
    assert_eq!(hand(place, "h").claim(T, 1)[0].content, one.content);
    sound(&*store);
}

/// What is told, as it is shown.
fn without_attachments(one: &NewNotification) -> Content {
    Content { attachments: Vec::new(), ..one.content.clone() }
}

pub fn a_text_of_any_length_reads_back_whole_and_is_claimed_whole(place: &dyn Place) {
    let (mut store, mut hand) = (place.open(), hand(place, "h"));
    for length in [0, 1, 2_047, 2_048, 2_049, 10_000, 1_000_000] {
        let mut plain = new("a@example.org");
        plain.content.message = "é".repeat(length / 2) + &"x".repeat(length % 2);
        let mut rich = plain.clone();
        rich.content.html = Some("<p>hello</p>".into());
        rich.content.attachments =
            vec![Attachment { name: "a".into(), media_type: "text/plain".into(), content: vec![1] }];
        let ids = enqueue(&mut *store, T, &[plain.clone(), rich.clone()]);
        for (id, one) in ids.into_iter().zip([&plain, &rich]) {
            assert_eq!(store.get(id).unwrap().unwrap().content, without_attachments(one), "{length}");
        }
        let claimed = hand.claim(T, 9);
        let contents: Vec<_> = claimed.iter().map(|claimed| &claimed.content).collect();
        assert_eq!(contents, [&plain.content, &rich.content], "{length}");
    }
    sound(&*store);
}

pub fn ids_rise_and_are_never_used_again(place: &dyn Place) {
    let mut store = place.open();
    let first = enqueue(&mut *store, T, &[new("a"), new("b")]);
    assert!(first[0] > 0 && first[1] > first[0]);
    store.cancel(T, &super::only(&first)).unwrap();
    let purge = Purge {
        statuses: vec![Status::Cancelled],
        settled_before: at(10),
        now: at(100),
        from: 0,
        limit: 100,
    };
    assert_eq!(store.purge(&purge).unwrap().removed, 2);
    assert!(enqueue(&mut *store, T, &[new("c")])[0] > first[1]);
    sound(&*store);
}

pub fn a_known_key_gives_the_first_id_until_its_window_ends(place: &dyn Place) {
    let mut store = place.open();
    let mut one = new("a");
    one.idempotency_key = Some("backup".into());
    let mut other = one.clone();
    other.content.recipient = "b".into();
    let first = store.enqueue(T, at(60), &[one.clone(), other]).unwrap();
    assert!(first[0].created && first[1].created, "a key guards each recipient of its own");
    let again = store.enqueue(at(59), at(600), &[one.clone()]).unwrap()[0];
    assert_eq!((again.id, again.created), (first[0].id, false));
    let later = store.enqueue(at(60), at(600), &[one]).unwrap()[0];
    assert!(later.created && later.id != first[0].id);
    sound(&*store);
}

pub fn a_batch_is_accepted_whole_or_not_at_all(place: &dyn Place) {
    let mut store = place.open();
    let batch = NewBatch { source: "x.ndjson".into(), key_expires_at: at(60) };
    let load = |store: &mut dyn notifyctl::store::Store, rows: usize, end: fn() -> Next| {
        let mut left = rows;
        let mut source = || match left {
            0 => end(),
            _ => {
                left -= 1;
                Next::Row(Box::new(new("a")))
            }
        };
        store.enqueue_batch(T, &batch, &mut source).unwrap()
    };
    assert_eq!(load(&mut *store, 10, || Next::RollBack), None);
    assert_eq!(load(&mut *store, 0, || Next::Commit), None);
    assert_eq!(store.counts().unwrap().of(Status::Pending), 0);
    let receipt = load(&mut *store, 10, || Next::Commit).unwrap();
    assert_eq!((receipt.created, receipt.known), (10, 0));
    enqueue(&mut *store, T, &[new("not of the batch")]);
    let of_batch = Filter { batch_id: Some(receipt.id), ..Filter::default() };
    let page = Page { order: Order::OldestFirst, after: None, limit: 100 };
    assert_eq!(ids(&*store, &of_batch, &page).len(), 10);
    let kept = store.batch(receipt.id).unwrap().unwrap();
    assert_eq!((kept.counts.of(Status::Pending), kept.source.as_str()), (10, "x.ndjson"));
    sound(&*store);
}

pub fn not_before_is_when_it_is_due_first(place: &dyn Place) {
    let mut store = place.open();
    let mut one = new("a");
    one.not_before = Some(at(100));
    enqueue(&mut *store, T, &[one]);
    let due = &store.due(at(1)).unwrap()[0];
    assert_eq!((due.oldest_due_at, due.next_due_at), (None, Some(at(100))));
    let due = &store.due(at(100)).unwrap()[0];
    assert_eq!((due.oldest_due_at, due.next_due_at), (Some(at(100)), None));
}

pub fn a_listing_pages_through_all_of_it_in_both_directions(place: &dyn Place) {
    let mut store = place.open();
    let all = enqueue(&mut *store, T, &vec![new("a"); 25]);
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = ids(&*store, &Filter::default(), &Page { order, after, limit: 10 });
            let Some(last) = page.last() else { break };
            after = Some(*last);
            seen.extend(page);
        }
        if order == Order::NewestFirst {
            seen.reverse();
        }
        assert_eq!(seen, all);
    }
}

pub fn every_filter_narrows_a_listing(place: &dyn Place) {
    let mut store = place.open();
    let mut special = new("special");
    special.user_id = Some("7".into());
    special.channel = "d".into();
    let id = enqueue(&mut *store, at(50), &[special])[0];
    enqueue(&mut *store, T, &[new("a"), new("b")]);
    store.hold(T, &super::only(&[id])).unwrap();
    let page = Page { order: Order::NewestFirst, after: None, limit: 100 };
    let filters = [
        Filter { statuses: vec![Status::Held], ..Filter::default() },
        Filter { statuses: vec![Status::Held, Status::Dead], ..Filter::default() },
        Filter { channel: Some("d".into()), ..Filter::default() },
        Filter { user_id: Some("7".into()), ..Filter::default() },
        Filter { recipient: Some("special".into()), ..Filter::default() },
        Filter { since: Some(at(50)), ..Filter::default() },
    ];
    for filter in filters {
        assert_eq!(ids(&*store, &filter, &page), [id], "{filter:?}");
    }
    let early = Filter { until: Some(at(50)), ..Filter::default() };
    assert_eq!(ids(&*store, &early, &page).len(), 2);
    let hostile = Filter { channel: Some("d' OR '1'='1".into()), ..Filter::default() };
    assert!(ids(&*store, &hostile, &page).is_empty());
}

pub fn those_that_are_tried_again_are_listed_alone(place: &dyn Place) {
    let mut hand = hand(place, "h");
    enqueue(&mut *hand.store, T, &[new("a"), new("b"), new("c"), new("d")]);
    let claimed = hand.claim(at(1), 3);
    for (one, status) in claimed.iter().zip([Status::Pending, Status::Dead, Status::Pending]) {
        assert!(hand.settle(one, at(1), status));
    }
    let page = |after| Page { order: Order::OldestFirst, after, limit: 100 };
    let retrying = Filter { retrying: true, ..Filter::default() };
    assert_eq!(ids(&*hand.store, &retrying, &page(None)), [claimed[0].id, claimed[2].id]);
    assert_eq!(ids(&*hand.store, &retrying, &page(Some(claimed[0].id))), [claimed[2].id]);
    hand.store.hold(at(2), &super::only(&[claimed[2].id])).unwrap();
    assert_eq!(ids(&*hand.store, &retrying, &page(None)), [claimed[0].id]);
}

pub fn a_user_is_found_again(place: &dyn Place) {
    let mut store = place.open();
    let user =
        |recipient: &str| User { id: "7".into(), name: None, recipient: recipient.into(), updated_at: T };
    assert_eq!(store.user("7").unwrap(), None);
    store.set_user(&user("a")).unwrap();
    store.set_user(&user("b")).unwrap();
    assert_eq!(store.user("7").unwrap(), Some(user("b")));
}

/// The notifications of one request over HTTP.
fn portion(recipients: &[&str], key: Option<&str>, batch: Option<&str>) -> Portion {
    let one = |recipient: &&str| {
        let mut one = new(recipient);
        one.idempotency_key = key.map(str::to_owned);
        one
    };
    let new = recipients.iter().map(one).collect();
    Portion { new, key_expires_at: at(60), batch: batch.map(str::to_owned), request: None }
}

/// A request that has a key as a whole; `print` is what it asked for.
fn asked(recipients: &[&str], key: &str, print: u8) -> Portion {
    let request = RequestKey { key: key.to_owned(), sha256: [print; 32] };
    let mut portion = portion(recipients, None, Some("http"));
    for (number, one) in (1..).zip(&mut portion.new) {
        one.idempotency_key = Some(request.of_row(number));
    }
    Portion { request: Some(request), ..portion }
}

/// What it is answered while its key holds, once it came to these.
fn as_before(batch: Option<Id>, ids: &[Id]) -> Taken {
    Taken::Whole { batch, new: ids.iter().map(|&id| Enqueued { id, created: false }).collect() }
}

pub fn the_key_of_a_request_belongs_to_all_of_it_and_to_nothing_else(place: &dyn Place) {
    let mut store = place.open();
    let all = [
        asked(&["a", "b"], "k", 1),
        asked(&["a", "b"], "k", 1),
        asked(&["a", "b"], "k", 2),
        // Whom it tells may have been somebody else then.
        asked(&["c"], "k", 1),
        asked(&["a", "b"], "other", 1),
    ];
    let taken = store.enqueue_portions(T, &all).unwrap();
    let Taken::Whole { batch, new } = &taken[0] else { panic!("{taken:?}") };
    assert!(batch.is_some() && new.iter().all(|one| one.created), "{taken:?}");
    let known: Vec<Id> = new.iter().map(|one| one.id).collect();
    let (again, used) = (as_before(*batch, &known), Taken::KeyUsed { since: Some(T) });
    assert_eq!(taken[1..4], [again.clone(), used.clone(), again.clone()]);
    assert!(matches!(&taken[4], Taken::Whole { new, .. } if new.iter().all(|one| one.created)));
    // Also where a worker comes along, and for who only asks.
    let mut hand = hand(place, "h");
    let exchange = Exchange { claim: vec![hand.wish(CHANNEL, 9, &[])], ..hand.exchange(at(1)) };
    let (taken, exchanged) = hand.store.enqueue_and_exchange(at(1), &all[1..3], &exchange).unwrap();
    assert_eq!((taken, exchanged.claims[0].claimed.len()), (vec![again.clone(), used.clone()], 4));
    let ask = |portion: &Portion, seconds| {
        place.open().request(at(seconds), portion.request.as_ref().unwrap()).unwrap()
    };
    assert_eq!([ask(&all[0], 59), ask(&all[2], 59)], [Some(again), Some(used)]);
    assert_eq!([ask(&all[0], 60), ask(&asked(&["a"], "new", 1), 1)], [None, None]);
    // Each is shown with the key of its own.
    let key = |id| place.open().get(id).unwrap().unwrap().idempotency_key;
    assert_eq!([key(known[0]), key(known[1])], [Some("k/1".into()), Some("k/2".into())]);
    // What was purged is known as well, with its batch, and since when.
    for one in exchanged.claims[0].claimed.iter() {
        assert!(hand.settle(one, at(2), Status::Sent));
    }
    let statuses = vec![Status::Sent];
    let purge = Purge { statuses, settled_before: at(50), now: at(55), from: 0, limit: 99 };
    assert_eq!(store.purge(&purge).unwrap().removed, 4);
    assert_eq!(store.enqueue_portions(at(59), &all[..1]).unwrap(), [as_before(*batch, &known)]);
    assert_eq!(ask(&all[2], 59), Some(Taken::KeyUsed { since: Some(T) }));
    // Its window is over: it is free for anything.
    let after = store.enqueue_portions(at(60), &all[2..3]).unwrap();
    assert!(matches!(&after[0], Taken::Whole { new, .. } if new.iter().all(|one| one.created)), "{after:?}");
    sound(&*store);
}

pub fn the_key_of_a_request_is_not_mixed_with_keys_that_were_used_otherwise(place: &dyn Place) {
    let mut store = place.open();
    let used = Taken::KeyUsed { since: None };
    let mut row = portion(&["a"], Some("row/1"), None);
    row.new.push(NewNotification { idempotency_key: Some("whole".into()), ..new("a") });
    let Taken::Whole { new: known, .. } = store.enqueue_portions(T, &[row]).unwrap().remove(0) else {
        panic!("refused")
    };
    let mut differs = asked(&["a"], "row", 1);
    differs.new[0].content.message = "something else".into();
    let all = [
        asked(&["a", "b"], "row", 1),
        asked(&["b"], "row", 1),
        asked(&["a"], "whole", 1),
        differs,
        asked(&["a"], "row", 1),
        asked(&["a"], "row", 2),
    ];
    let taken = store.enqueue_portions(T, &all).unwrap();
    let known_one = as_before(None, &[known[0].id]);
    let conflict = Taken::Conflict { position: 0, id: Some(known[0].id) };
    assert_eq!(taken, [used.clone(), used.clone(), used, conflict, known_one.clone(), known_one]);
    assert_eq!(store.counts().unwrap().of(Status::Pending), 2, "nothing was accepted");
    // Nor was a key taken.
    for portion in &all {
        assert_eq!(store.request(T, portion.request.as_ref().unwrap()).unwrap(), None);
    }
    // One that only looks like that of a list's row is another one's.
    let single = |key: &str, recipient: &str| {
        let mut one = asked(&[recipient], key, 7);
        (one.new[0].idempotency_key, one.batch) = (Some(key.into()), None);
        one
    };
    let all =
        [single("own/1", "a"), single("own", "a"), single("tree/1", "a"), asked(&["b", "c"], "tree", 1)];
    for taken in store.enqueue_portions(T, &all).unwrap() {
        assert!(matches!(&taken, Taken::Whole { new, .. } if new.iter().all(|one| one.created)), "{taken:?}");
    }
    // What was purged cannot say any more that it was the same.
    let gone = NewNotification { idempotency_key: Some("gone/1".into()), ..new("b") };
    let id = enqueue(&mut *store, T, &[gone])[0];
    store.cancel(T, &super::only(&[id])).unwrap();
    let statuses = vec![Status::Cancelled];
    let purge = Purge { statuses, settled_before: at(1), now: at(2), from: 0, limit: 99 };
    assert_eq!(store.purge(&purge).unwrap().removed, 1);
    assert_eq!(
        store.enqueue_portions(at(2), &[asked(&["b"], "gone", 1)]).unwrap(),
        [Taken::KeyUsed { since: None }]
    );
    // The other way round each notification is guarded for its recipient, as ever.
    let first = store.enqueue_portions(T, &[asked(&["a"], "new", 1)]).unwrap().remove(0);
    let Taken::Whole { new: first, .. } = first else { panic!("{first:?}") };
    let by_row = portion(&["a", "b"], Some("new/1"), None);
    let Taken::Whole { new, .. } = store.enqueue_portions(T, &[by_row]).unwrap().remove(0) else {
        panic!("refused")
    };
    assert_eq!((new[0].id, new[0].created, new[1].created), (first[0].id, false, true));
    sound(&*store);
}

pub fn a_known_key_knows_attachments(place: &dyn Place) {
    let mut store = place.open();
    let file = |content: &[u8]| {
        let content = content.to_vec();
        Attachment { name: "a.txt".into(), media_type: "text/plain".into(), content }
    };
    let with = |files: Vec<Attachment>| {
        let mut one = portion(&["a"], Some("k"), None);
        one.new[0].content.attachments = files;
        one.new[0].content.message = "long ".repeat(1_000);
        one
    };
    let first = store.enqueue_portions(T, &[with(vec![file(b"hi"), file(b"")])]).unwrap().remove(0);
    let Taken::Whole { new, .. } = first else { panic!("{first:?}") };
    let conflict = Taken::Conflict { position: 0, id: Some(new[0].id) };
    for (files, wanted) in [
        (vec![file(b"hi"), file(b"")], &as_before(None, &[new[0].id])),
        (vec![file(b"ho"), file(b"")], &conflict),
        (vec![file(b""), file(b"hi")], &conflict),
        (vec![file(b"hi")], &conflict),
        (Vec::new(), &conflict),
    ] {
        assert_eq!(store.enqueue_portions(T, &[with(files)]).unwrap().remove(0), *wanted);
    }
    sound(&*store);
}

pub fn a_known_key_knows_headers_however_they_are_written(place: &dyn Place) {
    let mut store = place.open();
    let with = |headers: &[(&str, &str)]| {
        let mut one = portion(&["a"], Some("k"), None);
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        one.new[0].content.headers = headers.iter().map(own).collect();
        one
    };
    let first = [("X-A", "1"), ("X-B", "2"), ("X-A", "3")];
    let Taken::Whole { new, .. } = store.enqueue_portions(T, &[with(&first)]).unwrap().remove(0) else {
        panic!("refused")
    };
    let (same, conflict) =
        (as_before(None, &[new[0].id]), Taken::Conflict { position: 0, id: Some(new[0].id) });
    for (headers, wanted) in [
        (&[("x-a", "1"), ("X-b", "2"), ("X-A", "3")][..], &same),
        (&[("X-B", "2"), ("X-A", "1"), ("X-A", "3")], &same),
        (&[("X-A", "3"), ("X-B", "2"), ("X-A", "1")], &conflict),
        (&[("X-A", "1"), ("X-B", "2"), ("X-B", "3")], &conflict),
        (&[("X-A", "1"), ("X-B", "2")], &conflict),
    ] {
        assert_eq!(store.enqueue_portions(T, &[with(headers)]).unwrap().remove(0), *wanted, "{headers:?}");
    }
    // So within one request.
    let mut twice = with(&[("X-A", "1")]);
    twice.new[0].idempotency_key = Some("t".into());
    let mut other = twice.new[0].clone();
    other.content.headers[0].0 = "x-a".into();
    twice.new.push(other);
    assert!(
        matches!(&store.enqueue_portions(T, &[twice]).unwrap()[0], Taken::Whole { new, .. } if new[0].id == new[1].id)
    );
    sound(&*store);
}

pub fn what_is_accepted_can_be_claimed_in_the_same_transaction(place: &dyn Place) {
    let mut hand = hand(place, "host:1:1");
    let claim = |hand: &mut Hand| Exchange { claim: vec![hand.wish(CHANNEL, 9, &[])], ..hand.exchange(T) };
    let all = [portion(&["a", "b"], None, Some("http")), portion(&["c"], None, None)];
    let exchange = claim(&mut hand);
    let (taken, exchanged) = hand.store.enqueue_and_exchange(T, &all, &exchange).unwrap();
    let accepted = taken.iter().flat_map(|taken| match taken {
        Taken::Whole { new, .. } => new.iter().map(|one| one.id),
        refused => panic!("{refused:?}"),
    });
    let claimed: Vec<_> = exchanged.claims[0].claimed.iter().map(|one| one.id).collect();
    assert_eq!(claimed, accepted.collect::<Vec<_>>());
    // What is refused takes nothing else with it.
    let mut twice = portion(&["d", "d"], Some("t"), None);
    twice.new[1].content.message = "something else".into();
    let exchange = claim(&mut hand);
    let (taken, exchanged) = hand.store.enqueue_and_exchange(T, &[twice], &exchange).unwrap();
    assert_eq!(taken, [Taken::Conflict { position: 1, id: None }]);
    assert!(exchanged.claims[0].claimed.is_empty());
    let shown =
        hand.store.list(&Filter::default(), &Page { order: Order::OldestFirst, after: None, limit: 9 });
    assert_eq!(shown.unwrap().len(), 3);
    sound(&*hand.store);
}

/// A worker gets the same, whether it was inserted for it or waited; so do those who look at it later.
pub fn what_is_claimed_as_it_comes_is_what_would_have_waited(place: &dyn Place) {
    let mut rich = portion(&["a", "b"], Some("k"), Some("http"));
    let content = &mut rich.new[1].content;
    content.message = "long ".repeat(500);
    content.html = Some("<p>long</p>".into());
    content.subject = Some("S".into());
    content.headers = vec![("X-One".into(), "1".into())];
    content.attachments =
        vec![Attachment { name: "a.txt".into(), media_type: "text/plain".into(), content: b"\0a".to_vec() }];
    rich.new[0].user_id = Some("7".into());
    rich.new[0].priority = Priority::Low;
    rich.new[0].expires_at = Some(at(90));
    rich.new[1].not_before = Some(T);
    let all = [portion(&["c"], None, None), rich];
    let ends = [true, false].map(|at_once| {
        let elsewhere = place.another();
        let mut hand = hand(&*elsewhere, "host:1:1");
        let wish = Claim { lease_token: 7, ..hand.wish(CHANNEL, 9, &["5/10s"]) };
        let exchange = Exchange { claim: vec![wish], ..hand.exchange(T) };
        let claims = if at_once {
            hand.store.enqueue_and_exchange(T, &all, &exchange).unwrap().1.claims
        } else {
            hand.store.enqueue_portions(T, &all).unwrap();
            hand.store.exchange(&exchange).unwrap().claims
        };
        sound(&*hand.store);
        let claimed = &claims[0].claimed;
        assert_eq!(claimed.len(), 3);
        let shown: Vec<_> = claimed.iter().map(|one| hand.store.get(one.id).unwrap()).collect();
        let batch = claimed.iter().find_map(|one| one.batch_id).map(|id| hand.store.batch(id).unwrap());
        let events = hand.store.events(Cursor::default(), &EventFilter::default(), 99).unwrap().events;
        let worker = |text: String| text.replace(&hand.worker.id().to_string(), "me");
        let rates = hand.store.channels(T).unwrap();
        let told = [format!("{claims:?}"), format!("{shown:?}"), format!("{batch:?}"), format!("{rates:?}")];
        let events = events.iter().map(|event| format!("{:?} {:?} {:?}", event.kind, event.id, event.status));
        told.map(worker).into_iter().chain(events).collect::<Vec<_>>()
    });
    assert!(ends[0][2].contains("http"));
    assert_eq!(ends[0], ends[1]);
}

pub fn requests_that_come_together_are_each_accepted_whole_or_not_at_all(place: &dyn Place) {
    let mut store = place.open();
    let first = store.enqueue_portions(T, &[portion(&["a"], Some("k"), None)]).unwrap();
    let Taken::Whole { batch: None, new } = &first[0] else { panic!("{first:?}") };
    let known = new[0].id;
    let mut other = portion(&["b", "a"], Some("k"), Some("http"));
    other.new[1].content.message = "something else".into();
    let mut twice = portion(&["c", "c"], Some("t"), None);
    twice.new[1].content.message = "something else".into();
    // What differs in its times alone is the same: a wait begins anew each time.
    let mut again = portion(&["a"], Some("k"), Some("http"));
    again.new[0].not_before = Some(at(5));
    let all = [
        portion(&["d"], None, None),
        other,
        portion(&["e", "f", "e"], Some("n"), Some("http")),
        twice,
        again,
        portion(&["g"], None, None),
    ];
    let taken = store.enqueue_portions(T, &all).unwrap();
    assert!(matches!(&taken[0], Taken::Whole { batch: None, new } if new[0].created));
    assert_eq!(taken[1], Taken::Conflict { position: 1, id: Some(known) });
    let Taken::Whole { batch: Some(batch), new } = &taken[2] else { panic!("{taken:?}") };
    assert_eq!(new.iter().map(|one| one.created).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(new[2].id, new[0].id, "the same key for the same recipient is one");
    assert_eq!(taken[3], Taken::Conflict { position: 1, id: None });
    let nothing_new = Taken::Whole { batch: None, new: vec![Enqueued { id: known, created: false }] };
    assert_eq!(taken[4], nothing_new, "no batch of nothing is made");
    assert!(matches!(&taken[5], Taken::Whole { batch: None, new } if new[0].created));

    let shown = store.batch(*batch).unwrap().expect("it is there");
    assert_eq!((shown.source.as_str(), shown.counts.accepted), ("http", 2));
    let of_batch = Filter { batch_id: Some(*batch), ..Filter::default() };
    let page = Page { order: Order::OldestFirst, after: None, limit: 9 };
    assert_eq!(ids(&*store, &of_batch, &page), [new[0].id, new[1].id]);
    assert_eq!(ids(&*store, &Filter::default(), &page).len(), 5, "nothing of what was refused is there");
    sound(&*store);
}
