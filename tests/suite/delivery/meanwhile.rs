//! What happens while the store is being asked: its answer does not know of it yet.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::Duration;

use notifyctl::channel::{Attempt, Channel, Envelope, Supply};
use notifyctl::delivery::{Lane, Until};
use notifyctl::model::{NewNotification, Status, Verdict};
use notifyctl::store::Exchange;
use tokio::sync::Notify;

use super::failing::Failing;
use super::rig::{Rig, Scripted, frozen, lane, notification, runtime, until};

/// A store that, once it is armed, keeps the answer to a claim for `channel` alone until it is let go.
struct Pausing {
    armed: Arc<AtomicBool>,
    asked: mpsc::Receiver<()>,
    go: mpsc::Sender<()>,
}

fn pausing(rig: &Rig, channel: &'static str) -> (Box<Failing>, Pausing) {
    let (asks, asked) = mpsc::channel();
    let (go, goes) = mpsc::channel();
    let armed = Arc::new(AtomicBool::new(false));
    let is_armed = Arc::clone(&armed);
    let committed = Box::new(move |exchange: &Exchange| {
        let alone = exchange.claim.len() == 1 && exchange.claim[0].channel == channel;
        if alone && is_armed.swap(false, Relaxed) {
            asks.send(()).expect("somebody waits");
            goes.recv().expect("somebody lets it go");
        }
    });
    let store = Failing { committed, ..Failing::new(rig.store(), |_| None) };
    (Box::new(store), Pausing { armed, asked, go })
}

impl Pausing {
    async fn is_asked(&self) {
        until("the store is asked", || self.asked.try_recv().is_ok()).await;
    }

    /// Lets the engine see what has happened, and answers.
    async fn answer(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        self.go.send(()).expect("it waits");
    }
}

#[test]
fn who_rings_while_a_channel_is_asked_for_is_heard_though_another_channel_hears_it_at_once() {
    let mut rig = Rig::new();
    rig.until = Until::Shutdown;
    let (a, b) = (Scripted::accepting(), Scripted::accepting());
    let second = Duration::from_secs(1);
    let later = NewNotification { not_before: Some(rig.now().plus(second)), ..notification("a") };
    let first = rig.enqueue_like(1, &later)[0];
    let (mut store, pausing) = pausing(&rig, "a");
    let worker = notifyctl::store::Writer::register(&mut *store, rig.now(), "test:1:1").unwrap();
    let run = rig.deliver(store, worker, vec![lane("a", &a), lane("b", &b)]);
    frozen(async {
        let run = tokio::spawn(run);
        // All that there is has been looked for: the next look is for what is due on one of them.
        rig.rounds.notified().await;
        pausing.armed.store(true, Relaxed);
        rig.pass_time(second);
        tokio::time::advance(second).await;
        pausing.is_asked().await;
        let next = rig.enqueue("a", 1)[0];
        rig.wake.notify_one();
        pausing.answer().await;
        let began = std::time::Instant::now();
        // It would look again after a minute.
        while rig.status(next) != Status::Sent {
            assert!(began.elapsed() < Duration::from_secs(10), "it was not looked for");
            tokio::time::advance(Duration::from_millis(1)).await;
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(rig.status(first), Status::Sent);
        rig.stop.drain.cancel();
        run.await.unwrap().unwrap();
    });
}

/// Takes two, and when it is told to gives the second one back untried.
struct Announcing {
    begun: Notify,
    end: Notify,
}

impl Channel for Announcing {
    fn attempt<'a>(&'a self, _envelope: &'a Envelope) -> Attempt<'a> {
        unreachable!("it is handed a supply")
    }

    fn carry<'a>(&'a self, supply: &'a mut dyn Supply) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let Some(first) = supply.next() else { return };
            let Some(second) = supply.next() else { return supply.ended(first.id, Verdict::sent("ok")) };
            self.begun.notify_one();
            self.end.notified().await;
            supply.untried(second.id);
            supply.ended(first.id, Verdict::sent("ok"));
        })
    }
}

#[test]
fn what_is_given_back_untried_while_the_store_is_asked_goes_out_in_the_same_pass() {
    let rig = Rig::new();
    rig.enqueue("a", 2);
    let channel = Arc::new(Announcing { begun: Notify::new(), end: Notify::new() });
    let like = lane("a", &Scripted::accepting());
    let announcing = Lane { channel: Arc::clone(&channel) as Arc<dyn Channel>, max_in_flight: 2, ..like };
    let (mut store, pausing) = pausing(&rig, "a");
    let worker = notifyctl::store::Writer::register(&mut *store, rig.now(), "test:1:1").unwrap();
    let run = rig.deliver(store, worker, vec![announcing]);
    let tally = runtime().block_on(async {
        let run = tokio::spawn(run);
        channel.begun.notified().await;
        pausing.armed.store(true, Relaxed);
        rig.wake.notify_one();
        pausing.is_asked().await;
        channel.end.notify_one();
        pausing.answer().await;
        run.await.unwrap().unwrap()
    });
    assert_eq!((tally.given_back, tally.total.sent), (1, 2));
}
