//! The channel itself.

use std::sync::Arc;

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, Lookup, Poller, Rate, SendReceipt, SentReference, TextLimit, TextUnit,
};
use fastlead_core::message::{
    Button, ButtonAction, Content, Edit, InteractionReply, OutboundMessage, Recipient, RecipientKind, Text,
};
use fastlead_core::registry::ChannelAdapter;
use fastlead_core::text::truncate;
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{ErrorKind, Result, async_trait};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::client::Client;
use super::config::VkConfig;
use super::error::{BAD_KEYBOARD, Operation, peer_error};
use super::keyboard;
use super::webhook::VkWebhook;
use super::wire::Sent;
use crate::egress::Egress;

pub(super) const KIND: &str = "vk";

/// Ids of chats of several people begin above this: `2000000000 + chat_id`.
pub(super) const FIRST_CHAT: i64 = 2_000_000_000;
/// At 20 requests a second this leaves half a second for each.
const MAX_IN_FLIGHT: u32 = 10;
/// A longer text makes VK refuse the answer to a press (from memory of the clients; the schema limits the JSON around it).
const LONGEST_ANSWER: TextLimit = TextLimit { max: 90, unit: TextUnit::Chars };
/// The bit and the name of the right to write messages.
const MAY_WRITE: (u64, &str) = (4_096, "messages");

/// The kind `vk` for a registry.
#[derive(Debug)]
pub struct VkAdapter;

impl ChannelAdapter for VkAdapter {
    const KIND: &'static str = KIND;
    const TITLE: &'static str = "VK";
    type Config = VkConfig;

    fn build(info: ChannelInfo, config: VkConfig) -> Result<Arc<dyn Channel>> {
        Ok(Arc::new(Vk::new(info, config)?))
    }
}

/// A VK community that writes to people and chats.
#[derive(Debug)]
pub struct Vk {
    info: ChannelInfo,
    pub(super) config: VkConfig,
    pub(super) client: Client,
    pub(super) webhook: Option<VkWebhook>,
}

impl Vk {
    /// A community, reached over the public internet. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn new(info: ChannelInfo, config: VkConfig) -> Result<Self> {
        Self::with_egress(info, config, &Egress::public())
    }

    /// A community, reached where `egress` lets channels connect to. Makes no network call.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] that names the field and the fix.
    pub fn with_egress(info: ChannelInfo, config: VkConfig, egress: &Egress) -> Result<Self> {
        config.validate()?;
        let client = Client::new(&config, egress)?;
        let webhook = VkWebhook::of(&config);
        Ok(Self { info, config, client, webhook })
    }

    /// Whether presses of buttons come back.
    const fn hears(&self) -> bool {
        self.webhook.is_some()
    }

    const fn longest_text(&self) -> TextLimit {
        TextLimit { max: self.config.text_max, unit: TextUnit::Utf16 }
    }

    /// The plain text, where VK takes it. VK knows no markup.
    fn text<'a>(&self, operation: Operation, text: &'a Text) -> Result<&'a str> {
        let plain = text.plain.expose().as_str();
        let limit = self.longest_text();
        if plain.trim().is_empty() {
            return Err(operation.refuse(ErrorKind::Content, "the text is empty"));
        }
        if limit.unit.measure(plain) > usize::try_from(limit.max).unwrap_or(usize::MAX) {
            return Err(operation.refuse(ErrorKind::Content, "the text is longer than text_max"));
        }
        Ok(plain)
    }

    fn keyboard(
        &self,
        operation: Operation,
        message: &OutboundMessage,
        buttons: &[Button],
    ) -> Result<String> {
        let responds = |button: &Button| matches!(button.action, ButtonAction::Respond(_));
        if !self.hears() && buttons.iter().any(responds) {
            let text = "callback_secret: set it; without events a pressed button does nothing";
            return Err(operation.refuse(ErrorKind::Unsupported, text));
        }
        keyboard::inline(operation, message.delivery_id, buttons)
    }

    async fn deliver(&self, message: &OutboundMessage, text: &Text) -> Result<SendReceipt> {
        let peer = peer(Operation::Send, &message.recipient)?;
        let (to, random_id) = (peer.to_string(), random_id(message).to_string());
        // The answer for a chat names the message only where it was asked for as one of several peers.
        let peer_field = if peer > FIRST_CHAT { "peer_ids" } else { "peer_id" };
        let mut fields = vec![
            (peer_field, to.as_str()),
            ("random_id", random_id.as_str()),
            ("message", self.text(Operation::Send, text)?),
            ("dont_parse_links", "1"),
            ("disable_mentions", "1"),
        ];
        let keyboard = match text.buttons.as_slice() {
            [] => None,
            buttons => Some(self.keyboard(Operation::Send, message, buttons)?),
        };
        fields.extend(keyboard.as_deref().map(|keyboard| ("keyboard", keyboard)));
        receipt(peer, &self.client.send(&fields).await?)
    }

    async fn change(&self, message: &OutboundMessage, edit: &Edit) -> Result<SendReceipt> {
        let peer = peer(Operation::Edit, &message.recipient)?;
        let Some(named) = MessageName::read(peer, &edit.message_id) else {
            return Err(Operation::Edit.refuse(ErrorKind::Invalid, "the message id is not one of vk's"));
        };
        let to = peer.to_string();
        let (id_field, id) = named.field();
        // The new keyboard takes the place of the old one, also where it is empty.
        let keyboard = self.keyboard(Operation::Edit, message, &edit.text.buttons)?;
        let mut fields = vec![
            ("peer_id", to.as_str()),
            (id_field, id.as_str()),
            ("message", self.text(Operation::Edit, &edit.text)?),
            ("dont_parse_links", "1"),
            ("disable_mentions", "1"),
            ("keyboard", keyboard.as_str()),
        ];
        let done = match self.client.edit(&fields).await {
            // A certain refusal, which says what to leave out.
            Err(error) if edit.text.buttons.is_empty() && error.provider_code() == Some(BAD_KEYBOARD) => {
                fields.pop();
                self.client.edit(&fields).await
            }
            done => done,
        };
        done.map(|()| SendReceipt::accepted(edit.message_id.clone()))
    }

    async fn answer(&self, message: &OutboundMessage, reply: &InteractionReply) -> Result<SendReceipt> {
        let peer = peer(Operation::Answer, &message.recipient)?;
        let press = Press::read(peer, &reply.interaction_id).ok_or_else(|| {
            Operation::Answer.refuse(ErrorKind::Invalid, "the id of the press is not one of vk's")
        })?;
        let text = truncate(&reply.text, LONGEST_ANSWER)?;
        let (user_id, peer_id) = (press.user_id.to_string(), peer.to_string());
        let shown = json!({ "type": "show_snackbar", "text": text }).to_string();
        self.client
            .answer(&[
                ("event_id", press.event_id.as_str()),
                ("user_id", user_id.as_str()),
                ("peer_id", peer_id.as_str()),
                ("event_data", shown.as_str()),
            ])
            .await?;
        // The buttons go when the message is edited: VK takes a keyboard only together with the whole text.
        Ok(SendReceipt::default())
    }
}

/// Where a message goes: a person, a chat (above [`FIRST_CHAT`]) or another community (negative).
fn peer(operation: Operation, recipient: &Recipient) -> Result<i64> {
    let Recipient::Chat(address) = recipient else {
        return Err(operation.refuse(ErrorKind::Invalid, "a vk community writes to chats only"));
    };
    let address = address.expose();
    let is_plain = !address.starts_with('+');
    address.parse().ok().filter(|peer| is_plain && *peer != 0).ok_or_else(|| {
        operation.refuse(ErrorKind::Recipient, "expected the number of a person, a chat or a community")
    })
}

/// The key by which VK recognises a repeated message: 32 bits of a digest, because VK takes no more, and never 0, which
/// switches the recognition off.
fn random_id(message: &OutboundMessage) -> i32 {
    let digest = Sha256::digest(message.idempotency_key().as_bytes());
    let bits = digest.iter().take(4).fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte));
    match bits.cast_signed() {
        0 => 1,
        id => id,
    }
}

fn receipt(peer: i64, sent: &Sent) -> Result<SendReceipt> {
    let unreadable = || Operation::Send.unreadable();
    let name = match sent {
        // A chat's message has no id of its own in this form.
        Sent::Id(0) if peer > FIRST_CHAT => return Ok(SendReceipt::default()),
        Sent::Id(id) if *id > 0 => MessageName::Id(*id),
        Sent::Id(_) => return Err(unreadable()),
        Sent::Each(peers) => {
            let mine = peers.iter().find(|sent| sent.peer_id == peer).ok_or_else(unreadable)?;
            if let Some(error) = peer_error(Operation::Send, mine) {
                return Err(error);
            }
            match (mine.message_id, mine.conversation_message_id) {
                (_, id @ 1..) if peer > FIRST_CHAT => MessageName::InChat { peer, id },
                (id @ 1.., _) => MessageName::Id(id),
                (_, id @ 1..) => MessageName::InChat { peer, id },
                _ => return Err(unreadable()),
            }
        }
    };
    Ok(SendReceipt::accepted(name.to_string()))
}

/// How a message is called: `310`, or `2000000001_295` where it has a number within its chat only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageName {
    Id(i64),
    InChat { peer: i64, id: i64 },
}

impl MessageName {
    fn read(peer: i64, text: &str) -> Option<Self> {
        let number = |text: &str| text.parse().ok().filter(|id| (1..=i64::from(i32::MAX)).contains(id));
        match text.split_once('_') {
            None => number(text).map(Self::Id),
            Some((chat, id)) if chat.parse() == Ok(peer) => number(id).map(|id| Self::InChat { peer, id }),
            Some(_) => None,
        }
    }

    fn field(self) -> (&'static str, String) {
        match self {
            Self::Id(id) => ("message_id", id.to_string()),
            Self::InChat { id, .. } => ("cmid", id.to_string()),
        }
    }
}

impl std::fmt::Display for MessageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::InChat { peer, id } => write!(f, "{peer}_{id}"),
        }
    }
}

/// A press to be answered. Where people share a chat, its id carries who has pressed as well: `event:user`.
pub(super) struct Press {
    pub(super) event_id: String,
    pub(super) user_id: i64,
}

impl Press {
    pub(super) fn id(&self, peer: i64) -> String {
        if self.user_id == peer {
            self.event_id.clone()
        } else {
            format!("{}:{}", self.event_id, self.user_id)
        }
    }

    fn read(peer: i64, id: &str) -> Option<Self> {
        if peer <= FIRST_CHAT {
            return Some(Self { event_id: id.to_owned(), user_id: peer });
        }
        let (event_id, user_id) = id.rsplit_once(':')?;
        Some(Self { event_id: event_id.to_owned(), user_id: user_id.parse().ok()? })
    }
}

#[async_trait]
impl Channel for Vk {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        let hears = self.hears();
        let mut capabilities = Capabilities::default();
        capabilities.recipients = vec![RecipientKind::Chat];
        capabilities.text = true;
        capabilities.buttons = hears;
        capabilities.interaction_replies = hears;
        capabilities.edits = true;
        capabilities.inbound = hears;
        capabilities.idempotent_send = true;
        capabilities.text_max = Some(self.longest_text());
        capabilities.max_in_flight = MAX_IN_FLIGHT;
        capabilities.account_rate = Some(Rate::per_second(self.config.requests_per_second));
        capabilities.attempt_timeout_millis = Some(self.config.timeout_secs * 1_000);
        capabilities
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        match &message.content {
            Content::Text(text) => self.deliver(message, text).await,
            Content::InteractionReply(reply) if self.hears() => self.answer(message, reply).await,
            Content::Edit(edit) => self.change(message, edit).await,
            _ => Err(Operation::Send.refuse(
                ErrorKind::Unsupported,
                "a vk community carries texts, changes of them and answers to buttons only",
            )),
        }
    }

    async fn check(&self) -> Result<()> {
        let rights = self.client.permissions().await?;
        let (bit, name) = MAY_WRITE;
        if rights.mask & bit != 0 || rights.permissions.iter().any(|right| right.name == name) {
            return Ok(());
        }
        Err(Operation::Check.refuse(ErrorKind::Auth, "access_token: the key lacks the right `messages`"))
    }

    /// VK tells only who has read a message.
    async fn lookup(&self, _: &SentReference) -> Result<Lookup> {
        Ok(Lookup::Unknown)
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        self.webhook.as_ref().map(|webhook| webhook as &dyn WebhookReceiver)
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        let by_program = self.config.confirmation_code.is_none();
        self.webhook.as_ref().filter(|_| by_program).map(|_| self as &dyn WebhookRegistration)
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}

#[cfg(test)]
#[path = "golden_tests.rs"]
mod golden_tests;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_called_by_its_id_or_by_its_chat() {
        const CHAT: i64 = FIRST_CHAT + 1;
        for (peer, text, name) in [
            (7, "310", Some(MessageName::Id(310))),
            (CHAT, "2000000001_295", Some(MessageName::InChat { peer: CHAT, id: 295 })),
            (CHAT, "2000000002_295", None),
            (7, "2000000001_295", None),
            (7, "0", None),
            (7, "-3", None),
            (7, "99999999999", None),
            (7, "x", None),
            (7, "", None),
            (CHAT, "2000000001_", None),
        ] {
            assert_eq!(MessageName::read(peer, text), name, "{text}");
            assert!(name.is_none_or(|name| name.to_string() == text));
        }
    }

    #[test]
    fn receipts_name_the_message_and_errors_of_a_peer_are_errors() {
        let read = |peer: i64, json: &str| {
            let named = receipt(peer, &serde_json::from_str(json).unwrap());
            named.map(|receipt| receipt.provider_message_id).map_err(|error| error.kind())
        };
        let chat = FIRST_CHAT + 1;
        for (peer, json, expected) in [
            (7, "310", Ok(Some("310"))),
            (7, "0", Err(ErrorKind::Protocol)),
            (7, "-1", Err(ErrorKind::Protocol)),
            (chat, "0", Ok(None)),
            (
                chat,
                r#"[{"peer_id":2000000001,"message_id":0,"conversation_message_id":5}]"#,
                Ok(Some("2000000001_5")),
            ),
            (7, r#"[{"peer_id":7,"message_id":310,"conversation_message_id":5}]"#, Ok(Some("310"))),
            (7, r#"[{"peer_id":8,"message_id":310}]"#, Err(ErrorKind::Protocol)),
            (7, "[]", Err(ErrorKind::Protocol)),
            (7, r#"[{"peer_id":7,"message_id":0}]"#, Err(ErrorKind::Protocol)),
            (
                7,
                r#"[{"peer_id":7,"message_id":0,"error":{"code":901,"description":"no"}}]"#,
                Err(ErrorKind::Recipient),
            ),
        ] {
            assert_eq!(read(peer, json), expected.map(|id| id.map(str::to_owned)), "{json}");
        }
    }

    #[test]
    fn a_press_in_a_chat_carries_who_pressed() {
        let press = Press { event_id: "e:1".to_owned(), user_id: 7 };
        assert_eq!((press.id(7).as_str(), press.id(FIRST_CHAT + 1).as_str()), ("e:1", "e:1:7"));
        let read = Press::read(FIRST_CHAT + 1, "e:1:7").unwrap();
        assert_eq!((read.event_id.as_str(), read.user_id), ("e:1", 7));
        let read = Press::read(7, "e:1").unwrap();
        assert_eq!((read.event_id.as_str(), read.user_id), ("e:1", 7));
        assert!(Press::read(FIRST_CHAT + 1, "e").is_none());
    }
}
