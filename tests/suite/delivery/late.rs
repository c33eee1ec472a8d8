//! What comes late: an answer of the store, and the right time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use notifyctl::model::{Reason, Verdict};
use notifyctl::store::{ErrorKind, Exchange, Writer};

use super::failing::Failing;
use super::rig::{Rig, Scripted, frozen, lane, until};

/// The last attempt ends while a write is under way that was asked for before, and did not take the room set aside.
#[test]
fn an_answer_that_was_asked_for_while_one_was_under_way_does_not_end_the_pass() {
    let mut rig = Rig::new();
    rig.stop.patience = Duration::from_millis(20);
    let (channel, gate) = Scripted::getting_slow(1);
    rig.enqueue("a", 2);
    let partials = AtomicUsize::new(0);
    let mut full = true;
    let fails = move |exchange: &Exchange| {
        let partial = !exchange.settle.is_empty() && exchange.outstanding > 0;
        full &= exchange.settle.is_empty() || partial;
        if !(full && partial) {
            return None;
        }
        if partials.fetch_add(1, Ordering::Relaxed) == 2 {
            gate.add_permits(1);
            // A slow disk: the last attempt has ended when this fails.
            std::thread::sleep(Duration::from_millis(200));
        }
        Some(ErrorKind::Full)
    };
    let store = Failing::new(rig.store(), fails);
    let tally = rig.run(Box::new(store), vec![lane("a", &channel)]).unwrap();
    assert_eq!((tally.total.sent, channel.ids().len()), (2, 2));
}

/// The last attempt ends while its lease is being extended, in vain.
#[test]
fn a_result_that_comes_while_leases_cannot_be_extended_is_written_before_the_pass_ends() {
    let mut rig = Rig::new();
    rig.stop.patience = Duration::from_millis(20);
    rig.hangs_after = Duration::from_secs(3_600);
    let (channel, gate) = Scripted::getting_slow(0);
    rig.enqueue("a", 1);
    let mut left = 2;
    let extends = move || {
        left -= 1;
        if left == 0 {
            gate.add_permits(1);
            // A slow disk: the last attempt has ended when this fails.
            std::thread::sleep(Duration::from_millis(200));
        }
        (left >= 0).then_some(ErrorKind::Full)
    };
    let mut store = Failing { extends: Box::new(extends), ..Failing::new(rig.store(), |_| None) };
    let worker = store.register(rig.now(), "test:1:1").unwrap();
    let run = rig.deliver(Box::new(store), worker, vec![lane("a", &channel)]);
    let tally = frozen(async {
        let run = tokio::spawn(run);
        until("it is under way", || channel.ids().len() == 1).await;
        // A third of the lease.
        tokio::time::advance(Duration::from_secs(20)).await;
        let began = Instant::now();
        while !run.is_finished() {
            assert!(began.elapsed() < Duration::from_secs(10), "the pass is not over");
            tokio::time::advance(Duration::from_millis(5)).await;
            std::thread::sleep(Duration::from_millis(1));
        }
        run.await.unwrap().unwrap()
    });
    assert_eq!((tally.total.sent, channel.ids().len()), (1, 1));
}

/// A machine without a battery begins with an old clock, and is told the time a minute later.
#[test]
fn what_was_deferred_while_the_clock_was_behind_is_not_given_up_a_minute_later() {
    let (rig, month) = (Rig::new(), Duration::from_secs(30 * 86_400));
    let down = Scripted::answering(Verdict::channel_trouble(Reason::Unreachable, "refused"));
    rig.enqueue("a", 1);
    rig.set_back(month);
    assert_eq!(rig.pass(vec![lane("a", &down)]).total.deferred, 1);
    rig.pass_time(month + Duration::from_secs(60));
    let tally = rig.pass(vec![lane("a", &down)]);
    assert_eq!((tally.total.deferred, tally.total.dead), (1, 0), "a minute after it was enqueued");
}
