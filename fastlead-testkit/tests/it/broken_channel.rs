//! The suite catches what it is there for: each flaw makes exactly the checks about it fail.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference,
};
use fastlead_core::message::{ButtonAction, Content, OutboundMessage, Recipient, Response, Text};
use fastlead_core::webhook::{Verified, WebhookBatch, WebhookReceiver, WebhookRegistration, WebhookRequest};
use fastlead_core::{Error, ErrorKind, Result, RetryHint, async_trait};
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest, run_every_check};
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};

use crate::memory_channel::Full;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    CutsTexts,
    EscapesTexts,
    DropsHtml,
    SendsPlainTextForEvents,
    TriesUnsupportedContent,
    SaysSafeWhenUnknown,
    SaysNeverForServerErrors,
    CallsBalanceUnavailable,
    ForgetsTheNamedDelay,
    RetriesByItself,
    IgnoresTheKey,
    SharesTheKeyAmongParts,
    BreaksWhenDropped,
    LooksUpWrongly,
    ChecksWithAMessage,
    BelievesEveryWebhook,
    InventsEventIds,
    SwapsAnswers,
    LeaksAddressInErrors,
    LeaksSecretInDebug,
    ChangesCapabilities,
    SendsEditsAnew,
}

struct Broken {
    inner: Arc<dyn Channel>,
    flaw: Flaw,
    sends: AtomicU32,
    lock: tokio::sync::Semaphore,
    webhook: BrokenWebhook,
}

struct BrokenWebhook {
    inner: Arc<dyn Channel>,
    flaw: Flaw,
    parsed: AtomicU32,
}

impl Broken {
    fn text(&self, text: &mut Text) {
        match self.flaw {
            Flaw::CutsTexts => {
                text.plain = text.plain.expose().chars().take(20).collect::<String>().as_str().into()
            }
            Flaw::EscapesTexts => text.plain = text.plain.expose().replace('<', "&lt;").as_str().into(),
            Flaw::DropsHtml => text.html = None,
            Flaw::SwapsAnswers => {
                for button in &mut text.buttons {
                    if let ButtonAction::Respond(response) = &mut button.action {
                        *response = match response {
                            Response::Accept => Response::Decline,
                            Response::Decline => Response::Accept,
                        };
                    }
                }
            }
            _ => {}
        }
    }

    fn error(&self, error: Error, message: &OutboundMessage) -> Error {
        let kind = error.kind();
        match self.flaw {
            Flaw::SaysSafeWhenUnknown if error.retry() == RetryHint::UNKNOWN => {
                error.with_retry(RetryHint::SAFE)
            }
            Flaw::SaysNeverForServerErrors if error.provider_code().is_some() => {
                error.with_retry(RetryHint::Never)
            }
            Flaw::CallsBalanceUnavailable if kind == ErrorKind::Balance => {
                Error::new(ErrorKind::Unavailable, "?")
            }
            Flaw::ForgetsTheNamedDelay if kind == ErrorKind::RateLimited => error.with_retry(RetryHint::SAFE),
            Flaw::LeaksAddressInErrors => error.with_context("to", message.recipient.address()),
            _ => error,
        }
    }
}

#[async_trait]
impl Channel for Broken {
    fn info(&self) -> &ChannelInfo {
        self.inner.info()
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        if self.flaw == Flaw::ChangesCapabilities {
            capabilities.max_in_flight += self.sends.load(Ordering::Relaxed);
        }
        capabilities.interaction_replies &= self.flaw != Flaw::TriesUnsupportedContent;
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        let mut sent = message.clone();
        self.sends.fetch_add(1, Ordering::Relaxed);
        match &mut sent.content {
            Content::Text(text) => self.text(text),
            Content::Edit(edit) if self.flaw == Flaw::SendsEditsAnew => {
                let text = edit.text.clone();
                sent.content = Content::Text(text);
            }
            Content::Event(event) if self.flaw == Flaw::SendsPlainTextForEvents => {
                let name = event.event_type.clone();
                sent.content = Content::Text(Text::plain(name));
            }
            _ => {}
        }
        if self.flaw == Flaw::IgnoresTheKey {
            sent.delivery_id = fastlead_testkit::conformance::channel::outbound(
                Recipient::Endpoint,
                Content::Text(Text::default()),
            )
            .delivery_id;
        }
        if self.flaw == Flaw::SharesTheKeyAmongParts {
            sent.part = fastlead_core::message::Part::WHOLE;
        }
        if self.flaw == Flaw::BreaksWhenDropped {
            // Taken away for good unless the send comes to its end.
            self.lock.acquire().await.unwrap().forget();
        }
        let mut outcome = self.inner.send(&sent).await;
        if self.flaw == Flaw::BreaksWhenDropped {
            self.lock.add_permits(1);
        }
        if self.flaw == Flaw::RetriesByItself
            && matches!(&outcome, Err(error) if error.retry() != RetryHint::Never)
        {
            outcome = self.inner.send(&sent).await;
        }
        outcome.map_err(|error| self.error(error, message))
    }

    async fn check(&self) -> Result<()> {
        if self.flaw == Flaw::ChecksWithAMessage {
            let recipient = Recipient::Chat("790000000".into());
            let test = fastlead_testkit::conformance::channel::outbound(
                recipient,
                Content::Text(Text::plain("test")),
            );
            self.inner.send(&test).await?;
        }
        self.inner.check().await
    }

    async fn lookup(&self, sent: &SentReference) -> Result<Lookup> {
        match self.flaw {
            Flaw::LooksUpWrongly => Ok(Lookup::NotAccepted),
            _ => self.inner.lookup(sent).await,
        }
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        Some(&self.webhook)
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        self.inner.registration()
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}

impl WebhookReceiver for BrokenWebhook {
    fn verify<'a>(&self, request: WebhookRequest<'a>) -> Result<Verified<'a>> {
        match self.flaw {
            Flaw::BelievesEveryWebhook => Verified::by_equal(request, b"1", b"1"),
            _ => self.inner.webhook().unwrap().verify(request),
        }
    }

    fn parse(&self, request: &Verified<'_>) -> Result<WebhookBatch> {
        let mut batch = self.inner.webhook().unwrap().parse(request)?;
        if self.flaw == Flaw::InventsEventIds {
            for event in &mut batch.events {
                event.provider_event_id = self.parsed.fetch_add(1, Ordering::Relaxed).to_string();
            }
        }
        Ok(batch)
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.flaw {
            Flaw::LeaksSecretInDebug => write!(f, "token-of-{}", self.inner.info().id.hex()),
            _ => f.write_str("Broken"),
        }
    }
}

impl fmt::Debug for BrokenWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrokenWebhook")
    }
}

/// A flaw as a type, because a harness is chosen by type.
struct With<const FLAW: usize>(Full);

const FLAWS: [Flaw; 23] = [
    Flaw::None,
    Flaw::CutsTexts,
    Flaw::EscapesTexts,
    Flaw::DropsHtml,
    Flaw::SendsPlainTextForEvents,
    Flaw::TriesUnsupportedContent,
    Flaw::SaysSafeWhenUnknown,
    Flaw::SaysNeverForServerErrors,
    Flaw::CallsBalanceUnavailable,
    Flaw::ForgetsTheNamedDelay,
    Flaw::RetriesByItself,
    Flaw::IgnoresTheKey,
    Flaw::SharesTheKeyAmongParts,
    Flaw::BreaksWhenDropped,
    Flaw::LooksUpWrongly,
    Flaw::ChecksWithAMessage,
    Flaw::BelievesEveryWebhook,
    Flaw::InventsEventIds,
    Flaw::SwapsAnswers,
    Flaw::LeaksAddressInErrors,
    Flaw::LeaksSecretInDebug,
    Flaw::ChangesCapabilities,
    Flaw::SendsEditsAnew,
];

fn broken(inner: Arc<dyn Channel>, flaw: Flaw) -> Arc<dyn Channel> {
    let webhook = BrokenWebhook { inner: Arc::clone(&inner), flaw, parsed: AtomicU32::new(0) };
    Arc::new(Broken { inner, flaw, sends: AtomicU32::new(0), lock: tokio::sync::Semaphore::new(2), webhook })
}

#[async_trait]
impl<const FLAW: usize> ChannelHarness for With<FLAW> {
    async fn start() -> Self {
        Self(Full::start().await)
    }

    fn channel(&self) -> Arc<dyn Channel> {
        broken(self.0.channel(), FLAWS[FLAW])
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
        self.0.with_bad_credentials().map(|channel| broken(channel, FLAWS[FLAW]))
    }

    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        self.0.unreachable().map(|channel| broken(channel, FLAWS[FLAW]))
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
async fn caught<const FLAW: usize>() -> Vec<&'static str> {
    let outcomes = run_every_check::<With<FLAW>>().await;
    outcomes.into_iter().filter(|(_, outcome)| outcome.is_err()).map(|(name, _)| name).collect()
}

macro_rules! each_flaw_is_caught {
    ($($test:ident: $number:literal $flaw:ident => [$($check:ident),*];)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                assert_eq!(FLAWS[$number], Flaw::$flaw);
                let expected: &[&str] = &[$(stringify!($check)),*];
                assert_eq!(caught::<$number>().await, expected);
            }
        )*
    };
}

each_flaw_is_caught! {
    no_flaw: 0 None => [];
    cut_texts: 1 CutsTexts => [text_arrives_literally, longest_text_is_accepted_and_a_longer_one_refused];
    escaped_texts: 2 EscapesTexts => [text_arrives_literally, html_is_shown];
    dropped_html: 3 DropsHtml => [html_is_shown];
    events_as_text: 4 SendsPlainTextForEvents => [event_arrives];
    unsupported_content_tried: 5 TriesUnsupportedContent => [unsupported_content_is_refused_before_any_request];
    safe_when_unknown: 6 SaysSafeWhenUnknown => [connection_lost_after_accept_is_unknown];
    never_for_server_errors: 7 SaysNeverForServerErrors => [server_error_is_retryable];
    balance_as_outage: 8 CallsBalanceUnavailable => [empty_balance_is_balance];
    forgotten_delay: 9 ForgetsTheNamedDelay => [rate_limit_is_safe_to_retry];
    own_retries: 10 RetriesByItself => [
        same_key_arrives_once, rate_limit_is_safe_to_retry, server_error_is_retryable,
        connection_lost_before_accept_is_retryable, connection_lost_after_accept_is_unknown
    ];
    ignored_key: 11 IgnoresTheKey => [
        same_key_arrives_once, connection_lost_after_accept_is_unknown, lookup_finds_what_was_sent, buttons_round_trip
    ];
    shared_key: 12 SharesTheKeyAmongParts => [parts_of_one_delivery_all_arrive];
    broken_when_dropped: 13 BreaksWhenDropped => [dropped_send_leaves_the_channel_usable];
    wrong_lookup: 14 LooksUpWrongly => [connection_lost_after_accept_is_unknown, lookup_finds_what_was_sent];
    messaging_check: 15 ChecksWithAMessage => [check_messages_nobody];
    believed_forgeries: 16 BelievesEveryWebhook => [forged_webhooks_do_not_verify];
    invented_ids: 17 InventsEventIds => [repeated_webhook_is_one_event];
    swapped_answers: 18 SwapsAnswers => [buttons_round_trip];
    address_in_errors: 19 LeaksAddressInErrors => [errors_and_debug_leak_nothing];
    secret_in_debug: 20 LeaksSecretInDebug => [errors_and_debug_leak_nothing];
    changing_capabilities: 21 ChangesCapabilities => [capabilities_are_consistent];
    edits_sent_anew: 22 SendsEditsAnew => [an_edit_changes_the_message_that_it_names];
}
