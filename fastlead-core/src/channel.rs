//! The channel port: what an adapter implements to carry messages.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::id::{ChannelId, DeliveryId};
use crate::message::{OutboundMessage, Part, PressedMessage, Recipient, RecipientKind, ResponseToken};
use crate::secret::Pii;
use crate::time::Timestamp;
use crate::webhook::{WebhookReceiver, WebhookRegistration};

/// A channel account that carries messages: one Telegram bot, one SMS login, one SMTP relay.
///
/// # Example
///
/// A channel that prints. What talks to a provider is written the same way: `fastlead_channels::guarded` has its HTTP client, and
/// `fastlead_testkit::channel_conformance!` tells whether it keeps this contract.
///
/// ```
/// use fastlead_core::channel::{Capabilities, Channel, ChannelInfo, Lookup, Poller, SendReceipt, SentReference};
/// use fastlead_core::message::{OutboundMessage, RecipientKind};
/// use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
/// use fastlead_core::{Content, Error, ErrorKind, Result, async_trait};
///
/// #[derive(Debug)]
/// struct Console(ChannelInfo);
///
/// #[async_trait]
/// impl Channel for Console {
///     fn info(&self) -> &ChannelInfo {
///         &self.0
///     }
///
///     fn capabilities(&self) -> Capabilities {
///         let mut capabilities = Capabilities::default();
///         capabilities.recipients = vec![RecipientKind::Chat];
///         capabilities.text = true;
///         capabilities
///     }
///
///     async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
///         let Content::Text(text) = &message.content else {
///             return Err(Error::new(ErrorKind::Unsupported, "the console carries texts only"));
///         };
///         println!("{}: {}", message.recipient.address(), text.plain.expose());
///         Ok(SendReceipt::accepted(message.idempotency_key()))
///     }
///
///     async fn check(&self) -> Result<()> {
///         Ok(())
///     }
///
///     async fn lookup(&self, _sent: &SentReference) -> Result<Lookup> {
///         Ok(Lookup::Unknown)
///     }
///
///     fn webhook(&self) -> Option<&dyn WebhookReceiver> {
///         None
///     }
///
///     fn registration(&self) -> Option<&dyn WebhookRegistration> {
///         None
///     }
///
///     fn poller(&self) -> Option<&dyn Poller> {
///         None
///     }
/// }
///
/// let console = Console(ChannelInfo::embedded("console", "screen"));
/// assert_eq!(console.info().name, "screen");
/// ```
#[async_trait]
pub trait Channel: Debug + Send + Sync + 'static {
    /// What this is.
    ///
    /// # Behavior
    /// * Never changes during the life of the value.
    fn info(&self) -> &ChannelInfo;

    /// What this can do, and its limits.
    ///
    /// # Behavior
    /// * Never changes during the life of the value, and makes no network call.
    /// * What is not declared is not asked for: content that does not fit is refused before `send`, and without `buttons`
    ///   the links of a message are written under its text ([`crate::message::Text::with_links_written_out`]).
    fn capabilities(&self) -> Capabilities;

    /// Hands one message to the provider.
    ///
    /// # Behavior
    /// * Makes at most one request that can cause a delivery. It does not retry: retries belong to
    ///   the layers (seconds) and to the durable schedule (minutes and hours).
    /// * `Ok` means that the provider has accepted the message.
    /// * Where the provider certainly did not act the error says [`crate::RetryHint::Safe`] or
    ///   `Never`; where the outcome is unknown it says [`crate::RetryHint::IfIdempotent`].
    /// * With [`Capabilities::idempotent_send`], sending again with the same
    ///   [`OutboundMessage::idempotency_key`] does not deliver twice.
    /// * Errors and logs carry neither credentials nor personal data.
    /// * May be dropped at any await point.
    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt>;

    /// Proves the credentials without messaging anyone.
    ///
    /// # Behavior
    /// * Costs nothing and has no effect that a person could see.
    async fn check(&self) -> Result<()>;

    /// Asks the provider what became of a message, after an unknown outcome or a missing receipt.
    ///
    /// # Behavior
    /// * Answers [`Lookup::Unknown`] where the provider cannot tell; an adapter without
    ///   [`Capabilities::lookup`] always does.
    /// * [`Lookup::NotAccepted`] is a promise that sending again cannot duplicate.
    async fn lookup(&self, sent: &SentReference) -> Result<Lookup>;

    /// Where the provider calls us.
    ///
    /// # Behavior
    /// * `Some` if and only if the capabilities declare `receipts` or `inbound` by webhook.
    fn webhook(&self) -> Option<&dyn WebhookReceiver>;

    /// How the provider is told to call us, where a program can tell it.
    ///
    /// # Behavior
    /// * `None` where there is no [`Channel::webhook`], and where its address is entered by hand.
    fn registration(&self) -> Option<&dyn WebhookRegistration>;

    /// How we ask the provider for news where it does not call us.
    fn poller(&self) -> Option<&dyn Poller>;
}

/// What a channel value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelInfo {
    /// The adapter, such as `telegram`.
    pub kind: &'static str,
    /// The configured account.
    pub id: ChannelId,
    /// What its owner calls it, such as `sales-bot`.
    pub name: String,
}

/// What a channel can do, and its limits. Start from [`Capabilities::default`], which can do nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[non_exhaustive]
pub struct Capabilities {
    /// The kinds of address it sends to.
    pub recipients: Vec<RecipientKind>,
    /// Carries texts for people.
    pub text: bool,
    /// Shows `Text::html`; otherwise only `Text::plain` arrives.
    pub html: bool,
    /// Shows `Text::subject`.
    pub subject: bool,
    /// Carries events for programs.
    pub events: bool,
    /// Shows buttons, and brings their presses back.
    pub buttons: bool,
    /// Answers pressed buttons ([`crate::Content::InteractionReply`]), and takes the buttons away
    /// from a message whose offer is closed.
    pub interaction_replies: bool,
    /// Changes messages that it has sent ([`crate::Content::Edit`]).
    #[serde(default)]
    pub edits: bool,
    /// Brings messages from people.
    pub inbound: bool,
    /// Reports later that a message was delivered (webhook or lookup).
    pub receipts: bool,
    /// The provider does not deliver twice what carries the same idempotency key.
    pub idempotent_send: bool,
    /// `lookup` can tell what became of a message.
    pub lookup: bool,
    /// Brings back what the other side answers to a message: [`SendReceipt::answer`].
    #[serde(default)]
    pub answers: bool,
    /// Longest text of one message; `None` where there is no limit worth knowing.
    pub text_max: Option<TextLimit>,
    /// How many requests may be under way at once. At least 1.
    pub max_in_flight: u32,
    /// The sustained rate of the whole account, where the provider has one.
    pub account_rate: Option<Rate>,
    /// The sustained rate to one recipient, where the provider has one.
    pub recipient_rate: Option<Rate>,
    /// How long one send may take by the channel's own configuration, in milliseconds. `None` where any
    /// usual time will do. A longer time than that of the [`crate::layer::ResiliencePolicy`] counts
    /// instead of it.
    #[serde(default)]
    pub attempt_timeout_millis: Option<u64>,
    /// Whether the provider says how long a message may still be delivered, and takes
    /// [`OutboundMessage::expires_at`].
    pub message_ttl: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            recipients: Vec::new(),
            text: false,
            html: false,
            subject: false,
            events: false,
            buttons: false,
            interaction_replies: false,
            edits: false,
            inbound: false,
            receipts: false,
            idempotent_send: false,
            lookup: false,
            answers: false,
            text_max: None,
            max_in_flight: 8,
            account_rate: None,
            recipient_rate: None,
            attempt_timeout_millis: None,
            message_ttl: false,
        }
    }
}

/// The longest text of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TextLimit {
    /// How many units.
    pub max: u32,
    /// Units of what.
    pub unit: TextUnit,
}

/// What a provider counts when it limits a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextUnit {
    /// Unicode scalar values.
    Chars,
    /// UTF-16 code units.
    Utf16,
    /// Bytes of UTF-8.
    Bytes,
}

impl TextUnit {
    /// How many units `text` has.
    pub fn measure(self, text: &str) -> usize {
        match self {
            Self::Chars => text.chars().count(),
            Self::Utf16 => text.encode_utf16().count(),
            Self::Bytes => text.len(),
        }
    }
}

/// A sustained rate: at most `permits` in any `per_millis`. A tenth of them, and one, go out at once, the others evenly
/// spaced.
///
/// A provider that allows a burst ("60 at once, then one every 5 seconds") is written as what it sustains over the time that
/// refills the burst: `Rate { permits: 60, per_millis: 300_000 }`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Rate {
    /// How many requests. At least 1.
    pub permits: u32,
    /// In how many milliseconds. At least 1.
    pub per_millis: u64,
}

impl Rate {
    /// `permits` every second.
    pub const fn per_second(permits: u32) -> Self {
        Self { permits, per_millis: 1_000 }
    }

    /// `permits` every minute.
    pub const fn per_minute(permits: u32) -> Self {
        Self { permits, per_millis: 60_000 }
    }

    /// The time that one permit takes to come back.
    pub fn interval(self) -> Duration {
        Duration::from_millis(self.per_millis) / self.permits.max(1)
    }
}

/// The provider's word that it has accepted a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SendReceipt {
    /// How the provider calls the message; receipts and lookups name it.
    pub provider_message_id: Option<String>,
    /// `true` where the answer itself proves that the message arrived (an outgoing webhook that
    /// answered 2xx); no receipt is awaited then.
    pub delivered: bool,
    /// How many billable parts the provider counted (SMS segments).
    pub segments: Option<u32>,
    /// What the provider says it cost, as it says it, such as `3.80`.
    pub cost: Option<String>,
    /// What the other side has answered, where the channel brings it back and it is JSON. It may be personal
    /// data.
    pub answer: Option<crate::secret::Pii<serde_json::Value>>,
}

impl SendReceipt {
    /// Accepted under this id.
    pub fn accepted(provider_message_id: impl Into<String>) -> Self {
        Self { provider_message_id: Some(provider_message_id.into()), ..Self::default() }
    }
}

/// What `lookup` needs to find a message again.
#[derive(Debug, Clone)]
pub struct SentReference {
    /// The delivery, whose id was the idempotency key.
    pub delivery_id: DeliveryId,
    /// Which part of it is asked about. Its `index` is right; its `count` says only how many parts
    /// are known to exist.
    pub part: Part,
    /// The provider's id of this part, where an answer had brought it.
    pub provider_message_id: Option<String>,
    /// Who it went to.
    pub recipient: Recipient,
    /// When the attempt in question began.
    pub attempted_at: Timestamp,
    /// The present moment.
    pub now: Timestamp,
}

/// What became of a message, by the provider's account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup {
    /// It arrived.
    Delivered,
    /// The provider has it and is working on it.
    Accepted {
        /// The provider's id, where the lookup brought it.
        provider_message_id: Option<String>,
    },
    /// The provider gave up.
    Failed(ReceiptFailure),
    /// The provider never took it: sending again cannot duplicate.
    NotAccepted,
    /// The provider cannot tell.
    Unknown,
}

/// Why a message that was accepted did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptFailure {
    /// What kind of failure.
    pub reason: FailureReason,
    /// The provider's own code.
    pub provider_code: Option<String>,
}

/// Kinds of late failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureReason {
    /// The recipient does not exist, is unreachable or has blocked the sender.
    Recipient,
    /// The content or sender name was refused.
    Content,
    /// The message outlived its lifetime at the provider.
    Expired,
    /// The account ran out of money.
    Balance,
    /// The time in which this person may be written to freely is over; an approved template would have been carried.
    WindowClosed,
    /// Anything else.
    Other,
}

impl FailureReason {
    /// Stable machine-readable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Recipient => "recipient",
            Self::Content => "content",
            Self::Expired => "expired",
            Self::Balance => "balance",
            Self::WindowClosed => "window_closed",
            Self::Other => "other",
        }
    }
}

/// Something that came back from a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundEvent {
    /// The provider's own id of the event, unique within the channel instance: a repeated one is
    /// recorded once.
    pub provider_event_id: String,
    /// When it happened, by the provider's account; the moment of receipt where it does not say.
    pub occurred_at: Timestamp,
    /// What happened.
    pub kind: InboundKind,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
#[non_exhaustive]
pub enum InboundKind {
    /// A message's fate.
    Receipt {
        /// Which message.
        message: MessageReference,
        /// What became of it.
        status: ReceiptStatus,
    },
    /// A pressed button.
    Interaction {
        /// The provider's id of the press, to answer it.
        interaction_id: String,
        /// What the button carried; `None` where it was not one of ours.
        token: Option<ResponseTokenText>,
        /// Who pressed.
        from: Peer,
        /// The message that the button was under, where the provider says it and can change it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<PressedMessage>,
    },
    /// A person wrote.
    Message {
        /// Who wrote.
        from: Peer,
        /// The text; empty where only media came.
        text: Pii<String>,
    },
    /// A person came through a deep link and can be written to from now on.
    Started {
        /// Who.
        from: Peer,
        /// What the link carried.
        payload: Option<String>,
    },
    /// A person shared a phone number that the provider attests as their own.
    PhoneShared {
        /// Who.
        from: Peer,
        /// The number as the provider wrote it.
        phone: Pii<String>,
    },
    /// A person has blocked the sender: nothing more may be sent there.
    Blocked {
        /// Who.
        from: Peer,
    },
    /// A person has let the sender in again.
    Unblocked {
        /// Who.
        from: Peer,
    },
    /// A chat has got a new id (Telegram groups that become supergroups).
    ChatMoved {
        /// The old id.
        from_chat: Pii<String>,
        /// The new id.
        to_chat: Pii<String>,
    },
}

impl InboundKind {
    /// Whether a person says something by it: a message, a start, a shared phone number.
    pub const fn is_spoken(&self) -> bool {
        matches!(self, Self::Message { .. } | Self::Started { .. } | Self::PhoneShared { .. })
    }
}

/// A [`ResponseToken`] in its wire form, so that an event can be stored as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ResponseTokenText(pub String);

impl ResponseTokenText {
    /// The token, where the text is one of ours.
    pub fn decode(&self) -> Option<ResponseToken> {
        ResponseToken::decode(&self.0)
    }
}

/// How a receipt names the message it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageReference {
    /// By our own id.
    Delivery(DeliveryId),
    /// By the provider's id, unique within the channel instance.
    Provider(String),
}

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReceiptStatus {
    /// On its way.
    InTransit,
    /// Arrived.
    Delivered,
    /// Seen by the person; implies delivered.
    Read,
    /// Will not arrive.
    Failed(ReceiptFailure),
}

/// The other side of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The chat to answer into.
    pub chat: Pii<String>,
    /// The person, where the provider tells them from the chat.
    pub user: Pii<String>,
    /// What the person is called there.
    pub display_name: Option<Pii<String>>,
    /// The language the provider reports for the person, as a BCP 47 tag.
    pub language: Option<String>,
}

/// Asks a provider for news.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use fastlead_core::channel::{PollBatch, Poller};
/// use fastlead_core::time::Timestamp;
/// use fastlead_core::{Result, async_trait};
///
/// #[derive(Debug)]
/// struct Quiet;
///
/// #[async_trait]
/// impl Poller for Quiet {
///     fn account(&self) -> String {
///         "bot 42".to_owned()
///     }
///
///     /// A provider would be asked here for what came after `cursor`.
///     async fn poll(&self, cursor: Option<&str>, _wait: Duration, _now: Timestamp) -> Result<PollBatch> {
///         Ok(PollBatch { events: Vec::new(), cursor: cursor.map(str::to_owned) })
///     }
/// }
/// ```
#[async_trait]
pub trait Poller: Debug + Send + Sync {
    /// Returns the account whose news these are, such as the id of a bot.
    ///
    /// # Behavior
    /// * Another account gives another answer, another credential of the same account does not: a cursor is good for one
    ///   account only.
    /// * It contains no secret, makes no network call, and never changes.
    fn account(&self) -> String;

    /// Waits for news after `cursor` for at most `wait`, or returns an empty batch.
    ///
    /// # Behavior
    /// * The same cursor gives the same news again until a later cursor is asked for: nothing is
    ///   lost when we die between receiving and recording.
    /// * Cancel-safe.
    async fn poll(&self, cursor: Option<&str>, wait: Duration, now: Timestamp) -> Result<PollBatch>;
}

/// News from a provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PollBatch {
    /// What happened, in the provider's order.
    pub events: Vec<InboundEvent>,
    /// Where to go on; stored together with the events. `None` keeps the old one.
    pub cursor: Option<String>,
}
