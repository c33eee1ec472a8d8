//! What every store must do, whatever database is behind it. A second database adds one line at the end.

mod accepting;
mod claiming;
mod removing;
mod settling;
mod steering;

use std::time::Duration;

use notifyctl::model::{
    Content, Id, NewNotification, Outcome, Priority, Reason, Status, Timestamp, Transition, Verdict,
};
use notifyctl::store::{
    Access, Claim, ClaimReply, Claimed, Exchange, Filter, Options, Page, Selection, Settlement, Store,
    Worker, open,
};

/// A moment to count from.
pub const T: Timestamp = Timestamp(1_800_000_000_000);
pub const LEASE: Duration = Duration::from_secs(60);
const KEY_WINDOW: Duration = Duration::from_secs(3_600);

/// `seconds` after [`T`].
pub fn at(seconds: u64) -> Timestamp {
    T.plus(Duration::from_secs(seconds))
}

/// A place for stores of one kind.
pub trait Place: Sync {
    /// Opens the store, once more each time.
    fn open(&self) -> Box<dyn Store>;
}

struct SqlitePlace(tempfile::TempDir);

impl Place for SqlitePlace {
    fn open(&self) -> Box<dyn Store> {
        let url = format!("sqlite://{}", self.0.path().join("n.db").display()).parse().expect("a URL");
        open(&Options { url, busy_timeout: Duration::from_secs(10) }, Access::Create, T).expect("open")
    }
}

fn sqlite() -> SqlitePlace {
    SqlitePlace(tempfile::tempdir().expect("a folder"))
}

/// One process that claims and settles.
pub struct Hand {
    pub store: Box<dyn Store>,
    pub worker: Box<dyn Worker>,
    token: i64,
}

impl Hand {
    pub fn new(place: &dyn Place, name: &str) -> Self {
        let mut store = place.open();
        let worker = store.register(T, name).expect("register");
        let token = worker.id();
        Self { store, worker, token }
    }

    pub fn exchange(&self, now: Timestamp) -> Exchange {
        Exchange { now, worker: self.worker.id(), jitter: 0.5, ..Exchange::default() }
    }

    pub fn wish(&mut self, limit: u32, rates: &[&str]) -> Claim {
        self.token += 1;
        Claim {
            channel: "c".into(),
            limit,
            rates: rates.iter().map(|rate| rate.parse().expect("a rate")).collect(),
            lease: LEASE,
            lease_token: self.token,
        }
    }

    pub fn claim_with(&mut self, now: Timestamp, limit: u32, rates: &[&str]) -> ClaimReply {
        let claim = vec![self.wish(limit, rates)];
        let exchange = Exchange { claim, ..self.exchange(now) };
        self.store.exchange(&exchange).expect("claim").claims.remove(0)
    }

    pub fn claim(&mut self, now: Timestamp, limit: u32) -> Vec<Claimed> {
        self.claim_with(now, limit, &[]).claimed
    }

    pub fn settlement(
        &self,
        claimed: &Claimed,
        now: Timestamp,
        status: Status,
        verdict: Verdict,
    ) -> Settlement {
        Settlement {
            id: claimed.id,
            attempt: claimed.attempt,
            lease_token: claimed.lease_token,
            channel: claimed.channel.clone(),
            batch_id: claimed.batch_id,
            worker: self.worker.id(),
            started_at: now,
            ended_at: now,
            transition: Transition {
                status,
                next_attempt_at: now.plus(Duration::from_secs(30)),
                reason: verdict.reason,
                retries: claimed.retries + 1,
                crashes: 0,
            },
            verdict,
        }
    }

    /// Settles one; says whether its lease was still good.
    pub fn settle(&mut self, claimed: &Claimed, now: Timestamp, status: Status) -> bool {
        let verdict = match status {
            Status::Sent => Verdict::sent("250 ok"),
            Status::Pending => Verdict::new(Outcome::Deferred, Reason::TemporaryFailure, "451 later"),
            _ => Verdict::new(Outcome::Rejected, Reason::RecipientRejected, "550 no"),
        };
        self.settle_as(claimed, now, status, verdict)
    }

    pub fn settle_as(&mut self, claimed: &Claimed, now: Timestamp, status: Status, verdict: Verdict) -> bool {
        let settle = vec![self.settlement(claimed, now, status, verdict)];
        let exchange = Exchange { settle, ..self.exchange(now) };
        self.store.exchange(&exchange).expect("settle").settled[0]
    }
}

pub fn new(recipient: &str) -> NewNotification {
    NewNotification {
        channel: "c".into(),
        content: Content { recipient: recipient.into(), message: "hello".into(), ..Content::default() },
        user_id: None,
        priority: Priority::Normal,
        not_before: None,
        expires_at: None,
        idempotency_key: None,
    }
}

pub fn enqueue(store: &mut dyn Store, now: Timestamp, new: &[NewNotification]) -> Vec<Id> {
    let answers = store.enqueue(now, now.plus(KEY_WINDOW), new).expect("enqueue");
    answers.into_iter().map(|answer| answer.id).collect()
}

pub fn status(store: &dyn Store, id: Id) -> Status {
    store.get(id).expect("get").expect("it is there").summary.status
}

pub fn ids(store: &dyn Store, filter: &Filter, page: &Page) -> Vec<Id> {
    store.list(filter, page).expect("list").into_iter().map(|one| one.id).collect()
}

pub fn only(ids: &[Id]) -> Selection {
    Selection::Ids(ids.to_vec())
}

/// P2 and the rest of what `db check` proves.
pub fn sound(store: &dyn Store) {
    assert_eq!(store.check().expect("check"), [], "the store must be sound");
}

/// Makes a test of every function named, for one kind of place.
macro_rules! conformance {
    ($place:ident: $($module:ident::{$($test:ident),+ $(,)?}),+ $(,)?) => {
        mod $place {
            $($(#[test] fn $test() { super::$module::$test(&super::$place()); })+)+
        }
    };
}

macro_rules! every_store {
    ($($place:ident),+) => {$(
        conformance!($place:
            accepting::{
                what_was_enqueued_reads_back_whole,
                ids_rise_and_are_never_used_again,
                a_known_key_gives_the_first_id_until_its_window_ends,
                a_batch_is_accepted_whole_or_not_at_all,
                not_before_is_when_it_is_due_first,
                a_listing_pages_through_all_of_it_in_both_directions,
                every_filter_narrows_a_listing,
                a_user_is_found_again,
            },
            claiming::{
                one_notification_is_claimed_once,
                critical_goes_first_and_age_makes_up_for_low,
                new_work_does_not_wait_behind_a_deferred_backlog,
                nothing_is_claimed_before_it_is_due_or_after_it_expired,
                rates_hold_over_all_workers,
                a_held_channel_gives_nothing,
                a_channel_in_trouble_is_probed_by_one_attempt,
                a_clock_that_was_set_back_stalls_nothing_but_what_was_asked_for_by_the_clock,
                a_pause_of_a_clock_that_was_set_back_is_no_longer_than_it_was,
                a_rate_of_a_clock_that_was_set_back_is_free_again_when_its_window_is_over,
                a_claim_says_when_to_look_again,
                given_back_is_as_if_never_claimed,
            },
            settling::{
                every_outcome_is_on_record,
                a_late_settlement_changes_nothing_and_leaves_evidence,
                a_dead_workers_notifications_are_told_apart,
                a_living_workers_notifications_are_no_orphans,
                what_passed_its_last_moment_expires,
                leases_are_extended,
                passes_are_remembered,
            },
            steering::{
                each_verb_applies_where_it_is_legal_and_refuses_elsewhere,
                a_selection_takes_the_oldest_up_to_its_limit,
                requeued_starts_afresh,
                release_waits_for_not_before,
                missing_ids_are_named,
            },
            removing::{
                a_purge_removes_only_old_final_ones_with_all_that_is_theirs,
                a_purge_goes_in_bites,
                keys_outlive_a_purge,
                a_backup_is_equal_and_is_never_overwritten,
                a_broken_counter_is_found,
            },
        );
    )+};
}

every_store!(sqlite);
