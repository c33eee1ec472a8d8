//! What becomes of a notification after an attempt: one pure decision, written by one call elsewhere.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::outcome::{Outcome, Reason, Scope, Verdict};
use super::retry::{RetrySchedule, spread};
use super::status::Status;
use super::time::Timestamp;

/// What is done when nobody saw an attempt's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnUnknown {
    /// Try again, under the same Message-ID: at least once.
    #[default]
    Retry,
    /// Hold it until an operator decides: at most once.
    Hold,
}

impl fmt::Display for OnUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Retry => "retry",
            Self::Hold => "hold",
        })
    }
}

impl FromStr for OnUnknown {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "retry" => Ok(Self::Retry),
            "hold" => Ok(Self::Hold),
            _ => Err(format!("`{text}` is not what can be done then (one of retry, hold)")),
        }
    }
}

/// How a channel treats what could not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// When it is tried again, and how often.
    pub retry: RetrySchedule,
    /// What is done when nobody saw an attempt's end.
    pub on_unknown: OnUnknown,
    /// How long after its first attempt began a deferral becomes dead, however many retries are left.
    pub give_up_after: Duration,
}

/// What is known of a notification whose attempt has just ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tried {
    /// When the first of the attempts began that deferred it; this one, if it is the first.
    pub deferred_since: Timestamp,
    /// Its last useful moment, if it has one.
    pub expires_at: Option<Timestamp>,
    /// Retries used up before this attempt.
    pub retries: u32,
    /// Workers that died in a row while they sent it, before this attempt.
    pub crashes: u32,
    /// Whether it was deferred before, and the channel has been without trouble since: others get through.
    pub others_pass: bool,
}

/// Where it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Its next status.
    pub status: Status,
    /// When it is due next; meaningful for `pending` alone.
    pub next_attempt_at: Timestamp,
    /// Why it stands there.
    pub reason: Reason,
    /// Retries used up by now.
    pub retries: u32,
    /// Workers that died in a row by now.
    pub crashes: u32,
}

/// A notification whose workers died this many times in a row is dead: it, not they, is the cause.
pub const POISON_AFTER: u32 = 3;

/// The wait before a notification that met a channel in trouble may be tried again; the channel's own
/// pause usually lasts longer.
const CHANNEL_WAIT: Duration = Duration::from_secs(5);

/// The longest wait of one that meets trouble again and again where others get through. It may be what is wrong (a text
/// that some filter of the other side takes for an attack), and pauses the channel for all of them each time.
const LONGEST_CHANNEL_WAIT: Duration = Duration::from_secs(300);

/// The shortest wait after greylisting: RFC 6647 section 2.1 advises servers to accept within minutes.
const GREYLIST_WAIT: Duration = Duration::from_secs(180);

/// Decides what becomes of a notification after an attempt.
///
/// `jitter` in 0..1 spreads what failed together.
#[must_use]
pub fn settle(tried: &Tried, verdict: &Verdict, policy: &Policy, now: Timestamp, jitter: f64) -> Transition {
    let ended = |status, reason| Transition {
        status,
        next_attempt_at: now,
        reason,
        retries: tried.retries,
        crashes: 0,
    };
    match verdict.outcome {
        Outcome::Sent => ended(Status::Sent, verdict.reason),
        Outcome::Rejected => ended(Status::Dead, verdict.reason),
        Outcome::Deferred => again(tried, verdict, policy, now, jitter, 0),
        Outcome::Unknown => {
            let crashes = match verdict.reason {
                Reason::WorkerDied => tried.crashes + 1,
                // A machine that goes down is no proof of anything.
                Reason::WorkerLost => tried.crashes,
                _ => 0,
            };
            if crashes >= POISON_AFTER {
                Transition { crashes, ..ended(Status::Dead, Reason::Poison) }
            } else if policy.on_unknown == OnUnknown::Hold {
                Transition { crashes, ..ended(Status::Held, verdict.reason) }
            } else {
                again(tried, verdict, policy, now, jitter, crashes)
            }
        }
    }
}

fn again(
    tried: &Tried,
    verdict: &Verdict,
    policy: &Policy,
    now: Timestamp,
    jitter: f64,
    crashes: u32,
) -> Transition {
    let ended =
        |status, reason| Transition { status, next_attempt_at: now, reason, retries: tried.retries, crashes };
    let (wait, retries) = match waits(tried, verdict, policy, now, jitter) {
        Some(answer) => answer,
        None => return ended(Status::Dead, Reason::RetriesExhausted),
    };
    let next_attempt_at = now.plus(wait);
    if tried.expires_at.is_some_and(|at| at <= next_attempt_at) {
        return ended(Status::Expired, Reason::Expired);
    }
    // The other side has deferred nothing where it was a worker's end that nobody found for days.
    if !verdict.reason.is_of_the_worker() && now.since(tried.deferred_since) >= policy.give_up_after {
        return ended(Status::Dead, Reason::GaveUp);
    }
    Transition { status: Status::Pending, next_attempt_at, reason: verdict.reason, retries, crashes }
}

/// The wait before the next attempt, and the retries used up by then; `None` when there is none left.
fn waits(
    tried: &Tried,
    verdict: &Verdict,
    policy: &Policy,
    now: Timestamp,
    jitter: f64,
) -> Option<(Duration, u32)> {
    if let Some(asked) = verdict.retry_after {
        return Some((asked, tried.retries));
    }
    if verdict.scope == Scope::Channel {
        // As long again as it has been deferred, so that it pauses the channel less and less often.
        let wait = match tried.others_pass {
            true => now.since(tried.deferred_since).clamp(CHANNEL_WAIT, LONGEST_CHANNEL_WAIT),
            false => CHANNEL_WAIT,
        };
        return Some((spread(wait, jitter), tried.retries));
    }
    if verdict.reason.is_of_the_worker() {
        // Says nothing about the other side, and most of what a lost one had claimed had not begun: again at once.
        return Some((Duration::ZERO, tried.retries));
    }
    let wait = policy.retry.wait(tried.retries, jitter)?;
    let greylisted = verdict.reason == Reason::Greylisted;
    let wait = if greylisted { wait.max(spread(GREYLIST_WAIT, jitter)) } else { wait };
    Some((wait, tried.retries + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp(10_000_000);

    fn policy() -> Policy {
        Policy {
            retry: "30s, 5m*2".parse().unwrap(),
            on_unknown: OnUnknown::Retry,
            give_up_after: Duration::from_secs(86_400),
        }
    }

    fn tried() -> Tried {
        let deferred_since = Timestamp(NOW.0 - 1_000);
        Tried { deferred_since, expires_at: None, retries: 0, crashes: 0, others_pass: false }
    }

    fn decide(tried: Tried, verdict: &Verdict) -> Transition {
        settle(&tried, verdict, &policy(), NOW, 0.5)
    }

    #[test]
    fn sent_is_sent_and_rejected_is_dead_for_the_same_reason() {
        assert_eq!(decide(tried(), &Verdict::sent("ok")).status, Status::Sent);
        let dead = decide(tried(), &Verdict::new(Outcome::Rejected, Reason::RecipientRejected, "550"));
        assert_eq!((dead.status, dead.reason), (Status::Dead, Reason::RecipientRejected));
    }

    #[test]
    fn a_deferral_uses_the_schedule_and_then_is_dead() {
        let deferred = Verdict::new(Outcome::Deferred, Reason::TemporaryFailure, "451");
        for (retries, wait) in [(0, 30_000), (1, 300_000), (2, 300_000)] {
            let next = decide(Tried { retries, ..tried() }, &deferred);
            assert_eq!(next.status, Status::Pending);
            assert_eq!(next.next_attempt_at.0 - NOW.0, wait);
            assert_eq!(next.retries, retries + 1);
        }
        let dead = decide(Tried { retries: 3, ..tried() }, &deferred);
        assert_eq!((dead.status, dead.reason), (Status::Dead, Reason::RetriesExhausted));
    }

    #[test]
    fn the_channels_trouble_and_retry_after_use_up_no_retry() {
        let trouble = Verdict::channel_trouble(Reason::Unreachable, "");
        let asked = Verdict::new(Outcome::Deferred, Reason::RateLimited, "").after(Duration::from_secs(77));
        for verdict in [trouble, asked] {
            let next = decide(Tried { retries: 3, ..tried() }, &verdict);
            assert_eq!((next.status, next.retries), (Status::Pending, 3));
        }
    }

    #[test]
    fn who_meets_trouble_where_others_get_through_waits_as_long_again_each_time() {
        let waits = |seconds, others_pass| {
            let deferred_since = NOW.minus(Duration::from_secs(seconds));
            let trouble = Verdict::channel_trouble(Reason::Credentials, "HTTP 403");
            let next = decide(Tried { deferred_since, others_pass, ..tried() }, &trouble);
            assert_eq!((next.status, next.retries), (Status::Pending, 0), "and does not die of it");
            next.next_attempt_at.since(NOW).as_secs()
        };
        assert_eq!([1, 5, 10, 200, 80_000].map(|seconds| waits(seconds, true)), [5, 5, 10, 200, 300]);
        assert_eq!(
            [1, 80_000].map(|seconds| waits(seconds, false)),
            [5, 5],
            "a channel that is down for all"
        );
    }

    #[test]
    fn greylisting_is_answered_in_minutes() {
        let next = decide(tried(), &Verdict::new(Outcome::Deferred, Reason::Greylisted, "450"));
        assert!(next.next_attempt_at.since(NOW) >= Duration::from_secs(120));
    }

    #[test]
    fn a_deferral_past_the_last_useful_moment_expires_at_once() {
        let tried = Tried { expires_at: Some(NOW.plus(Duration::from_secs(10))), ..tried() };
        let next = decide(tried, &Verdict::new(Outcome::Deferred, Reason::TemporaryFailure, ""));
        assert_eq!((next.status, next.reason), (Status::Expired, Reason::Expired));
    }

    #[test]
    fn what_is_deferred_for_too_long_is_given_up() {
        let tried = Tried { deferred_since: NOW.minus(Duration::from_secs(86_401)), ..tried() };
        let next = decide(tried, &Verdict::channel_trouble(Reason::Unreachable, ""));
        assert_eq!((next.status, next.reason), (Status::Dead, Reason::GaveUp));
    }

    #[test]
    fn a_worker_whose_end_nobody_found_for_days_makes_nobody_give_up() {
        let tried = Tried { deferred_since: NOW.minus(Duration::from_secs(900_000)), ..tried() };
        for reason in [Reason::WorkerDied, Reason::WorkerLost] {
            let next = decide(tried, &Verdict::new(Outcome::Unknown, reason, ""));
            assert_eq!((next.status, next.next_attempt_at), (Status::Pending, NOW));
        }
    }

    #[test]
    fn three_dead_workers_in_a_row_make_it_poison() {
        let died = Verdict::new(Outcome::Unknown, Reason::WorkerDied, "");
        let once = decide(tried(), &died);
        assert_eq!((once.status, once.crashes, once.next_attempt_at), (Status::Pending, 1, NOW));
        let thrice = decide(Tried { crashes: 2, ..tried() }, &died);
        assert_eq!((thrice.status, thrice.reason), (Status::Dead, Reason::Poison));
    }

    #[test]
    fn a_workers_death_uses_up_no_retry() {
        let died = Verdict::new(Outcome::Unknown, Reason::WorkerDied, "");
        let retries = policy().retry.retries() as u32;
        let next = decide(Tried { retries, ..tried() }, &died);
        assert_eq!((next.status, next.next_attempt_at, next.retries), (Status::Pending, NOW, retries));
    }

    #[test]
    fn a_machine_that_goes_down_time_and_again_neither_makes_it_poison_nor_uses_up_retries() {
        let lost = Verdict::new(Outcome::Unknown, Reason::WorkerLost, "");
        let (retries, crashes) = (policy().retry.retries() as u32, POISON_AFTER - 1);
        let next = decide(Tried { retries, crashes, ..tried() }, &lost);
        assert_eq!((next.status, next.next_attempt_at), (Status::Pending, NOW));
        assert_eq!((next.retries, next.crashes), (retries, crashes));
    }

    #[test]
    fn an_unknown_end_is_held_where_the_channel_says_so() {
        let policy = Policy { on_unknown: OnUnknown::Hold, ..policy() };
        let unknown = Verdict::new(Outcome::Unknown, Reason::NoAnswer, "");
        assert_eq!(settle(&tried(), &unknown, &policy, NOW, 0.5).status, Status::Held);
    }

    proptest! {
        #[test]
        fn every_decision_is_a_legal_step_and_never_due_in_the_past(
            outcome in 0usize..4,
            reason in 0usize..Reason::ALL.len(),
            channel in any::<bool>(),
            retries in 0u32..6,
            crashes in 0u32..4,
            asked in prop::option::of(0u64..10_000),
            jitter in 0.0f64..1.0,
        ) {
            let outcomes = [Outcome::Sent, Outcome::Deferred, Outcome::Rejected, Outcome::Unknown];
            let verdict = Verdict {
                scope: if channel { Scope::Channel } else { Scope::Notification },
                retry_after: asked.map(Duration::from_secs),
                ..Verdict::new(outcomes[outcome], Reason::ALL[reason], "")
            };
            let next = settle(&Tried { retries, crashes, ..tried() }, &verdict, &policy(), NOW, jitter);
            prop_assert!(Status::Sending.may_become(next.status));
            prop_assert!(next.next_attempt_at >= NOW);
            prop_assert!(next.retries <= retries + 1);
        }
    }
}
