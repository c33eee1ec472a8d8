//! What every store must do, whatever database is behind it. A second database adds one line at the end.

mod accepting;
mod claiming;
mod model;
mod removing;
mod settling;
mod steering;
mod tokens;
mod watching;

use std::path::PathBuf;
use std::time::Duration;

use notifyctl::model::{Id, NewNotification, Status, Timestamp};
use notifyctl::store::{Access, Filter, Page, Selection, Store, Worker};

use crate::support::hand::{CHANNEL, Hand, plain, sqlite as open_sqlite};

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
    /// A place like this one, without a store.
    fn another(&self) -> Box<dyn Place>;
    /// Lets a worker's process die: what it had begun stays on record.
    fn kill(&self, worker: Box<dyn Worker>);
    /// Lets a worker hang: its last sign of life no longer holds.
    fn silence(&self, worker: &dyn Worker);
}

struct SqlitePlace(tempfile::TempDir);

impl SqlitePlace {
    fn database(&self) -> PathBuf {
        self.0.path().join("n.db")
    }

    /// The file by which others see that a worker lives (`store::sqlite::worker`).
    fn file_of(&self, worker: &dyn Worker) -> PathBuf {
        self.0.path().join("n.db.workers").join(worker.id().to_string())
    }
}

impl Place for SqlitePlace {
    fn open(&self) -> Box<dyn Store> {
        open_sqlite(&self.database(), Access::Create, T)
    }

    fn another(&self) -> Box<dyn Place> {
        Box::new(sqlite())
    }

    fn kill(&self, worker: Box<dyn Worker>) {
        // Its end takes the file away; a death leaves it, without its lock.
        let file = self.file_of(&*worker);
        let left = std::fs::read(&file).expect("a worker's file");
        drop(worker);
        std::fs::write(&file, left).expect("leave the file");
    }

    fn silence(&self, worker: &dyn Worker) {
        worker.beat(Duration::from_millis(1)).expect("a last sign of life");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn sqlite() -> SqlitePlace {
    SqlitePlace(tempfile::tempdir().expect("a folder"))
}

/// A process that claims and settles here.
pub fn hand(place: &dyn Place, name: &str) -> Hand {
    Hand::new(place.open(), T, name, LEASE)
}

pub fn new(recipient: &str) -> NewNotification {
    plain(CHANNEL, recipient)
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
                a_text_of_any_length_reads_back_whole_and_is_claimed_whole,
                ids_rise_and_are_never_used_again,
                a_known_key_gives_the_first_id_until_its_window_ends,
                a_batch_is_accepted_whole_or_not_at_all,
                what_is_accepted_can_be_claimed_in_the_same_transaction,
                what_is_claimed_as_it_comes_is_what_would_have_waited,
                requests_that_come_together_are_each_accepted_whole_or_not_at_all,
                the_key_of_a_request_belongs_to_all_of_it_and_to_nothing_else,
                the_key_of_a_request_is_not_mixed_with_keys_that_were_used_otherwise,
                a_known_key_knows_attachments,
                a_known_key_knows_headers_however_they_are_written,
                not_before_is_when_it_is_due_first,
                a_listing_pages_through_all_of_it_in_both_directions,
                every_filter_narrows_a_listing,
                those_that_are_tried_again_are_listed_alone,
                a_user_is_found_again,
            },
            claiming::{
                one_notification_is_claimed_once,
                critical_goes_first_and_age_makes_up_for_low,
                new_work_does_not_wait_behind_a_deferred_backlog,
                nothing_is_claimed_before_it_is_due_or_after_it_expired,
                rates_hold_over_all_workers,
                what_went_out_under_another_rate_counts_under_a_new_one,
                workers_with_different_rates_of_one_channel_count_what_each_other_sends,
                what_never_began_counts_against_no_rate_of_anybody,
                what_never_began_takes_no_other_ones_place_in_a_rate_when_the_clock_was_set_back,
                what_never_began_takes_no_other_ones_place_in_a_rate_when_its_own_was_forgotten,
                a_held_channel_gives_nothing,
                a_channel_in_trouble_is_probed_by_one_attempt,
                a_probe_that_is_given_back_leaves_it_to_another,
                a_clock_that_was_set_back_stalls_nothing_but_what_was_asked_for_by_the_clock,
                a_pause_of_a_clock_that_was_set_back_is_no_longer_than_it_was,
                a_rate_of_a_clock_that_was_set_back_is_free_again_when_its_window_is_over,
                a_claim_says_when_to_look_again,
                given_back_is_as_if_never_claimed,
            },
            settling::{
                every_outcome_is_on_record,
                a_late_settlement_changes_nothing_and_leaves_evidence,
                of_two_heirs_the_second_leaves_no_evidence_in_place_of_the_workers_own,
                a_dead_workers_notifications_are_told_apart,
                a_living_workers_notifications_are_no_orphans,
                what_passed_its_last_moment_expires,
                leases_are_extended,
                passes_are_remembered,
            },
            steering::{
                each_verb_applies_where_it_is_legal_and_refuses_elsewhere,
                a_selection_takes_the_oldest_up_to_its_limit,
                the_oldest_go_first_in_whatever_status_they_are,
                an_id_that_is_named_twice_changes_once,
                requeued_starts_afresh,
                release_and_requeue_wait_for_not_before,
                it_is_known_since_when_it_is_deferred,
                missing_ids_are_named,
            },
            removing::{
                a_purge_removes_only_old_final_ones_with_all_that_is_theirs,
                a_purge_goes_in_bites,
                a_row_from_a_time_to_come_does_not_end_a_purge,
                a_worker_is_named_as_long_as_an_attempt_of_it_is_kept,
                a_purge_leaves_what_stands_between,
                keys_outlive_a_purge,
                a_backup_is_equal_and_is_never_overwritten,
                a_broken_counter_is_found,
            },
            tokens::{
                a_token_reads_back_and_its_number_is_never_used_again,
                a_token_is_good_until_it_expires_or_is_revoked,
                the_last_use_of_a_token_is_the_latest,
            },
            watching::{
                each_step_is_told_in_the_order_in_which_it_was_taken,
                a_watcher_goes_on_from_any_event,
                a_watcher_misses_nothing_of_many_processes_and_hears_nothing_twice,
                filters_narrow_what_is_told_and_never_stop_it,
                one_can_begin_at_a_moment,
                a_channel_that_is_held_or_in_trouble_is_told,
                what_was_purged_is_told_no_more_and_the_rest_is,
                a_place_that_was_never_there_is_a_gap,
            },
            model::{
                every_story_ends_as_the_rules_say,
            },
        );
    )+};
}

every_store!(sqlite);
