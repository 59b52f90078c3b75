//! The channel itself.

use std::fmt;
use std::sync::Arc;

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, Rate, SendReceipt, SentReference, TextLimit, TextUnit,
};
use fastlead_core::message::{
    Button, ButtonAction, Content, Edit, InteractionReply, OutboundMessage, PressedMessage, Recipient,
    RecipientKind, ResponseToken, Text,
};
use fastlead_core::registry::ChannelAdapter;
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{ErrorKind, Result, RetryHint, async_trait};

use super::client::Client;
use super::config::{MaxConfig, Updates};
use super::error::{MESSAGE_NOT_FOUND, Operation};
use super::html::max_html;
use super::poller::MaxPoller;
use super::webhook::MaxWebhook;
use super::wire::{CallbackAnswer, NewAttachment, NewButton, NewMessage};
use crate::egress::Egress;

pub(super) const KIND: &str = "max";

/// MAX counts "characters" and does not say of what kind; UTF-16 units are never fewer than characters.
const LONGEST_TEXT: TextLimit = TextLimit { max: 4_000, unit: TextUnit::Utf16 };
/// MAX publishes no number; at 30 messages a second this leaves half a second for each.
const MAX_IN_FLIGHT: u32 = 16;
/// To one dialog or chat.
const RECIPIENT_RATE: Rate = Rate::per_second(2);
/// One button a row.
const MOST_BUTTONS: usize = 30;
/// In characters.
const LONGEST_LABEL: usize = 128;
const LONGEST_LINK: usize = 2_048;

/// The kind `max` for a registry.
#[derive(Debug)]
pub struct MaxAdapter;

impl ChannelAdapter for MaxAdapter {
    const KIND: &'static str = KIND;
    const TITLE: &'static str = "MAX";
    type Config = MaxConfig;

    fn build(info: ChannelInfo, config: MaxConfig) -> Result<Arc<dyn Channel>> {
        Ok(Arc::new(Max::new(info, config)?))
    }
}

/// A bot in the messenger MAX that writes to people and groups.
#[derive(Debug)]
pub struct Max {
    info: ChannelInfo,
    config: MaxConfig,
    pub(super) client: Client,
    pub(super) webhook: Option<MaxWebhook>,
    poller: Option<MaxPoller>,
}

/// One of MAX's two kinds of address. As text a person is the number of their account, and a chat its number where that is
/// negative, else `chat:` and the number. Numbers of accounts are positive, those of groups negative, and those of dialogs
/// positive and different from the person's: so an account and the address of its owner have the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    Person(i64),
    Chat(i64),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chat(id) if *id >= 0 => write!(f, "chat:{id}"),
            Self::Person(id) | Self::Chat(id) => write!(f, "{id}"),
        }
    }
}

impl Address {
    fn read(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<i64>().ok().filter(|_| !text.starts_with('+'));
        match text.strip_prefix("chat:") {
            Some(id) => number(id).map(Self::Chat),
            None => match number(text)? {
                id @ 1.. => Some(Self::Person(id)),
                0 => None,
                id => Some(Self::Chat(id)),
            },
        }
    }

    fn of(recipient: &Recipient) -> Result<Self> {
        let refuse = |kind, message| Operation::Send.error(kind, RetryHint::Never, message);
        let Recipient::Chat(address) = recipient else {
            return Err(refuse(ErrorKind::Invalid, "a max bot writes to chats only"));
        };
        Self::read(address.expose()).ok_or_else(|| {
            refuse(ErrorKind::Recipient, "expected the number of a person or group, or chat: and a number")
        })
    }
}

impl Max {
    /// A bot, reached over the public internet. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn new(info: ChannelInfo, config: MaxConfig) -> Result<Self> {
        Self::with_egress(info, config, &Egress::public())
    }

    /// A bot, reached where `egress` lets channels connect to. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn with_egress(info: ChannelInfo, config: MaxConfig, egress: &Egress) -> Result<Self> {
        config.validate()?;
        let client = Client::new(&config, egress)?;
        let by_webhook = config.updates == Updates::Webhook;
        let secret = config.webhook_secret.clone().filter(|_| by_webhook);
        let webhook = secret.map(|secret| MaxWebhook::new(secret, config.bot_token.clone()));
        let poller =
            (config.updates == Updates::Polling).then(|| MaxPoller::new(client.clone(), &config.bot_token));
        Ok(Self { info, config, client, webhook, poller })
    }

    /// Whether presses of buttons come back.
    const fn hears(&self) -> bool {
        self.webhook.is_some() || self.poller.is_some()
    }

    async fn deliver(&self, message: &OutboundMessage, text: &Text) -> Result<SendReceipt> {
        let to = Address::of(&message.recipient)?;
        let shown = Shown::new(text, self.config.formatting, Operation::Send)?;
        let buttons = self.buttons(message, text, Operation::Send)?;
        let attachments = (!buttons.is_empty()).then(|| keyboard(buttons));
        let id = self.client.send_message(to, &shown.message(attachments)).await?;
        Ok(SendReceipt::accepted(id))
    }

    async fn change(&self, message: &OutboundMessage, edit: &Edit) -> Result<SendReceipt> {
        Address::of(&message.recipient)?;
        let shown = Shown::new(&edit.text, self.config.formatting, Operation::Edit)?;
        let buttons = self.buttons(message, &edit.text, Operation::Edit)?;
        // Without the list the old buttons would stay.
        let attachments = Some(keyboard(buttons));
        match self.client.edit_message(&edit.message_id, &shown.message(attachments)).await {
            Ok(()) => Ok(SendReceipt::accepted(edit.message_id.clone())),
            // It is gone: nobody reads the old text.
            Err(error) if error.provider_code() == Some(MESSAGE_NOT_FOUND) => {
                Ok(SendReceipt::accepted(edit.message_id.clone()))
            }
            Err(error) => Err(error),
        }
    }

    /// Tells the person, and takes the buttons that respond away in the same request where the offer is closed.
    async fn answer(&self, reply: &InteractionReply) -> Result<SendReceipt> {
        let alone = CallbackAnswer { message: None, notification: &reply.text };
        if let Some(pressed) = &reply.closes {
            let message = NewMessage { attachments: Some(links_of(pressed)), ..NewMessage::default() };
            let closing = CallbackAnswer { message: Some(message), notification: &reply.text };
            match self.client.answer_callback(&reply.interaction_id, &closing).await {
                Ok(()) => return Ok(SendReceipt::default()),
                // The message may be gone, or not to be changed any more. The person shall know all the same; a button
                // that stays is answered once more.
                Err(error) if error.kind() == ErrorKind::Content => {
                    tracing::info!(channel = %self.info.id, %error, "a pressed message keeps its buttons");
                }
                Err(error) => return Err(error),
            }
        }
        self.client.answer_callback(&reply.interaction_id, &alone).await?;
        Ok(SendReceipt::default())
    }

    fn buttons<'a>(
        &self,
        message: &OutboundMessage,
        text: &'a Text,
        operation: Operation,
    ) -> Result<Vec<NewButton<'a>>> {
        let refuse = |message| Err(operation.error(ErrorKind::Content, RetryHint::Never, message));
        if text.buttons.len() > MOST_BUTTONS {
            return refuse("max shows 30 rows of buttons at most");
        }
        if text.buttons.iter().any(|button| button.label.chars().count() > LONGEST_LABEL) {
            return refuse("a button's label is longer than 128 characters");
        }
        text.buttons.iter().map(|button| self.button(message, button, operation)).collect()
    }

    fn button<'a>(
        &self,
        message: &OutboundMessage,
        shown: &'a Button,
        operation: Operation,
    ) -> Result<NewButton<'a>> {
        let refuse = |kind, message| Err(operation.error(kind, RetryHint::Never, message));
        match &shown.action {
            ButtonAction::Respond(_) if !self.hears() => refuse(
                ErrorKind::Unsupported,
                "updates: choose webhook or polling; without updates a pressed button does nothing",
            ),
            ButtonAction::Respond(response) => {
                let token = ResponseToken { response: *response, delivery_id: message.delivery_id };
                Ok(NewButton::Callback { text: &shown.label, payload: token.encode() })
            }
            ButtonAction::Open(address) if address.as_str().len() > LONGEST_LINK => {
                refuse(ErrorKind::Content, "a button's address is longer than 2048 characters")
            }
            ButtonAction::Open(address) => Ok(NewButton::Link { text: &shown.label, url: address.as_str() }),
            _ => refuse(ErrorKind::Unsupported, "a max button can respond or open a page only"),
        }
    }
}

/// A text in the form in which MAX gets it.
struct Shown<'a> {
    plain: &'a str,
    html: Option<String>,
}

impl<'a> Shown<'a> {
    fn new(text: &'a Text, formatting: bool, operation: Operation) -> Result<Self> {
        let fits = |text: &str| LONGEST_TEXT.unit.measure(text) <= LONGEST_TEXT.max as usize;
        let plain = text.plain.expose();
        let html = text.html.as_ref().filter(|_| formatting).map(|html| max_html(html.expose()));
        // MAX counts the markup, too.
        let html = html.filter(|html| fits(html));
        if html.is_none() && !fits(plain) {
            let message = "the text is longer than 4000 characters";
            return Err(operation.error(ErrorKind::Content, RetryHint::Never, message));
        }
        Ok(Self { plain, html })
    }

    fn message<'b>(&'b self, attachments: Option<Vec<NewAttachment<'b>>>) -> NewMessage<'b> {
        match &self.html {
            Some(html) => NewMessage { text: Some(html), format: Some("html"), attachments },
            None => NewMessage { text: Some(self.plain), format: None, attachments },
        }
    }
}

/// The attachments that hold these buttons; none where there are no buttons.
fn keyboard(buttons: Vec<NewButton<'_>>) -> Vec<NewAttachment<'_>> {
    if buttons.is_empty() {
        return Vec::new();
    }
    vec![NewAttachment::InlineKeyboard { buttons: buttons.into_iter().map(|button| [button]).collect() }]
}

fn links_of(pressed: &PressedMessage) -> Vec<NewAttachment<'_>> {
    let links = pressed.links.iter().filter_map(|button| match &button.action {
        ButtonAction::Open(address) => Some(NewButton::Link { text: &button.label, url: address.as_str() }),
        _ => None,
    });
    keyboard(links.collect())
}

#[async_trait]
impl Channel for Max {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let hears = self.hears();
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Chat];
        capabilities.text = true;
        capabilities.html = self.config.formatting;
        capabilities.buttons = hears;
        capabilities.interaction_replies = hears;
        capabilities.edits = true;
        capabilities.inbound = hears;
        capabilities.text_max = Some(LONGEST_TEXT);
        capabilities.max_in_flight = MAX_IN_FLIGHT;
        capabilities.account_rate = Some(Rate::per_second(self.config.messages_per_second));
        capabilities.recipient_rate = Some(RECIPIENT_RATE);
        // The answer to a press may take a second request.
        capabilities.attempt_timeout_millis = Some(self.config.timeout_secs * 2_000);
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        match &message.content {
            Content::Text(text) => self.deliver(message, text).await,
            Content::InteractionReply(reply) if self.hears() => self.answer(reply).await,
            Content::Edit(edit) => self.change(message, edit).await,
            _ => Err(Operation::Send.error(
                ErrorKind::Unsupported,
                RetryHint::Never,
                "a max bot carries texts, changes of them and answers to buttons only",
            )),
        }
    }

    async fn check(&self) -> Result<()> {
        self.client.me().await?;
        // While a webhook is set MAX refuses every poll, and nothing that people write would arrive.
        if self.poller.is_some() && !self.client.subscriptions(Operation::Check).await?.is_empty() {
            let message =
                "updates: a webhook is set for this bot, so that polling brings nothing; unregister it first";
            return Err(Operation::Check.error(ErrorKind::Config, RetryHint::Never, message));
        }
        Ok(())
    }

    /// A message that was taken is not found again without its id.
    async fn lookup(&self, _: &SentReference) -> Result<Lookup> {
        Ok(Lookup::Unknown)
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        self.webhook.as_ref().map(|webhook| webhook as &dyn WebhookReceiver)
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        self.webhook.as_ref().map(|_| self as &dyn WebhookRegistration)
    }

    fn poller(&self) -> Option<&dyn Poller> {
        self.poller.as_ref().map(|poller| poller as &dyn Poller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for (text, address) in [
            ("123456789", Some(Address::Person(123_456_789))),
            ("-70801090403050", Some(Address::Chat(-70_801_090_403_050))),
            ("chat:182182182", Some(Address::Chat(182_182_182))),
            ("9223372036854775807", Some(Address::Person(i64::MAX))),
        ] {
            assert_eq!(Address::read(text), address, "{text}");
            assert_eq!(address.unwrap().to_string(), text);
        }
        assert_eq!(Address::read("chat:-7"), Some(Address::Chat(-7)));
        for text in [
            "",
            "0",
            "+79000000000",
            "chat:",
            "chat:+7",
            "user:7",
            "@anna",
            "1.5",
            "9223372036854775808",
            " 7",
        ] {
            assert_eq!(Address::read(text), None, "{text}");
        }
    }
}
