//! The channel in memory keeps the contract, with every capability and with hardly any.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::{Capabilities, Channel, InboundKind, Rate, ReceiptStatus, TextLimit, TextUnit};
use fastlead_core::message::{Content, Recipient, RecipientKind, Text};
use fastlead_core::time::{Clock, SystemClock, Timestamp};
use fastlead_core::{ErrorKind, async_trait};
use fastlead_testkit::conformance::LeftOut;
use fastlead_testkit::conformance::channel::{ChannelHarness, Inbound, SampleRequest, outbound};
use fastlead_testkit::memory::MemoryChannel;
use fastlead_testkit::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};

/// Everything that a channel can do.
pub(crate) struct Full(pub(crate) MemoryChannel);

/// Short texts to phones, and nothing else.
pub(crate) struct Minimal(MemoryChannel);

pub(crate) fn forged(channel: &MemoryChannel) -> Vec<SampleRequest> {
    let forged_token = channel.sample_webhook().without_header("x-memory-token");
    vec![
        forged_token.clone(),
        forged_token.clone().with_header("x-memory-token", ""),
        forged_token.with_header("x-memory-token", MemoryChannel::new("other").webhook_token()),
    ]
}

#[async_trait]
impl ChannelHarness for Full {
    async fn start() -> Self {
        let channel = MemoryChannel::new("full");
        let mut capabilities = channel.capabilities();
        capabilities.recipients = vec![RecipientKind::Chat, RecipientKind::Endpoint];
        capabilities.message_ttl = true;
        capabilities.text_max = Some(TextLimit { max: 4_096, unit: TextUnit::Utf16 });
        let channel = channel.with_capabilities(capabilities);
        channel.refuse(Recipient::Chat("790000404".into()));
        Self(channel)
    }

    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(self.0.clone())
    }

    fn recipient(&self) -> Recipient {
        Recipient::Chat("790000000".into())
    }

    fn unknown_recipient(&self) -> Option<Recipient> {
        Some(Recipient::Chat("790000404".into()))
    }

    fn arrivals(&self) -> Inbox {
        self.0.inbox()
    }

    fn faults(&self) -> Option<&Faults> {
        Some(self.0.faults())
    }

    fn fault_applies(&self, _: &Fault) -> bool {
        true
    }

    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.0.with_credentials_refused()))
    }

    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.0.disconnected()))
    }

    fn left_out() -> Vec<LeftOut> {
        vec![LeftOut::new(
            "it carries every kind of content",
            &["unsupported_content_is_refused_before_any_request"],
        )]
    }

    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.0.clone().with_timeout(Duration::from_millis(50))))
    }

    fn other_recipients(&self) -> Vec<Recipient> {
        vec![Recipient::Endpoint, Recipient::Phone("+7 900 000-00-00".parse().unwrap())]
    }

    fn seen_lifetime(&self, arrival: &Arrival) -> Option<Duration> {
        let expiry: Timestamp = serde_json::from_value(arrival.details["expires_at"].clone()).ok()?;
        (expiry - SystemClock.now()).to_std().ok()
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.0.webhook_token()]
    }

    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        vec![self.0.sample_webhook(), self.0.write("790000000", "Ещё раз")]
    }

    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        forged(&self.0)
    }

    async fn press(&self, arrival: &Arrival, button: &ArrivedButton) -> Inbound {
        Inbound::ByWebhook(self.0.press(arrival, button))
    }
}

#[async_trait]
impl ChannelHarness for Minimal {
    async fn start() -> Self {
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Phone];
        capabilities.text = true;
        capabilities.text_max = Some(TextLimit { max: 1_000, unit: TextUnit::Bytes });
        capabilities.max_in_flight = 1;
        capabilities.account_rate = Some(Rate::per_second(5));
        Self(MemoryChannel::new("minimal").with_capabilities(capabilities))
    }

    fn channel(&self) -> Arc<dyn Channel> {
        Arc::new(self.0.clone())
    }

    fn recipient(&self) -> Recipient {
        Recipient::Phone("+7 900 000-00-00".parse().unwrap())
    }

    fn unknown_recipient(&self) -> Option<Recipient> {
        None
    }

    fn arrivals(&self) -> Inbox {
        self.0.inbox()
    }

    fn faults(&self) -> Option<&Faults> {
        Some(self.0.faults())
    }

    fn fault_applies(&self, fault: &Fault) -> bool {
        !matches!(fault, Fault::NoBalance | Fault::BadCredentials)
    }

    fn with_bad_credentials(&self) -> Option<Arc<dyn Channel>> {
        None
    }

    fn unreachable(&self) -> Option<Arc<dyn Channel>> {
        None
    }

    fn left_out() -> Vec<LeftOut> {
        vec![
            LeftOut::new(
                "it carries short plain texts and nothing else",
                &[
                    "subject_is_shown",
                    "html_is_shown",
                    "event_arrives",
                    "an_edit_changes_the_message_that_it_names",
                    "buttons_round_trip",
                    "lifetime_is_passed_on_as_declared",
                    "same_key_arrives_once",
                    "a_slow_send_holds_up_no_other",
                ],
            ),
            LeftOut::new(
                "nothing comes back",
                &[
                    "answers_come_back_as_declared",
                    "genuine_webhooks_verify",
                    "forged_webhooks_do_not_verify",
                    "repeated_webhook_is_one_event",
                ],
            ),
            LeftOut::new(
                "it lives in memory, without account, secrets and network",
                &[
                    "secrets_are_named",
                    "refused_credentials_are_auth",
                    "empty_balance_is_balance",
                    "refused_connection_is_safe_to_retry",
                ],
            ),
        ]
    }

    fn impatient(&self) -> Option<Arc<dyn Channel>> {
        Some(Arc::new(self.0.clone().with_timeout(Duration::from_millis(50))))
    }

    fn secrets(&self) -> Vec<String> {
        Vec::new()
    }

    async fn genuine_webhooks(&self) -> Vec<SampleRequest> {
        Vec::new()
    }

    async fn forged_webhooks(&self) -> Vec<SampleRequest> {
        Vec::new()
    }

    async fn press(&self, _: &Arrival, _: &ArrivedButton) -> Inbound {
        unreachable!("this channel has no buttons")
    }
}

fastlead_testkit::channel_conformance!(full_channel, Full);
fastlead_testkit::channel_conformance!(minimal_channel, Minimal);

#[tokio::test]
async fn faults_queue_up_and_a_permanent_one_stays() {
    let channel = MemoryChannel::new("sales");
    let message = || outbound(Recipient::Endpoint, Content::Text(Text::plain("Текст")));
    channel.faults().push(Fault::NoBalance);
    channel.faults().always(Some(Fault::BadContent));
    for kind in [ErrorKind::Balance, ErrorKind::Content, ErrorKind::Content] {
        assert_eq!(channel.send(&message()).await.unwrap_err().kind(), kind);
    }
    channel.faults().always(None);
    assert!(channel.send(&message()).await.unwrap().delivered);
}

#[tokio::test]
async fn a_receipt_names_the_message_by_the_id_that_send_gave() {
    let channel = MemoryChannel::new("sales");
    let message = outbound(Recipient::Chat("790000000".into()), Content::Text(Text::plain("Текст")));
    let id = channel.send(&message).await.unwrap().provider_message_id.unwrap();
    let request = channel.receipt(&channel.inbox().all()[0], ReceiptStatus::Delivered);
    let batch = request.show(|request| {
        let receiver = channel.webhook().unwrap();
        receiver.parse(&receiver.verify(request).unwrap()).unwrap()
    });
    let InboundKind::Receipt { message, status } = &batch.events[0].kind else { panic!("not a receipt") };
    assert_eq!(*message, fastlead_core::channel::MessageReference::Provider(id));
    assert_eq!(*status, ReceiptStatus::Delivered);
}
