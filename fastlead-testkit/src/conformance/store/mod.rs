//! What every store promises: [`Store`](fastlead_core::port::Store), [`Leases`](fastlead_core::port::Leases),
//! [`Catalog`](fastlead_core::port::Catalog), [`Journal`](fastlead_core::port::Journal),
//! [`Accounts`](fastlead_core::port::Accounts), [`Addresses`](fastlead_core::port::Addresses),
//! [`Identities`](fastlead_core::port::Identities), [`ChangeLog`](fastlead_core::port::ChangeLog),
//! [`Ledger`](fastlead_core::port::Ledger) and [`Quota`](fastlead_core::port::Quota).
//!
//! ```
//! use std::sync::Arc;
//!
//! use fastlead_core::async_trait;
//! use fastlead_testkit::conformance::store::{FullStore, StoreHarness};
//!
//! # fn acme_store() -> Arc<dyn FullStore> { unimplemented!("the doctest only compiles") }
//! struct Acme(Arc<dyn FullStore>); // your store, and the directory or container it lives in
//!
//! #[async_trait]
//! impl StoreHarness for Acme {
//!     async fn start() -> Self {
//!         Self(acme_store())
//!     }
//!     fn store(&self) -> Arc<dyn FullStore> {
//!         Arc::clone(&self.0)
//!     }
//!     async fn reopen(&mut self) -> bool {
//!         false
//!     }
//! }
//!
//! fastlead_testkit::store_conformance!(acme_keeps_the_contract, Acme);
//! # fn main() {}
//! ```

mod accounts;
mod addresses;
mod catalog;
mod changes;
mod counters;
mod decisions;
mod drafts;
mod erasure;
mod harness;
mod idempotency;
mod identities;
mod inbound;
mod known;
mod late;
mod leads;
mod leases;
mod ledger;
mod ledger_model;
mod lists;
mod model;
mod named;
mod operations;
mod order;
mod outcomes;
mod positions;
mod postings;
mod quota;
mod receipts;
mod repair;
mod restart;
mod retention;
mod risk;
mod sample;
mod tenants;
mod unique;
mod unreadable;

pub use harness::{FullStore, StoreHarness, StoredRow};

/// The checks one by one, to run a single one or to prove that it catches a broken store.
pub mod checks {
    pub use super::accounts::{
        a_setting_is_set_once, keys_are_found_until_revoked, sessions_end,
        users_read_back_and_logins_are_unique,
    };
    pub use super::addresses::{
        a_suppression_is_kept_until_it_is_lifted, moved_addresses_are_kept, no_advertising_outlives_a_block,
        nothing_begins_to_a_suppressed_address, suppressions_are_listed_by_workspace,
    };
    pub use super::catalog::{
        a_workspace_is_loaded_alone, concurrent_policies_get_versions_of_their_own,
        consent_documents_are_kept, names_and_keys_are_unique, policies_have_versions,
        putting_a_channel_keeps_its_status, resealing_overwrites_no_other_configuration,
        the_catalog_reads_back,
    };
    pub use super::changes::{
        a_thing_is_named_once_at_its_last_change, changes_come_in_batches_without_gaps,
        changes_survive_a_restart, every_change_is_found_from_any_revision,
        what_was_removed_is_named_as_removed,
    };
    pub use super::counters::{
        a_counter_counts_and_never_goes_below_nothing, a_counter_is_forgotten_at_its_moment,
        a_full_counter_refuses_and_says_its_value, counters_survive_a_restart,
        of_two_hundred_concurrent_leads_twenty_fit_a_limit, waiting_leads_are_listed_oldest_first,
        what_is_given_back_too_late_changes_nothing,
    };
    pub use super::decisions::{
        a_settlement_stands_and_falls_with_its_decision, a_timer_fires_once, cancelled_offers_are_not_sent,
        of_concurrent_settlements_one_passes, refusals_come_in_the_promised_order,
        timers_are_replaced_and_cleared,
    };
    pub use super::drafts::{a_draft_is_kept_until_it_is_discarded, captures_are_listed_oldest_first};
    pub use super::erasure::{another_workspace_erases_nothing, erasing_takes_out_one_person};
    pub use super::idempotency::{
        a_key_repeats_its_answer_until_its_moment, a_repeated_request_is_recognised_first,
        answers_survive_a_restart, concurrent_requests_get_one_answer,
    };
    pub use super::identities::{
        a_link_is_undone_once, an_account_has_one_phone_number, links_are_listed_by_account_and_number,
        of_concurrent_links_of_an_account_one_holds, what_people_say_is_listed_newest_first,
    };
    pub use super::inbound::{
        a_concurrent_event_is_recorded_once, an_event_is_acted_upon_once, an_event_is_recorded_once,
        concurrent_claims_share_no_event, events_are_acted_upon_under_leases,
        pending_events_survive_a_restart,
    };
    pub use super::late::{
        a_known_outcome_is_not_thrown_away, a_pause_is_one_commit, what_is_unwanted_is_not_made_due_again,
    };
    pub use super::leads::{
        a_decision_passes_only_at_its_version, a_lead_is_created_once,
        a_lead_is_pinned_to_the_policy_that_decided_last, a_new_lead_reads_back_with_its_work,
        a_refused_transition_changes_nothing, an_appended_event_leaves_the_state,
        of_concurrent_decisions_one_passes,
    };
    pub use super::leases::{
        a_claim_takes_the_longest_due_within_its_limits, a_lease_that_ran_out_is_taken_over,
        an_attempt_begins_under_its_lease, an_attempt_that_begins_lengthens_its_lease,
        concurrent_claimers_share_the_work, expired_deliveries_are_claimed, next_due_names_the_next_moment,
        next_due_tells_channels_apart, only_the_holder_settles,
    };
    pub use super::ledger::{
        a_posting_counts_once, a_posting_has_a_sum_of_zero, a_posting_has_the_currencies_of_its_accounts,
        a_posting_is_taken_back_once, an_account_is_opened_once, an_account_stays_above_its_floor,
        an_overflow_is_refused, another_posting_under_the_same_id_is_refused,
    };
    pub use super::ledger_model::random_histories_of_money_fit_the_model;
    pub use super::lists::{
        a_history_is_listed_oldest_first, filters_select_what_they_say, leads_are_searched_and_counted,
        page_sizes_are_clamped, pages_have_no_gaps_or_repeats, queue_depth_counts_what_waits,
    };
    pub use super::model::random_histories_fit_the_model;
    pub use super::named::{
        a_named_lease_has_one_holder, a_named_lease_is_given_back_by_its_holder,
        of_concurrent_takers_one_has_the_lease,
    };
    pub use super::order::{
        a_backlog_holds_up_nobody_else, a_key_holds_back_only_its_own, a_missing_receipt_holds_back_nobody,
        an_unknown_outcome_can_leave_its_order, ordered_deliveries_come_one_by_one,
        owed_receipts_keep_their_room, what_is_to_be_sent_comes_before_owed_receipts,
    };
    pub use super::outcomes::{
        a_delivery_and_its_attempts_are_of_one_moment, a_retry_keeps_that_an_outcome_is_unknown,
        a_retry_waits_for_its_moment, an_owed_receipt_is_asked_for, an_uncounted_retry_gives_its_number_back,
        an_unknown_outcome_is_kept, what_has_ended_stays_ended,
    };
    pub use super::positions::{
        an_event_keeps_its_actor, events_are_followed_in_the_order_of_their_commits,
        whoever_follows_misses_nothing,
    };
    pub use super::postings::{
        a_posting_is_made_whole, a_posting_stands_and_falls_with_its_decision,
        another_workspace_moves_no_money, entries_are_listed_newest_first,
        money_that_cannot_be_read_stops_no_other, of_two_hundred_concurrent_charges_twenty_fit_a_balance,
        the_ledger_survives_a_restart,
    };
    pub use super::quota::{
        a_clock_that_goes_back_makes_no_permits, a_clock_that_was_set_back_blocks_nobody,
        a_hold_lasts_as_long_as_was_asked, no_period_holds_more_than_the_rate,
        of_concurrent_takers_as_many_pass_as_there_are_permits, permits_are_taken_together_or_not_at_all,
        scopes_and_keys_have_permits_of_their_own, two_that_are_held_mean_the_account,
    };
    pub use super::receipts::{
        a_delivery_is_found_on_its_own_channel, a_receipt_brings_its_reason,
        a_receipt_stands_and_falls_with_its_decision, every_part_has_its_receipt, receipts_come_in_any_order,
    };
    pub use super::repair::{
        a_revival_stands_and_falls_with_its_decision, retry_makes_a_failed_delivery_due,
        what_was_lost_is_listed_oldest_first,
    };
    pub use super::restart::{leads_and_their_work_survive_a_restart, settings_survive_a_restart};
    pub use super::retention::only_what_has_ended_is_forgotten;
    pub use super::risk::leads_at_risk_are_listed_soonest_first;
    pub use super::tenants::{another_workspace_changes_nothing, another_workspace_sees_nothing};
    pub use super::unique::{
        a_key_is_held_until_its_moment, of_a_thousand_concurrent_leads_one_gets_the_key,
        one_of_several_keys_is_enough, the_holder_may_take_its_key_again,
    };
    pub use super::unreadable::{
        a_delivery_that_cannot_be_read_stops_no_other, what_is_set_aside_is_left_alone,
    };
}

/// Calls `callback! { [arguments] name name … }` with the name of every check.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_store_check {
    ([$($callback:tt)*] [$($arguments:tt)*]) => {
        $($callback)*! {
            [$($arguments)*]
            a_new_lead_reads_back_with_its_work
            a_lead_is_created_once
            a_decision_passes_only_at_its_version
            a_lead_is_pinned_to_the_policy_that_decided_last
            of_concurrent_decisions_one_passes
            an_appended_event_leaves_the_state
            a_refused_transition_changes_nothing
            refusals_come_in_the_promised_order
            a_key_is_held_until_its_moment
            the_holder_may_take_its_key_again
            one_of_several_keys_is_enough
            of_a_thousand_concurrent_leads_one_gets_the_key
            a_counter_counts_and_never_goes_below_nothing
            a_counter_is_forgotten_at_its_moment
            a_full_counter_refuses_and_says_its_value
            of_two_hundred_concurrent_leads_twenty_fit_a_limit
            counters_survive_a_restart
            what_is_given_back_too_late_changes_nothing
            waiting_leads_are_listed_oldest_first
            a_key_repeats_its_answer_until_its_moment
            a_repeated_request_is_recognised_first
            concurrent_requests_get_one_answer
            answers_survive_a_restart
            concurrent_claimers_share_the_work
            a_claim_takes_the_longest_due_within_its_limits
            a_lease_that_ran_out_is_taken_over
            an_attempt_begins_under_its_lease
            an_attempt_that_begins_lengthens_its_lease
            only_the_holder_settles
            expired_deliveries_are_claimed
            next_due_names_the_next_moment
            next_due_tells_channels_apart
            a_named_lease_has_one_holder
            a_named_lease_is_given_back_by_its_holder
            of_concurrent_takers_one_has_the_lease
            no_period_holds_more_than_the_rate
            permits_are_taken_together_or_not_at_all
            of_concurrent_takers_as_many_pass_as_there_are_permits
            scopes_and_keys_have_permits_of_their_own
            a_hold_lasts_as_long_as_was_asked
            two_that_are_held_mean_the_account
            a_clock_that_goes_back_makes_no_permits
            a_clock_that_was_set_back_blocks_nobody
            a_retry_waits_for_its_moment
            a_delivery_and_its_attempts_are_of_one_moment
            an_uncounted_retry_gives_its_number_back
            an_owed_receipt_is_asked_for
            an_unknown_outcome_is_kept
            a_retry_keeps_that_an_outcome_is_unknown
            what_has_ended_stays_ended
            a_key_holds_back_only_its_own
            ordered_deliveries_come_one_by_one
            a_missing_receipt_holds_back_nobody
            an_unknown_outcome_can_leave_its_order
            a_backlog_holds_up_nobody_else
            what_is_to_be_sent_comes_before_owed_receipts
            owed_receipts_keep_their_room
            cancelled_offers_are_not_sent
            what_is_unwanted_is_not_made_due_again
            a_known_outcome_is_not_thrown_away
            a_pause_is_one_commit
            timers_are_replaced_and_cleared
            a_timer_fires_once
            a_settlement_stands_and_falls_with_its_decision
            of_concurrent_settlements_one_passes
            an_event_is_recorded_once
            a_concurrent_event_is_recorded_once
            events_are_acted_upon_under_leases
            concurrent_claims_share_no_event
            an_event_is_acted_upon_once
            pending_events_survive_a_restart
            receipts_come_in_any_order
            a_receipt_brings_its_reason
            every_part_has_its_receipt
            a_receipt_stands_and_falls_with_its_decision
            a_delivery_is_found_on_its_own_channel
            retry_makes_a_failed_delivery_due
            what_was_lost_is_listed_oldest_first
            a_revival_stands_and_falls_with_its_decision
            pages_have_no_gaps_or_repeats
            a_history_is_listed_oldest_first
            events_are_followed_in_the_order_of_their_commits
            whoever_follows_misses_nothing
            an_event_keeps_its_actor
            erasing_takes_out_one_person
            another_workspace_erases_nothing
            page_sizes_are_clamped
            filters_select_what_they_say
            queue_depth_counts_what_waits
            leads_at_risk_are_listed_soonest_first
            another_workspace_sees_nothing
            another_workspace_changes_nothing
            the_catalog_reads_back
            a_workspace_is_loaded_alone
            every_change_is_found_from_any_revision
            a_thing_is_named_once_at_its_last_change
            what_was_removed_is_named_as_removed
            changes_come_in_batches_without_gaps
            changes_survive_a_restart
            names_and_keys_are_unique
            consent_documents_are_kept
            putting_a_channel_keeps_its_status
            resealing_overwrites_no_other_configuration
            policies_have_versions
            concurrent_policies_get_versions_of_their_own
            a_draft_is_kept_until_it_is_discarded
            captures_are_listed_oldest_first
            users_read_back_and_logins_are_unique
            keys_are_found_until_revoked
            sessions_end
            a_setting_is_set_once
            a_suppression_is_kept_until_it_is_lifted
            suppressions_are_listed_by_workspace
            no_advertising_outlives_a_block
            nothing_begins_to_a_suppressed_address
            moved_addresses_are_kept
            an_account_has_one_phone_number
            of_concurrent_links_of_an_account_one_holds
            a_link_is_undone_once
            links_are_listed_by_account_and_number
            what_people_say_is_listed_newest_first
            only_what_has_ended_is_forgotten
            leads_and_their_work_survive_a_restart
            settings_survive_a_restart
            a_delivery_that_cannot_be_read_stops_no_other
            what_is_set_aside_is_left_alone
            random_histories_fit_the_model
            a_posting_has_a_sum_of_zero
            a_posting_counts_once
            another_posting_under_the_same_id_is_refused
            an_account_stays_above_its_floor
            an_overflow_is_refused
            a_posting_has_the_currencies_of_its_accounts
            a_posting_is_taken_back_once
            an_account_is_opened_once
            a_posting_stands_and_falls_with_its_decision
            of_two_hundred_concurrent_charges_twenty_fit_a_balance
            a_posting_is_made_whole
            another_workspace_moves_no_money
            entries_are_listed_newest_first
            the_ledger_survives_a_restart
            money_that_cannot_be_read_stops_no_other
            random_histories_of_money_fit_the_model
        }
    };
}

/// One named test per behaviour of a store: `store_conformance!(module_name, HarnessType);`
///
/// `HarnessType` implements [`StoreHarness`](crate::conformance::store::StoreHarness) and is visible
/// where the macro is called. The calling crate needs `tokio` with `macros` and `rt-multi-thread`.
/// What a store that lives in memory cannot promise passes and prints `not applicable: …`.
#[macro_export]
macro_rules! store_conformance {
    ($module:ident, $harness:ty) => {
        $crate::__conformance_module!(__for_each_store_check store "multi_thread" $module $harness);
    };
}

/// Turns an outcome into a test result and prints what did not apply.
///
/// # Errors
/// The violation.
#[doc(hidden)]
pub fn settle<H: StoreHarness>(name: &'static str, outcome: super::Outcome) -> Result<(), super::Violation> {
    super::settle(name, outcome)
}

/// Runs every check, one after another, and returns each name with what it found. For programs
/// that want a report instead of tests, and for proofs that a broken store is caught.
pub async fn run_every_check<H: StoreHarness>() -> Vec<(&'static str, super::Outcome)> {
    crate::__for_each_store_check!([run_all][H])
}
