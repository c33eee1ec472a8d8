//! A channel in trouble, and a store in trouble.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use notifyctl::delivery::{Error, Lane, Until};
use notifyctl::model::{Outcome, Reason, Status, Verdict};
use notifyctl::store::{ErrorKind, Exchange, Store};

use super::failing::Failing;
use super::rig::{Rig, Scripted, lane, runtime};

/// A channel that cannot be reached until it is said to be up.
fn unreachable() -> (Arc<Scripted>, Arc<AtomicBool>) {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let channel = Scripted::new(move |_| {
        let verdict = match is_up.load(Ordering::Relaxed) {
            true => Verdict::sent("ok"),
            false => Verdict::channel_trouble(Reason::Unreachable, "refused"),
        };
        std::future::ready(verdict)
    });
    (channel, up)
}

#[test]
fn a_channel_in_trouble_is_left_after_one_round_and_then_probed_by_one_attempt() {
    let rig = Rig::new();
    let (channel, up) = unreachable();
    let ids = rig.enqueue("a", 50);
    let tally = rig.pass(vec![lane("a", &channel)]);
    let first = channel.ids().len();
    assert!(first <= 4 && tally.total.deferred == first as u64, "{first} attempts, {tally:?}");
    assert!(rig.pass(vec![lane("a", &channel)]).total.deferred == 0, "paused");

    rig.pass_time(Duration::from_secs(10));
    assert_eq!(rig.pass(vec![lane("a", &channel)]).total.deferred, 1, "one probes");

    rig.pass_time(Duration::from_secs(30));
    up.store(true, Ordering::Relaxed);
    assert_eq!(rig.pass(vec![lane("a", &channel)]).total.sent, 50, "the probe got through, the rest follow");
    let notification = rig.store().get(ids[0]).unwrap().unwrap();
    assert_eq!(notification.retries, 0, "the channel's trouble uses up no retry");
}

/// The first claim of a pass is not dated ahead yet: where each commit takes longer than the rate allows for, it comes too late.
#[test]
fn a_probe_that_came_too_late_for_its_rate_is_followed_by_another_in_the_same_pass() {
    let rig = Arc::new(Rig::new());
    let (channel, up) = unreachable();
    let rated = || Lane { rates: vec!["50/1s".parse().unwrap()], ..lane("a", &channel) };
    rig.enqueue("a", 3);
    assert!(rig.pass(vec![rated()]).total.deferred > 0);
    rig.pass_time(Duration::from_secs(10));
    up.store(true, Ordering::Relaxed);
    let disk = Arc::clone(&rig);
    let slow = move |exchange: &Exchange| {
        disk.pass_time(Duration::from_millis(if exchange.claim.is_empty() { 0 } else { 50 }));
        None
    };
    let store = Failing::new(rig.store(), slow);
    assert_eq!(rig.run(Box::new(store), vec![rated()]).unwrap().total.sent, 3);
}

#[test]
fn a_destination_that_is_gone_holds_the_channel_and_burns_nothing_more() {
    let rig = Rig::new();
    let channel = Scripted::answering(Verdict::new(Outcome::Rejected, Reason::Gone, "410 Gone"));
    rig.enqueue("a", 50);
    let tally = rig.pass(vec![lane("a", &channel)]);
    assert!(tally.total.dead <= 8, "{tally:?}");
    let store = rig.store();
    assert_eq!(store.counts().unwrap().of(Status::Pending), 50 - tally.total.dead);
    let states = store.channels(rig.now()).unwrap();
    assert_eq!(states[0].held.as_ref().map(|(_, reason)| reason.as_str()), Some("gone: 410 Gone"));
}

/// Fails the first `n` exchanges that `meant` picks.
fn failing(
    rig: &Rig,
    kind: ErrorKind,
    n: usize,
    meant: fn(&Exchange) -> bool,
) -> (Failing, Arc<AtomicUsize>) {
    let failures = Arc::new(AtomicUsize::new(0));
    let failed = Arc::clone(&failures);
    let fails =
        move |exchange: &Exchange| (meant(exchange) && failed.load(Ordering::Relaxed) < n).then_some(kind);
    (Failing { failures: Arc::clone(&failures), ..Failing::new(rig.store(), fails) }, failures)
}

#[test]
fn what_was_delivered_is_not_sent_again_because_its_result_found_no_room() {
    for kind in [ErrorKind::Full, ErrorKind::Io, ErrorKind::Corrupt, ErrorKind::Busy] {
        let rig = Rig::new();
        let channel = Scripted::accepting();
        rig.enqueue("a", 30);
        let (store, failures) = failing(&rig, kind, 4, |exchange| !exchange.settle.is_empty());
        let tally = rig.run(Box::new(store), vec![lane("a", &channel)]).unwrap();
        assert_eq!((tally.total.sent, channel.ids().len()), (30, 30), "{kind:?}");
        assert_eq!(failures.load(Ordering::Relaxed), 4);
    }
}

#[test]
fn while_results_find_no_room_nothing_more_begins_and_patience_ends() {
    let mut rig = Rig::new();
    rig.stop.patience = Duration::from_millis(200);
    let channel = Scripted::accepting();
    rig.enqueue("a", 100);
    let (store, _) = failing(&rig, ErrorKind::Full, usize::MAX, |exchange| !exchange.settle.is_empty());
    let error = rig.run(Box::new(store), vec![lane("a", &channel)]).unwrap_err();
    assert!(matches!(error, Error::Store(error) if error.kind == ErrorKind::Full));
    // Those that had been claimed when the first result came back.
    assert!(channel.ids().len() <= 32, "{} were sent without room for a result", channel.ids().len());
}

#[test]
fn the_room_set_aside_is_asked_for_when_all_results_are_there_and_patience_lasts_until_then() {
    let mut rig = Rig::new();
    rig.stop.patience = Duration::from_millis(200);
    let first = AtomicBool::new(true);
    let channel = Scripted::new(move |_| {
        let takes = if first.swap(false, Ordering::Relaxed) { 0 } else { 600 };
        async move {
            tokio::time::sleep(Duration::from_millis(takes)).await;
            Verdict::sent("ok")
        }
    });
    rig.enqueue("a", 30);
    let failures = Arc::new(AtomicUsize::new(0));
    // As on a full disk with room for all that was under way, until somebody makes more.
    let mut full = true;
    let fails = move |exchange: &Exchange| {
        let partial = !exchange.settle.is_empty() && exchange.outstanding > 0;
        full &= exchange.settle.is_empty() || partial;
        (full && partial).then_some(ErrorKind::Full)
    };
    let store = Failing { failures: Arc::clone(&failures), ..Failing::new(rig.store(), fails) };
    let tally = rig.run(Box::new(store), vec![lane("a", &channel)]).unwrap();
    assert_eq!((tally.total.sent, channel.ids().len()), (30, 30));
    assert!(failures.load(Ordering::Relaxed) > 1, "the first result came alone");
}

#[test]
fn a_full_disk_before_anything_was_delivered_ends_the_pass_at_once() {
    let rig = Rig::new();
    let channel = Scripted::accepting();
    rig.enqueue("a", 10);
    let (store, failures) = failing(&rig, ErrorKind::Full, usize::MAX, |_| true);
    let error = rig.run(Box::new(store), vec![lane("a", &channel)]).unwrap_err();
    assert!(matches!(error, Error::Store(error) if error.kind == ErrorKind::Full));
    assert_eq!((channel.ids().len(), failures.load(Ordering::Relaxed)), (0, 1));
}

#[test]
fn a_store_that_is_busy_for_a_moment_is_asked_again() {
    let rig = Rig::new();
    let channel = Scripted::accepting();
    rig.enqueue("a", 10);
    let (store, failures) = failing(&rig, ErrorKind::Busy, 3, |_| true);
    assert_eq!(rig.run(Box::new(store), vec![lane("a", &channel)]).unwrap().total.sent, 10);
    assert_eq!(failures.load(Ordering::Relaxed), 3);
}

#[test]
fn a_daemon_on_a_full_disk_rests_between_its_tries_and_goes_on_when_there_is_room() {
    let mut rig = Rig::new();
    rig.until = Until::Shutdown;
    let channel = Scripted::accepting();
    let last = *rig.enqueue("a", 10).last().unwrap();
    // 50 ms, 100 ms, 200 ms … after one another; every look between them finds nothing that could be written.
    let (store, failures) = failing(&rig, ErrorKind::Full, 5, |exchange| !exchange.claim.is_empty());
    let mut store: Box<dyn Store> = Box::new(store);
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    let mut engine = Box::pin(rig.deliver(store, worker, vec![lane("a", &channel)]));
    let turns = AtomicUsize::new(0);
    let counted = std::future::poll_fn(|context| {
        turns.fetch_add(1, Ordering::Relaxed);
        engine.as_mut().poll(context)
    });
    let began = Instant::now();
    let tally = runtime().block_on(async {
        let watched = async {
            while rig.status(last) != Status::Sent {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            rig.stop.drain.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            tally = counted => tally.unwrap(),
            () = watched => unreachable!("it never ends"),
        }
    });
    assert_eq!((tally.total.sent, failures.load(Ordering::Relaxed)), (10, 5));
    // A sweep, every five seconds, writes nothing and shows no room.
    assert!(began.elapsed() < Duration::from_secs(15), "each try waits for a sweep");
    let turns = turns.into_inner();
    assert!(turns < 400, "{turns} turns");
}
