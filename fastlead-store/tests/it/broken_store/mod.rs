//! The suite catches what it is there for: each flaw makes the checks about it fail.

mod flaw;
mod money;
mod ports;
mod rates;

use std::sync::Arc;

use fastlead_core::async_trait;
use fastlead_testkit::conformance::bounded;
use fastlead_testkit::conformance::store::{FullStore, StoreHarness, StoredRow, checks, run_every_check};

pub(crate) use flaw::{BrokenStore, Flaw, LOST_PAGE};

struct Broken<const FLAW: u8>(BrokenStore);

#[async_trait]
impl<const FLAW: u8> StoreHarness for Broken<FLAW> {
    async fn start() -> Self {
        Self(BrokenStore::new(Flaw::ALL[usize::from(FLAW)]))
    }

    fn store(&self) -> Arc<dyn FullStore> {
        Arc::new(self.0.clone())
    }

    async fn reopen(&mut self) -> bool {
        if self.0.flaw == Flaw::ForgetsEverythingOnRestart {
            self.0 = BrokenStore::new(self.0.flaw);
        }
        // The memory is still there, which is as good as a disk for a test of the tests.
        true
    }

    async fn damage(&self, row: StoredRow) -> bool {
        match row {
            StoredRow::Delivery(id) => self.0.damage(id),
            row => return self.0.damage_money(row),
        }
        true
    }
}

/// One test per flaw: the checks named must all fail.
macro_rules! caught {
    ($($test:ident: $flaw:ident by $($check:ident)*;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                $(
                    let outcome = bounded(checks::$check::<Broken<{ Flaw::$flaw as u8 }>>()).await;
                    let violation = outcome.expect_err(stringify!($check)).to_string();
                    for other in ["the store failed", "did not finish", "panicked"] {
                        assert!(!violation.contains(other), "{}: {violation}", stringify!($check));
                    }
                )*
            }
        )*
    };
}

caught! {
    a_lost_lease_that_settles: IgnoresLeaseTokens by
        only_the_holder_settles a_lease_that_ran_out_is_taken_over an_owed_receipt_is_asked_for
        random_histories_fit_the_model;
    a_forgotten_unique_key: ForgetsUniqueKeys by
        a_key_is_held_until_its_moment the_holder_may_take_its_key_again one_of_several_keys_is_enough
        of_a_thousand_concurrent_leads_one_gets_the_key refusals_come_in_the_promised_order
        leads_and_their_work_survive_a_restart random_histories_fit_the_model;
    a_forgotten_idempotency_key: ForgetsIdempotencyKeys by
        a_key_repeats_its_answer_until_its_moment a_repeated_request_is_recognised_first
        concurrent_requests_get_one_answer answers_survive_a_restart;
    a_limit_that_does_not_hold: ForgetsLimits by
        a_full_counter_refuses_and_says_its_value of_two_hundred_concurrent_leads_twenty_fit_a_limit;
    a_counter_that_only_grows: KeepsWhatIsGivenBack by
        a_counter_counts_and_never_goes_below_nothing a_full_counter_refuses_and_says_its_value;
    a_counter_made_of_nothing: RemembersWhatIsGivenBackLate by what_is_given_back_too_late_changes_nothing;
    a_queue_without_an_order: ForgetsWhoWaits by waiting_leads_are_listed_oldest_first;
    a_lost_delivery: LosesDeliveries by
        a_new_lead_reads_back_with_its_work cancelled_offers_are_not_sent random_histories_fit_the_model;
    work_leased_to_two: LeasesTwice by
        concurrent_claimers_share_the_work random_histories_fit_the_model concurrent_claims_share_no_event;
    a_send_behind_receipts: AsksBeforeSending by
        what_is_to_be_sent_comes_before_owed_receipts;
    a_receipt_that_is_never_asked_for: StarvesReceipts by owed_receipts_keep_their_room;
    a_forgotten_order: ForgetsOrder by
        a_key_holds_back_only_its_own ordered_deliveries_come_one_by_one random_histories_fit_the_model;
    a_receipt_that_holds_back: WaitsForReceipts by a_missing_receipt_holds_back_nobody a_key_holds_back_only_its_own;
    an_order_that_is_never_left: NeverLeavesTheOrder by an_unknown_outcome_can_leave_its_order;
    a_settlement_without_its_decision: SettlesBeforeDeciding by
        a_settlement_stands_and_falls_with_its_decision refusals_come_in_the_promised_order;
    a_decision_at_any_version: SkipsTheVersion by
        a_decision_passes_only_at_its_version of_concurrent_decisions_one_passes random_histories_fit_the_model;
    a_lease_that_ends_under_a_send: KeepsTheShortLease by an_attempt_that_begins_lengthens_its_lease;
    a_lead_that_keeps_its_first_policy: KeepsTheFirstPolicy by a_lead_is_pinned_to_the_policy_that_decided_last;
    a_timer_that_fires_again: FiresTimersAgain by a_timer_fires_once;
    a_retry_without_its_delay: RetriesAtOnce by
        a_retry_waits_for_its_moment next_due_names_the_next_moment random_histories_fit_the_model;
    moments_of_all_channels_in_one: LumpsMoments by next_due_tells_channels_apart;
    a_workspace_loaded_with_others: LoadsEverybody by a_workspace_is_loaded_alone;
    sending_to_who_was_suppressed: SendsToTheSuppressed by nothing_begins_to_a_suppressed_address;
    suppressing_more_than_was_said: TakesEverythingForAdvertising by nothing_begins_to_a_suppressed_address;
    refusing_who_was_let_in_again: ForgetsTheLifted by nothing_begins_to_a_suppressed_address;
    a_removal_that_nobody_hears_of: ForgetsRemovals by what_was_removed_is_named_as_removed;
    a_pause_that_no_other_engine_hears_of: KeepsStatusToItself by every_change_is_found_from_any_revision;
    an_account_at_fault_that_no_other_engine_hears_of: PausesInSilence by every_change_is_found_from_any_revision;
    a_publication_that_no_other_engine_hears_of: PublishesInSilence by every_change_is_found_from_any_revision;
    changes_out_of_their_order: TurnsChangesRound by a_thing_is_named_once_at_its_last_change;
    a_change_between_two_batches: SkipsChanges by changes_come_in_batches_without_gaps;
    a_retry_that_forgets: ForgetsUnknownOutcomes by
        a_retry_keeps_that_an_outcome_is_unknown cancelled_offers_are_not_sent;
    an_attempt_that_leaves_no_mark: BeginsNothing by
        an_attempt_begins_under_its_lease a_lease_that_ran_out_is_taken_over random_histories_fit_the_model;
    an_outcome_thrown_away: DropsLateOutcomes by a_known_outcome_is_not_thrown_away;
    an_offer_of_a_taken_lead: RevivesTheUnwanted by
        what_is_unwanted_is_not_made_due_again random_histories_fit_the_model;
    a_pause_that_nobody_hears_of: TellsNobodyOfAPause by a_pause_is_one_commit;
    an_attempt_on_a_paused_channel: BeginsWhilePaused by a_pause_is_one_commit;
    an_attempt_begun_by_anybody: BeginsForAnybody by
        an_attempt_begins_under_its_lease;
    a_receipt_that_is_dropped: DropsReceipts by a_receipt_stands_and_falls_with_its_decision;
    a_purge_of_what_is_young: ForgetsTooMuch by only_what_has_ended_is_forgotten;
    a_forgotten_suppression: ForgetsSuppressions by
        a_suppression_is_kept_until_it_is_lifted suppressions_are_listed_by_workspace moved_addresses_are_kept;
    an_unsubscription_forgotten: LetsAdvertisingIn by no_advertising_outlives_a_block;
    a_link_made_again: LinksAgain by a_link_is_undone_once;
    a_number_that_stays: KeepsTheFirstNumber by
        an_account_has_one_phone_number of_concurrent_links_of_an_account_one_holds;
    a_link_that_is_never_undone: KeepsLinks by a_link_is_undone_once;
    a_failure_after_arrival: BelievesLateFailures by receipts_come_in_any_order random_histories_fit_the_model;
    a_part_taken_for_the_whole: BelievesOnePart by every_part_has_its_receipt;
    an_id_of_the_last_part_only: ForgetsPartIds by every_part_has_its_receipt;
    a_repeated_event: RepeatsEvents by an_event_is_recorded_once a_concurrent_event_is_recorded_once;
    an_event_acted_upon_twice: ActsTwice by an_event_is_acted_upon_once;
    an_event_leased_to_nobody: LeasesNoEvents by
        events_are_acted_upon_under_leases;
    an_event_put_off_for_good: ForgetsWhatIsPutOff by events_are_acted_upon_under_leases;
    a_channel_that_eats_the_limit: SharesTheLimit by a_backlog_holds_up_nobody_else;
    another_tenants_lead: ShowsEveryLead by another_workspace_sees_nothing;
    another_tenants_delivery: FindsOnEveryChannel by a_delivery_is_found_on_its_own_channel;
    a_gap_between_pages: SkipsBetweenPages by pages_have_no_gaps_or_repeats page_sizes_are_clamped captures_are_listed_oldest_first
        leads_at_risk_are_listed_soonest_first links_are_listed_by_account_and_number
        what_people_say_is_listed_newest_first entries_are_listed_newest_first;
    a_lead_counted_twice: MiscountsLeads by leads_are_searched_and_counted;
    a_delivery_of_two_moments: ReadsTwoMoments by a_delivery_and_its_attempts_are_of_one_moment;
    a_person_erased_by_half: ErasesLeadsOnly by erasing_takes_out_one_person;
    a_person_kept: KeepsWhatIsErased by erasing_takes_out_one_person;
    everybody_erased: ErasesEverybody by erasing_takes_out_one_person;
    an_order_of_clocks: OrdersByClock by events_are_followed_in_the_order_of_their_commits;
    a_position_that_is_passed_over: SkipsPositions by
        events_are_followed_in_the_order_of_their_commits whoever_follows_misses_nothing;
    a_history_of_nobody: ForgetsActors by an_event_keeps_its_actor;
    a_recovery_of_what_may_have_arrived: RecoversTheAmbiguous by what_was_lost_is_listed_oldest_first;
    the_text_of_a_consent_that_changes: ForgetsDocuments by consent_documents_are_kept;
    a_channel_resumed_by_its_settings: ResumesWhenPut by putting_a_channel_keeps_its_status;
    a_configuration_sealed_over: SealsOver by resealing_overwrites_no_other_configuration;
    a_draft_that_stays: KeepsDrafts by a_draft_is_kept_until_it_is_discarded;
    a_setting_set_twice: ReplacesSettings by a_setting_is_set_once settings_survive_a_restart;
    a_revoked_key: KeepsRevokedKeys by keys_are_found_until_revoked;
    an_ended_session: KeepsEndedSessions by sessions_end;
    a_session_ended_with_the_others: EndsTheKeptSession by sessions_end;
    a_use_that_nobody_notes: NotesNoUse by sessions_end keys_are_found_until_revoked;
    a_disabled_user_that_is_gone: ForgetsDisabledUsers by users_read_back_and_logins_are_unique;
    a_setting_replaced_too_late: ReplacesWhatHasChanged by a_setting_is_set_once;
    a_store_that_forgets: ForgetsEverythingOnRestart by
        leads_and_their_work_survive_a_restart settings_survive_a_restart pending_events_survive_a_restart
        answers_survive_a_restart the_ledger_survives_a_restart;
    a_batch_failed_by_one_of_it: FailsTheBatch by
        a_delivery_that_cannot_be_read_stops_no_other money_that_cannot_be_read_stops_no_other;
    a_list_that_hides_what_it_cannot_read: HidesTheUnreadable by
        a_delivery_that_cannot_be_read_stops_no_other money_that_cannot_be_read_stops_no_other;
    work_that_is_tried_for_ever: NeverSetsAside by what_is_set_aside_is_left_alone;
    a_lease_for_everybody: LeasesToAll by
        a_named_lease_has_one_holder a_named_lease_is_given_back_by_its_holder of_concurrent_takers_one_has_the_lease;
    a_lease_that_others_end: EndsTheLeasesOfOthers by a_named_lease_is_given_back_by_its_holder;
    a_lease_that_nobody_ends: KeepsLeases by a_named_lease_is_given_back_by_its_holder;
    a_rate_that_nobody_keeps: ForgetsRates by
        no_period_holds_more_than_the_rate permits_are_taken_together_or_not_at_all
        scopes_and_keys_have_permits_of_their_own of_concurrent_takers_as_many_pass_as_there_are_permits;
    a_rate_for_each_engine: RatesForEachEngine by
        no_period_holds_more_than_the_rate of_concurrent_takers_as_many_pass_as_there_are_permits
        scopes_and_keys_have_permits_of_their_own;
    a_rate_for_everything_together: LumpsScopes by
        scopes_and_keys_have_permits_of_their_own;
    a_rate_for_everybody_together: LumpsKeys by
        scopes_and_keys_have_permits_of_their_own permits_are_taken_together_or_not_at_all;
    a_permit_taken_in_vain: TakesByHalf by permits_are_taken_together_or_not_at_all;
    a_wait_that_is_too_short: WaitsTooShort by no_period_holds_more_than_the_rate;
    a_permit_made_by_a_clock: BelievesClocksThatGoBack by a_clock_that_goes_back_makes_no_permits;
    a_wait_for_what_will_not_come: WaitsForWrongClocks by a_clock_that_was_set_back_blocks_nobody;
    a_hold_that_nobody_hears_of: ForgetsHolds by
        a_hold_lasts_as_long_as_was_asked two_that_are_held_mean_the_account;
    a_hold_cut_short: ShortensHolds by a_hold_lasts_as_long_as_was_asked;
    an_account_that_is_not_meant: HoldsOneByOne by two_that_are_held_mean_the_account;
    a_posting_that_makes_money: BalancesTheUnbalanced by a_posting_has_a_sum_of_zero;
    a_charge_repeated: PostsTwice by
        a_posting_counts_once another_posting_under_the_same_id_is_refused the_ledger_survives_a_restart
        random_histories_of_money_fit_the_model;
    another_charge_taken_for_the_same: TakesAnyForTheSame by another_posting_under_the_same_id_is_refused;
    an_account_without_a_floor: ForgetsTheFloor by
        an_account_stays_above_its_floor of_two_hundred_concurrent_charges_twenty_fit_a_balance
        a_posting_is_made_whole a_posting_stands_and_falls_with_its_decision
        random_histories_of_money_fit_the_model;
    a_balance_looked_at_before: LooksBeforePosting by
        of_two_hundred_concurrent_charges_twenty_fit_a_balance random_histories_of_money_fit_the_model;
    a_fault_that_nobody_hears_of: SwallowsFaults by
        an_overflow_is_refused a_posting_has_the_currencies_of_its_accounts another_workspace_moves_no_money
        a_posting_is_taken_back_once;
    a_charge_taken_back_twice: ReversesAnything by a_posting_is_taken_back_once;
    an_account_opened_anew: ReopensAccounts by an_account_is_opened_once;
    a_credit_that_stays: KeepsCredit by an_account_is_opened_once;
    money_without_its_decision: PostsBeforeDeciding by a_posting_stands_and_falls_with_its_decision;
    a_decision_without_its_money: DecidesBeforePosting by
        a_posting_stands_and_falls_with_its_decision of_two_hundred_concurrent_charges_twenty_fit_a_balance
        random_histories_of_money_fit_the_model;
    half_a_posting: PostsByHalf by a_posting_is_made_whole;
    another_tenants_money: ShowsEveryAccount by another_workspace_moves_no_money;
    entries_in_another_order: ListsOldestFirst by entries_are_listed_newest_first;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_caught_where_nothing_is_broken() {
    for (name, outcome) in run_every_check::<Broken<{ Flaw::None as u8 }>>().await {
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}
