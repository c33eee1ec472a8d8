//! The engine within a rate: what comes too late for the moment that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use notifyctl::delivery::{Budget, Lane};
use notifyctl::model::Verdict;
use notifyctl::store::Exchange;

use super::failing::Failing;
use super::rig::{Rig, Scripted, lane};

/// The first claim of a pass is not dated ahead yet: where a commit takes longer than the rate allows for, it comes too late.
#[test]
fn what_came_too_late_for_its_rate_does_not_use_it_up() {
    let mut rig = Rig::new();
    rig.budget = Budget { limit: None, max_time: Some(Duration::from_secs(8)) };
    let rig = Arc::new(rig);
    let (finish, left) = (rig.stop.finish.clone(), AtomicUsize::new(2));
    let channel = Scripted::new(move |_| {
        if left.fetch_sub(1, Relaxed) == 1 {
            finish.cancel();
        }
        std::future::ready(Verdict::sent("ok"))
    });
    rig.enqueue("a", 2);
    let (disk, claims) = (Arc::clone(&rig), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&claims);
    let slow = move |exchange: &Exchange| {
        if !exchange.claim.is_empty() && counted.fetch_add(1, Relaxed) == 0 {
            disk.pass_time(Duration::from_millis(150));
        }
        None
    };
    let store = Failing::new(rig.store(), slow);
    let rated = Lane { rates: vec!["2/10s".parse().unwrap()], ..lane("a", &channel) };
    let tally = rig.run(Box::new(store), vec![rated]).unwrap();
    assert_eq!((tally.given_back, tally.total.sent), (2, 2), "after {} claims", claims.load(Relaxed));
}
