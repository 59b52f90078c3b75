//! What every [`Channel`](fastlead_core::channel::Channel) promises.

mod answers;
mod basics;
mod content;
mod declared;
mod faults;
mod harness;
mod inbound;
mod load;
mod log;
mod privacy;
mod probe;
mod sample;
mod silence;

pub use harness::{ChannelHarness, Inbound};
pub use sample::{SampleRequest, outbound};

use super::report::{Report, judge};
use super::{Outcome, Violation};

/// The checks one by one, to run a single one or to prove that it catches a broken channel.
pub mod checks {
    pub use super::answers::{
        answers_come_back_as_declared, gateway_errors_are_unknown, redirects_are_not_followed,
        unreadable_answer_is_unknown,
    };
    pub use super::basics::{
        capabilities_are_consistent, check_messages_nobody, concurrent_sends_all_arrive, info_is_stable,
        parts_of_one_delivery_all_arrive, same_key_arrives_once,
    };
    pub use super::content::{
        an_edit_changes_the_message_that_it_names, event_arrives, html_is_shown, links_reach_their_reader,
        longest_text_is_accepted_and_a_longer_one_refused, subject_is_shown, text_arrives_literally,
        unsupported_content_is_refused_before_any_request,
        wrong_kind_of_recipient_is_refused_before_any_request,
    };
    pub use super::declared::{
        accepted_is_not_delivered, every_declared_kind_of_recipient_is_sent_to,
        every_message_has_an_id_of_its_own, lifetime_is_passed_on_as_declared,
    };
    pub use super::faults::{
        connection_lost_after_accept_is_unknown, connection_lost_before_accept_is_retryable,
        dropped_send_leaves_the_channel_usable, empty_balance_is_balance, lookup_finds_what_was_sent,
        rate_limit_is_safe_to_retry, refused_connection_is_safe_to_retry, refused_content_is_content,
        refused_credentials_are_auth, server_error_is_retryable, unknown_recipient_is_never_retried,
    };
    pub use super::harness::every_check_that_is_left_out_has_a_reason;
    pub use super::inbound::{
        buttons_round_trip, forged_webhooks_do_not_verify, genuine_webhooks_verify,
        repeated_webhook_is_one_event,
    };
    pub use super::load::{a_slow_send_holds_up_no_other, sending_blocks_no_thread};
    pub use super::privacy::{
        errors_and_debug_leak_nothing, no_log_line_leaks, no_message_carries_a_secret,
        no_status_makes_an_error_leak, secrets_are_named,
    };
    pub use super::silence::silence_is_unknown;
}

/// Calls `callback! { [arguments] name name … }` with the name of every check.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_channel_check {
    ([$($callback:tt)*] [$($arguments:tt)*]) => {
        $($callback)*! {
            [$($arguments)*]
            every_check_that_is_left_out_has_a_reason
            info_is_stable
            capabilities_are_consistent
            check_messages_nobody
            text_arrives_literally
            subject_is_shown
            html_is_shown
            links_reach_their_reader
            event_arrives
            an_edit_changes_the_message_that_it_names
            unsupported_content_is_refused_before_any_request
            wrong_kind_of_recipient_is_refused_before_any_request
            longest_text_is_accepted_and_a_longer_one_refused
            every_declared_kind_of_recipient_is_sent_to
            every_message_has_an_id_of_its_own
            accepted_is_not_delivered
            lifetime_is_passed_on_as_declared
            answers_come_back_as_declared
            concurrent_sends_all_arrive
            sending_blocks_no_thread
            a_slow_send_holds_up_no_other
            parts_of_one_delivery_all_arrive
            same_key_arrives_once
            unknown_recipient_is_never_retried
            refused_credentials_are_auth
            empty_balance_is_balance
            refused_content_is_content
            rate_limit_is_safe_to_retry
            server_error_is_retryable
            gateway_errors_are_unknown
            unreadable_answer_is_unknown
            redirects_are_not_followed
            silence_is_unknown
            refused_connection_is_safe_to_retry
            connection_lost_before_accept_is_retryable
            connection_lost_after_accept_is_unknown
            lookup_finds_what_was_sent
            dropped_send_leaves_the_channel_usable
            genuine_webhooks_verify
            forged_webhooks_do_not_verify
            repeated_webhook_is_one_event
            buttons_round_trip
            secrets_are_named
            errors_and_debug_leak_nothing
            no_status_makes_an_error_leak
            no_log_line_leaks
            no_message_carries_a_secret
        }
    };
}

/// One named test per behaviour of a channel: `channel_conformance!(module_name, HarnessType);`
///
/// `HarnessType` implements [`ChannelHarness`](crate::conformance::channel::ChannelHarness) and is
/// visible where the macro is called. The calling crate needs `tokio` with `macros` and
/// `rt-multi-thread`.
/// A check that does not apply to the channel fails, unless the harness leaves it out with a reason
/// ([`left_out`](crate::conformance::channel::ChannelHarness::left_out)); `--show-output` prints those that are left out, and
/// [`run_every_check`](crate::conformance::channel::run_every_check) counts them.
#[macro_export]
macro_rules! channel_conformance {
    ($module:ident, $harness:ty) => {
        $crate::__conformance_module!(__for_each_channel_check channel "multi_thread" $module $harness);
    };
}

/// Names of all checks, in the order in which they run.
pub(crate) const NAMES: &[&str] = crate::__for_each_channel_check!([all_names][]);

/// Turns an outcome into a test result: what does not apply must be left out by the harness.
///
/// # Errors
/// The violation.
#[doc(hidden)]
pub fn settle<H: ChannelHarness>(name: &'static str, outcome: Outcome) -> Result<(), Violation> {
    super::settle(name, judge(name, outcome, &H::left_out()))
}

/// Runs every check, one after another, and reports what each has found. For programs that want a report instead of
/// tests, and for proofs that a broken channel is caught.
pub async fn run_every_check<H: ChannelHarness>() -> Report {
    let found: Vec<(&'static str, Outcome)> = crate::__for_each_channel_check!([run_all][H]);
    let left_out = H::left_out();
    Report {
        outcomes: found.into_iter().map(|(name, outcome)| (name, judge(name, outcome, &left_out))).collect(),
    }
}
