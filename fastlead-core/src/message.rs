//! What a channel is asked to carry.

use serde::{Deserialize, Deserializer, Serialize};

use crate::contact::{AddressError, Email, Phone};
use crate::id::DeliveryId;
use crate::named;
use crate::secret::Pii;
use crate::time::Timestamp;

/// The languages that FastLead speaks to people.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Locale {
    /// Russian.
    #[default]
    Ru,
    /// English.
    En,
}

impl Locale {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::Ru, Self::En];

    /// The language of a BCP 47 tag such as `ru-RU`; `None` where it is neither Russian nor English.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        match primary.trim().to_ascii_lowercase().as_str() {
            "ru" => Some(Self::Ru),
            "en" => Some(Self::En),
            _ => None,
        }
    }

    /// `ru` or `en`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ru => "ru",
            Self::En => "en",
        }
    }
}

impl<'de> Deserialize<'de> for Locale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        named::deserialize(deserializer, &["ru", "en"], &[Self::Ru, Self::En])
    }
}

/// Who a message goes to, in the terms of the channel that carries it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recipient {
    /// A phone number (SMS, calls).
    Phone(Phone),
    /// An e-mail address.
    Email(Email),
    /// A chat or user id inside a messenger. A topic that people subscribe to by its name (ntfy, MQTT) is a chat, too; a
    /// topic inside a chat (Telegram forums) is a setting of the channel.
    Chat(Pii<String>),
    /// Where the channel instance itself points, as for an outgoing webhook.
    Endpoint,
}

impl Recipient {
    /// `phone`, `email`, `chat` or `endpoint`.
    pub const fn kind(&self) -> RecipientKind {
        match self {
            Self::Phone(_) => RecipientKind::Phone,
            Self::Email(_) => RecipientKind::Email,
            Self::Chat(_) => RecipientKind::Chat,
            Self::Endpoint => RecipientKind::Endpoint,
        }
    }

    /// Checks an address that comes from outside. Deserializing checks none, because a stored address must stay readable;
    /// so whoever takes a recipient from a person or a program calls this first.
    ///
    /// # Errors
    /// What is wrong, where it is no phone number or e-mail address.
    pub fn check(&self) -> Result<(), AddressError> {
        match self {
            Self::Phone(phone) if !phone.is_valid() => Err(AddressError::Phone),
            Self::Email(email) if !email.is_valid() => Err(AddressError::Email),
            Self::Phone(_) | Self::Email(_) | Self::Chat(_) | Self::Endpoint => Ok(()),
        }
    }

    /// The address as the provider wants it. Personal data.
    pub fn address(&self) -> &str {
        match self {
            Self::Phone(phone) => phone.expose(),
            Self::Email(email) => email.expose(),
            Self::Chat(chat) => chat.expose(),
            Self::Endpoint => "",
        }
    }
}

/// What kind of address a channel sends to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecipientKind {
    /// E.164 phone numbers.
    Phone,
    /// E-mail addresses.
    Email,
    /// Chat or user ids of a messenger.
    Chat,
    /// The address is part of the channel's configuration.
    Endpoint,
}

/// Why a message is sent, in the sense of 38-FZ art. 18: advertising needs consent at send time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageClass {
    /// Asked for by the person, or addressed to the client's own staff.
    #[default]
    Service,
    /// Advertising.
    Advertising,
}

/// One message for one recipient, ready to be put on the wire.
#[derive(Debug, Clone)]
pub struct OutboundMessage {
    /// The delivery that this message belongs to.
    pub delivery_id: DeliveryId,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Which part of a split message this is.
    pub part: Part,
    /// Who it goes to.
    pub recipient: Recipient,
    /// What it says.
    pub content: Content,
    /// Service or advertising.
    pub class: MessageClass,
    /// The moment of this attempt, for signatures and dates. An adapter has no clock of its own.
    pub attempted_at: Timestamp,
    /// The moment after which the message must not arrive any more; providers that take a
    /// lifetime are told.
    pub expires_at: Option<Timestamp>,
}

impl OutboundMessage {
    /// The key to give to a provider that honours one: the same on every attempt of the same part.
    pub fn idempotency_key(&self) -> String {
        if self.part.count <= 1 {
            self.delivery_id.to_string()
        } else {
            format!("{}-{}", self.delivery_id, self.part.index)
        }
    }
}

/// Position of one message among the parts that a long text was split into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Counted from 0.
    pub index: u32,
    /// 1 where nothing was split.
    pub count: u32,
}

impl Part {
    /// The only part.
    pub const WHOLE: Self = Self { index: 0, count: 1 };
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
#[non_exhaustive]
pub enum Content {
    /// A text for a person.
    Text(Text),
    /// A machine-readable event for a program (outgoing webhooks).
    Event(EventPayload),
    /// The answer to a pressed button; providers want one within seconds.
    InteractionReply(InteractionReply),
    /// Another text for a message that the same channel has sent to the same recipient. The same edit
    /// may come twice: the second changes nothing and succeeds.
    Edit(Edit),
}

impl Content {
    /// `text`, `event`, `interaction_reply` or `edit`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Event(_) => "event",
            Self::InteractionReply(_) => "interaction_reply",
            Self::Edit(_) => "edit",
        }
    }
}

/// A text in the forms that channels want. Values from outside are already escaped in `html`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Text {
    /// Subject line, for channels that have one.
    pub subject: Option<Pii<String>>,
    /// The text without markup. Always present.
    pub plain: Pii<String>,
    /// The same text as HTML. Only `b strong i em u s a code pre br p` may be used; an adapter
    /// whose channel knows fewer takes `plain`.
    pub html: Option<Pii<String>>,
    /// Buttons under the text, top to bottom. Empty for channels without the capability `buttons`: the links of their
    /// messages are in the text.
    pub buttons: Vec<Button>,
}

impl Text {
    /// A text without markup, subject or buttons.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { plain: Pii::new(text.into()), ..Self::default() }
    }

    /// Writes the links of buttons that open a page under the text, one a line as `Label: https://…`, and takes all
    /// buttons away: the form for channels without the capability `buttons`. The engine hands them texts in this form.
    #[must_use]
    pub fn with_links_written_out(mut self) -> Self {
        let escaped = |text: &str| {
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
        };
        let (mut plain, mut html) = (String::new(), String::new());
        for button in std::mem::take(&mut self.buttons) {
            // A button that responds needs a channel that brings presses back.
            if let ButtonAction::Open(url) = &button.action {
                let gap = if plain.is_empty() { "\n\n" } else { "\n" };
                plain.push_str(&format!("{gap}{}: {}", button.label, url.as_str()));
                let (address, label) = (escaped(url.as_str()), escaped(&button.label));
                html.push_str(&format!("<p><a href=\"{address}\">{label}</a></p>"));
            }
        }
        if !plain.is_empty() {
            let written = format!("{}{plain}", self.plain.expose());
            self.plain = Pii::new(written.trim_start_matches('\n').to_owned());
            self.html = self.html.map(|markup| Pii::new(format!("{}{html}", markup.expose())));
        }
        self
    }
}

/// A button under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    /// What the person reads on it.
    pub label: String,
    /// What pressing it does.
    pub action: ButtonAction,
}

/// What pressing a button does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ButtonAction {
    /// Comes back to the engine as an [`crate::channel::InboundKind::Interaction`].
    Respond(Response),
    /// Opens a page.
    Open(url_text::HttpUrl),
}

/// What a manager answers to an offered lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// Takes the lead.
    Accept,
    /// Leaves it to others.
    Decline,
}

/// What a button carries over the wire and back: the answer and the delivery it belongs to.
///
/// As text it is `a.` or `d.` and the 32 hexadecimal digits of the delivery: 34 bytes of
/// `[a-f0-9.]`, which fits every provider known (Telegram allows 64 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseToken {
    /// The answer.
    pub response: Response,
    /// The delivery whose message carried the button.
    pub delivery_id: DeliveryId,
}

impl ResponseToken {
    /// The text for the wire.
    pub fn encode(&self) -> String {
        let letter = match self.response {
            Response::Accept => 'a',
            Response::Decline => 'd',
        };
        format!("{letter}.{}", self.delivery_id.hex())
    }

    /// Reads the text back; `None` if it is not ours.
    pub fn decode(text: &str) -> Option<Self> {
        let (letter, digits) = text.split_once('.')?;
        let response = match letter {
            "a" => Response::Accept,
            "d" => Response::Decline,
            _ => return None,
        };
        let uuid = (digits.len() == 32).then(|| uuid::Uuid::try_parse(digits).ok()).flatten()?;
        Some(Self { response, delivery_id: DeliveryId::from_uuid(uuid) })
    }
}

/// An event for a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventPayload {
    /// Dotted name, such as `lead.created`.
    pub event_type: String,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The body that goes out, as JSON.
    pub data: Pii<serde_json::Value>,
}

/// The answer to a pressed button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InteractionReply {
    /// The provider's id of the press.
    pub interaction_id: String,
    /// What the person sees, at most 200 characters.
    pub text: String,
    /// The message whose offer is closed by this answer: it loses the buttons that respond. `None`
    /// where they shall stay, or where it is not known under which message the button was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes: Option<PressedMessage>,
}

/// What a message that was sent shall say from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The provider's id of the message, as its send gave it.
    pub message_id: String,
    /// The whole new text with all its buttons, in place of the old ones.
    pub text: Text,
}

/// The message under which a button was pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PressedMessage {
    /// The chat that it is in.
    pub chat: Pii<String>,
    /// The provider's id of the message, unique within the chat.
    pub message_id: String,
    /// The buttons under it that open a page. They outlive the offer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Button>,
}

/// A checked `http` or `https` address in a text.
pub mod url_text {
    use serde::{Deserialize, Serialize};

    /// A URL with the scheme `http` or `https`, without control characters or spaces.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
    #[serde(try_from = "String", into = "String")]
    #[schemars(with = "String")]
    pub struct HttpUrl(String);

    impl HttpUrl {
        /// The URL.
        pub fn as_str(&self) -> &str {
            &self.0
        }
    }

    impl TryFrom<String> for HttpUrl {
        type Error = &'static str;

        fn try_from(text: String) -> Result<Self, Self::Error> {
            let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            match rest {
                Some(rest)
                    if !rest.is_empty()
                        && !rest.starts_with('/')
                        && !text.contains(|c: char| c.is_control() || c.is_whitespace()) =>
                {
                    Ok(Self(text))
                }
                _ => Err("expected a URL that starts with https:// or http://"),
            }
        }
    }

    impl From<HttpUrl> for String {
        fn from(url: HttpUrl) -> Self {
            url.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RandomIds;

    #[test]
    fn a_response_token_comes_back_and_fits_into_a_button() {
        let token = ResponseToken {
            response: Response::Accept,
            delivery_id: DeliveryId::generate(&RandomIds, crate::time::epoch()),
        };
        assert_eq!(ResponseToken::decode(&token.encode()), Some(token));
        assert!(token.encode().len() <= 64);
        for foreign in ["", "a", "a.", "x.00000000000000000000000000000000", "a.zz", "ok:1"] {
            assert_eq!(ResponseToken::decode(foreign), None, "{foreign}");
        }
    }
}
