//! What stands in a notification's way: decided from facts alone.

use std::time::Duration;

use crate::channel::Kind;
use crate::cli::face::{Face, count, one_line};
use crate::cli::{standing, status};
use crate::model::{Priority, Status, Timestamp};
use crate::store::{self, shapes};
use crate::units;
use crate::wire::{self, Obstacle};

/// Everything that may stand in a notification's way.
pub struct Facts<'a> {
    /// The moment.
    pub now: Timestamp,
    /// What lists show of it.
    pub row: &'a store::Summary,
    /// The earliest moment the caller allowed.
    pub not_before: Option<Timestamp>,
    /// Who has it.
    pub worker: Option<&'a str>,
    /// Until when.
    pub lease_expires_at: Option<Timestamp>,
    /// The attempt that is under way.
    pub under_way: Option<&'a store::Attempt>,
    /// The last attempt that ended.
    pub last: Option<&'a store::Attempt>,
    /// What the channel is; `None` when it is not configured.
    pub kind: Option<Kind>,
    /// What is kept of its channel.
    pub state: Option<&'a store::ChannelState>,
    /// Its channel's limits.
    pub rates: &'a [wire::Rate],
    /// How many are pending on its channel, this one included.
    pub pending: u64,
    /// How many are being sent, on all channels.
    pub sending: u64,
    /// When the last pass ended.
    pub last_pass: Option<Timestamp>,
}

/// Something due that waits for longer than this, without a pass, is not cron's pace any more.
const IDLE: Duration = Duration::from_secs(150);

/// Since when something that is due since `due` waits for a pass that does not come; `None` while all is well.
pub fn idle_since(
    due: Timestamp,
    last_pass: Option<Timestamp>,
    sending: u64,
    now: Timestamp,
) -> Option<Timestamp> {
    let since = last_pass.map_or(due, |ended| ended.max(due));
    (sending == 0 && now.since(since) > IDLE).then_some(since)
}

/// Everything that stands in its way, the most lasting first.
pub fn obstacles(facts: &Facts<'_>) -> Vec<Obstacle> {
    let mut found = Vec::new();
    match facts.row.status {
        Status::Sent => return found,
        Status::Dead | Status::Expired | Status::Cancelled => return vec![ended(facts)],
        Status::Sending => return vec![under_way(facts)],
        Status::Held => found.push(held(facts)),
        Status::Pending => {}
    }
    channel(facts, &mut found);
    if facts.row.status == Status::Pending {
        time(facts, &mut found);
    }
    rates(facts, &mut found);
    if facts.row.status == Status::Pending && facts.row.next_attempt_at <= facts.now {
        queue(facts, &mut found);
    }
    found
}

fn obstacle(code: &'static str, what: impl Into<String>) -> Obstacle {
    Obstacle { code, what: what.into(), clears_at: None, hint: None }
}

fn face(facts: &Facts<'_>) -> Face {
    Face { colour: false, width: None, now: facts.now }
}

fn ended(facts: &Facts<'_>) -> Obstacle {
    let row = facts.row;
    let verb = match row.status {
        Status::Dead => "died",
        Status::Expired => "expired",
        _ => "was cancelled",
    };
    let what = format!("it {verb} {}", standing::line(row, facts.last, &face(facts)));
    let hint = format!("start it again: notifyctl requeue {}", row.id);
    Obstacle { hint: Some(hint), ..obstacle(row.status.as_str(), what) }
}

fn under_way(facts: &Facts<'_>) -> Obstacle {
    let worker =
        facts.worker.map_or_else(|| "a worker".to_owned(), |name| format!("worker {}", one_line(name)));
    let since = facts.under_way.map(|attempt| format!(" since {}", face(facts).since(attempt.started_at)));
    let what = format!("it is being sent by {worker}{}", since.unwrap_or_default());
    match facts.lease_expires_at {
        Some(at) if at <= facts.now => Obstacle {
            hint: Some("the next pass takes it over, if that worker is gone: notifyctl send-pending".into()),
            ..obstacle("sending", format!("{what}, and its lease has ended"))
        },
        Some(at) => obstacle("sending", format!("{what}; its lease ends {}", face(facts).at(at))),
        None => obstacle("sending", what),
    }
}

fn held(facts: &Facts<'_>) -> Obstacle {
    let hint = format!("let it go: notifyctl release {}", facts.row.id);
    Obstacle {
        hint: Some(hint),
        ..obstacle("held", format!("it is held by {}", standing::holder(facts.row.reason)))
    }
}

/// What keeps its whole channel back.
fn channel(facts: &Facts<'_>, found: &mut Vec<Obstacle>) {
    let name = one_line(&facts.row.channel);
    if facts.kind.is_none() {
        found.push(Obstacle {
            hint: Some(format!("add [channels.{name}] to the configuration: notifyctl config check")),
            ..obstacle("channel_unknown", format!("its channel {name} is not configured"))
        });
    }
    let Some(state) = facts.state else { return };
    if let Some((since, reason)) = &state.held {
        let since = face(facts).since(*since);
        found.push(Obstacle {
            hint: Some(format!("let it go: notifyctl channel release {name}")),
            ..obstacle(
                "channel_held",
                format!("its channel {name} is held since {since}: {}", one_line(reason)),
            )
        });
    }
    if let Some(trouble) = shapes::trouble(state, facts.now) {
        let has = if trouble.failures > 0 { "has trouble" } else { "is paused" };
        let words = status::trouble_words(&trouble);
        let end = match (trouble.paused_until, trouble.probing_until) {
            (_, Some(_)) => format!("; {}", status::PROBING),
            (Some(_), None) => String::new(),
            (None, None) => format!("; {}", status::UNPROBED),
        };
        found.push(Obstacle {
            clears_at: trouble.paused_until.max(trouble.probing_until),
            hint: Some(format!("try it by hand: notifyctl channel test {name} --to RECIPIENT")),
            ..obstacle("channel_trouble", format!("its channel {name} {has}{words}{end}"))
        });
    }
}

/// What it waits for on the clock.
fn time(facts: &Facts<'_>, found: &mut Vec<Obstacle>) {
    let (row, now) = (facts.row, facts.now);
    if let Some(at) = facts.not_before.filter(|at| *at > now) {
        found.push(Obstacle { clears_at: Some(at), ..obstacle("not_before", "it was enqueued for later") });
    } else if row.next_attempt_at > now {
        let said = facts.last.map(standing::said).filter(|said| !said.is_empty());
        let (code, what) = match said {
            Some(said) => ("retry_wait", format!("it waits after {}: {said}", standing::tries(row.attempts))),
            None => ("not_due", "it is not due yet".to_owned()),
        };
        found.push(Obstacle { clears_at: Some(row.next_attempt_at), ..obstacle(code, what) });
    }
}

fn rates(facts: &Facts<'_>, found: &mut Vec<Obstacle>) {
    for rate in facts.rates.iter().filter(|rate| rate.next_free_at.is_some_and(|at| at > facts.now)) {
        found.push(Obstacle {
            clears_at: rate.next_free_at,
            ..obstacle(
                "rate",
                format!("its channel's rate {} is used up ({} of {})", rate.rate, rate.used, rate.limit),
            )
        });
    }
}

/// It is due: who should take it, and who goes before it.
fn queue(facts: &Facts<'_>, found: &mut Vec<Obstacle>) {
    let due = facts.row.next_attempt_at;
    if let Some(since) = idle_since(due, facts.last_pass, facts.sending, facts.now) {
        let last = match facts.last_pass {
            Some(at) => format!("the last pass ended {}", face(facts).at(at)),
            None => "no pass has ever run".to_owned(),
        };
        let waited = units::span(facts.now.since(since));
        found.push(Obstacle {
            hint: Some("run `notifyctl send-pending`, and see that cron does".into()),
            ..obstacle("no_pass", format!("it is due, and no pass has run for {waited}; {last}"))
        });
    }
    if found.is_empty() {
        let others = match facts.pending.saturating_sub(1) {
            0 => "nothing else is pending on its channel".to_owned(),
            1 => "one more is pending on its channel".to_owned(),
            n => format!("{} more are pending on its channel", count(n)),
        };
        let rank = match facts.row.priority {
            Priority::Normal => String::new(),
            priority => format!("; its priority is {priority}"),
        };
        found.push(Obstacle {
            hint: Some("a pass sends it: notifyctl send-pending".into()),
            ..obstacle("waiting", format!("it is due and waits for the next pass; {others}{rank}"))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Breaker, Outcome, Reason};

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn later(seconds: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(seconds))
    }

    fn ago(seconds: u64) -> Timestamp {
        NOW.minus(Duration::from_secs(seconds))
    }

    fn row(status: Status) -> store::Summary {
        store::Summary {
            id: 17,
            batch_id: None,
            user_id: None,
            channel: "relay".into(),
            status,
            priority: Priority::Normal,
            recipient: "ops@example.org".into(),
            subject: None,
            created_at: ago(60),
            next_attempt_at: ago(60),
            expires_at: None,
            settled_at: status.is_final().then(|| ago(5)),
            attempts: 0,
            reason: None,
        }
    }

    fn attempt(outcome: Outcome, reason: Reason, detail: &str) -> store::Attempt {
        store::Attempt {
            number: 1,
            worker: "mx1.example:1:2".into(),
            started_at: ago(31),
            ended_at: Some(ago(30)),
            outcome: Some(outcome),
            reason: Some(reason),
            detail: detail.into(),
            late: None,
        }
    }

    fn state(breaker: Breaker) -> store::ChannelState {
        store::ChannelState { channel: "relay".into(), held: None, breaker, rates: Vec::new() }
    }

    /// All is well: a pass ran a moment ago, the channel is free.
    fn facts(row: &store::Summary) -> Facts<'_> {
        Facts {
            now: NOW,
            row,
            not_before: None,
            worker: None,
            lease_expires_at: None,
            under_way: None,
            last: None,
            kind: Some(Kind::Smtp),
            state: None,
            rates: &[],
            pending: 1,
            sending: 0,
            last_pass: Some(ago(30)),
        }
    }

    /// (code, what, when it clears) of each; clock times depend on the zone, and are shown as `T`.
    fn told(facts: &Facts<'_>) -> Vec<(&'static str, String, Option<Timestamp>)> {
        let is_time = |word: &str| word.len() == 8 && word.matches(':').count() == 2;
        let is_date = |word: &str| word.len() == 10 && word.matches('-').count() == 2;
        let plain = |what: &str| {
            let words = what.split(' ').filter(|word| !is_date(word.trim_matches('(')));
            words
                .map(|word| if is_time(word.trim_matches(['(', ')', ',', ':'])) { "T" } else { word })
                .collect::<Vec<_>>()
                .join(" ")
        };
        obstacles(facts).into_iter().map(|one| (one.code, plain(&one.what), one.clears_at)).collect()
    }

    #[track_caller]
    fn says(facts: &Facts<'_>, expected: &[(&'static str, &str, Option<Timestamp>)]) {
        let expected: Vec<_> = expected.iter().map(|&(code, what, at)| (code, what.to_owned(), at)).collect();
        assert_eq!(told(facts), expected);
    }

    #[test]
    fn nothing_stands_in_the_way_of_what_is_sent() {
        says(&facts(&row(Status::Sent)), &[]);
    }

    #[test]
    fn what_is_settled_says_how_it_ended_and_how_to_start_it_again() {
        let refused = attempt(Outcome::Rejected, Reason::RecipientRejected, "550 5.1.1 unknown user");
        let dead =
            store::Summary { attempts: 1, reason: Some(Reason::RecipientRejected), ..row(Status::Dead) };
        let dead = Facts { last: Some(&refused), ..facts(&dead) };
        let what = "it died 5 s ago T after 1 attempt: recipient_rejected: 550 5.1.1 unknown user";
        says(&dead, &[("dead", what, None)]);
        assert_eq!(obstacles(&dead)[0].hint.as_deref(), Some("start it again: notifyctl requeue 17"));

        let late = attempt(Outcome::Deferred, Reason::Greylisted, "451 later");
        let worn =
            store::Summary { attempts: 4, reason: Some(Reason::RetriesExhausted), ..row(Status::Dead) };
        let what = "it died 5 s ago T after 4 attempts: retries_exhausted; last: greylisted: 451 later";
        says(&Facts { last: Some(&late), ..facts(&worn) }, &[("dead", what, None)]);
        says(&facts(&row(Status::Expired)), &[("expired", "it expired 5 s ago T after no attempt", None)]);
        says(&facts(&row(Status::Cancelled)), &[("cancelled", "it was cancelled 5 s ago T", None)]);
    }

    #[test]
    fn what_is_being_sent_names_its_worker_and_its_lease() {
        let sending = row(Status::Sending);
        let begun = store::Attempt { ended_at: None, ..attempt(Outcome::Sent, Reason::Accepted, "") };
        let held = Facts {
            worker: Some("mx1.example:1:2"),
            under_way: Some(&begun),
            lease_expires_at: Some(later(90)),
            ..facts(&sending)
        };
        let what = "it is being sent by worker mx1.example:1:2 since T (31 s ago)";
        says(&held, &[("sending", &format!("{what}; its lease ends in 1 m 30 s T"), None)]);
        let lost = Facts { lease_expires_at: Some(ago(1)), ..held };
        says(&lost, &[("sending", &format!("{what}, and its lease has ended"), None)]);
    }

    #[test]
    fn what_waits_on_the_clock_says_until_when() {
        let new = store::Summary { next_attempt_at: later(600), ..row(Status::Pending) };
        says(&facts(&new), &[("not_due", "it is not due yet", Some(later(600)))]);
        let planned = Facts { not_before: Some(later(600)), ..facts(&new) };
        says(&planned, &[("not_before", "it was enqueued for later", Some(later(600)))]);
        let late = attempt(Outcome::Deferred, Reason::Greylisted, "451 later");
        let again = store::Summary { attempts: 2, ..new.clone() };
        let what = "it waits after 2 attempts: greylisted: 451 later";
        says(&Facts { last: Some(&late), ..facts(&again) }, &[("retry_wait", what, Some(later(600)))]);
    }

    #[test]
    fn a_channel_that_is_held_or_gone_holds_its_notifications_back() {
        let due = row(Status::Pending);
        says(
            &Facts { kind: None, ..facts(&due) },
            &[("channel_unknown", "its channel relay is not configured", None)],
        );
        let held = store::ChannelState {
            held: Some((ago(3_600), "relay moves".into())),
            ..state(Breaker::default())
        };
        let what = "its channel relay is held since T (1 h ago): relay moves";
        says(&Facts { state: Some(&held), ..facts(&due) }, &[("channel_held", what, None)]);
    }

    #[test]
    fn a_channel_in_trouble_repeats_the_other_sides_words() {
        let due = row(Status::Pending);
        let trouble = |paused, probing| {
            state(Breaker {
                failures: 3,
                paused_until: paused,
                reason: Some(Reason::Unreachable),
                detail: Some("connection refused".into()),
                probing_until: probing,
                asked_until: None,
            })
        };
        let begin = "its channel relay has trouble (unreachable, 3 in a row): connection refused";
        let paused = trouble(Some(later(42)), None);
        says(&Facts { state: Some(&paused), ..facts(&due) }, &[("channel_trouble", begin, Some(later(42)))]);
        let over = trouble(Some(ago(1)), None);
        let what = format!("{begin}; the next attempt probes it");
        says(&Facts { state: Some(&over), ..facts(&due) }, &[("channel_trouble", &what, None)]);
        let probing = trouble(Some(ago(1)), Some(later(30)));
        let found = obstacles(&Facts { state: Some(&probing), ..facts(&due) });
        assert!(found[0].what.contains("one attempt probes it now"), "{found:?}");
        assert_eq!(found[0].clears_at, Some(later(30)));
    }

    #[test]
    fn a_used_up_rate_says_when_the_next_attempt_may_begin() {
        let due = row(Status::Pending);
        let rates = [
            wire::Rate { rate: "50/10s".into(), used: 50, limit: 50, next_free_at: Some(later(3)) },
            wire::Rate { rate: "300/1m".into(), used: 60, limit: 300, next_free_at: None },
        ];
        let what = "its channel's rate 50/10s is used up (50 of 50)";
        says(&Facts { rates: &rates, ..facts(&due) }, &[("rate", what, Some(later(3)))]);
    }

    #[test]
    fn something_due_that_no_pass_takes_points_at_cron() {
        let due = store::Summary { next_attempt_at: ago(900), ..row(Status::Pending) };
        let what = "it is due, and no pass has run for 15 m; no pass has ever run";
        says(&Facts { last_pass: None, ..facts(&due) }, &[("no_pass", what, None)]);
        let what = "it is due, and no pass has run for 10 m; the last pass ended 10 m ago T";
        says(&Facts { last_pass: Some(ago(600)), ..facts(&due) }, &[("no_pass", what, None)]);
        // While something is being sent, a pass is at work, and says so only at its end.
        let busy = Facts { last_pass: None, sending: 1, ..facts(&due) };
        assert_eq!(obstacles(&busy)[0].code, "waiting");
    }

    #[test]
    fn something_due_with_nothing_in_its_way_waits_for_the_next_pass() {
        let due = row(Status::Pending);
        let what = "it is due and waits for the next pass; nothing else is pending on its channel";
        says(&facts(&due), &[("waiting", what, None)]);
        let low = store::Summary { priority: Priority::Low, ..due };
        let what = "it is due and waits for the next pass; 1,203 more are pending on its channel; its priority is low";
        says(&Facts { pending: 1_204, ..facts(&low) }, &[("waiting", what, None)]);
    }

    #[test]
    fn every_obstacle_is_told_at_once() {
        let again = store::Summary { next_attempt_at: later(60), attempts: 1, ..row(Status::Held) };
        let held = store::ChannelState {
            held: Some((ago(1), "x".into())),
            ..state(Breaker { failures: 1, paused_until: Some(later(5)), ..Breaker::default() })
        };
        let rates = [wire::Rate { rate: "1/1m".into(), used: 1, limit: 1, next_free_at: Some(later(3)) }];
        let found = obstacles(&Facts { kind: None, state: Some(&held), rates: &rates, ..facts(&again) });
        let codes: Vec<_> = found.iter().map(|one| one.code).collect();
        assert_eq!(codes, ["held", "channel_unknown", "channel_held", "channel_trouble", "rate"]);
    }
}
