//! The channel itself.

use std::sync::Arc;

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference, TextLimit, TextUnit,
};
use fastlead_core::contact::Phone;
use fastlead_core::message::{Content, OutboundMessage, Recipient, RecipientKind, Text};
use fastlead_core::registry::ChannelAdapter;
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{Error, ErrorKind, Result, RetryHint, async_trait};

use super::client::{Client, Submit};
use super::config::SmscConfig;
use super::error::Operation;
use super::reference::{client_id, id_of, message_reference};
use super::segments::segments;
use super::webhook::SmscWebhook;
use super::wire::Fate;
use crate::egress::Egress;

pub(super) const KIND: &str = "smsc";

/// The provider's limit on `mes`.
const LONGEST_TEXT: TextLimit = TextLimit { max: 1000, unit: TextUnit::Chars };
/// SMSC publishes no rate; it blocks addresses that ask too much, so we stay low.
const MAX_IN_FLIGHT: u32 = 5;
const LONGEST_LIFETIME_MINUTES: i64 = 24 * 60;

/// The kind `smsc` for a registry.
#[derive(Debug)]
pub struct SmscAdapter;

impl ChannelAdapter for SmscAdapter {
    const KIND: &'static str = KIND;
    const TITLE: &'static str = "SMSC";
    type Config = SmscConfig;

    fn build(info: ChannelInfo, config: SmscConfig) -> Result<Arc<dyn Channel>> {
        Ok(Arc::new(Smsc::new(info, config)?))
    }
}

/// An SMSC account that sends SMS.
#[derive(Debug)]
pub struct Smsc {
    info: ChannelInfo,
    config: SmscConfig,
    client: Client,
    webhook: Option<SmscWebhook>,
}

impl Smsc {
    /// An account, reached over the public internet. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn new(info: ChannelInfo, config: SmscConfig) -> Result<Self> {
        Self::with_egress(info, config, &Egress::public())
    }

    /// An account, reached where `egress` lets channels connect to. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn with_egress(info: ChannelInfo, config: SmscConfig, egress: &Egress) -> Result<Self> {
        config.validate()?;
        let client = Client::new(&config, egress)?;
        let webhook =
            config.callback_secret.clone().map(|secret| SmscWebhook::new(secret, config.callback_signature));
        Ok(Self { info, config, client, webhook })
    }

    /// The text, where it can be carried.
    fn text<'a>(&self, operation: Operation, content: &'a Content) -> Result<&'a str> {
        let refuse = |kind, message| operation.error(kind, RetryHint::Never, message);
        // Subject, markup and buttons are not declared, and stay away: the plain text is complete without them.
        let Content::Text(Text { plain, .. }) = content else {
            return Err(refuse(ErrorKind::Unsupported, "an sms carries texts only"));
        };
        let text = plain.expose().as_str();
        if text.trim().is_empty() {
            return Err(refuse(ErrorKind::Content, "the text is empty"));
        }
        if LONGEST_TEXT.unit.measure(text) > LONGEST_TEXT.max as usize {
            return Err(refuse(ErrorKind::Content, "the text is longer than 1000 characters"));
        }
        let needed = segments(text).count;
        match self.config.max_segments {
            Some(allowed) if needed > allowed => {
                Err(refuse(ErrorKind::Content, "the text needs more sms parts than max_segments allows")
                    .with_context("segments", needed.to_string())
                    .with_context("max_segments", allowed.to_string()))
            }
            _ => Ok(text),
        }
    }

    /// How long SMSC may keep trying: the shorter of the setting and what is left of the message's life.
    fn lifetime(&self, operation: Operation, message: &OutboundMessage) -> Result<Option<String>> {
        let by_setting = self.config.valid_hours.map(|hours| i64::from(hours) * 60);
        let by_message = match message.expires_at.map(|expiry| expiry - message.attempted_at) {
            Some(left) if left <= chrono::TimeDelta::zero() => {
                let text = "the message had expired before this attempt";
                return Err(operation.error(ErrorKind::Invalid, RetryHint::Never, text));
            }
            left => left.map(|left| left.num_minutes()),
        };
        let shorter = by_setting.into_iter().chain(by_message).min();
        Ok(shorter.map(|minutes| {
            let minutes = minutes.clamp(1, LONGEST_LIFETIME_MINUTES);
            format!("{:02}:{:02}", minutes / 60, minutes % 60)
        }))
    }
}

fn phone_of(recipient: &Recipient) -> Option<&Phone> {
    match recipient {
        Recipient::Phone(phone) => Some(phone),
        _ => None,
    }
}

#[async_trait]
impl Channel for Smsc {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Phone];
        capabilities.text = true;
        capabilities.inbound = self.webhook.is_some();
        capabilities.receipts = true;
        capabilities.lookup = true;
        capabilities.text_max = Some(LONGEST_TEXT);
        capabilities.max_in_flight = MAX_IN_FLIGHT;
        capabilities.message_ttl = true;
        capabilities.attempt_timeout_millis = Some(self.config.timeout_secs * 1_000);
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        let operation = Operation::Send { attempt: message.attempt };
        let Some(phone) = phone_of(&message.recipient) else {
            let text = "an sms goes to a phone number";
            return Err(operation.error(ErrorKind::Invalid, RetryHint::Never, text));
        };
        let submit = Submit {
            attempt: message.attempt,
            id: client_id(message.delivery_id, message.part.index),
            phone: phone.expose(),
            text: self.text(operation, &message.content)?,
            sender: self.config.sender.as_deref(),
            translit: self.config.translit,
            valid: self.lifetime(operation, message)?,
        };
        let answer = self.client.send(&submit).await?;
        let mut receipt = SendReceipt::accepted(message_reference(&answer.id.text(), phone.digits()));
        receipt.segments = answer.cnt.integer().and_then(|count| u32::try_from(count).ok());
        receipt.cost = answer.cost.map(|cost| cost.text());
        Ok(receipt)
    }

    async fn check(&self) -> Result<()> {
        self.client.balance().await.map(drop)
    }

    async fn lookup(&self, sent: &SentReference) -> Result<Lookup> {
        let Some(phone) = phone_of(&sent.recipient) else {
            return Ok(Lookup::Unknown);
        };
        let derived = client_id(sent.delivery_id, sent.part.index).to_string();
        let id = sent.provider_message_id.as_deref().map_or(derived.as_str(), id_of);
        let answer = self.client.status(id, phone.digits()).await?;
        let Some(status) = answer.status.integer() else {
            return Err(unreadable_status());
        };
        let accepted =
            || Lookup::Accepted { provider_message_id: Some(message_reference(id, phone.digits())) };
        Ok(match Fate::read(status, answer.err.and_then(|err| err.integer())) {
            Fate::NotFound if may_be_corrected(phone) => Lookup::Unknown,
            Fate::NotFound => Lookup::NotAccepted,
            Fate::InTransit => accepted(),
            Fate::Delivered | Fate::Read => Lookup::Delivered,
            Fate::Failed(failure) => Lookup::Failed(failure),
            // A status of its own proves that the message exists, so it must not be sent again.
            Fate::Unlisted if status >= 0 => accepted(),
            Fate::Unlisted => return Err(unreadable_status()),
        })
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        self.webhook.as_ref().map(|webhook| webhook as &dyn WebhookReceiver)
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        None
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}

fn unreadable_status() -> Error {
    Operation::Lookup.error(ErrorKind::Protocol, RetryHint::SAFE, "a status that smsc does not document")
}

/// SMSC turns numbers of eleven digits that begin with 8 into Russian ones unless a plus is before them, and
/// documents the plus for sending only. "Not found" proves nothing about such a number.
fn may_be_corrected(phone: &Phone) -> bool {
    let digits = phone.digits();
    digits.len() == 11 && digits.starts_with('8')
}
