//! The channel itself.

use std::sync::Arc;

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference,
};
use fastlead_core::message::{OutboundMessage, Recipient, RecipientKind};
use fastlead_core::registry::ChannelAdapter;
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{ErrorKind, Result, RetryHint, async_trait};

use crate::egress::Egress;

use super::client::{Client, SignedBody};
use super::config::WebhookConfig;
use super::error::{Operation, parse_error};
use super::sign::SigningKeys;
use super::wire;

pub(super) const KIND: &str = "webhook";

/// The kind `webhook` for a registry.
#[derive(Debug)]
pub struct WebhookAdapter;

impl ChannelAdapter for WebhookAdapter {
    const KIND: &'static str = KIND;
    const TITLE: &'static str = "Webhook";
    type Config = WebhookConfig;

    fn build(info: ChannelInfo, config: WebhookConfig) -> Result<Arc<dyn Channel>> {
        Ok(Arc::new(Webhook::new(info, config)?))
    }
}

/// An endpoint of somebody else's program, which takes signed events.
#[derive(Debug)]
pub struct Webhook {
    info: ChannelInfo,
    keys: SigningKeys,
    client: Client,
    timeout_secs: u64,
}

impl Webhook {
    /// An endpoint on the public internet. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn new(info: ChannelInfo, config: WebhookConfig) -> Result<Self> {
        Self::with_egress(info, config, &Egress::public())
    }

    /// An endpoint where `egress` lets channels connect to. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn with_egress(info: ChannelInfo, config: WebhookConfig, egress: &Egress) -> Result<Self> {
        config.validate()?;
        let (keys, client) = (config.signing_keys()?, Client::new(&config, egress)?);
        Ok(Self { info, keys, client, timeout_secs: config.timeout_secs })
    }

    fn signed(&self, message: &OutboundMessage) -> Result<SignedBody> {
        let refuse = |kind, text| Operation::Send.error(kind, RetryHint::Never, text);
        if message.recipient != Recipient::Endpoint {
            return Err(refuse(ErrorKind::Invalid, "a webhook is sent to its own endpoint only"));
        }
        let body = wire::body(message)
            .ok_or_else(|| refuse(ErrorKind::Unsupported, "a webhook carries events and texts only"))?
            .map_err(|_| refuse(ErrorKind::Internal, "the event cannot be written as json"))?;
        let id = message.idempotency_key();
        let timestamp = message.attempted_at.timestamp();
        let signature = self.keys.sign(&id, timestamp, &body);
        Ok(SignedBody { id, timestamp, signature, body })
    }
}

#[async_trait]
impl Channel for Webhook {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Endpoint];
        capabilities.text = true;
        capabilities.subject = true;
        capabilities.events = true;
        // By contract: a receiver of Standard Webhooks takes each webhook-id once.
        capabilities.idempotent_send = true;
        capabilities.answers = true;
        capabilities.attempt_timeout_millis = Some(self.timeout_secs * 1_000);
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        let signed = self.signed(message)?;
        let provider_message_id = signed.id.clone();
        let answer = self.client.post(signed, message.attempted_at).await?;
        if !answer.status.is_success() {
            return Err(parse_error(answer.status.as_u16(), answer.retry_after));
        }
        let body = answer.body.map(fastlead_core::secret::Pii::new);
        Ok(SendReceipt { delivered: true, answer: body, ..SendReceipt::accepted(provider_message_id) })
    }

    async fn check(&self) -> Result<()> {
        self.client.reach().await
    }

    async fn lookup(&self, _: &SentReference) -> Result<Lookup> {
        Ok(Lookup::Unknown)
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        None
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        None
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}
