//! A lane: how much it asks for, and when.

use super::*;
use crate::channel::{Attempt, Envelope};
use crate::model::{Content, OnUnknown, Priority, Verdict};

struct Nothing;

impl Channel for Nothing {
    fn attempt<'a>(&'a self, _envelope: &'a Envelope) -> Attempt<'a> {
        Box::pin(std::future::ready(Verdict::sent("ok")))
    }
}

const DATED: Dated = Dated { at: Timestamp(0), lead: Duration::ZERO };

fn lane(rates: &[&str]) -> LaneState {
    let lane = Lane {
        name: "a".into(),
        channel: Arc::new(Nothing),
        policy: Policy {
            retry: "30s".parse().unwrap(),
            on_unknown: OnUnknown::Retry,
            give_up_after: Duration::from_secs(86_400),
        },
        rates: rates.iter().map(|rate| rate.parse().unwrap()).collect(),
        max_in_flight: 4,
        longest_attempt: Duration::from_secs(30),
    };
    LaneState::new(lane, 100, Instant::now())
}

fn claimed(message: usize) -> Claimed {
    Claimed {
        id: 1,
        attempt: 1,
        lease_token: 1,
        channel: "a".into(),
        batch_id: None,
        user_id: None,
        priority: Priority::Normal,
        created_at: Timestamp(0),
        expires_at: None,
        retries: 0,
        crashes: 0,
        deferred_since: None,
        probes: false,
        content: Content { message: "x".repeat(message), ..Content::default() },
    }
}

fn reply(n: usize, bytes: usize, limited_by: LimitedBy) -> ClaimReply {
    ClaimReply { claimed: vec![claimed(bytes); n], unreadable: Vec::new(), limited_by }
}

/// Gives it `n` of `bytes` each.
fn give(lane: &mut LaneState, n: usize, bytes: usize, limited_by: LimitedBy) {
    lane.receive(reply(n, bytes, limited_by), Fit::Short, DATED, (Instant::now(), Timestamp(0)));
}

/// Begins and ends all that waits.
fn drain(lane: &mut LaneState) {
    while lane.next_ready(Instant::now()).is_some() {
        lane.began();
        lane.ended();
        lane.committed();
    }
}

#[test]
fn it_asks_for_more_while_it_runs_dry_up_to_a_limit() {
    let mut lane = lane(&[]);
    assert_eq!(lane.wish(), 4, "the first time, for what may begin at once");
    for expected in [16, 32, 64, 128, 256, 512, 1024, 1024] {
        let wish = lane.wish();
        give(&mut lane, wish, 100, LimitedBy::Nothing);
        drain(&mut lane);
        assert_eq!(lane.wish(), expected);
    }
}

#[test]
fn it_asks_for_nothing_while_enough_waits() {
    let mut lane = lane(&[]);
    give(&mut lane, 8, 100, LimitedBy::Nothing);
    lane.window = 8;
    assert_eq!(lane.wish(), 0);
}

#[test]
fn large_ones_are_claimed_few_at_a_time() {
    let mut lane = lane(&[]);
    give(&mut lane, 4, 4 << 20, LimitedBy::Nothing);
    lane.window = 1024;
    assert_eq!(lane.wish(), 0, "16 MiB wait already, and nobody is free for more");
    drain(&mut lane);
    assert_eq!(lane.wish(), 4, "what may begin at once, however large");
}

#[test]
fn with_a_rate_it_asks_only_for_what_may_begin_at_once() {
    let mut lane = lane(&["50/10s"]);
    lane.began();
    assert_eq!(lane.wish(), 3);
    give(&mut lane, 1, 1, LimitedBy::Nothing);
    assert_eq!(lane.wish(), 0, "each claim has a moment of its own");
}

#[test]
fn what_comes_in_a_stream_is_asked_for_together_and_what_comes_alone_at_once() {
    let mut lane = lane(&[]);
    give(&mut lane, 1, 1, LimitedBy::Due(None));
    let answered = lane.few_at.expect("just now");
    lane.look_soon(answered);
    assert_eq!(lane.look_at(), answered + BREATH);
    lane.look_soon(answered + BREATH / 2);
    assert_eq!(lane.look_at(), answered + BREATH, "whoever rings again does not put it off");
    give(&mut lane, 0, 0, LimitedBy::Due(None));
    lane.look_soon(answered + LOOK / 2);
    assert_eq!(lane.look_at(), answered + LOOK / 2, "after a rest");
    give(&mut lane, ENOUGH, 1, LimitedBy::Due(None));
    lane.look_soon(answered);
    assert_eq!(lane.look_at(), answered, "it found enough");
}

#[test]
fn what_was_claimed_for_a_moment_does_not_begin_before_it() {
    let mut lane = lane(&["50/10s"]);
    let now = Instant::now();
    let dated = Dated { at: Timestamp(30), lead: Duration::from_millis(25) };
    lane.receive(reply(1, 1, LimitedBy::Nothing), Fit::Short, dated, (now, Timestamp(10)));
    assert!(lane.next_ready(now).is_none());
    assert_eq!(lane.begins_at(now), Some(now + Duration::from_millis(20)));
    assert_eq!([130, 131].map(|wall| lane.is_late(Timestamp(wall))), [false, true]);
    assert!(lane.next_ready(now + Duration::from_millis(20)).is_some());
}

#[test]
fn what_was_claimed_before_the_clock_was_set_back_begins_all_the_same() {
    let (mut lane, now) = (lane(&[]), Instant::now());
    let dated = Dated { at: Timestamp(86_400_000), ..DATED };
    lane.receive(reply(1, 1, LimitedBy::Nothing), Fit::Short, dated, (now, Timestamp(0)));
    assert!(lane.next_ready(now).is_some());
}

#[test]
fn a_pass_waits_for_a_rate_unless_it_is_far_away_or_others_use_it_up() {
    let mut lane = lane(&["50/10s"]);
    let now = Instant::now();
    give(&mut lane, 0, 0, LimitedBy::Rate(Timestamp(9_000)));
    assert!(!lane.is_idle(now), "nine seconds are waited for");
    lane.given_at = now.checked_sub(Duration::from_secs(21)).expect("it runs for longer");
    assert!(lane.is_idle(now), "two windows without anything");
    lane.given_at = now;
    give(&mut lane, 0, 0, LimitedBy::Rate(Timestamp(90_000)));
    assert!(lane.is_idle(now), "a later pass comes sooner");
}
