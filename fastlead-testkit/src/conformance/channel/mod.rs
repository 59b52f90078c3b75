//! What every [`Channel`](fastlead_core::channel::Channel) promises.

mod basics;
mod content;
mod faults;
mod harness;
mod inbound;
mod privacy;
mod probe;
mod sample;

pub use harness::{ChannelHarness, Inbound};
pub use sample::{SampleRequest, outbound};

/// The checks one by one, to run a single one or to prove that it catches a broken channel.
pub mod checks {
    pub use super::basics::{
        capabilities_are_consistent, check_messages_nobody, concurrent_sends_all_arrive, info_is_stable,
        parts_of_one_delivery_all_arrive, same_key_arrives_once,
    };
    pub use super::content::{
        an_edit_changes_the_message_that_it_names, event_arrives, html_is_shown,
        longest_text_is_accepted_and_a_longer_one_refused, subject_is_shown, text_arrives_literally,
        unsupported_content_is_refused_before_any_request,
        wrong_kind_of_recipient_is_refused_before_any_request,
    };
    pub use super::faults::{
        connection_lost_after_accept_is_unknown, connection_lost_before_accept_is_retryable,
        dropped_send_leaves_the_channel_usable, empty_balance_is_balance, lookup_finds_what_was_sent,
        rate_limit_is_safe_to_retry, refused_connection_is_safe_to_retry, refused_content_is_content,
        refused_credentials_are_auth, server_error_is_retryable, unknown_recipient_is_never_retried,
    };
    pub use super::inbound::{
        buttons_round_trip, forged_webhooks_do_not_verify, genuine_webhooks_verify,
        repeated_webhook_is_one_event,
    };
    pub use super::privacy::errors_and_debug_leak_nothing;
}

/// Calls `callback! { [arguments] name name … }` with the name of every check.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_channel_check {
    ([$($callback:tt)*] [$($arguments:tt)*]) => {
        $($callback)*! {
            [$($arguments)*]
            info_is_stable
            capabilities_are_consistent
            check_messages_nobody
            text_arrives_literally
            subject_is_shown
            html_is_shown
            event_arrives
            an_edit_changes_the_message_that_it_names
            unsupported_content_is_refused_before_any_request
            wrong_kind_of_recipient_is_refused_before_any_request
            longest_text_is_accepted_and_a_longer_one_refused
            concurrent_sends_all_arrive
            parts_of_one_delivery_all_arrive
            same_key_arrives_once
            unknown_recipient_is_never_retried
            refused_credentials_are_auth
            empty_balance_is_balance
            refused_content_is_content
            rate_limit_is_safe_to_retry
            server_error_is_retryable
            refused_connection_is_safe_to_retry
            connection_lost_before_accept_is_retryable
            connection_lost_after_accept_is_unknown
            lookup_finds_what_was_sent
            dropped_send_leaves_the_channel_usable
            genuine_webhooks_verify
            forged_webhooks_do_not_verify
            repeated_webhook_is_one_event
            buttons_round_trip
            errors_and_debug_leak_nothing
        }
    };
}

/// One named test per behaviour of a channel: `channel_conformance!(module_name, HarnessType);`
///
/// `HarnessType` implements [`ChannelHarness`](crate::conformance::channel::ChannelHarness) and is
/// visible where the macro is called. The calling crate needs `tokio` with `macros` and `rt`.
/// What the channel does not claim passes and prints `not applicable: …`.
#[macro_export]
macro_rules! channel_conformance {
    ($module:ident, $harness:ty) => {
        $crate::__conformance_module!(__for_each_channel_check channel "current_thread" $module $harness);
    };
}

/// Runs every check, one after another, and returns each name with what it found. For programs
/// that want a report instead of tests, and for proofs that a broken channel is caught.
pub async fn run_every_check<H: ChannelHarness>() -> Vec<(&'static str, super::Outcome)> {
    crate::__for_each_channel_check!([run_all][H])
}
