//! What can happen to a store, as small plain values: what fails is shown, and shrunk, in these words.
//!
//! Places such as "the second one in hand" are numbers that wrap round what is there, so that a sequence from
//! which steps were taken away still makes sense.

use notifyctl::model::{Outcome, Priority, Reason, Status, Verdict};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// How many processes work on the store.
pub const WORKERS: usize = 3;

/// The two channels: one with limits that sends again what ended unseen, one without limits that holds it.
pub const CHANNELS: [&str; 2] = ["mail", "hook"];

#[derive(Debug, Clone)]
pub enum Step {
    /// Time goes on, in seconds.
    Wait(u64),
    /// Somebody sets the clock back, by seconds.
    SetBack(u64),
    Enqueue(Vec<New>),
    Batch {
        rows: Vec<New>,
        commit: bool,
    },
    Round(Round),
    /// Leaves on record that the attempt for one in hand begins.
    Begin(usize, usize),
    /// A worker reports once more what it has settled already.
    Again(usize, usize, End),
    Extend(usize),
    /// The process dies; another one takes its place.
    Die(usize),
    /// No sign of life any more, until it beats again.
    Hang(usize),
    Beat(usize),
    /// A worker looks for orphans, at most so many, and does what is due with them.
    Recover(usize, usize),
    Expire(usize),
    Steer(Verb, Which),
    HoldChannel(usize),
    ReleaseChannel(usize),
    /// Removes what was settled so many seconds ago, in bites of so many rows.
    Purge {
        statuses: Vec<Status>,
        age: u64,
        bite: usize,
    },
}

/// One notification to be enqueued. Times in seconds from now.
#[derive(Debug, Clone)]
pub struct New {
    pub channel: usize,
    pub recipient: usize,
    pub priority: Priority,
    pub wait: Option<u64>,
    pub ttl: Option<u64>,
    pub key: Option<usize>,
}

/// One exchange of a worker: some of what is in hand settled, some given back, more claimed; of what is accepted with it, too.
#[derive(Debug, Clone)]
pub struct Round {
    pub worker: usize,
    /// By request; the key of one belongs to all of it.
    pub posts: Vec<(Option<usize>, Vec<New>)>,
    pub settle: Vec<(usize, End)>,
    pub give_back: Vec<usize>,
    /// (channel, how many at most)
    pub claim: Vec<(usize, u32)>,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
pub enum End {
    Sent,
    Deferred,
    Greylisted,
    /// Deferred, and asked to wait for so many seconds.
    Asked(u64),
    Rejected,
    Unknown,
    /// The channel's trouble, not the notification's.
    Trouble,
}

impl End {
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Sent => Verdict::sent("250 ok"),
            Self::Deferred => Verdict::new(Outcome::Deferred, Reason::TemporaryFailure, "451 later"),
            Self::Greylisted => Verdict::new(Outcome::Deferred, Reason::Greylisted, "450 later"),
            Self::Asked(seconds) => Verdict::new(Outcome::Deferred, Reason::RateLimited, "429")
                .after(std::time::Duration::from_secs(seconds)),
            Self::Rejected => Verdict::new(Outcome::Rejected, Reason::RecipientRejected, "550 no"),
            Self::Unknown => Verdict::new(Outcome::Unknown, Reason::NoAnswer, ""),
            Self::Trouble => Verdict::channel_trouble(Reason::Unreachable, "connection refused"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub enum Verb {
    Cancel,
    Hold,
    Release,
    Requeue,
}

#[derive(Debug, Clone)]
pub enum Which {
    /// These by their place among all ever accepted; one past the last is missing.
    Ids(Vec<usize>),
    Matching {
        statuses: Vec<Status>,
        channel: Option<usize>,
        batch: Option<usize>,
        limit: usize,
    },
}

/// A story of the store. The most usual steps come first: that is what shrinking tends to.
pub fn story() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..60)
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..WORKERS;
    prop_oneof![
        5 => vec(new(), 1..5).prop_map(Step::Enqueue),
        12 => round().prop_map(Step::Round),
        6 => seconds().prop_map(Step::Wait),
        2 => (worker.clone(), 0..4usize).prop_map(|(worker, which)| Step::Begin(worker, which)),
        2 => (worker.clone(), 0..4usize, end()).prop_map(|(worker, which, end)| Step::Again(worker, which, end)),
        2 => worker.clone().prop_map(Step::Die),
        2 => worker.clone().prop_map(Step::Hang),
        1 => worker.clone().prop_map(Step::Beat),
        4 => (worker.clone(), 1..6usize).prop_map(|(worker, limit)| Step::Recover(worker, limit)),
        4 => (verb(), which()).prop_map(|(verb, which)| Step::Steer(verb, which)),
        2 => (1..6usize).prop_map(Step::Expire),
        1 => (vec(new(), 0..4), prop::bool::weighted(0.8))
            .prop_map(|(rows, commit)| Step::Batch { rows, commit }),
        1 => (0..CHANNELS.len()).prop_map(Step::HoldChannel),
        2 => (0..CHANNELS.len()).prop_map(Step::ReleaseChannel),
        2 => (vec(select(&Status::ALL[3..]), 1..5), seconds(), 1..8usize)
            .prop_map(|(statuses, age, bite)| Step::Purge { statuses, age, bite }),
        1 => worker.prop_map(Step::Extend),
        1 => select(&[1, 5, 20, 300][..]).prop_map(Step::SetBack),
    ]
}

/// Around the lengths that mean something: a rate's window, a pause, a retry, a handicap, a lease, giving up.
fn seconds() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => select(&[0, 1, 11, 30, 61][..]),
        2 => select(&[5, 121, 300, 1_201, 3_601, 10_000][..]),
    ]
}

fn new() -> impl Strategy<Value = New> {
    let priority = prop_oneof![3 => Just(Priority::Normal), 2 => select(&Priority::ALL[..])];
    (
        0..CHANNELS.len(),
        0..2usize,
        priority,
        option::weighted(0.2, seconds()),
        option::weighted(0.3, seconds()),
        option::weighted(0.25, 0..2usize),
    )
        .prop_map(|(channel, recipient, priority, wait, ttl, key)| New {
            channel,
            recipient,
            priority,
            wait,
            ttl,
            key,
        })
}

fn round() -> impl Strategy<Value = Round> {
    let post = (option::weighted(0.5, 0..2usize), vec(new(), 1..3));
    let posts = prop_oneof![2 => Just(Vec::new()), 1 => vec(post, 1..4)];
    let settle = vec((0..4usize, end()), 0..4);
    let claim = vec((0..CHANNELS.len(), 1..6u32), 0..3);
    (0..WORKERS, posts, settle, vec(0..4usize, 0..2), claim).prop_map(
        |(worker, posts, settle, give_back, claim)| Round { worker, posts, settle, give_back, claim },
    )
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Sent),
        5 => Just(End::Deferred),
        2 => Just(End::Rejected),
        2 => Just(End::Unknown),
        1 => Just(End::Greylisted),
        1 => Just(End::Asked(77)),
        1 => Just(End::Trouble),
    ]
}

fn verb() -> impl Strategy<Value = Verb> {
    select(&[Verb::Hold, Verb::Release, Verb::Cancel, Verb::Requeue][..])
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        vec(0..12usize, 1..4).prop_map(Which::Ids),
        (
            vec(select(&Status::ALL[..]), 0..3),
            option::of(0..CHANNELS.len()),
            option::weighted(0.2, 0..2usize),
            1..5usize
        )
            .prop_map(|(statuses, channel, batch, limit)| Which::Matching {
                statuses,
                channel,
                batch,
                limit
            }),
    ]
}
