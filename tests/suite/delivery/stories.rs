//! Passes over whatever may happen: at the end of each nothing is left that could have gone out.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use notifyctl::channel::{Attempt, Channel, Envelope, Supply};
use notifyctl::delivery::{Budget, Lane};
use notifyctl::model::{Outcome, Reason, Status, Verdict};
use notifyctl::store::{ErrorKind, Exchange, Filter, Page};
use tokio::sync::Notify;

use super::failing::Failing;
use super::rig::{Rig, Scripted, lane};

/// Stories in the suite; more of them by `NOTIFYCTL_STORIES`.
const STORIES: u64 = 8;

/// A channel that takes one or two at a time, thinks for a moment, and now and then gives one back or panics.
struct Whimsical {
    random: Mutex<fastrand::Rng>,
    wake: Arc<Notify>,
    tried: AtomicUsize,
}

impl Whimsical {
    fn draw<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    async fn try_one(&self) -> Verdict {
        self.tried.fetch_add(1, Relaxed);
        match self.draw(|random| random.u8(..8)) {
            0..=3 => tokio::task::yield_now().await,
            4..=5 => tokio::time::sleep(Duration::from_millis(self.draw(|random| random.u64(0..12)))).await,
            _ => {}
        }
        if self.draw(|random| random.u8(..16)) == 0 {
            self.wake.notify_one();
        }
        match self.draw(|random| random.u8(..40)) {
            0 => Verdict::new(Outcome::Rejected, Reason::RecipientRejected, "550"),
            1 => Verdict::new(Outcome::Rejected, Reason::Unsendable, "no such header"),
            2 => panic!("a defect, on purpose"),
            _ => Verdict::sent("ok"),
        }
    }
}

impl Channel for Whimsical {
    fn attempt<'a>(&'a self, _envelope: &'a Envelope) -> Attempt<'a> {
        unreachable!("it is handed a supply")
    }

    fn carry<'a>(&'a self, supply: &'a mut dyn Supply) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let mut ahead: Option<Envelope> = None;
            while let Some(one) = ahead.take().or_else(|| supply.next()) {
                ahead = self.draw(|random| random.bool()).then(|| supply.next()).flatten();
                let verdict = self.try_one().await;
                if ahead.is_some() && self.draw(|random| random.u8(..4)) == 0 {
                    supply.untried(ahead.take().expect("it is there").id);
                }
                supply.ended(one.id, verdict);
            }
        })
    }
}

fn tell(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut rig = Rig::new();
    let (counts, limit) = ([random.usize(1..300), random.usize(1..60)], random.u64(1..400));
    let limited = random.u8(..3) == 0;
    rig.budget = Budget { limit: limited.then_some(limit), max_time: None };
    let rig = Arc::new(rig);
    let names = ["a", "b"];
    let channels = names.map(|_| {
        let random = Mutex::new(random.fork());
        Arc::new(Whimsical { random, wake: Arc::clone(&rig.wake), tried: AtomicUsize::new(0) })
    });
    let lanes = names.iter().zip(&channels).map(|(name, channel)| {
        let like = lane(name, &Scripted::accepting());
        let rates = if random.bool() { vec!["5000/1s".parse().unwrap()] } else { Vec::new() };
        let max_in_flight = random.usize(1..6);
        Lane { channel: Arc::clone(channel) as Arc<dyn Channel>, rates, max_in_flight, ..like }
    });
    let lanes: Vec<_> = lanes.collect();
    for (name, count) in names.iter().zip(counts) {
        rig.enqueue(name, count);
    }
    let (disk, mut whims) = (Arc::clone(&rig), random.fork());
    let fails = move |exchange: &Exchange| {
        if whims.u8(..6) == 0 {
            disk.pass_time(Duration::from_millis(whims.u64(0..60)));
        }
        match whims.u8(..16) {
            0 => Some(ErrorKind::Busy),
            // With nothing at stake a pass ends at once.
            1 if !exchange.settle.is_empty() => Some(ErrorKind::Full),
            _ => None,
        }
    };
    let store = Failing::new(rig.store(), fails);
    let tally = rig.run(Box::new(store), lanes).unwrap();
    let store = rig.store();
    let all: usize = counts.iter().sum();
    let tried: usize = channels.iter().map(|channel| channel.tried.load(Relaxed)).sum();
    let expected = if limited { all.min(limit as usize) } else { all };
    assert_eq!(tried, expected, "seed {seed}: {tally:?}");
    let due = Filter { statuses: vec![Status::Pending], ..Filter::default() };
    let due = store.list(&due, &Page { order: Default::default(), after: None, limit: 1_000 }).unwrap();
    let due = due.iter().filter(|one| one.next_attempt_at <= rig.now()).count();
    assert_eq!(due, all - expected, "seed {seed}: {tally:?}");
    assert_eq!(store.counts().unwrap().of(Status::Sending), 0, "seed {seed}");
}

#[test]
fn at_the_end_of_every_pass_nothing_is_left_that_could_have_gone_out() {
    let asked = std::env::var("NOTIFYCTL_STORIES").ok().and_then(|n| n.parse().ok());
    (0..asked.unwrap_or(STORIES)).for_each(tell);
}
