//! The suite catches what it is there for: each flaw makes exactly the checks about it fail.

mod adapter;

use std::sync::Arc;

use fastlead_core::async_trait;
use fastlead_core::channel::Channel;
use fastlead_core::message::Recipient;
use fastlead_testkit::conformance::LeftOut;
use fastlead_testkit::conformance::channel::{
    ChannelHarness, Inbound, SampleRequest, checks, run_every_check,
};
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};

use crate::memory_channel::Full;
use adapter::broken;

macro_rules! flaws {
    ($($flaw:ident)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Flaw {
            $($flaw,)*
        }
    };
}

flaws! {
    None
    CutsTexts
    EscapesTexts
    DropsHtml
    SendsPlainTextForEvents
    TriesUnsupportedContent
    SaysSafeWhenUnknown
    SaysNeverForServerErrors
    CallsBalanceUnavailable
    ForgetsTheNamedDelay
    RetriesByItself
    IgnoresTheKey
    SharesTheKeyAmongParts
    BreaksWhenDropped
    LooksUpWrongly
    ChecksWithAMessage
    BelievesEveryWebhook
    InventsEventIds
    SwapsAnswers
    LeaksAddressInErrors
    LeaksSecretInDebug
    ChangesCapabilities
    SendsEditsAnew
    NeverTimesOut
    SaysSafeOnTimeout
    SaysSafeOnGatewayErrors
    SaysSafeOnUnreadable
    SaysSentOnUnreadable
    PanicsOnUnreadable
    LeaksSecretForOneStatus
    LogsSecret
    PutsSecretInTitle
    FollowsRedirects
    EmptyIds
    RepeatedIds
    SaysDelivered
    DeclaresAnotherRecipient
    DeclaresNoLimit
    DropsAnswers
    BringsUndeclaredAnswers
    DropsLifetimes
    HidesLifetimes
    HidesSubjects
    HidesHtml
    DropsLinkButtons
    LosesLinks
    BlocksTheThread
    OneLock
}

tokio::task_local! {
    /// The flaw of the channels that this task makes: a harness is chosen by its type, and one type is compiled faster
    /// than one for each flaw.
    static FLAW: Flaw;
}

struct Flawed(Full);

impl Flawed {
    fn flawed(&self, channel: Arc<dyn Channel>) -> Arc<dyn Channel> {
        broken(channel, FLAW.get(), self.0.faults().unwrap().clone())
    }
}

#[async_trait]
impl ChannelHarness for Flawed {
    async fn start() -> Self {
        Self(Full::start().await)
    }

    fn channel(&self) -> Arc<dyn Channel> {
        self.flawed(self.0.channel())
    }

    fn recipient(&self) -> Recipient {
        self.0.recipient()
    }

    fn unknown_recipient(&self) -> Option<Recipient> {
        self.0.unknown_recipient()
    }

    fn arrivals(&self) -> Inbox {
        self.0.arrivals()
    }

    fn faults(&self) -> Option<&Faults> {
        self.0.faults()
    }

    fn fault_applies(&self, fault: &Fault) -> bool {
        self.0.fault_applies(fault)
    }

    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
        self.0.with_bad_credentials().map(|channel| self.flawed(channel))
    }

    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        self.0.unreachable().map(|channel| self.flawed(channel))
    }

    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        self.0.impatient().map(|channel| self.flawed(channel))
    }

    fn left_out() -> Vec<LeftOut> {
        match FLAW.get() {
            // What a flaw hides is caught by the check itself.
            Flaw::TriesUnsupportedContent => Vec::new(),
            _ => Full::left_out(),
        }
    }

    fn other_recipients(&self) -> Vec<Recipient> {
        self.0.other_recipients()
    }

    fn seen_lifetime(&self, arrival: &Arrival) -> Option<std::time::Duration> {
        self.0.seen_lifetime(arrival)
    }

    fn secrets(&self) -> Vec<String> {
        self.0.secrets()
    }

    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        self.0.genuine_webhooks().await
    }

    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        self.0.forged_webhooks().await
    }

    async fn press(&self, arrival: &Arrival, button: &ArrivedButton) -> Inbound {
        self.0.press(arrival, button).await
    }
}

/// The checks that fail for a flaw.
async fn caught(flaw: Flaw) -> Vec<&'static str> {
    let report = FLAW.scope(flaw, run_every_check::<Flawed>()).await;
    report.outcomes.into_iter().filter(|(_, outcome)| outcome.is_err()).map(|(name, _)| name).collect()
}

/// On a clock that stands still, so that no check waits.
macro_rules! each_flaw_is_caught {
    ($($test:ident: $flaw:ident => [$($check:ident),*];)*) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                let expected: &[&str] = &[$(stringify!($check)),*];
                assert_eq!(caught(Flaw::$flaw).await, expected);
            }
        )*
    };
}

each_flaw_is_caught! {
    no_flaw: None => [];
    cut_texts: CutsTexts => [text_arrives_literally, longest_text_is_accepted_and_a_longer_one_refused];
    escaped_texts: EscapesTexts => [text_arrives_literally, html_is_shown];
    dropped_html: DropsHtml => [html_is_shown];
    events_as_text: SendsPlainTextForEvents => [event_arrives];
    unsupported_content_tried: TriesUnsupportedContent => [unsupported_content_is_refused_before_any_request];
    safe_when_unknown: SaysSafeWhenUnknown => [
        gateway_errors_are_unknown, unreadable_answer_is_unknown, silence_is_unknown,
        connection_lost_after_accept_is_unknown
    ];
    never_for_server_errors: SaysNeverForServerErrors => [server_error_is_retryable, gateway_errors_are_unknown];
    balance_as_outage: CallsBalanceUnavailable => [empty_balance_is_balance];
    forgotten_delay: ForgetsTheNamedDelay => [rate_limit_is_safe_to_retry];
    own_retries: RetriesByItself => [
        same_key_arrives_once, rate_limit_is_safe_to_retry, server_error_is_retryable,
        gateway_errors_are_unknown, redirects_are_not_followed, silence_is_unknown,
        connection_lost_before_accept_is_retryable, connection_lost_after_accept_is_unknown
    ];
    ignored_key: IgnoresTheKey => [
        same_key_arrives_once, connection_lost_after_accept_is_unknown, lookup_finds_what_was_sent, buttons_round_trip
    ];
    shared_key: SharesTheKeyAmongParts => [parts_of_one_delivery_all_arrive];
    broken_when_dropped: BreaksWhenDropped => [a_slow_send_holds_up_no_other, dropped_send_leaves_the_channel_usable];
    wrong_lookup: LooksUpWrongly => [connection_lost_after_accept_is_unknown, lookup_finds_what_was_sent];
    messaging_check: ChecksWithAMessage => [check_messages_nobody];
    believed_forgeries: BelievesEveryWebhook => [forged_webhooks_do_not_verify];
    invented_ids: InventsEventIds => [repeated_webhook_is_one_event];
    swapped_answers: SwapsAnswers => [buttons_round_trip];
    address_in_errors: LeaksAddressInErrors => [errors_and_debug_leak_nothing, no_status_makes_an_error_leak];
    secret_in_debug: LeaksSecretInDebug => [errors_and_debug_leak_nothing];
    changing_capabilities: ChangesCapabilities => [capabilities_are_consistent];
    edits_sent_anew: SendsEditsAnew => [an_edit_changes_the_message_that_it_names];
    never_timing_out: NeverTimesOut => [silence_is_unknown];
    safe_on_timeout: SaysSafeOnTimeout => [silence_is_unknown];
    safe_on_gateway_errors: SaysSafeOnGatewayErrors => [gateway_errors_are_unknown];
    safe_on_unreadable: SaysSafeOnUnreadable => [unreadable_answer_is_unknown];
    sent_on_unreadable: SaysSentOnUnreadable => [answers_come_back_as_declared, unreadable_answer_is_unknown];
    secret_for_one_status: LeaksSecretForOneStatus => [no_status_makes_an_error_leak];
    logged_secret: LogsSecret => [no_log_line_leaks];
    secret_in_title: PutsSecretInTitle => [subject_is_shown, no_message_carries_a_secret];
    empty_ids: EmptyIds => [an_edit_changes_the_message_that_it_names, every_message_has_an_id_of_its_own];
    repeated_ids: RepeatedIds => [an_edit_changes_the_message_that_it_names, every_message_has_an_id_of_its_own];
    said_delivered: SaysDelivered => [accepted_is_not_delivered];
    another_recipient: DeclaresAnotherRecipient => [every_declared_kind_of_recipient_is_sent_to];
    no_limit: DeclaresNoLimit => [longest_text_is_accepted_and_a_longer_one_refused];
    dropped_answers: DropsAnswers => [answers_come_back_as_declared];
    undeclared_answers: BringsUndeclaredAnswers => [answers_come_back_as_declared, unreadable_answer_is_unknown];
    dropped_lifetimes: DropsLifetimes => [lifetime_is_passed_on_as_declared];
    hidden_lifetimes: HidesLifetimes => [lifetime_is_passed_on_as_declared];
    hidden_subjects: HidesSubjects => [subject_is_shown];
    hidden_html: HidesHtml => [html_is_shown];
    dropped_link_buttons: DropsLinkButtons => [links_reach_their_reader, buttons_round_trip];
    one_lock: OneLock => [a_slow_send_holds_up_no_other];
}

/// These are run alone: one asks a server, one ends whoever calls it, one declares nothing that it does, and the last is
/// slow in every send.
#[tokio::test]
async fn a_redirect_that_is_followed() {
    let outcome = FLAW.scope(Flaw::FollowsRedirects, checks::redirects_are_not_followed::<Flawed>()).await;
    assert!(outcome.unwrap_err().to_string().contains("was followed"));
}

#[tokio::test]
async fn a_panic_over_an_answer() {
    let outcome =
        FLAW.scope(Flaw::PanicsOnUnreadable, checks::unreadable_answer_is_unknown::<Flawed>()).await;
    assert!(outcome.unwrap_err().to_string().contains("panicked"));
}

#[tokio::test]
async fn links_that_are_lost() {
    let outcome = FLAW.scope(Flaw::LosesLinks, checks::links_reach_their_reader::<Flawed>()).await;
    assert!(outcome.unwrap_err().to_string().contains("lost on the way"));
}

#[tokio::test]
async fn a_blocked_thread() {
    let outcome = FLAW.scope(Flaw::BlocksTheThread, checks::sending_blocks_no_thread::<Flawed>()).await;
    assert!(outcome.unwrap_err().to_string().contains("blocks its thread"));
}
