//! The history of a storm, and what it comes to: who was told "accepted", and what arrived how often.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::receiver::Arrival;

/// The channels of the storm.
pub const CHANNELS: [&str; 3] = ["mail", "hook", "careful"];

/// The one that holds an attempt whose end nobody saw, in place of making it again.
pub const HOLDS: &str = "careful";

/// The channel of the `n`-th notification.
pub fn channel(n: usize) -> &'static str {
    CHANNELS[n % CHANNELS.len()]
}

/// The text of the `n`-th notification: unlike any other's, with what a channel could spoil, and always the same.
pub fn text(n: usize) -> String {
    let mut random = fastrand::Rng::with_seed(n as u64);
    let mut text = format!("{n}\n.\nGrüße, \u{1f514}\nFrom here on:\n");
    for _ in 0..random.usize(0..12) {
        text.extend((0..random.usize(0..90)).map(|_| random.char(' '..='~')));
        text.push('\n');
    }
    text
}

/// The number of the notification whose text this is, or begins as this one does.
pub fn number(text: &str) -> Option<usize> {
    text.split('\n').next()?.parse().ok()
}

/// What somebody who enqueued was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Exit code 0, or what stands for acceptance on standard output; with the ids that were printed.
    Accepted(Vec<i64>),
    /// Killed before it could say anything.
    None,
    /// It failed by itself.
    Refused,
}

/// One command's notifications, by number, and what it said.
#[derive(Clone, Debug)]
pub struct Order {
    pub numbers: Vec<usize>,
    pub answer: Answer,
}

/// All that the bench saw from outside, and what the store says of deaths and holds.
#[derive(Clone, Default)]
pub struct History {
    pub store_id: String,
    pub orders: Vec<Order>,
    pub arrivals: Vec<Arrival>,
    /// When a pass was killed.
    pub kills: Vec<Instant>,
    /// How many attempts at this number were under way when their worker was killed.
    pub died: BTreeMap<usize, usize>,
    /// The numbers that are held because of that.
    pub held: BTreeSet<usize>,
}

/// What it comes to.
#[derive(Debug, Default, PartialEq)]
pub struct Judgement {
    /// Somebody was told that it is accepted.
    pub accepted: usize,
    /// Nobody was told, since the command was killed; and it is there.
    pub unanswered: usize,
    /// Accepted, and neither arrived nor held for the operator to see.
    pub lost: usize,
    /// Arrived, but nobody ever enqueued it.
    pub unasked: usize,
    /// Of a batch that was killed, some rows are there and others are not.
    pub torn: usize,
    /// Arrivals beyond the first.
    pub duplicates: usize,
    /// Of those, on the channel that holds.
    pub duplicates_where_held: usize,
    /// Of those, more than deaths on record, or without a kill of a pass between them.
    pub unexplained: usize,
    /// Under another id than the first time, or than the one that was printed.
    pub renamed: usize,
    /// Not what was enqueued, byte for byte.
    pub altered: usize,
    /// Held, and has arrived.
    pub held_arrived: usize,
}

/// What a process had written before its death may be read this much later.
const READ_LATER: Duration = Duration::from_secs(1);

/// Compares what was promised with what arrived.
pub fn judge(history: &History) -> Judgement {
    let mut judgement = Judgement::default();
    let mut copies: BTreeMap<usize, Vec<&Arrival>> = BTreeMap::new();
    for arrival in &history.arrivals {
        match number(&arrival.message) {
            Some(n) => copies.entry(n).or_default().push(arrival),
            None => judgement.altered += 1,
        }
    }
    for order in &history.orders {
        let there = |n: &&usize| copies.contains_key(*n) || history.held.contains(*n);
        let there = order.numbers.iter().filter(there).count();
        let missing = order.numbers.len() - there;
        match &order.answer {
            Answer::Accepted(ids) => {
                judgement.accepted += order.numbers.len();
                judgement.lost += missing;
                judgement.renamed += renamed(history, ids, &order.numbers, &copies);
            }
            Answer::None | Answer::Refused => {
                judgement.unanswered += there;
                judgement.torn += usize::from(there > 0 && missing > 0);
            }
        }
    }
    let ordered: BTreeSet<usize> = history.orders.iter().flat_map(|order| &order.numbers).copied().collect();
    judgement.unasked = copies.keys().filter(|n| !ordered.contains(n)).count();
    judgement.held_arrived = history.held.iter().filter(|n| copies.contains_key(n)).count();
    for (n, copies) in &copies {
        let again = copies.len() - 1;
        judgement.duplicates += again;
        judgement.duplicates_where_held += if channel(*n) == HOLDS { again } else { 0 };
        judgement.unexplained += unexplained(history, *n, copies);
        judgement.renamed += copies.iter().filter(|copy| copy.stable_id != copies[0].stable_id).count();
        let text = text(*n);
        judgement.altered += copies.iter().filter(|copy| copy.message != text).count();
    }
    judgement
}

/// How many repetitions of one notification no death accounts for.
fn unexplained(history: &History, n: usize, copies: &[&Arrival]) -> usize {
    let deaths = history.died.get(&n).copied().unwrap_or(0);
    let without_a_kill = copies.windows(2).filter(|pair| {
        let between = pair[0].at.checked_sub(READ_LATER).unwrap_or(pair[0].at)..pair[1].at;
        !history.kills.iter().any(|at| between.contains(at))
    });
    (copies.len() - 1).saturating_sub(deaths).max(without_a_kill.count())
}

/// How many of those whose id was printed arrived under another one.
fn renamed(
    history: &History,
    ids: &[i64],
    numbers: &[usize],
    copies: &BTreeMap<usize, Vec<&Arrival>>,
) -> usize {
    let pairs = ids.iter().zip(numbers);
    let other = pairs.filter(|(id, n)| {
        let stable_id = notifyctl::model::stable_id(&history.store_id, **id);
        copies.get(n).is_some_and(|copies| copies[0].stable_id != stable_id)
    });
    other.count()
}

/// Doctored copies of a sound history, each with one flaw, and what the judge made of it: every figure that must be 0
/// is shown to be able to be something else.
pub fn controls(history: &History) -> Vec<(&'static str, bool)> {
    let sound = judge(history);
    let with = |doctor: &dyn Fn(&mut History)| {
        let mut history = history.clone();
        doctor(&mut history);
        judge(&history)
    };
    // One that was accepted, arrived once, and was never under way at a kill.
    let accepted = history.orders.iter().filter(|order| matches!(order.answer, Answer::Accepted(_)));
    let calm = |n: &&usize| !history.died.contains_key(*n) && !history.held.contains(*n);
    let n = *accepted.flat_map(|order| &order.numbers).find(calm).expect("one that nothing happened to");
    let is_it = |one: &Arrival| number(&one.message) == Some(n);
    let it = history.arrivals.iter().find(|one| is_it(one)).expect("it arrived").clone();
    let lost = with(&|history| history.arrivals.retain(|one| !is_it(one)));
    let twice = with(&|history| history.arrivals.push(it.clone()));
    let renamed = with(&|history| {
        history.arrivals.push(Arrival { stable_id: format!("1{}", it.stable_id), ..it.clone() });
    });
    let altered = with(&|history| {
        let one = history.arrivals.iter_mut().find(|one| is_it(one)).expect("it arrived");
        one.message.push(' ');
    });
    let unasked = with(&|history| {
        let message = text(usize::MAX / 2);
        history.arrivals.push(Arrival { message, stable_id: "0-0".into(), ..it.clone() });
    });
    let torn = with(&|history| {
        let numbers = vec![n, usize::MAX / 2];
        history.orders.push(Order { numbers, answer: Answer::None });
    });
    vec![
        ("one that did not arrive", lost.lost == sound.lost + 1),
        ("one that arrived twice without a kill", twice.unexplained == sound.unexplained + 1),
        ("one that came back under another id", renamed.renamed == sound.renamed + 1),
        ("one whose text was altered", altered.altered == sound.altered + 1),
        ("one that nobody enqueued", unasked.unasked == sound.unasked + 1),
        ("half a batch", torn.torn == sound.torn + 1),
    ]
}
