//! Messages announced behind one another: each ends by its own replies, and what was only announced is never unknown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use notifyctl::channel::{Channel, Envelope, Supply};
use notifyctl::model::{Id, Outcome, Reason, Scope, Verdict};

use super::{FEATURES, SENT, came_to, channel, deferred, envelope, hasty, options};
use crate::support::smtp_peer::{Act, Peer, Script};

/// Five messages, with the ids 1 to 5 and a text that tells them apart.
struct Basket {
    waiting: VecDeque<Envelope>,
    under_way: Vec<Id>,
    most: usize,
    ended: Vec<(Id, Verdict)>,
    untried: Vec<Id>,
}

impl Basket {
    fn of_five() -> Self {
        let one = |id: Id| Envelope { id, ..envelope(&format!("this is number {id}\n")) };
        let waiting = (1..=5).map(one).collect();
        Self { waiting, under_way: Vec::new(), most: 0, ended: Vec::new(), untried: Vec::new() }
    }

    fn put_down(&mut self, id: Id) {
        let at = self.under_way.iter().position(|held| *held == id).expect("it was under way");
        self.under_way.remove(at);
    }
}

impl Supply for Basket {
    fn next(&mut self) -> Option<Envelope> {
        let next = self.waiting.pop_front()?;
        self.under_way.push(next.id);
        self.most = self.most.max(self.under_way.len());
        Some(next)
    }

    fn ended(&mut self, id: Id, verdict: Verdict) {
        self.put_down(id);
        self.ended.push((id, verdict));
    }

    fn untried(&mut self, id: Id) {
        self.put_down(id);
        self.untried.push(id);
    }
}

/// What came of the five.
struct Outcomes {
    peer: Peer,
    /// By id; `None` for one that was not tried.
    came_to: [Option<(Outcome, Reason, Scope)>; 5],
    most: usize,
}

async fn carry(scripts: Vec<Script>) -> Outcomes {
    let peer = Peer::start(scripts);
    let channel = channel(options(&peer));
    carry_over(peer, &channel, Basket::of_five()).await
}

async fn carry_over(peer: Peer, channel: &Arc<dyn Channel>, mut basket: Basket) -> Outcomes {
    channel.carry(&mut basket).await;
    channel.close().await;
    assert!(basket.under_way.is_empty() && basket.waiting.is_empty(), "all are accounted for");
    let mut outcomes = Outcomes { peer, came_to: [None; 5], most: basket.most };
    for (id, verdict) in &basket.ended {
        let place = &mut outcomes.came_to[usize::try_from(*id).unwrap() - 1];
        assert!(place.replace(came_to(verdict)).is_none(), "{id} ended twice");
    }
    for id in basket.untried {
        assert_eq!(outcomes.came_to[usize::try_from(id).unwrap() - 1], None, "{id} was tried, and was not");
    }
    outcomes
}

impl Outcomes {
    /// The numbers of the messages that arrived, one entry a connection.
    fn arrived(&self) -> Vec<Vec<char>> {
        let number = |message: &String| message.trim_end().chars().last().expect("a text");
        self.peer.seen().iter().map(|seen| seen.messages.iter().map(number).collect()).collect()
    }

    /// How many final dots came together with the next envelope, one entry a connection.
    fn followed(&self) -> Vec<usize> {
        self.peer.seen().iter().map(|seen| seen.followed).collect()
    }
}

const ALL_SENT: [Option<(Outcome, Reason, Scope)>; 5] = [Some(SENT); 5];

/// All sent, but the one with this id.
fn but(id: usize, came_to: Option<(Outcome, Reason, Scope)>) -> [Option<(Outcome, Reason, Scope)>; 5] {
    let mut all = ALL_SENT;
    all[id - 1] = came_to;
    all
}

const UNKNOWN: Option<(Outcome, Reason, Scope)> =
    Some((Outcome::Unknown, Reason::NoAnswer, Scope::Notification));

#[tokio::test]
async fn each_is_announced_behind_the_one_before_once_one_was_accepted() {
    for (features, followed, most) in [(FEATURES[0], 3, 2), (FEATURES[1], 0, 1)] {
        let outcomes = carry(vec![Script::polite().offers(features)]).await;
        assert_eq!(outcomes.came_to, ALL_SENT);
        assert_eq!(outcomes.arrived(), [vec!['1', '2', '3', '4', '5']]);
        assert_eq!((outcomes.followed(), outcomes.most), (vec![followed], most), "{features:?}");
    }
}

#[tokio::test]
async fn a_relay_that_answers_slowly_and_one_by_one_is_understood() {
    let slow = Act::Late(Duration::from_millis(30));
    let script =
        ["MAIL", "RCPT", "DATA", "dot"].into_iter().fold(Script::polite(), |s, at| s.on(at, slow.clone()));
    let outcomes = carry(vec![script]).await;
    assert_eq!(outcomes.came_to, ALL_SENT);
    assert_eq!((outcomes.arrived().len(), outcomes.followed()), (1, vec![3]));
}

#[tokio::test]
async fn one_that_is_refused_costs_neither_its_neighbours_nor_the_connection() {
    let rejected = |reason| Some((Outcome::Rejected, reason, Scope::Notification));
    for (at, line, came_to) in [
        ("RCPT", "550 5.1.1 unknown", rejected(Reason::RecipientRejected)),
        ("DATA", "554 5.6.0 no", rejected(Reason::MessageRejected)),
        ("dot", "554 5.6.0 no", rejected(Reason::MessageRejected)),
        ("RCPT", "451 4.7.1 greylisted", Some(deferred(Reason::Greylisted, Scope::Notification))),
    ] {
        // The first of them that is announced, and one in the middle of it all.
        for id in [3, 4] {
            let outcomes = carry(vec![Script::polite().on_nth(id - 1, at, Act::Say(line))]).await;
            assert_eq!(outcomes.came_to, but(id, came_to), "{at} {line}");
            assert_eq!(outcomes.peer.seen().len(), 1, "{at} {line}");
        }
    }
}

#[tokio::test]
async fn for_a_refused_recipient_a_relay_that_goes_on_gets_the_dot_alone() {
    let script = Script::polite().on_nth(2, "RCPT", Act::Say("550 5.1.1 unknown"));
    let outcomes = carry(vec![script.on_nth(2, "DATA", Act::Say("354 go ahead"))]).await;
    let rejected = (Outcome::Rejected, Reason::RecipientRejected, Scope::Notification);
    assert_eq!(outcomes.came_to, but(3, Some(rejected)));
    assert_eq!(outcomes.arrived(), [vec!['1', '2', '4', '5']]);
    assert!(outcomes.peer.verbs().contains(&".".to_owned()));
}

#[tokio::test]
async fn when_the_answer_to_a_message_never_comes_the_next_one_was_not_tried() {
    let outcomes = carry(vec![Script::polite().on_nth(1, "dot", Act::Close), Script::polite()]).await;
    let mut expected = but(2, UNKNOWN);
    expected[2] = None;
    assert_eq!(outcomes.came_to, expected);
    assert_eq!(outcomes.arrived(), [vec!['1', '2'], vec!['4', '5']]);
    assert_eq!(outcomes.followed()[0], 1, "the third was announced");
}

#[tokio::test]
async fn after_half_a_message_that_was_refused_nothing_more_is_said_on_the_connection() {
    // In the middle of the second one, behind which the third was to be announced.
    let refuses = Script::polite()
        .offers(&["PIPELINING"])
        .on_nth(40, "line", Act::Raw(b"552 5.3.4 too large\r\n".to_vec()))
        .on_nth(41, "line", Act::Hang);
    let peer = Peer::start(vec![refuses, Script::polite()]);
    let channel = channel(hasty(&peer));
    let mut basket = Basket::of_five();
    basket.waiting[1].content.message = format!("{}\n", "x".repeat(900)).repeat(15_000);
    let outcomes = carry_over(peer, &channel, basket).await;
    let mut expected = but(2, Some((Outcome::Rejected, Reason::Unsupported, Scope::Notification)));
    expected[2] = None;
    assert_eq!(outcomes.came_to, expected);
    assert_eq!(outcomes.arrived(), [vec!['1'], vec!['4', '5']]);
}

#[tokio::test]
async fn a_relay_that_leaves_with_the_answer_takes_nothing_with_it() {
    for (act, second, third) in [
        // Accepted, and gone before it answers the next MAIL: that one goes over another connection.
        (Act::SayAndClose("250 2.0.0 ok"), Some(SENT), Some(SENT)),
        (Act::SayAndClose("250 2.0.0 ok\r\n421 4.7.0 enough"), Some(SENT), Some(SENT)),
        // Not accepted, and the channel in trouble: the next one is not tried.
        (
            Act::SayAndClose("421 4.3.2 closing"),
            Some(deferred(Reason::TemporaryFailure, Scope::Channel)),
            None,
        ),
    ] {
        let script = Script::polite().on_nth(1, "dot", act.clone());
        let outcomes = carry(vec![script, Script::polite()]).await;
        assert_eq!(outcomes.came_to, [Some(SENT), second, third, Some(SENT), Some(SENT)], "{act:?}");
        assert_eq!(outcomes.arrived()[0], ['1', '2'], "{act:?}");
        let rest: &[char] = if third.is_some() { &['3', '4', '5'] } else { &['4', '5'] };
        assert_eq!(outcomes.arrived()[1], rest, "{act:?}");
    }
}

#[tokio::test]
async fn an_announcement_that_is_not_taken_as_one_is_said_again_and_is_the_last() {
    for act in [
        Act::Say("503 5.5.1 one thing after the other"),
        Act::SayAndClose("421 4.7.0 enough"),
        Act::SayAndClose("554 5.5.0 improper pipelining"),
        Act::Raw(b"what\r\n".to_vec()),
        Act::Close,
    ] {
        let script = Script::polite().on_nth(2, "MAIL", act.clone());
        let outcomes = carry(vec![script, Script::polite()]).await;
        assert_eq!(outcomes.came_to, ALL_SENT, "{act:?}");
        assert_eq!(outcomes.arrived(), [vec!['1', '2'], vec!['3', '4', '5']], "{act:?}");
        assert_eq!(outcomes.followed(), [1, 0], "{act:?}");
    }
}

#[tokio::test]
async fn once_one_was_taken_a_relay_that_has_had_enough_is_only_left() {
    let script = Script::polite().on_nth(3, "MAIL", Act::SayAndClose("421 4.7.0 enough"));
    let outcomes = carry(vec![script, Script::polite()]).await;
    assert_eq!(outcomes.came_to, ALL_SENT);
    assert_eq!(outcomes.arrived(), [vec!['1', '2', '3'], vec!['4', '5']]);
}

#[tokio::test]
async fn a_reply_too_many_never_becomes_the_leave_to_send_the_next_message() {
    let twice = Act::Raw(b"250 2.0.0 ok\r\n250 2.0.0 ok\r\n".to_vec());
    let outcomes = carry(vec![Script::polite().on_nth(1, "dot", twice), Script::polite()]).await;
    assert_eq!(outcomes.came_to, but(3, Some(deferred(Reason::ProtocolError, Scope::Notification))));
    assert_eq!(outcomes.arrived(), [vec!['1', '2'], vec!['4', '5']]);
}

#[tokio::test]
async fn what_waits_long_behind_another_is_left_to_others_and_no_empty_message_is_sent() {
    let slow = Act::Late(Duration::from_millis(2_300));
    let outcomes = carry(vec![Script::polite().on_nth(1, "dot", slow), Script::polite()]).await;
    assert_eq!(outcomes.came_to, but(3, None));
    assert_eq!(outcomes.arrived(), [vec!['1', '2'], vec!['4', '5']]);
    assert_eq!(outcomes.followed()[0], 1, "the third was announced");
}
