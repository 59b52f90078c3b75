//! The channel itself.

use std::sync::Arc;

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, Rate, SendReceipt, SentReference, TextLimit, TextUnit,
};
use fastlead_core::message::{
    ButtonAction, Content, OutboundMessage, Recipient, RecipientKind, ResponseToken, Text,
};
use fastlead_core::registry::ChannelAdapter;
use fastlead_core::text::truncate;
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{ErrorKind, Result, async_trait};

use super::client::Client;
use super::config::WhatsAppConfig;
use super::error::{Operation, WINDOW_CLOSED};
use super::template::{TemplateConfig, TemplateUse};
use super::webhook::WhatsAppWebhook;
use super::window::Windows;
use super::wire::{
    Action, Interactive, InteractiveBody, NewContent, NewMessage, Reply, ReplyButton, TextBody,
};
use crate::egress::Egress;

pub(super) const KIND: &str = "whatsapp";

/// `body.text` of an interactive message, and labels of its buttons:
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-reply-buttons-messages>.
const LONGEST_OFFER: TextLimit = TextLimit { max: 1_024, unit: TextUnit::Utf16 };
const LONGEST_LABEL: TextLimit = TextLimit { max: 20, unit: TextUnit::Chars };
const MOST_BUTTONS: usize = 3;
/// At 80 messages a second this leaves a fifth of a second for each.
const MAX_IN_FLIGHT: u32 = 16;
/// One message in six seconds to the same person, a few of them at once.
const RECIPIENT_RATE: Rate = Rate { permits: 10, per_millis: 60_000 };
/// A business-scoped user id is a country, a dot, and at most 128 characters.
const LONGEST_USER_ID: usize = 131;

/// The kind `whatsapp` for a registry.
#[derive(Debug)]
pub struct WhatsAppAdapter;

impl ChannelAdapter for WhatsAppAdapter {
    const KIND: &'static str = KIND;
    const TITLE: &'static str = "WhatsApp";
    type Config = WhatsAppConfig;

    fn build(info: ChannelInfo, config: WhatsAppConfig) -> Result<Arc<dyn Channel>> {
        Ok(Arc::new(WhatsApp::new(info, config)?))
    }
}

/// A WhatsApp Business number that writes to people over Meta's Cloud API.
#[derive(Debug)]
pub struct WhatsApp {
    info: ChannelInfo,
    config: WhatsAppConfig,
    client: Client,
    windows: Windows,
    webhook: Option<WhatsAppWebhook>,
}

/// Where a message goes.
#[derive(Clone, Copy)]
enum Address<'a> {
    /// Digits of a phone number.
    Number(&'a str),
    /// Business-scoped user id.
    User(&'a str),
}

impl<'a> Address<'a> {
    fn of(recipient: &'a Recipient) -> Result<Self> {
        let refuse = |kind, message| Err(Operation::Send.refuse(kind, message));
        match recipient {
            Recipient::Phone(phone) => Ok(Self::Number(phone.digits())),
            Recipient::Chat(address) => Self::read(address.expose()).map_or_else(
                || refuse(ErrorKind::Recipient, "expected a phone number or a business-scoped user id"),
                Ok,
            ),
            _ => refuse(ErrorKind::Invalid, "a whatsapp number writes to phone numbers and chats only"),
        }
    }

    fn read(text: &'a str) -> Option<Self> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        if (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(Self::Number(digits));
        }
        let (country, rest) = text.split_once('.')?;
        let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
        let is_id = !rest.is_empty()
            && text.len() <= LONGEST_USER_ID
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        (is_country && is_id).then_some(Self::User(text))
    }

    const fn text(self) -> &'a str {
        match self {
            Self::Number(text) | Self::User(text) => text,
        }
    }
}

impl WhatsApp {
    /// A number, reached over the public internet. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn new(info: ChannelInfo, config: WhatsAppConfig) -> Result<Self> {
        Self::with_egress(info, config, &Egress::public())
    }

    /// A number, reached where `egress` lets channels connect to. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn with_egress(info: ChannelInfo, config: WhatsAppConfig, egress: &Egress) -> Result<Self> {
        config.validate()?;
        let client = Client::new(&config, egress)?;
        let windows = Windows::default();
        let webhook = WhatsAppWebhook::of(&config, &windows);
        Ok(Self { info, config, client, windows, webhook })
    }

    /// Whether receipts, messages and presses come back.
    const fn hears(&self) -> bool {
        self.webhook.is_some()
    }

    const fn longest_text(&self) -> TextLimit {
        TextLimit { max: self.config.text_max, unit: TextUnit::Utf16 }
    }

    async fn deliver(&self, message: &OutboundMessage, text: &Text) -> Result<SendReceipt> {
        let address = Address::of(&message.recipient)?;
        let said = self.said(message, text)?;
        let Some(template) = &self.config.template else {
            return self.hand_over(message, address, said.freely()?).await;
        };
        let filled = || said.in_template(template);
        let instead = match template.used {
            TemplateUse::Always => true,
            TemplateUse::Refused => false,
            TemplateUse::Closed => !self.windows.is_open(address.text(), message.attempted_at),
        };
        if instead {
            return self.hand_over(message, address, filled()?).await;
        }
        // What could not be sent is known before anything is.
        let fallback = filled()?;
        match self.hand_over(message, address, said.freely()?).await {
            // A certain refusal: nothing was sent.
            Err(error) if error.provider_code().is_some_and(|code| code == WINDOW_CLOSED.to_string()) => {
                self.windows.closed(address.text());
                self.hand_over(message, address, fallback).await
            }
            sent => sent,
        }
    }

    async fn hand_over(
        &self,
        message: &OutboundMessage,
        address: Address<'_>,
        content: NewContent<'_>,
    ) -> Result<SendReceipt> {
        let (to, recipient) = match address {
            Address::Number(digits) => (Some(digits), None),
            Address::User(id) => (None, Some(id)),
        };
        let new = NewMessage {
            messaging_product: "whatsapp",
            recipient_type: "individual",
            to,
            recipient,
            content,
            biz_opaque_callback_data: &message.idempotency_key(),
        };
        Ok(SendReceipt::accepted(self.client.send(&new).await?))
    }

    /// What a message says, checked as far as it does not matter whether it goes as a text or as a template.
    fn said(&self, message: &OutboundMessage, text: &Text) -> Result<Said> {
        let refuse = |kind, message| Err(Operation::Send.refuse(kind, message));
        let plain = text.plain.expose();
        if plain.trim().is_empty() {
            return refuse(ErrorKind::Content, "the text is empty");
        }
        let limit = self.longest_text();
        if limit.unit.measure(plain) > usize::try_from(limit.max).unwrap_or(usize::MAX) {
            return refuse(ErrorKind::Content, "the text is longer than text_max");
        }
        let mut answers = Vec::new();
        for button in &text.buttons {
            if let ButtonAction::Respond(response) = button.action {
                if button.label.trim().is_empty() {
                    return refuse(ErrorKind::Content, "a button has no label");
                }
                let token = ResponseToken { response, delivery_id: message.delivery_id }.encode();
                answers.push(Answer { token, label: truncate(button.label.trim(), LONGEST_LABEL)? });
            }
        }
        if !self.hears() && !answers.is_empty() {
            return refuse(
                ErrorKind::Unsupported,
                "app_secret: set it; without a webhook a pressed button does nothing",
            );
        }
        if answers.len() > MOST_BUTTONS {
            return refuse(ErrorKind::Content, "whatsapp shows at most 3 buttons under a message");
        }
        let links = Text { plain: "".into(), html: None, ..text.clone() }.with_links_written_out();
        let links = links.plain.into_inner();
        let whole = if links.is_empty() { plain.clone() } else { format!("{plain}\n\n{links}") };
        Ok(Said { plain: plain.clone(), links, whole, answers })
    }
}

/// A button that answers an offer.
struct Answer {
    /// What a press brings back.
    token: String,
    label: String,
}

/// What a message says, ready for either form.
struct Said {
    /// The text without the links.
    plain: String,
    /// The links, one a line; WhatsApp has no buttons for them beside those that answer.
    links: String,
    /// The text with the links under it.
    whole: String,
    answers: Vec<Answer>,
}

impl Said {
    /// As a free text.
    fn freely(&self) -> Result<NewContent<'_>> {
        if self.answers.is_empty() {
            let text = TextBody { preview_url: false, body: self.whole.as_str().into() };
            return Ok(NewContent::Text { kind: "text", text });
        }
        let buttons = self.answers.iter().map(|answer| ReplyButton {
            kind: "reply",
            reply: Reply { id: answer.token.clone(), title: answer.label.clone() },
        });
        let action = Action { buttons: buttons.collect() };
        let body = InteractiveBody { text: self.offer()?.into() };
        Ok(NewContent::Interactive {
            kind: "interactive",
            interactive: Interactive { kind: "button", body, action },
        })
    }

    /// The text above buttons, which holds less: what is too long is cut before the links.
    fn offer(&self) -> Result<String> {
        let most = usize::try_from(LONGEST_OFFER.max).unwrap_or(usize::MAX);
        let measure = |text: &str| LONGEST_OFFER.unit.measure(text);
        if measure(&self.whole) <= most {
            return Ok(self.whole.clone());
        }
        let links = measure(&self.whole) - measure(&self.plain);
        let room = most.checked_sub(links).and_then(|room| u32::try_from(room).ok()).filter(|room| *room > 0);
        let Some(max) = room else {
            let message = "the links leave no room for the text above the buttons";
            return Err(Operation::Send.refuse(ErrorKind::Content, message));
        };
        let cut = truncate(&self.plain, TextLimit { max, ..LONGEST_OFFER })?;
        Ok(if self.links.is_empty() { cut } else { format!("{cut}\n\n{}", self.links) })
    }

    /// As a template, which goes to people who may not be written to freely.
    fn in_template<'a>(&self, template: &'a TemplateConfig) -> Result<NewContent<'a>> {
        if self.answers.len() > usize::from(template.quick_replies) {
            let message = "template.quick_replies: the template has fewer buttons than the message";
            return Err(Operation::Send.refuse(ErrorKind::Unsupported, message));
        }
        let tokens = self.answers.iter().map(|answer| answer.token.clone());
        Ok(NewContent::Template { kind: "template", template: template.filled(&self.whole, tokens)? })
    }
}

#[async_trait]
impl Channel for WhatsApp {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let hears = self.hears();
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Phone, RecipientKind::Chat];
        capabilities.text = true;
        capabilities.buttons = hears;
        capabilities.inbound = hears;
        capabilities.receipts = hears;
        capabilities.text_max = Some(self.longest_text());
        capabilities.max_in_flight = MAX_IN_FLIGHT;
        capabilities.account_rate = Some(Rate::per_second(self.config.messages_per_second));
        capabilities.recipient_rate = Some(RECIPIENT_RATE);
        capabilities.attempt_timeout_millis = Some(self.attempt_timeout());
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        match &message.content {
            Content::Text(text) => self.deliver(message, text).await,
            _ => Err(Operation::Send.refuse(ErrorKind::Unsupported, "a whatsapp number carries texts only")),
        }
    }

    async fn check(&self) -> Result<()> {
        let number = self.client.number().await?;
        if number.id == self.config.phone_number_id {
            return Ok(());
        }
        Err(Operation::Check.refuse(ErrorKind::Config, "phone_number_id: meta calls this number otherwise"))
    }

    /// Meta tells what has become of a message only by itself.
    async fn lookup(&self, _: &SentReference) -> Result<Lookup> {
        Ok(Lookup::Unknown)
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        self.webhook.as_ref().map(|webhook| webhook as &dyn WebhookReceiver)
    }

    /// The address is entered in the App dashboard.
    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        None
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}

impl WhatsApp {
    /// Milliseconds. A text that is refused at once and its template are two requests.
    fn attempt_timeout(&self) -> u64 {
        let refused = |template: &TemplateConfig| template.used != TemplateUse::Always;
        let requests = if self.config.template.as_ref().is_some_and(refused) { 2 } else { 1 };
        self.config.timeout_secs * 1_000 * requests
    }
}

#[cfg(test)]
#[path = "golden_tests.rs"]
mod golden_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers_or_user_ids() {
        for (text, expected) in [
            ("79000000000", Some("79000000000")),
            ("+79000000000", Some("79000000000")),
            ("US.13491208655302741918", Some("US.13491208655302741918")),
            ("US.ENT.11815799212886844830", Some("US.ENT.11815799212886844830")),
            ("", None),
            ("+", None),
            ("123456", None),
            ("1234567890123456", None),
            ("++79000000000", None),
            ("us.134", None),
            ("USA.134", None),
            ("US.", None),
            ("US.13/4", None),
            ("anna", None),
        ] {
            assert_eq!(Address::read(text).map(Address::text), expected, "{text}");
        }
        assert!(Address::read(&format!("US.{}", "1".repeat(129))).is_none());
    }
}
