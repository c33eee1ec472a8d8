//! What comes late: an answer of the store, and the right time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use notifyctl::model::{Reason, Verdict};
use notifyctl::store::{ErrorKind, Exchange};
use tokio::sync::Semaphore;

use super::failing::Failing;
use super::rig::{Rig, Scripted, lane};

/// The last attempt ends while a write is under way that was asked for before, and did not take the room set aside.
#[test]
fn an_answer_that_was_asked_for_while_one_was_under_way_does_not_end_the_pass() {
    let mut rig = Rig::new();
    rig.stop.patience = Duration::from_millis(20);
    let gate = Arc::new(Semaphore::new(0));
    let (first, opens) = (AtomicBool::new(true), Arc::clone(&gate));
    let channel = Scripted::new(move |_| {
        let waits = !first.swap(false, Ordering::Relaxed);
        let gate = Arc::clone(&opens);
        async move {
            if waits {
                gate.acquire().await.unwrap().forget();
            }
            Verdict::sent("ok")
        }
    });
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
