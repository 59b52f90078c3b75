//! One started harness and the steps that checks are made of.

use std::sync::Arc;
use std::time::Duration;

use fastlead_core::channel::{Capabilities, Channel, Poller, SendReceipt, SentReference};
use fastlead_core::message::{
    Content, Edit, EventPayload, InteractionReply, OutboundMessage, PressedMessage, Recipient, RecipientKind,
    Text,
};
use fastlead_core::secret::Pii;
use fastlead_core::time::{Clock, SystemClock, plus};
use fastlead_core::webhook::WebhookReceiver;
use fastlead_core::{Error, ErrorKind, RetryHint};

use super::sample::outbound;
use super::{ChannelHarness, SampleRequest};
use crate::conformance::{Violation, ensure};
use crate::sim::{Arrival, Fault, Faults};

/// How long something that was accepted may take to show up in the inbox.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(10);

/// What an error says that brought no answer, or one that says nothing about the message.
pub(super) const NO_ANSWER: [ErrorKind; 3] =
    [ErrorKind::Unavailable, ErrorKind::Timeout, ErrorKind::Protocol];

/// How long a good message may take without a scripted fault.
const SEND_LIMIT: Duration = Duration::from_secs(10);

/// A text that the checks send and search for; long and odd enough not to occur by accident.
pub(super) const MARKED_TEXT: &str = "заявка-проверка-4815162342";

pub(super) struct Probe<H> {
    pub(super) harness: H,
    pub(super) channel: Arc<dyn Channel>,
    pub(super) capabilities: Capabilities,
}

impl<H: ChannelHarness> Probe<H> {
    pub(super) async fn start() -> Self {
        let harness = H::start().await;
        let channel = harness.channel();
        let capabilities = channel.capabilities();
        Self { harness, channel, capabilities }
    }

    /// Content that this channel carries: a text, or an event where it carries no texts.
    pub(super) fn carried(&self, text: &str) -> Content {
        if self.capabilities.text { Content::Text(Text::plain(text)) } else { event(text) }
    }

    /// A new message that this channel carries to the harness's recipient.
    pub(super) fn message(&self, text: &str) -> OutboundMessage {
        outbound(self.harness.recipient(), self.carried(text))
    }

    pub(super) async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt, Violation> {
        match tokio::time::timeout(SEND_LIMIT, self.channel.send(message)).await {
            Ok(Ok(receipt)) => Ok(receipt),
            Ok(Err(error)) => {
                Err(Violation::new(format!("send of a good message failed: {error} ({:?})", error.retry())))
            }
            Err(_) => Err(Violation::new(format!("send of a good message took longer than {SEND_LIMIT:?}"))),
        }
    }

    /// The fault queue, where the simulator has one and the provider has this trouble.
    pub(super) fn faults_with(&self, fault: &Fault) -> Option<&Faults> {
        self.harness.faults().filter(|_| self.harness.fault_applies(fault))
    }

    /// Sends a good message into `fault` and gives the error.
    pub(super) async fn fail_with(&self, faults: &Faults, fault: Fault) -> Result<Error, Violation> {
        let name = format!("{fault:?}");
        faults.push(fault);
        expect_error(&name, self.channel.send(&self.message(MARKED_TEXT)).await)
    }

    /// Everything that has arrived, once there are `count` of them.
    pub(super) async fn arrived(&self, count: usize) -> Result<Vec<Arrival>, Violation> {
        let inbox = self.harness.arrivals();
        let all = match tokio::time::timeout(ARRIVAL_LIMIT, inbox.wait_for(count as u64)).await {
            Ok(all) => all,
            Err(_) => inbox.all(),
        };
        ensure!(all.len() == count, "{} arrivals where {count} were expected", all.len());
        Ok(all)
    }

    /// What the only arrival shows to a person.
    pub(super) async fn only_arrival(&self) -> Result<Arrival, Violation> {
        let all = self.arrived(1).await?;
        all.first()
            .map(|arrival| self.harness.as_seen(arrival))
            .ok_or_else(|| Violation::new("nothing arrived"))
    }

    /// A channel for refusals that must come before any request: unreachable where there is one, so
    /// that a request would show as another error.
    pub(super) fn offline(&self) -> Arc<dyn Channel> {
        self.harness.unreachable().unwrap_or_else(|| Arc::clone(&self.channel))
    }

    /// Proves that after trouble the next message goes through, and is the only new arrival.
    pub(super) async fn still_works_after(&self, before: usize) -> Result<(), Violation> {
        self.send(&self.message("после сбоя")).await?;
        self.arrived(before + 1).await.map(drop)
    }
}

pub(super) fn expect_error(what: &str, outcome: Result<SendReceipt, Error>) -> Result<Error, Violation> {
    match outcome {
        Ok(_) => Err(Violation::new(format!("{what}: send said Ok"))),
        Err(error) => Ok(error),
    }
}

pub(super) fn expect_kind(what: &str, error: &Error, kinds: &[ErrorKind]) -> Result<(), Violation> {
    ensure!(
        kinds.contains(&error.kind()),
        "{what}: expected one of {kinds:?}, got {:?}: {error}",
        error.kind()
    );
    Ok(())
}

pub(super) fn expect_never(what: &str, error: &Error) -> Result<(), Violation> {
    ensure!(error.retry() == RetryHint::Never, "{what}: expected RetryHint::Never, got {:?}", error.retry());
    Ok(())
}

pub(super) fn expect_safe(what: &str, error: &Error) -> Result<(), Violation> {
    let safe = matches!(error.retry(), RetryHint::Safe { .. });
    ensure!(safe, "{what}: expected RetryHint::Safe, got {:?}: {error}", error.retry());
    Ok(())
}

pub(super) fn expect_unknown(what: &str, error: &Error) -> Result<(), Violation> {
    let unknown = matches!(error.retry(), RetryHint::IfIdempotent { .. });
    ensure!(unknown, "{what}: expected RetryHint::IfIdempotent, got {:?}: {error}", error.retry());
    Ok(())
}

pub(super) fn webhook(channel: &dyn Channel) -> Result<&dyn WebhookReceiver, Violation> {
    channel.webhook().ok_or_else(|| Violation::new("Channel::webhook() is None"))
}

pub(super) fn poller(channel: &dyn Channel) -> Result<&dyn Poller, Violation> {
    channel.poller().ok_or_else(|| Violation::new("Channel::poller() is None"))
}

/// What a lookup asks about `message`, a while after it was attempted.
pub(super) fn reference(message: &OutboundMessage, receipt: Option<&SendReceipt>) -> SentReference {
    SentReference {
        delivery_id: message.delivery_id,
        part: message.part,
        provider_message_id: receipt.and_then(|receipt| receipt.provider_message_id.clone()),
        recipient: message.recipient.clone(),
        attempted_at: message.attempted_at,
        now: plus(message.attempted_at, Duration::from_secs(600)),
    }
}

pub(super) fn event(text: &str) -> Content {
    Content::Event(EventPayload {
        event_type: "lead.created".to_owned(),
        occurred_at: SystemClock.now(),
        data: Pii::new(serde_json::json!({ "name": text, "score": 7, "tags": ["a", "б"] })),
    })
}

pub(super) fn edit(message_id: &str, text: Text) -> Content {
    Content::Edit(Edit { message_id: message_id.to_owned(), text })
}

pub(super) fn interaction_reply(interaction_id: &str, closes: Option<PressedMessage>) -> Content {
    Content::InteractionReply(InteractionReply {
        interaction_id: interaction_id.to_owned(),
        text: "Заявка ваша".to_owned(),
        closes,
    })
}

/// An invented address of every kind that core knows.
pub(super) fn recipients_of_every_kind() -> Result<Vec<(RecipientKind, Recipient)>, Violation> {
    let invalid = |error| Violation::new(format!("the suite's own sample: {error}"));
    let phone = fastlead_core::contact::Phone::parse("+7 900 000-00-00").map_err(invalid)?;
    let email = fastlead_core::contact::Email::parse("anna@example.com").map_err(invalid)?;
    let recipients = [
        Recipient::Phone(phone),
        Recipient::Email(email),
        Recipient::Chat("790000001".into()),
        Recipient::Endpoint,
    ];
    Ok(recipients.map(|recipient| (recipient.kind(), recipient)).to_vec())
}

/// The events of a request that must verify.
pub(super) fn events_of(
    channel: &dyn Channel,
    request: &SampleRequest,
) -> Result<Vec<fastlead_core::channel::InboundEvent>, Violation> {
    let receiver = webhook(channel)?;
    request.show(|request| {
        let verified = receiver
            .verify(request)
            .map_err(|error| Violation::new(format!("a genuine request did not verify: {error}")))?;
        let batch = receiver
            .parse(&verified)
            .map_err(|error| Violation::new(format!("a genuine request could not be read: {error}")))?;
        ensure!((200..300).contains(&batch.reply.status), "the reply has status {}", batch.reply.status);
        Ok(batch.events)
    })
}
