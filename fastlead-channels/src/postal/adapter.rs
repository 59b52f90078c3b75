//! The channel itself.

use std::sync::Arc;

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference,
};
use fastlead_core::contact::Email;
use fastlead_core::message::{Content, OutboundMessage, Recipient, RecipientKind, Text};
use fastlead_core::registry::ChannelAdapter;
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{ErrorKind, Result, async_trait};

use super::client::Client;
use super::config::PostalConfig;
use super::error::Operation;
use super::mail::{Mail, wire_address};
use super::signature::SigningKeys;
use super::webhook::PostalWebhook;
use super::wire::NewMail;
use crate::egress::Egress;

pub(super) const KIND: &str = "postal";

/// Postal has no limit on its API; the machine behind it is the owner's own.
const MAX_IN_FLIGHT: u32 = 8;

/// The kind `postal` for a registry.
#[derive(Debug)]
pub struct PostalAdapter;

impl ChannelAdapter for PostalAdapter {
    const KIND: &'static str = KIND;
    const TITLE: &'static str = "E-mail (Postal)";
    type Config = PostalConfig;

    fn build(info: ChannelInfo, config: PostalConfig) -> Result<Arc<dyn Channel>> {
        Ok(Arc::new(Postal::new(info, config)?))
    }
}

/// A mail server inside a Postal installation.
#[derive(Debug)]
pub struct Postal {
    info: ChannelInfo,
    config: PostalConfig,
    client: Client,
    webhook: Option<PostalWebhook>,
}

impl Postal {
    /// A server, reached over the public internet. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn new(info: ChannelInfo, config: PostalConfig) -> Result<Self> {
        Self::with_egress(info, config, &Egress::public())
    }

    /// A server, reached where `egress` lets channels connect to. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn with_egress(info: ChannelInfo, config: PostalConfig, egress: &Egress) -> Result<Self> {
        config.validate()?;
        let client = Client::new(&config, egress)?;
        let keys = config.signing_keys.as_deref().map(SigningKeys::read).transpose()?;
        Ok(Self { info, config, client, webhook: keys.map(PostalWebhook::new) })
    }

    async fn deliver(&self, message: &OutboundMessage, text: &Text) -> Result<SendReceipt> {
        let email = recipient(message)?;
        if text.plain.expose().trim().is_empty() && text.html.is_none() {
            return Err(Operation::Send.refuse(ErrorKind::Content, "the text is empty"));
        }
        let mail = Mail::of(&self.config, message, text);
        let (to, reply_to) = (wire_address(email), self.config.reply_to.as_ref().map(wire_address));
        let new = NewMail {
            to: [&to],
            from: &mail.from,
            reply_to: reply_to.as_deref(),
            subject: &mail.subject,
            plain_body: &mail.plain,
            html_body: mail.html.as_deref(),
            tag: &message.idempotency_key(),
            headers: mail.headers,
        };
        Ok(SendReceipt::accepted(self.client.send(&new).await?.to_string()))
    }
}

fn recipient(message: &OutboundMessage) -> Result<&Email> {
    match &message.recipient {
        Recipient::Email(email) => Ok(email),
        _ => Err(Operation::Send.refuse(ErrorKind::Invalid, "mail goes to e-mail addresses only")),
    }
}

#[async_trait]
impl Channel for Postal {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let hears = self.webhook.is_some();
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Email];
        capabilities.text = true;
        capabilities.html = true;
        capabilities.subject = true;
        capabilities.inbound = hears;
        capabilities.receipts = hears;
        capabilities.max_in_flight = MAX_IN_FLIGHT;
        capabilities.attempt_timeout_millis = Some(self.config.timeout_secs * 1_000);
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        match &message.content {
            Content::Text(text) => self.deliver(message, text).await,
            _ => Err(Operation::Send.refuse(ErrorKind::Unsupported, "mail carries texts only")),
        }
    }

    async fn check(&self) -> Result<()> {
        self.client.prove().await
    }

    /// Postal finds a mail by its own number only, which is not known where it matters.
    async fn lookup(&self, _: &SentReference) -> Result<Lookup> {
        Ok(Lookup::Unknown)
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        self.webhook.as_ref().map(|webhook| webhook as &dyn WebhookReceiver)
    }

    /// Webhooks and routes are entered in Postal's pages.
    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        None
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}
