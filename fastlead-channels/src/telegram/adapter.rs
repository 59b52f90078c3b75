//! The channel itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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
use teloxide_core::payloads::{
    AnswerCallbackQuery, AnswerCallbackQuerySetters, EditMessageReplyMarkup, EditMessageReplyMarkupSetters,
    EditMessageText, EditMessageTextSetters, SendMessage, SendMessageSetters,
};
use teloxide_core::types::{
    CallbackQueryId, ChatId, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, MessageId,
    ParseMode, Recipient as TelegramChat, ThreadId,
};
use url::Url;

use super::client::{Client, LONGEST_EDIT, Refused};
use super::config::{TelegramConfig, Updates};
use super::error::{NO_TOPIC, NOT_FOUND, NOT_MODIFIED, Operation};
use super::html::telegram_html;
use super::poller::TelegramPoller;
use super::webhook::TelegramWebhook;
use crate::egress::Egress;

pub(super) const KIND: &str = "telegram";

/// 4096 characters after entities parsing (<https://core.telegram.org/bots/api#sendmessage>), counted
/// in code points (`message_length_max` of <https://core.telegram.org/constructor/config>).
const LONGEST_TEXT: TextLimit = TextLimit { max: 4096, unit: TextUnit::Chars };
/// Telegram publishes no number; at 30 messages a second this leaves half a second for each.
const MAX_IN_FLIGHT: u32 = 16;
/// "Avoid sending more than one message per second" to one chat:
/// <https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this>.
const RECIPIENT_RATE: Rate = Rate::per_second(1);

const NO_PREVIEW: LinkPreviewOptions = LinkPreviewOptions {
    is_disabled: true,
    url: None,
    prefer_small_media: false,
    prefer_large_media: false,
    show_above_text: false,
};
/// The topic that every forum has. Messages go there without a number, and with it they are refused
/// (<https://core.telegram.org/api/forum#forum-topics>).
const GENERAL_TOPIC: i32 = 1;
/// Longer markup is refused whatever it shows (`MAX_MESSAGE_LENGTH` of TDLib's request parser); the plain text goes out.
const LONGEST_MARKUP: usize = 32 * 1024;
/// Moves of groups that are remembered; behind that the oldest knowledge is asked for anew.
const MOST_MOVES: usize = 1_024;
/// Refusals of an edit that leave nothing to do.
const NOTHING_TO_CHANGE: [&str; 2] = [NOT_MODIFIED, NOT_FOUND];

/// The kind `telegram` for a registry.
#[derive(Debug)]
pub struct TelegramAdapter;

impl ChannelAdapter for TelegramAdapter {
    const KIND: &'static str = KIND;
    const TITLE: &'static str = "Telegram";
    type Config = TelegramConfig;

    fn build(info: ChannelInfo, config: TelegramConfig) -> Result<Arc<dyn Channel>> {
        Ok(Arc::new(Telegram::new(info, config)?))
    }
}

/// A Telegram bot that writes to people and groups.
#[derive(Debug)]
pub struct Telegram {
    info: ChannelInfo,
    config: TelegramConfig,
    pub(super) client: Client,
    pub(super) webhook: Option<TelegramWebhook>,
    poller: Option<TelegramPoller>,
    /// Groups that have become supergroups while this ran: the old id and the new one. Where updates come, the engine
    /// remembers it for good.
    moves: Mutex<HashMap<i64, i64>>,
}

impl Telegram {
    /// A bot, reached over the public internet. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn new(info: ChannelInfo, config: TelegramConfig) -> Result<Self> {
        Self::with_egress(info, config, &Egress::public())
    }

    /// A bot, reached where `egress` lets channels connect to. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn with_egress(info: ChannelInfo, config: TelegramConfig, egress: &Egress) -> Result<Self> {
        config.validate()?;
        let client = Client::new(&config, egress)?;
        let by_webhook = config.updates == Updates::Webhook;
        let secret = config.webhook_secret.clone().filter(|_| by_webhook);
        let webhook = secret.map(|secret| TelegramWebhook::new(secret, client.clone()));
        let poller = (config.updates == Updates::Polling)
            .then(|| TelegramPoller::new(client.clone(), &config.bot_token));
        Ok(Self { info, config, client, webhook, poller, moves: Mutex::default() })
    }

    /// Whether presses of buttons come back.
    const fn hears(&self) -> bool {
        self.webhook.is_some() || self.poller.is_some()
    }

    /// The chat as it is addressed now.
    fn chat(&self, recipient: &Recipient) -> Result<TelegramChat> {
        let chat = chat(recipient)?;
        let TelegramChat::Id(ChatId(id)) = chat else { return Ok(chat) };
        let moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(TelegramChat::Id(ChatId(moves.get(&id).copied().unwrap_or(id))))
    }

    fn remember_move(&self, from: i64, to: i64) {
        let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        if moves.len() >= MOST_MOVES {
            moves.clear();
        }
        moves.insert(from, to);
    }

    /// Sends one text. Two refusals are followed at once, because both are certain and say where to go on: a group that
    /// has another id now, and a topic that is not there, whose message goes into the group itself rather than nowhere.
    async fn deliver(&self, message: &OutboundMessage, text: &Text) -> Result<SendReceipt> {
        let mut request = self.compose(message, text)?;
        loop {
            let Refused { error, moved_to } = match self.client.send_message(&request).await {
                Ok(sent) => return Ok(SendReceipt::accepted(sent.message_id.to_string())),
                Err(refused) => refused,
            };
            let has_no_topic = error.provider_code() == Some(NO_TOPIC);
            // From a group to a supergroup, which moves no further.
            let is_group = |id: &i64| *id > SUPERGROUPS;
            match (&request.chat_id, moved_to) {
                (TelegramChat::Id(ChatId(from)), Some(to)) if is_group(from) && !is_group(&to) => {
                    tracing::info!(channel = %self.info.id, "a group has become a supergroup");
                    self.remember_move(*from, to);
                    request.chat_id = TelegramChat::Id(ChatId(to));
                }
                _ if has_no_topic && request.message_thread_id.take().is_some() => {
                    tracing::warn!(channel = %self.info.id, "a group has no such topic; it gets the message itself");
                }
                _ => return Err(error),
            }
        }
    }

    fn compose(&self, message: &OutboundMessage, text: &Text) -> Result<SendMessage> {
        let chat = self.chat(&message.recipient)?;
        let is_group = !matches!(chat, TelegramChat::Id(ChatId(1..)));
        let mut request = match markup(text) {
            Some(html) => SendMessage::new(chat, html).parse_mode(ParseMode::Html),
            None => SendMessage::new(chat, text.plain.expose()),
        }
        .link_preview_options(NO_PREVIEW);
        let topic = self.config.message_thread_id.filter(|id| is_group && *id != GENERAL_TOPIC);
        if let Some(id) = topic {
            request = request.message_thread_id(ThreadId(MessageId(id)));
        }
        if !text.buttons.is_empty() {
            let rows = text.buttons.iter().map(|shown| Ok([self.button(message, shown)?]));
            request = request.reply_markup(InlineKeyboardMarkup::new(rows.collect::<Result<Vec<_>>>()?));
        }
        Ok(request)
    }

    fn button(&self, message: &OutboundMessage, shown: &Button) -> Result<InlineKeyboardButton> {
        let refuse = |kind, message| Err(Operation::Send.error(kind, RetryHint::Never, message));
        match &shown.action {
            ButtonAction::Respond(_) if !self.hears() => refuse(
                ErrorKind::Unsupported,
                "updates: choose polling or webhook; without updates a pressed button does nothing",
            ),
            ButtonAction::Respond(response) => {
                let token = ResponseToken { response: *response, delivery_id: message.delivery_id };
                Ok(InlineKeyboardButton::callback(shown.label.as_str(), token.encode()))
            }
            ButtonAction::Open(address) => match Url::parse(address.as_str()) {
                Ok(address) => Ok(InlineKeyboardButton::url(shown.label.as_str(), address)),
                Err(_) => refuse(ErrorKind::Content, "a button's address cannot be read"),
            },
            _ => refuse(ErrorKind::Unsupported, "a telegram button can respond or open a page only"),
        }
    }

    async fn change(&self, message: &OutboundMessage, edit: &Edit) -> Result<SendReceipt> {
        let refuse = |kind, text| Err(Operation::Edit.error(kind, RetryHint::Never, text));
        let Ok(id) = edit.message_id.parse() else {
            return refuse(ErrorKind::Invalid, "the message id is not a number");
        };
        let (chat, id) = (self.chat(&message.recipient)?, MessageId(id));
        let mut request = match markup(&edit.text) {
            Some(html) => EditMessageText::new(chat, id, html).parse_mode(ParseMode::Html),
            None => EditMessageText::new(chat, id, edit.text.plain.expose()),
        }
        .link_preview_options(NO_PREVIEW);
        if !edit.text.buttons.is_empty() {
            let rows = edit.text.buttons.iter().map(|shown| Ok([self.button(message, shown)?]));
            request = request.reply_markup(InlineKeyboardMarkup::new(rows.collect::<Result<Vec<_>>>()?));
        }
        match self.client.edit_message_text(&request).await {
            Ok(()) => Ok(SendReceipt::accepted(edit.message_id.clone())),
            // It says so already, or is gone: either way nobody reads the old text.
            Err(error) if error.provider_code().is_some_and(|code| NOTHING_TO_CHANGE.contains(&code)) => {
                Ok(SendReceipt::accepted(edit.message_id.clone()))
            }
            Err(error) => Err(error),
        }
    }

    async fn answer(&self, reply: &InteractionReply) -> Result<SendReceipt> {
        let request =
            AnswerCallbackQuery::new(CallbackQueryId(reply.interaction_id.clone())).text(reply.text.as_str());
        self.client.answer_callback_query(&request).await?;
        if let Some(pressed) = &reply.closes
            && let Err(error) = self.take_buttons_away(pressed).await
        {
            // The press is answered, and that is what was asked for. The message may be gone, too old
            // to be changed, or without buttons already; a button that stays is answered once more.
            tracing::info!(channel = %self.info.id, %error, "a pressed message keeps its buttons");
        }
        Ok(SendReceipt::default())
    }

    /// Leaves only the buttons that open a page.
    async fn take_buttons_away(&self, pressed: &PressedMessage) -> Result<()> {
        let chat = self.chat(&Recipient::Chat(pressed.chat.clone()))?;
        let id = pressed.message_id.parse().map_err(|_| {
            Operation::Edit.error(ErrorKind::Invalid, RetryHint::Never, "the message id is not a number")
        })?;
        let mut request = EditMessageReplyMarkup::new(chat, MessageId(id));
        let links: Vec<_> = pressed.links.iter().filter_map(link).map(|link| [link]).collect();
        if !links.is_empty() {
            request = request.reply_markup(InlineKeyboardMarkup::new(links));
        }
        self.client.edit_message_reply_markup(&request).await
    }
}

/// Ids of supergroups and channels lie below this, those of groups above (<https://core.telegram.org/api/bots/ids>).
const SUPERGROUPS: i64 = -1_000_000_000_000;

/// What Telegram is given in place of the plain text.
fn markup(text: &Text) -> Option<String> {
    let html = telegram_html(text.html.as_ref()?.expose());
    (html.len() <= LONGEST_MARKUP).then_some(html)
}

fn link(button: &Button) -> Option<InlineKeyboardButton> {
    let ButtonAction::Open(address) = &button.action else { return None };
    let address = Url::parse(address.as_str()).ok()?;
    Some(InlineKeyboardButton::url(button.label.as_str(), address))
}

/// One of Telegram's two kinds of address: a number, or the `@name` of a public group or channel.
fn chat(recipient: &Recipient) -> Result<TelegramChat> {
    let refuse = |kind, message| Err(Operation::Send.error(kind, RetryHint::Never, message));
    let Recipient::Chat(address) = recipient else {
        return refuse(ErrorKind::Invalid, "a telegram bot writes to chats only");
    };
    let address = address.expose();
    if let Ok(id) = address.parse() {
        return Ok(TelegramChat::Id(ChatId(id)));
    }
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if address.strip_prefix('@').is_some_and(is_name) {
        return Ok(TelegramChat::ChannelUsername(address.clone()));
    }
    refuse(ErrorKind::Recipient, "expected the number of a chat, or the @name of a public group or channel")
}

#[async_trait]
impl Channel for Telegram {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let hears = self.hears();
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Chat];
        capabilities.text = true;
        capabilities.html = true;
        capabilities.buttons = hears;
        capabilities.interaction_replies = hears;
        capabilities.edits = true;
        capabilities.inbound = hears;
        capabilities.text_max = Some(LONGEST_TEXT);
        capabilities.max_in_flight = MAX_IN_FLIGHT;
        capabilities.account_rate = Some(Rate::per_second(self.config.messages_per_second));
        capabilities.recipient_rate = Some(RECIPIENT_RATE);
        // The answer to a press is followed by an edit, which must not make it look unanswered.
        capabilities.attempt_timeout_millis =
            Some(self.config.timeout_secs * 1_000 + LONGEST_EDIT.as_secs() * 1_000);
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
                "a telegram bot carries texts, changes of them and answers to buttons only",
            )),
        }
    }

    async fn check(&self) -> Result<()> {
        self.client.get_me().await?;
        // While a webhook is set Telegram refuses every poll, and nothing that people write would arrive.
        if self.poller.is_some() && !self.client.get_webhook_info().await?.url.is_empty() {
            let message =
                "updates: a webhook is set for this bot, so that polling brings nothing; unregister it first";
            return Err(Operation::Check.error(ErrorKind::Config, RetryHint::Never, message));
        }
        Ok(())
    }

    /// Bots cannot read what they have sent.
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
