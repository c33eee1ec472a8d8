//! Taking work exclusively, in order, within limits.

use std::collections::BTreeSet;

use notifyctl::model::{Priority, Reason, Status, Timestamp, Verdict};
use notifyctl::store::{Claimed, Exchange, GiveBack, LimitedBy};

use super::{Place, T, at, enqueue, hand, new, only, sound, status};
use crate::support::hand::{Hand, unused};

pub fn one_notification_is_claimed_once(place: &dyn Place) {
    let all = enqueue(&mut *place.open(), T, &vec![new("a"); 200]);
    // Eight hands at once, each with a connection of its own.
    let taken: Vec<i64> = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..8).map(|n| scope.spawn(move || drain(place, &format!("h{n}")))).collect();
        hands.into_iter().flat_map(|hand| hand.join().expect("no hand fails")).collect()
    });
    assert_eq!(taken.len(), 200);
    assert_eq!(taken.into_iter().collect::<BTreeSet<_>>(), all.into_iter().collect());
    sound(&*place.open());
}

/// Claims and settles until nothing is left; says what it had.
fn drain(place: &dyn Place, name: &str) -> Vec<i64> {
    let mut hand = hand(place, name);
    let mut mine = Vec::new();
    loop {
        let claimed = hand.claim(T, 7);
        if claimed.is_empty() {
            return mine;
        }
        for one in &claimed {
            assert!(hand.settle(one, T, Status::Sent));
        }
        mine.extend(claimed.iter().map(|one| one.id));
    }
}

/// P6.
pub fn critical_goes_first_and_age_makes_up_for_low(place: &dyn Place) {
    let mut hand = hand(place, "h");
    let with = |priority| {
        let mut one = new("a");
        one.priority = priority;
        one
    };
    let mut enqueue_at = |seconds, priority| enqueue(&mut *hand.store, at(seconds), &[with(priority)])[0];
    let old_low = enqueue_at(0, Priority::Low);
    let low = enqueue_at(5_000, Priority::Low);
    let normal = enqueue_at(5_000, Priority::Normal);
    let high = enqueue_at(5_000, Priority::High);
    let critical = enqueue_at(5_000, Priority::Critical);
    let order: Vec<_> = hand.claim(at(5_000), 10).iter().map(|one| one.id).collect();
    assert_eq!(order, [old_low, critical, high, normal, low]);
}

pub fn new_work_does_not_wait_behind_a_deferred_backlog(place: &dyn Place) {
    let mut hand = hand(place, "h");
    let backlog = enqueue(&mut *hand.store, T, &[new("a"), new("b"), new("c")]);
    for one in hand.claim(T, 3) {
        assert!(hand.settle(&one, T, Status::Pending), "due again after 30 seconds");
    }
    let fresh = enqueue(&mut *hand.store, at(60), &[new("d")])[0];
    assert_eq!(hand.store.due(at(60)).unwrap()[0].oldest_due_at, Some(at(30)));
    assert_eq!(hand.claim(at(60), 1)[0].id, fresh);
    let later = enqueue(&mut *hand.store, at(300), &[new("e")])[0];
    let order: Vec<_> = hand.claim(at(300), 9).iter().map(|one| one.id).collect();
    assert_eq!(order, [&backlog[..], &[later]].concat(), "nor does the backlog wait for ever");
}

pub fn nothing_is_claimed_before_it_is_due_or_after_it_expired(place: &dyn Place) {
    let mut hand = hand(place, "h");
    let mut later = new("a");
    later.not_before = Some(at(10));
    later.expires_at = Some(at(20));
    enqueue(&mut *hand.store, T, &[later]);
    assert!(hand.claim(Timestamp(at(10).0 - 1), 1).is_empty());
    assert!(hand.claim(at(20), 1).is_empty());
    assert_eq!(hand.claim(at(10), 1).len(), 1);
}

pub fn rates_hold_over_all_workers(place: &dyn Place) {
    let (mut one, mut other) = (hand(place, "one"), hand(place, "other"));
    enqueue(&mut *one.store, T, &vec![new("a"); 20]);
    let rates = ["5/10s", "8/1min"];
    assert_eq!(one.claim_with(T, 3, &rates).claimed.len(), 3);
    let reply = other.claim_with(T, 10, &rates);
    assert_eq!(reply.claimed.len(), 2);
    let LimitedBy::Rate(next) = reply.limited_by else { panic!("{:?}", reply.limited_by) };
    assert!(next > at(10) && next < at(11), "{next:?}");
    assert!(other.claim_with(at(9), 10, &rates).claimed.is_empty());
    assert_eq!(other.claim_with(next, 10, &rates).claimed.len(), 3, "the longer limit holds too");
    let states = other.store.channels(next).unwrap();
    assert_eq!(states[0].rates.iter().map(|rate| rate.used).collect::<Vec<_>>(), [3, 8]);
    sound(&*other.store);
}

/// Or whoever changes a rate would let all of it through once more.
pub fn what_went_out_under_another_rate_counts_under_a_new_one(place: &dyn Place) {
    let mut hand = hand(place, "h");
    enqueue(&mut *hand.store, T, &vec![new("a"); 40]);
    assert_eq!(hand.claim_with(T, 20, &["20/1min"]).claimed.len(), 20);
    assert_eq!(hand.claim_with(at(90), 4, &["5/10s"]).claimed.len(), 4, "what counts no more");
    assert_eq!(hand.claim_with(at(95), 20, &["6/10s"]).claimed.len(), 2, "lowered in the middle of a window");
    assert_eq!(hand.claim_with(at(95), 20, &["8/20s"]).claimed.len(), 2, "the fullest is what is known");
    assert_eq!(hand.claim_with(at(106), 20, &["6/10s"]).claimed.len(), 6);
}

/// A daemon that has yet to reload, and the passes of a crontab.
pub fn workers_with_different_rates_of_one_channel_count_what_each_other_sends(place: &dyn Place) {
    let (mut one, mut other) = (hand(place, "one"), hand(place, "other"));
    enqueue(&mut *one.store, T, &vec![new("a"); 40]);
    let mut claim = |seconds, limit| {
        let small = one.claim_with(at(seconds), limit, &["4/10s"]).claimed.len();
        (small, other.claim_with(at(seconds), limit, &["6/10s", "9/1min"]).claimed.len())
    };
    assert_eq!(claim(0, 1), (1, 1));
    assert_eq!(claim(1, 9), (2, 2), "the smaller one is full");
    assert_eq!(claim(2, 9), (0, 0));
    assert_eq!(claim(20, 9), (4, 0), "none is left of a minute");
}

/// Gives it back; `uncounted` when nobody can have heard of it.
fn give_back(hand: &mut Hand, now: Timestamp, claimed: &Claimed, uncounted: bool) {
    let give_back = vec![GiveBack { uncounted, ..unused(claimed) }];
    let exchange = Exchange { give_back, ..hand.exchange(now) };
    hand.store.exchange(&exchange).unwrap();
}

pub fn what_never_began_counts_against_no_rate_of_anybody(place: &dyn Place) {
    let (mut one, mut other) = (hand(place, "one"), hand(place, "other"));
    enqueue(&mut *one.store, T, &vec![new("a"); 40]);
    let (small, large) = (["4/10s"], ["6/10s", "9/1min"]);
    assert_eq!(other.claim_with(T, 1, &large).claimed.len(), 1);
    let claimed = one.claim_with(at(1), 9, &small).claimed;
    assert_eq!(claimed.len(), 3);
    give_back(&mut one, at(2), &claimed[0], false);
    assert!(one.claim_with(at(2), 9, &small).claimed.is_empty(), "the other side may have counted it");
    for one_of_them in &claimed[1..] {
        give_back(&mut one, at(2), one_of_them, true);
        // Somebody else has it again, or nobody.
        give_back(&mut one, at(2), one_of_them, true);
    }
    let states = one.store.channels(at(2)).unwrap();
    let used: Vec<_> = states[0].rates.iter().map(|rate| (rate.rate.limit(), rate.used)).collect();
    assert_eq!(used, [(4, 2), (6, 2), (9, 2)]);
    assert_eq!(one.claim_with(at(2), 9, &small).claimed.len(), 2);
    assert!(one.claim_with(at(10), 9, &small).claimed.is_empty(), "the one that was given back as heard of");
    assert_eq!(one.claim_with(at(12), 9, &small).claimed.len(), 2);
    sound(&*one.store);
}

/// By the clock as it is then, what comes later may have the moment of what is given back.
pub fn what_never_began_takes_no_other_ones_place_in_a_rate_when_the_clock_was_set_back(place: &dyn Place) {
    let (mut one, mut other) = (hand(place, "one"), hand(place, "other"));
    enqueue(&mut *one.store, T, &vec![new("a"); 9]);
    let rates = ["2/1min"];
    let unused = one.claim_with(at(100), 1, &rates).claimed.remove(0);
    // A minute back: 40 s are 100 s now.
    assert_eq!(other.claim_with(at(41), 1, &rates).claimed.len(), 1);
    give_back(&mut one, at(42), &unused, true);
    assert_eq!(other.claim_with(at(100), 1, &rates).claimed.len(), 1);
    assert!(other.claim_with(at(100), 1, &rates).claimed.is_empty());
    assert_eq!(other.claim_with(at(103), 9, &rates).claimed.len(), 1, "a minute after the first");
    sound(&*one.store);
}

/// By a clock that was set back a little, or that was read before a long wait for the store, it would count yet.
pub fn what_never_began_takes_no_other_ones_place_in_a_rate_when_its_own_was_forgotten(place: &dyn Place) {
    let (mut one, mut other) = (hand(place, "one"), hand(place, "other"));
    enqueue(&mut *one.store, T, &vec![new("a"); 9]);
    let rates = ["3/10s"];
    let unused = one.claim_with(at(0), 1, &rates).claimed.remove(0);
    assert_eq!(other.claim_with(at(11), 1, &rates).claimed.len(), 1);
    give_back(&mut one, at(10), &unused, true);
    assert_eq!(other.claim_with(at(11), 9, &rates).claimed.len(), 2, "one of three has been taken");
    sound(&*one.store);
}

pub fn a_held_channel_gives_nothing(place: &dyn Place) {
    let mut hand = hand(place, "h");
    enqueue(&mut *hand.store, T, &[new("a")]);
    hand.store.hold_channel(T, "c", "410 gone").unwrap();
    assert_eq!(hand.claim_with(T, 1, &[]).limited_by, LimitedBy::Held);
    assert_eq!(hand.store.channels(T).unwrap()[0].held, Some((T, "410 gone".into())));
    assert!(hand.store.release_channel(T, "c").unwrap());
    assert!(!hand.store.release_channel(T, "c").unwrap());
    assert_eq!(hand.claim(T, 1).len(), 1);
}

pub fn a_channel_in_trouble_is_probed_by_one_attempt(place: &dyn Place) {
    let mut hand = hand(place, "h");
    enqueue(&mut *hand.store, T, &vec![new("a"); 5]);
    let first = hand.claim(T, 1).remove(0);
    let trouble = Verdict::channel_trouble(Reason::Unreachable, "connection refused");
    assert!(hand.settle_as(&first, T, Status::Pending, trouble));
    let LimitedBy::Paused(until) = hand.claim_with(T, 5, &[]).limited_by else { panic!("not paused") };
    assert_eq!(until, at(5));
    let probe = hand.claim_with(until, 5, &[]);
    assert_eq!(probe.claimed.len(), 1);
    assert!(hand.claim(until, 5).is_empty(), "nobody follows the probe before it is back");
    assert!(hand.settle(&probe.claimed[0], until, Status::Sent));
    assert_eq!(hand.claim(until, 5).len(), 3, "the first one waits for its own next attempt");
    sound(&*hand.store);
}

/// Or a channel would stay shut for as long as a lease: at each pass, where each one's first claim comes too late for a rate.
pub fn a_probe_that_is_given_back_leaves_it_to_another(place: &dyn Place) {
    let mut hand = hand(place, "h");
    enqueue(&mut *hand.store, T, &vec![new("a"); 5]);
    let mut before = hand.claim(T, 2);
    let trouble = Verdict::channel_trouble(Reason::Unreachable, "connection refused");
    assert!(hand.settle_as(&before.remove(0), T, Status::Pending, trouble));
    let probe = hand.claim(at(6), 5).remove(0);
    give_back(&mut hand, at(6), &before[0], false);
    assert!(hand.claim(at(6), 5).is_empty(), "what was claimed before the trouble did not probe");
    give_back(&mut hand, at(6), &probe, false);
    assert_eq!(hand.claim(at(6), 5).len(), 1, "and one again");
    assert!(hand.claim(at(6), 5).is_empty());
    sound(&*hand.store);
}

pub fn a_clock_that_was_set_back_stalls_nothing_but_what_was_asked_for_by_the_clock(place: &dyn Place) {
    let mut hand = hand(place, "h");
    let day = |seconds: u64| at(86_400 + seconds);
    let mut appointed = new("a");
    appointed.not_before = Some(day(3_600));
    enqueue(&mut *hand.store, T, &[appointed]);
    let retried = enqueue(&mut *hand.store, day(0), &[new("b")])[0];
    let one = hand.claim(day(0), 1).remove(0);
    assert!(hand.settle(&one, day(0), Status::Pending), "due again after 30 seconds");
    let fresh = enqueue(&mut *hand.store, day(5), &[new("c")])[0];
    // Five seconds behind is how processes side by side see each other; a day is a clock that was set back.
    assert!(hand.claim(day(0), 9).is_empty());
    let claimed = hand.claim(T, 9);
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [fresh]);
    assert!(hand.settle(&claimed[0], T, Status::Pending));
    assert!(hand.claim(at(24), 9).is_empty(), "the wait of 30 seconds goes on");
    let claimed: Vec<_> = hand.claim(at(30), 9).iter().map(|one| one.id).collect();
    assert_eq!(claimed, [retried, fresh]);
    assert!(hand.claim(day(3_599), 9).is_empty());
    assert_eq!(hand.claim(day(3_600), 9).len(), 1);
    sound(&*hand.store);
}

pub fn a_pause_of_a_clock_that_was_set_back_is_no_longer_than_it_was(place: &dyn Place) {
    let mut hand = hand(place, "h");
    enqueue(&mut *hand.store, T, &vec![new("a"); 2]);
    let first = hand.claim(at(86_400), 1).remove(0);
    let trouble = Verdict::channel_trouble(Reason::Unreachable, "connection refused");
    assert!(hand.settle_as(&first, at(86_400), Status::Pending, trouble));
    assert_eq!(hand.claim_with(T, 1, &[]).limited_by, LimitedBy::Paused(at(5)));
    assert_eq!(hand.claim(at(5), 9).len(), 1);
    sound(&*hand.store);
}

pub fn a_rate_of_a_clock_that_was_set_back_is_free_again_when_its_window_is_over(place: &dyn Place) {
    let mut hand = hand(place, "h");
    enqueue(&mut *hand.store, T, &vec![new("a"); 9]);
    assert_eq!(hand.claim_with(at(86_400), 9, &["2/10s"]).claimed.len(), 2);
    // It is looked at in vain again and again: each look leaves the window as it is.
    for seconds in 0..10 {
        assert!(hand.claim_with(at(seconds), 9, &["2/10s"]).claimed.is_empty());
    }
    assert_eq!(hand.claim_with(at(11), 9, &["2/10s"]).claimed.len(), 2);
}

pub fn a_claim_says_when_to_look_again(place: &dyn Place) {
    let mut hand = hand(place, "h");
    assert_eq!(hand.claim_with(T, 1, &[]).limited_by, LimitedBy::Due(None));
    let mut later = new("a");
    later.not_before = Some(at(30));
    enqueue(&mut *hand.store, T, &[new("b"), later]);
    assert_eq!(hand.claim_with(T, 1, &[]).limited_by, LimitedBy::Nothing);
    assert_eq!(hand.claim_with(T, 1, &[]).limited_by, LimitedBy::Due(Some(at(30))));
}

pub fn given_back_is_as_if_never_claimed(place: &dyn Place) {
    let mut hand = hand(place, "h");
    let id = enqueue(&mut *hand.store, T, &[new("a")])[0];
    let before = hand.store.get(id).unwrap();
    let one = hand.claim(T, 1).remove(0);
    let unused = unused(&one);
    let exchange = Exchange { give_back: vec![unused.clone(), unused], ..hand.exchange(T) };
    hand.store.exchange(&exchange).unwrap();
    assert_eq!(hand.store.get(id).unwrap(), before);
    assert_eq!(hand.store.attempts(id).unwrap(), []);
    hand.store.cancel(T, &only(&[id])).unwrap();
    assert_eq!(status(&*hand.store, id), Status::Cancelled);
    sound(&*hand.store);
}
