//! The delivery engine: scripted channels at one end, a real store at the other.

mod ahead;
mod failing;
mod late;
mod meanwhile;
mod rated;
mod rig;
mod stories;
mod telling;
mod trouble;

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use notifyctl::delivery::{Budget, Error, Lane, Until};
use notifyctl::model::{Id, NewNotification, OnUnknown, Outcome, Policy, Priority, Reason, Status, Verdict};
use notifyctl::store::{Claim, Exchange, Selection, Store, Worker};
use tokio::sync::Notify;

use crate::support::hand::unused;
use rig::{Rig, Scripted, frozen, lane, notification, runtime, until};

#[test]
fn all_that_is_due_is_delivered_exactly_once_over_all_channels() {
    let rig = Rig::new();
    let (a, b) = (Scripted::accepting(), Scripted::accepting());
    let mut expected: BTreeSet<_> = rig.enqueue("a", 700).into_iter().collect();
    expected.extend(rig.enqueue("b", 300));
    let tally = rig.pass(vec![lane("a", &a), lane("b", &b)]);
    assert_eq!((tally.total.sent, tally.channels["a"].sent, tally.channels["b"].sent), (1000, 700, 300));
    let seen: Vec<_> = a.ids().into_iter().chain(b.ids()).collect();
    assert_eq!(seen.len(), 1000);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[test]
fn no_more_attempts_are_under_way_than_the_channel_allows() {
    let rig = Rig::new();
    let channel = Scripted::accepting();
    rig.enqueue("a", 100);
    rig.pass(vec![Lane { max_in_flight: 3, ..lane("a", &channel) }]);
    assert_eq!(channel.most(), 3);
}

#[test]
fn a_channel_that_hangs_costs_only_its_own_places() {
    let rig = Rig::new();
    let hung = Scripted::hanging();
    let others = Arc::new(Notify::new());
    let ring = Arc::clone(&others);
    let healthy = Scripted::new(move |_| {
        ring.notify_one();
        std::future::ready(Verdict::sent("ok"))
    });
    rig.enqueue("hung", 2000);
    rig.enqueue("healthy", 50);
    let mut store = rig.store();
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    // More permits than there are places, so that it would take them all if it could.
    let hung_lane = Lane { max_in_flight: 5000, ..lane("hung", &hung) };
    let run = rig.deliver(store, worker, vec![hung_lane, lane("healthy", &healthy)]);
    let tally = runtime().block_on(async {
        let mut run = tokio::spawn(run);
        while healthy.ids().len() < 50 {
            tokio::select! {
                () = others.notified() => {}
                ended = &mut run => panic!("ended before the healthy ones were sent: {ended:?}"),
            }
        }
        rig.stop.drain.cancel();
        rig.stop.abandon.cancel();
        run.await.unwrap().unwrap()
    });
    assert_eq!(tally.channels["healthy"].sent, 50);
    assert!(hung.ids().len() < 1024, "{} of the places", hung.ids().len());
    assert_eq!(tally.channels["hung"].deferred, hung.ids().len() as u64);
}

#[test]
fn a_channel_that_panics_leaves_an_unknown_end_and_the_pass_goes_on() {
    let rig = Rig::new();
    let ids = rig.enqueue("a", 20);
    let bad = ids[7];
    let channel = Scripted::new(move |envelope| {
        assert_ne!(envelope.id, bad, "a defect, on purpose");
        std::future::ready(Verdict::sent("ok"))
    });
    let tally = rig.pass(vec![lane("a", &channel)]);
    assert_eq!((tally.total.sent, tally.total.deferred), (19, 1));
    let attempts = rig.store().attempts(bad).unwrap();
    assert_eq!((attempts[0].outcome, attempts[0].reason), (Some(Outcome::Unknown), Some(Reason::LocalError)));
}

#[test]
fn what_is_deferred_is_due_again_after_its_wait_and_dead_after_the_last() {
    let rig = Rig::new();
    let channel = Scripted::answering(Verdict::new(Outcome::Deferred, Reason::TemporaryFailure, "451"));
    let id = rig.enqueue("a", 1)[0];
    for (wait, deferred, dead) in [(40, 1, 0), (80, 1, 0), (0, 0, 1)] {
        let tally = rig.pass(vec![lane("a", &channel)]);
        assert_eq!((tally.total.deferred, tally.total.dead), (deferred, dead));
        assert_eq!(rig.pass(vec![lane("a", &channel)]).total.deferred, 0, "not due yet");
        rig.pass_time(Duration::from_secs(wait));
    }
    assert_eq!(rig.status(id), Status::Dead);
    let ids = channel.stable_ids();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]), "the same id on every attempt: {ids:?}");
}

#[test]
fn what_has_waited_for_long_is_tried_for_as_long_as_anything_else() {
    let (rig, week) = (Rig::new(), Duration::from_secs(7 * 86_400));
    let down = Scripted::answering(Verdict::channel_trouble(Reason::Unreachable, "refused"));
    let id = rig.enqueue("a", 1)[0];
    // Nobody delivered for a week; patience, of a day, begins now.
    rig.pass_time(week);
    assert_eq!(rig.pass(vec![lane("a", &down)]).total.deferred, 1);
    rig.pass_time(Duration::from_secs(86_399));
    assert_eq!(rig.pass(vec![lane("a", &down)]).total.deferred, 1);
    rig.pass_time(Duration::from_secs(3_600));
    assert_eq!(rig.pass(vec![lane("a", &down)]).total.dead, 1);
    // Somebody starts it again, with all that a new one has.
    rig.pass_time(week);
    rig.store().requeue(rig.now(), &Selection::Ids(vec![id])).unwrap();
    assert_eq!(rig.pass(vec![lane("a", &down)]).total.deferred, 1);
    assert_eq!(rig.status(id), Status::Pending);
}

#[test]
fn what_was_deferred_before_the_clock_was_set_back_is_given_up_after_as_long_as_anything_else() {
    let (rig, week) = (Rig::new(), Duration::from_secs(7 * 86_400));
    let down = Scripted::answering(Verdict::channel_trouble(Reason::Unreachable, "refused"));
    rig.pass_time(week);
    rig.enqueue("a", 1);
    assert_eq!(rig.pass(vec![lane("a", &down)]).total.deferred, 1);
    rig.set_back(week);
    // It moves back with its channel, and is due.
    rig.pass(vec![lane("a", &down)]);
    for _ in 0..2 {
        rig.pass_time(Duration::from_secs(43_000));
        assert_eq!(rig.pass(vec![lane("a", &down)]).total.deferred, 1);
    }
    rig.pass_time(Duration::from_secs(43_500));
    assert_eq!(rig.pass(vec![lane("a", &down)]).total.dead, 1);
}

#[test]
fn what_nobody_could_finish_for_days_is_tried_for_as_long_as_anything_else() {
    for end in [End::Begun, End::Lost] {
        let (rig, week) = (Rig::new(), Duration::from_secs(7 * 86_400));
        let down = Scripted::answering(Verdict::channel_trouble(Reason::Unreachable, "refused"));
        rig.enqueue("a", 1);
        claim_and_die(&rig, 1, end);
        rig.pass_time(week);
        let tally = rig.pass(vec![lane("a", &down)]);
        assert_eq!((tally.orphans, tally.total.deferred, tally.total.dead), (1, 1, 0));
        rig.pass_time(Duration::from_secs(86_399));
        assert_eq!(rig.pass(vec![lane("a", &down)]).total.deferred, 1);
        rig.pass_time(Duration::from_secs(3_600));
        assert_eq!(rig.pass(vec![lane("a", &down)]).total.dead, 1);
    }
}

#[test]
fn a_limit_is_used_up_exactly_and_the_rest_is_left_pending() {
    let mut rig = Rig::new();
    rig.budget = Budget { limit: Some(25), max_time: None };
    let channel = Scripted::accepting();
    rig.enqueue("a", 40);
    assert_eq!(rig.pass(vec![lane("a", &channel)]).total.sent, 25);
    assert_eq!(rig.store().counts().unwrap().of(Status::Pending), 15);
}

#[test]
fn when_the_time_is_used_up_what_is_under_way_ends_and_the_rest_is_given_back() {
    let mut rig = Rig::new();
    rig.hangs_after = Duration::from_secs(3_600);
    rig.budget = Budget { limit: None, max_time: Some(Duration::from_secs(60)) };
    let channel = Scripted::new(|_| async {
        tokio::time::sleep(Duration::from_secs(100)).await;
        Verdict::sent("ok")
    });
    let ids = rig.enqueue("a", 40);
    let mut store = rig.store();
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    let lane = Lane { longest_attempt: Duration::from_secs(200), ..lane("a", &channel) };
    let run = rig.deliver(store, worker, vec![lane]);
    let tally = frozen(async {
        let run = tokio::spawn(run);
        until("four are under way", || channel.ids().len() == 4).await;
        tokio::time::advance(Duration::from_secs(61)).await;
        let store = rig.store();
        until("the rest is given back", || store.counts().unwrap().of(Status::Pending) == 36).await;
        tokio::time::advance(Duration::from_secs(130)).await;
        run.await.unwrap().unwrap()
    });
    assert_eq!((tally.total.sent, tally.given_back > 0), (4, true));
    let attempts = rig.store().get(*ids.last().unwrap()).unwrap().unwrap().summary.attempts;
    assert_eq!(attempts, 0, "what has not begun is as if never claimed");
}

#[test]
fn draining_finishes_what_is_under_way_and_abandons_it_after_the_bound() {
    let rig = Rig::new();
    let drain = rig.stop.drain.clone();
    let channel = Scripted::new(move |envelope| {
        drain.cancel();
        async move {
            if envelope.id % 2 == 0 {
                std::future::pending::<()>().await;
            }
            Verdict::sent("ok")
        }
    });
    rig.enqueue("a", 40);
    let mut store = rig.store();
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    let run = rig.deliver(store, worker, vec![lane("a", &channel)]);
    let store = rig.store();
    // How many have begun when it is told depends on who had his turn first.
    let begun = || -> (Vec<_>, Vec<_>) { channel.ids().into_iter().partition(|id| id % 2 == 0) };
    let tally = frozen(async {
        let run = tokio::spawn(run);
        until("those that end have ended, and what has not begun is given back", || {
            let (counts, (hanging, done)) = (store.counts().unwrap(), begun());
            let all = [Status::Sent, Status::Sending].map(|status| counts.of(status));
            !done.is_empty() && all == [done.len() as u64, hanging.len() as u64]
        })
        .await;
        tokio::time::advance(rig.stop.bound).await;
        run.await.unwrap().unwrap()
    });
    let (hanging, done) = begun();
    assert_eq!((tally.total.sent, tally.total.deferred), (done.len() as u64, hanging.len() as u64));
    assert!((2..20).contains(&hanging.len()), "{hanging:?}");
    let attempts = rig.store().attempts(hanging[0]).unwrap();
    assert_eq!((attempts[0].outcome, attempts[0].reason), (Some(Outcome::Unknown), Some(Reason::NoAnswer)));
    assert_eq!(rig.store().counts().unwrap().of(Status::Sending), 0);
}

#[test]
fn critical_ones_go_first() {
    let rig = Rig::new();
    let channel = Scripted::accepting();
    rig.enqueue("a", 50);
    let critical = NewNotification { priority: Priority::Critical, ..notification("a") };
    let critical = rig.enqueue_like(4, &critical);
    rig.pass(vec![lane("a", &channel)]);
    let first: BTreeSet<_> = channel.ids().into_iter().take(4).collect();
    assert_eq!(first, critical.into_iter().collect());
}

/// Lets time go by until no more than what four permits begin soon is in hand.
async fn see_surplus_given_back(watch: &dyn Store) {
    let in_hand = || watch.counts().unwrap().of(Status::Sending);
    assert!(in_hand() > 12, "{} while it was quick", in_hand());
    let began = std::time::Instant::now();
    while in_hand() > 12 {
        assert!(began.elapsed() < Duration::from_secs(10), "{} are kept", in_hand());
        tokio::time::advance(Duration::from_secs(6)).await;
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_channel_that_gets_slow_keeps_no_more_in_hand_than_it_can_begin_soon() {
    let mut rig = Rig::new();
    rig.hangs_after = Duration::from_secs(86_400);
    let (channel, _gate) = Scripted::getting_slow(2_000);
    rig.enqueue("a", 4_000);
    let mut store = rig.store();
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    let patient = Lane { longest_attempt: Duration::from_secs(86_400), ..lane("a", &channel) };
    let run = rig.deliver(store, worker, vec![patient]);
    frozen(async {
        let run = tokio::spawn(run);
        until("all are under way that may be", || channel.ids().len() == 2_004).await;
        see_surplus_given_back(&*rig.store()).await;
        rig.stop.drain.cancel();
        rig.stop.abandon.cancel();
        run.await.unwrap().unwrap();
    });
}

#[test]
fn what_a_slow_channel_gave_back_goes_out_in_the_same_pass_though_all_that_was_due_had_been_claimed() {
    let mut rig = Rig::new();
    rig.hangs_after = Duration::from_secs(86_400);
    let (channel, gate) = Scripted::getting_slow(2_000);
    rig.enqueue("a", 2_100);
    let mut store = rig.store();
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    let patient = Lane { longest_attempt: Duration::from_secs(86_400), ..lane("a", &channel) };
    let run = rig.deliver(store, worker, vec![patient]);
    let tally = frozen(async {
        let run = tokio::spawn(run);
        until("all are under way that may be", || channel.ids().len() == 2_004).await;
        see_surplus_given_back(&*rig.store()).await;
        gate.add_permits(100);
        let began = std::time::Instant::now();
        while !run.is_finished() {
            assert!(began.elapsed() < Duration::from_secs(10), "the pass is not over");
            // What waits for others to be written with it goes on with the clock.
            tokio::time::advance(Duration::from_millis(5)).await;
            std::thread::sleep(Duration::from_millis(1));
        }
        run.await.unwrap().unwrap()
    });
    assert_eq!((tally.total.sent, rig.store().counts().unwrap().of(Status::Pending)), (2_100, 0));
}

#[test]
fn what_waits_for_a_channel_that_is_held_meanwhile_goes_back() {
    let rig = Rig::new();
    let (channel, gate) = Scripted::getting_slow(0);
    rig.enqueue("a", 50);
    let mut store = rig.store();
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    let run = rig.deliver(store, worker, vec![lane("a", &channel)]);
    let mut other = rig.store();
    let sending = |store: &dyn Store| store.counts().unwrap().of(Status::Sending);
    runtime().block_on(async {
        let run = tokio::spawn(run);
        until("four are under way, and others wait", || sending(&*other) >= 12).await;
        other.hold_channel(rig.now(), "a", "wrong text").unwrap();
        let in_hand = sending(&*other);
        while sending(&*other) > 4 {
            gate.add_permits(1);
            // However long that takes on this disk: what has ended is written, and the store asked for more.
            tokio::time::timeout(rig.hangs_after, rig.rounds.notified()).await.expect("a round");
        }
        assert!((channel.ids().len() as u64) < in_hand, "all {in_hand} that were claimed have begun");
        gate.add_permits(50);
        run.await.unwrap().unwrap();
    });
}

#[test]
fn what_is_past_its_last_useful_moment_expires_and_is_never_attempted() {
    let rig = Rig::new();
    let channel = Scripted::accepting();
    let brief =
        NewNotification { expires_at: Some(rig.now().plus(Duration::from_secs(60))), ..notification("a") };
    // More than one bite.
    rig.enqueue_like(1200, &brief);
    rig.pass_time(Duration::from_secs(61));
    rig.enqueue("a", 3);
    let tally = rig.pass(vec![lane("a", &channel)]);
    assert_eq!((tally.total.sent, tally.expired()), (3, 1200));
}

/// How another worker ends.
#[derive(Clone, Copy)]
enum End {
    /// It hangs in the middle of its attempts.
    Begun,
    /// It is gone without a trace, as when the machine goes down.
    Lost,
}

/// Claims up to `n` as a worker of its own that comes to its end.
fn claim_and_die(rig: &Rig, n: u32, end: End) {
    let mut store = rig.store();
    let worker = store.register(rig.now(), "other:2:2").unwrap();
    let claim = Claim {
        channel: "a".into(),
        limit: n,
        rates: Vec::new(),
        lease: Duration::from_secs(60),
        lease_token: 99,
    };
    let exchange =
        Exchange { now: rig.now(), worker: worker.id(), claim: vec![claim], ..Exchange::default() };
    let claimed = &store.exchange(&exchange).unwrap().claims[0].claimed;
    assert_eq!(claimed.len(), n as usize);
    if let End::Begun = end {
        for (place, one) in claimed.iter().enumerate() {
            worker.begin(place, one.id).unwrap();
        }
        worker.beat(Duration::from_millis(1)).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        std::mem::forget(worker);
    }
}

#[test]
fn what_a_dead_worker_had_begun_ends_as_unknown_and_goes_out_in_the_same_pass() {
    let rig = Rig::new();
    let channel = Scripted::accepting();
    for (end, reason) in [(End::Begun, Reason::WorkerDied), (End::Lost, Reason::WorkerLost)] {
        let ids = rig.enqueue("a", 10);
        claim_and_die(&rig, 3, end);
        let tally = rig.pass(vec![lane("a", &channel)]);
        assert_eq!((tally.orphans, tally.total.sent, tally.total.deferred), (3, 10, 0));
        let attempts = rig.store().attempts(ids[0]).unwrap();
        assert_eq!(attempts[0].reason, Some(reason));
        assert_eq!(attempts[1].outcome, Some(Outcome::Sent));
    }
}

#[test]
fn what_was_begun_on_a_channel_that_nobody_knows_any_more_is_held_after_a_day() {
    let mut rig = Rig::new();
    let id = rig.enqueue("a", 1)[0];
    claim_and_die(&rig, 1, End::Begun);
    let pass = |rig: &Rig, held| {
        assert_eq!(rig.pass(vec![lane("b", &Scripted::accepting())]).total.held, held);
        rig.status(id)
    };
    assert_eq!(pass(&rig, 0), Status::Sending, "another configuration may have it");
    rig.pass_time(Duration::from_secs(86_401));
    rig.unserved = vec!["a".into()];
    assert_eq!(pass(&rig, 0), Status::Sending, "another pass serves it");
    rig.unserved.clear();
    assert_eq!(pass(&rig, 1), Status::Held);
}

#[test]
fn what_kills_three_workers_in_a_row_is_poison() {
    let mut rig = Rig::new();
    let channel = Scripted::accepting();
    let id = rig.enqueue("a", 1)[0];
    // Passes that settle the first two deaths and attempt nothing themselves. A machine that goes down proves nothing.
    rig.budget = Budget { limit: Some(0), max_time: None };
    for end in [End::Lost, End::Begun, End::Lost, End::Begun, End::Lost, End::Lost] {
        claim_and_die(&rig, 1, end);
        let tally = rig.pass(vec![lane("a", &channel)]);
        assert_eq!((tally.orphans, tally.total.dead), (1, 0));
    }
    claim_and_die(&rig, 1, End::Begun);
    let tally = rig.pass(vec![lane("a", &channel)]);
    assert_eq!((tally.total.dead, channel.ids().len()), (1, 0));
    assert_eq!(rig.status(id), Status::Dead);
}

#[test]
fn an_unknown_end_is_held_where_the_channel_says_so() {
    let rig = Rig::new();
    let channel = Scripted::answering(Verdict::new(Outcome::Unknown, Reason::NoAnswer, "silence"));
    let id = rig.enqueue("a", 1)[0];
    let mut lane = lane("a", &channel);
    lane.policy = Policy { on_unknown: OnUnknown::Hold, ..lane.policy };
    assert_eq!(rig.pass(vec![lane]).total.held, 1);
    assert_eq!(rig.status(id), Status::Held);
}

#[test]
fn a_result_that_comes_after_the_lease_was_lost_is_counted_and_changes_nothing() {
    let rig = Arc::new(Rig::new());
    let id = rig.enqueue("a", 1)[0];
    let thief = Arc::clone(&rig);
    let channel = Scripted::new(move |_| {
        let mut store = thief.store();
        let other = store.register(thief.now(), "other:2:2").unwrap();
        // No sign of life holds for no time: the other one takes us for hung.
        std::thread::sleep(Duration::from_millis(5));
        let orphans = store.orphans(other.id(), Duration::ZERO, 10).unwrap();
        let give_back = orphans.iter().map(|orphan| unused(&orphan.claimed)).collect();
        let exchange = Exchange { now: thief.now(), worker: other.id(), give_back, ..Exchange::default() };
        store.exchange(&exchange).unwrap();
        let hold = Selection::Ids(vec![id]);
        store.hold(thief.now(), &hold).unwrap();
        std::future::ready(Verdict::sent("ok"))
    });
    let mut store = rig.store();
    let worker = Counting::new(store.register(rig.now(), "test:1:1").unwrap(), 9);
    let worker = Counting { longest_lease: Duration::ZERO, ..worker };
    let run = rig.deliver(store, Box::new(worker), vec![lane("a", &channel)]);
    let tally = runtime().block_on(run).unwrap();
    assert_eq!((tally.leases_lost, tally.total.sent), (1, 0));
    assert_eq!(rig.status(id), Status::Held);
}

#[test]
fn a_worker_that_stood_still_past_its_lease_begins_nothing_more_and_gives_back_what_it_can() {
    for (stood_still, sent) in [(59, 10), (62, 1)] {
        let rig = Arc::new(Rig::new());
        rig.enqueue("a", 10);
        let time = Arc::clone(&rig);
        let channel = Scripted::new(move |envelope| {
            if envelope.id == 1 {
                time.stand_still(Duration::from_secs(stood_still));
            }
            std::future::ready(Verdict::sent("ok"))
        });
        let lane = Lane { max_in_flight: 1, longest_attempt: Duration::from_secs(10), ..lane("a", &channel) };
        assert_eq!(rig.pass(vec![lane]).total.sent, sent, "after {stood_still} s");
        let counts = rig.store().counts().unwrap();
        assert_eq!([Status::Pending, Status::Sending].map(|status| counts.of(status)), [10 - sent, 0]);
    }
}

/// A worker that counts what is asked of it, and cannot put more than `room` attempts on record.
struct Counting {
    worker: Box<dyn Worker>,
    beats: Arc<AtomicUsize>,
    room: AtomicUsize,
    /// What others see of its lease is no longer than this.
    longest_lease: Duration,
}

impl Counting {
    fn new(worker: Box<dyn Worker>, room: usize) -> Self {
        Self { worker, beats: Arc::default(), room: AtomicUsize::new(room), longest_lease: Duration::MAX }
    }
}

impl Worker for Counting {
    fn id(&self) -> Id {
        self.worker.id()
    }

    fn places(&self) -> usize {
        self.worker.places()
    }

    fn begin(&self, place: usize, id: Id) -> io::Result<()> {
        match self.room.fetch_update(Relaxed, Relaxed, |room| room.checked_sub(1)) {
            Ok(_) => self.worker.begin(place, id),
            Err(_) => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn forget(&self, place: usize) -> io::Result<()> {
        self.worker.forget(place)
    }

    fn beat(&self, lease: Duration) -> io::Result<()> {
        self.beats.fetch_add(1, Relaxed);
        self.worker.beat(lease.min(self.longest_lease))
    }

    fn announce(&self, roles: &str, since: notifyctl::model::Timestamp) -> io::Result<()> {
        self.worker.announce(roles, since)
    }
}

#[test]
fn a_long_attempt_keeps_its_lease_and_the_worker_gives_signs_of_life() {
    let mut rig = Rig::new();
    rig.hangs_after = Duration::from_secs(3_600);
    let rig = Arc::new(rig);
    let id = rig.enqueue("a", 1)[0];
    let time = Arc::clone(&rig);
    let channel = Scripted::new(move |_| {
        let rig = Arc::clone(&time);
        async move {
            let store = Mutex::new(rig.store());
            let lease = || store.lock().unwrap().get(id).unwrap().unwrap().lease_expires_at.unwrap();
            // The lease outlasts the longest attempt: 730 s. It is extended in each third of it.
            let before = lease();
            rig.pass_time(Duration::from_secs(300));
            tokio::time::advance(Duration::from_secs(300)).await;
            until("the lease is extended", || lease() > before).await;
            Verdict::sent("still mine")
        }
    });
    let mut store = rig.store();
    let worker = Counting::new(store.register(rig.now(), "test:1:1").unwrap(), 9);
    let beats = Arc::clone(&worker.beats);
    let lane = Lane { longest_attempt: Duration::from_secs(700), ..lane("a", &channel) };
    let tally = frozen(rig.deliver(store, Box::new(worker), vec![lane])).unwrap();
    assert_eq!(tally.total.sent, 1);
    assert!(beats.load(Relaxed) > 1, "no sign of life in five minutes");
}

#[test]
fn an_attempt_that_never_ends_is_unknown_after_the_channels_longest() {
    let rig = Rig::new();
    let channel = Scripted::hanging();
    let id = rig.enqueue("a", 1)[0];
    let mut store = rig.store();
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    let lane = Lane { longest_attempt: Duration::from_secs(10), ..lane("a", &channel) };
    let run = rig.deliver(store, worker, vec![lane]);
    let tally = frozen(async {
        let run = tokio::spawn(run);
        until("the attempt is under way", || channel.ids().len() == 1).await;
        tokio::time::advance(Duration::from_secs(16)).await;
        run.await.unwrap().unwrap()
    });
    assert_eq!(tally.total.deferred, 1);
    let attempts = rig.store().attempts(id).unwrap();
    assert_eq!((attempts[0].outcome, attempts[0].reason), (Some(Outcome::Unknown), Some(Reason::NoAnswer)));
}

#[test]
fn what_cannot_be_put_on_record_never_begins_and_the_rest_ends_in_order() {
    let rig = Rig::new();
    let channel = Scripted::accepting();
    rig.enqueue("a", 20);
    let mut store = rig.store();
    let worker = Counting::new(store.register(rig.now(), "test:1:1").unwrap(), 6);
    let run = rig.deliver(store, Box::new(worker), vec![lane("a", &channel)]);
    let error = runtime().block_on(run).unwrap_err();
    assert!(matches!(error, Error::Worker(_)), "{error}");
    let counts = rig.store().counts().unwrap();
    assert_eq!([Status::Sent, Status::Pending].map(|status| counts.of(status)), [6, 14]);
    assert_eq!(channel.ids().len(), 6);
}

#[test]
fn until_shutdown_it_waits_and_a_wake_up_makes_it_look_at_once() {
    let mut rig = Rig::new();
    rig.until = Until::Shutdown;
    let drain = rig.stop.drain.clone();
    let channel = Scripted::new(move |_| {
        drain.cancel();
        std::future::ready(Verdict::sent("ok"))
    });
    let mut store = rig.store();
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    let run = rig.deliver(store, worker, vec![lane("a", &channel)]);
    let tally = runtime().block_on(async {
        let run = tokio::spawn(run);
        // It has looked in vain, and would look again in a minute.
        rig.rounds.notified().await;
        rig.enqueue("a", 1);
        rig.wake.notify_one();
        run.await.unwrap().unwrap()
    });
    assert_eq!(tally.total.sent, 1);
}

#[test]
fn whoever_rings_while_it_is_about_to_look_is_not_forgotten() {
    let mut rig = Rig::new();
    rig.until = Until::Shutdown;
    // All turns together take long where a sync does; each of them has a limit of its own.
    rig.hangs_after = Duration::from_secs(3_600);
    let rig = &rig;
    let channel = Scripted::accepting();
    runtime().block_on(async {
        let mut store = rig.store();
        let worker = store.register(rig.now(), "test:1:1").expect("register");
        let engine = tokio::spawn(rig.deliver(store, worker, vec![lane("a", &channel)]));
        // A store that says nothing is asked again after a minute only: who is forgotten waits for that.
        for turn in 0..40_u64 {
            let first = rig.enqueue("a", 1)[0];
            rig.wake.notify_one();
            tokio::time::sleep(Duration::from_micros(turn * 400)).await;
            let second = rig.enqueue("a", 1)[0];
            rig.wake.notify_one();
            for id in [first, second] {
                until("it is sent", || rig.status(id) == Status::Sent).await;
            }
        }
        rig.stop.drain.cancel();
        engine.await.expect("it ends").expect("a run");
    });
}
