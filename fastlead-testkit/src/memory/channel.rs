//! The channel itself.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastlead_core::channel::{
    Capabilities, Channel, ChannelInfo, InboundEvent, InboundKind, Lookup, MessageReference, Peer, Poller,
    ReceiptStatus, ResponseTokenText, SendReceipt, SentReference,
};
use fastlead_core::id::{ChannelId, DeliveryId, RandomIds};
use fastlead_core::message::{
    ButtonAction, Content, Edit, InteractionReply, OutboundMessage, PressedMessage, Recipient, RecipientKind,
    ResponseToken, Text,
};
use fastlead_core::secret::Pii;
use fastlead_core::time::{Clock, SystemClock};
use fastlead_core::webhook::{WebhookReceiver, WebhookRegistration};
use fastlead_core::{Error, ErrorKind, Result, RetryHint, async_trait};
use serde_json::json;

use super::webhook::{MemoryWebhook, TOKEN_HEADER};
use crate::conformance::channel::SampleRequest;
use crate::sim::{Arrival, ArrivedButton, Fault, Faults, Inbox};

/// A channel in memory. Clones share inbox, faults and everything else that happened.
///
/// Without further settings it carries every kind of content to every kind of recipient, honours
/// the idempotency key and answers lookups.
#[derive(Clone)]
pub struct MemoryChannel {
    info: ChannelInfo,
    capabilities: Capabilities,
    line: Line,
    timeout: Option<Duration>,
    webhook: MemoryWebhook,
    shared: Arc<Shared>,
}

/// What lies between the channel and its pretended provider.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    CredentialsRefused,
    Disconnected,
}

#[derive(Default)]
struct Shared {
    inbox: Inbox,
    faults: Faults,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    provider_ids_by_key: HashMap<String, String>,
    provider_ids_by_part: HashMap<(DeliveryId, u32), String>,
    refused: HashSet<Recipient>,
    answers: HashMap<Recipient, serde_json::Value>,
    replies: Vec<InteractionReply>,
    accepted: u64,
    inbound: u64,
}

impl MemoryChannel {
    /// An empty channel that its owner calls `name`, with a new id.
    pub fn new(name: impl Into<String>) -> Self {
        let id = ChannelId::generate(&RandomIds, SystemClock.now());
        Self {
            info: ChannelInfo { kind: "memory", id, name: name.into() },
            capabilities: every_capability(),
            line: Line::Open,
            timeout: None,
            webhook: MemoryWebhook::new(id),
            shared: Arc::default(),
        }
    }

    /// Gives the channel this id.
    #[must_use]
    pub fn with_id(mut self, id: ChannelId) -> Self {
        self.info.id = id;
        self.webhook = MemoryWebhook::new(id);
        self
    }

    /// Makes the channel do what `capabilities` say and refuse everything else.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// A channel on the same inbox whose `send` and `check` fail with [`ErrorKind::Auth`].
    #[must_use]
    pub fn with_credentials_refused(&self) -> Self {
        Self { line: Line::CredentialsRefused, ..self.clone() }
    }

    /// A channel on the same inbox whose `send` and `check` fail as if nobody listened.
    #[must_use]
    pub fn disconnected(&self) -> Self {
        Self { line: Line::Disconnected, ..self.clone() }
    }

    /// Gives up on a provider that keeps silent after this long, with [`ErrorKind::Timeout`]. Without it a silence
    /// lasts for ever.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Makes every message to `recipient` fail with [`ErrorKind::Recipient`] from now on.
    pub fn refuse(&self, recipient: Recipient) {
        self.shared.state().refused.insert(recipient);
    }

    /// Lets `recipient` answer every message with this from now on.
    pub fn answer(&self, recipient: Recipient, answer: serde_json::Value) {
        self.shared.state().answers.insert(recipient, answer);
    }

    /// What was accepted, in order. Events appear as the JSON object `{"type", "timestamp", "data"}`.
    pub fn inbox(&self) -> Inbox {
        self.shared.inbox.clone()
    }

    /// Trouble for the next sends. `check` and `lookup` take no fault.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The answers to pressed buttons, in order.
    pub fn interaction_replies(&self) -> Vec<InteractionReply> {
        self.shared.state().replies.clone()
    }

    /// What a request must carry in the header `x-memory-token` to be authentic.
    pub fn webhook_token(&self) -> String {
        self.webhook.token()
    }

    /// An authentic request that brings these events.
    pub fn webhook_request(&self, events: &[InboundEvent]) -> SampleRequest {
        // Serialising to JSON fails only for maps whose keys are no strings, and there are none.
        let body = serde_json::to_vec(events).unwrap_or_default();
        SampleRequest::post(body).with_header(TOKEN_HEADER, self.webhook_token())
    }

    /// The request that follows when the person to whom `arrival` went presses `button`.
    pub fn press(&self, arrival: &Arrival, button: &ArrivedButton) -> SampleRequest {
        let interaction_id = format!("press-{}", self.shared.next_inbound());
        let token = ResponseToken::decode(&button.data).map(|token| ResponseTokenText(token.encode()));
        let kind = InboundKind::Interaction {
            interaction_id: interaction_id.clone(),
            token,
            from: peer(&arrival.to),
            message: Some(PressedMessage {
                chat: arrival.to.as_str().into(),
                message_id: arrival.provider_message_id.clone(),
                links: Vec::new(),
            }),
        };
        self.webhook_request(&[event(interaction_id, kind)])
    }

    /// The request that reports the fate of `arrival`.
    pub fn receipt(&self, arrival: &Arrival, status: ReceiptStatus) -> SampleRequest {
        let message = MessageReference::Provider(arrival.provider_message_id.clone());
        let id = format!("receipt-{}", self.shared.next_inbound());
        self.webhook_request(&[event(id, InboundKind::Receipt { message, status })])
    }

    /// The request that brings `text` from the person in `chat`.
    pub fn write(&self, chat: &str, text: &str) -> SampleRequest {
        let id = format!("message-{}", self.shared.next_inbound());
        self.webhook_request(&[event(id, InboundKind::Message { from: peer(chat), text: text.into() })])
    }

    /// Some authentic request, each time another one.
    pub fn sample_webhook(&self) -> SampleRequest {
        self.write("790000000", "Здравствуйте")
    }

    fn admit(&self, message: &OutboundMessage) -> Result<()> {
        let declared = &self.capabilities;
        if !declared.recipients.contains(&message.recipient.kind()) {
            return Err(fail(ErrorKind::Invalid, "the channel does not send to this kind of recipient"));
        }
        let carried = match &message.content {
            Content::Text(_) => declared.text,
            Content::Event(_) => declared.events,
            Content::InteractionReply(_) => declared.interaction_replies,
            Content::Edit(_) => declared.edits,
            _ => false,
        };
        if !carried {
            return Err(fail(ErrorKind::Unsupported, "the channel does not carry this kind of content"));
        }
        if let (Content::Text(text), Some(limit)) = (&message.content, declared.text_max) {
            let length = limit.unit.measure(text.plain.expose());
            if u32::try_from(length).map_or(true, |length| length > limit.max) {
                return Err(fail(ErrorKind::Content, "the text is too long"));
            }
        }
        Ok(())
    }

    fn connect(&self, operation: &'static str) -> Result<()> {
        match self.line {
            Line::Open => Ok(()),
            Line::CredentialsRefused => {
                Err(fail(ErrorKind::Auth, "credentials refused").with_operation(operation))
            }
            Line::Disconnected => Err(fail(ErrorKind::Unavailable, "nobody listens")
                .with_retry(RetryHint::SAFE)
                .with_operation(operation)),
        }
    }

    /// Waits for an answer that does not come.
    async fn silence(&self) -> Error {
        match self.timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
        fail(ErrorKind::Timeout, "no answer in time").with_retry(RetryHint::UNKNOWN)
    }

    fn accept(&self, message: &OutboundMessage) -> SendReceipt {
        let key = message.idempotency_key();
        let mut state = self.shared.state();
        let known =
            state.provider_ids_by_key.get(&key).filter(|_| self.capabilities.idempotent_send).cloned();
        let provider_message_id = known.unwrap_or_else(|| {
            state.accepted += 1;
            let id = format!("memory-{}", state.accepted);
            state.provider_ids_by_key.insert(key, id.clone());
            state.provider_ids_by_part.insert((message.delivery_id, message.part.index), id.clone());
            match &message.content {
                Content::InteractionReply(reply) => {
                    if let Some(pressed) = &reply.closes {
                        self.shared.inbox.update(&pressed.message_id, |arrival| {
                            arrival.buttons.retain(|button| button.opens_url);
                        });
                    }
                    state.replies.push(reply.clone());
                }
                Content::Edit(edit) => {
                    let changed = self.arrival(message, &message.content, id.clone());
                    self.shared.inbox.update(&edit.message_id, |arrival| {
                        arrival.text = changed.text;
                        arrival.markup = changed.markup;
                        arrival.buttons = changed.buttons;
                    });
                }
                content => drop(self.shared.inbox.push(self.arrival(message, content, id.clone()))),
            }
            id
        });
        let delivered = message.recipient.kind() == RecipientKind::Endpoint;
        let answer = state.answers.get(&message.recipient).filter(|_| self.capabilities.answers);
        let answer = answer.cloned().map(Pii::new);
        SendReceipt { delivered, answer, ..SendReceipt::accepted(provider_message_id) }
    }

    fn arrival(&self, message: &OutboundMessage, content: &Content, provider_message_id: String) -> Arrival {
        let text = match content {
            Content::Text(text) | Content::Edit(Edit { text, .. }) => text.clone(),
            Content::Event(event) => Text::plain(
                json!({ "type": event.event_type, "timestamp": event.occurred_at, "data": event.data })
                    .to_string(),
            ),
            _ => Text::default(),
        };
        let declared = &self.capabilities;
        Arrival {
            number: 0,
            simulator: self.info.kind.to_owned(),
            at_millis: message.attempted_at.timestamp_millis(),
            to: message.recipient.address().to_owned(),
            from: self.info.name.clone(),
            subject: text.subject.filter(|_| declared.subject).map(Pii::into_inner),
            text: text.plain.into_inner(),
            markup: text.html.filter(|_| declared.html).map(Pii::into_inner),
            buttons: if declared.buttons {
                arrived_buttons(&text.buttons, message.delivery_id)
            } else {
                Vec::new()
            },
            provider_message_id,
            details: json!({
                "delivery_id": message.delivery_id,
                "attempt": message.attempt,
                "expires_at": message.expires_at.filter(|_| declared.message_ttl),
            }),
        }
    }
}

#[async_trait]
impl Channel for MemoryChannel {
    fn info(&self) -> &ChannelInfo {
        &self.info
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn send(&self, message: &OutboundMessage) -> Result<SendReceipt> {
        self.admit(message).map_err(|error| error.with_operation("send"))?;
        self.connect("send")?;
        let Some(fault) = self.shared.faults.take() else {
            return self.shared.known(&message.recipient).map(|()| self.accept(message));
        };
        let error = match fault {
            Fault::Delay { millis } => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                return self.shared.known(&message.recipient).map(|()| self.accept(message));
            }
            Fault::Hang => self.silence().await,
            Fault::HangAfterAccept => {
                let _unanswered = self.accept(message);
                self.silence().await
            }
            Fault::Answer { body } => {
                let receipt = self.accept(message);
                match serde_json::from_str(&body) {
                    Ok(answer) if self.capabilities.answers => {
                        return Ok(SendReceipt { answer: Some(Pii::new(answer)), ..receipt });
                    }
                    _ => {
                        fail(ErrorKind::Protocol, "the answer cannot be read").with_retry(RetryHint::UNKNOWN)
                    }
                }
            }
            Fault::Redirect { status, .. } => fail(ErrorKind::Unavailable, "the provider has moved")
                .with_retry(RetryHint::UNKNOWN)
                .with_provider_code(status.to_string()),
            Fault::DropAfterAccept => {
                let _unanswered = self.accept(message);
                connection_lost()
            }
            Fault::DropBeforeAccept => connection_lost(),
            Fault::RateLimited { after_secs } => fail(ErrorKind::RateLimited, "too many requests")
                .with_retry(RetryHint::Safe { after: Some(Duration::from_secs(after_secs.into())) }),
            Fault::ServerError { status } => fail(ErrorKind::Unavailable, "the provider is out of order")
                .with_retry(RetryHint::UNKNOWN)
                .with_provider_code(status.to_string()),
            Fault::BadRecipient => fail(ErrorKind::Recipient, "the recipient cannot be written to"),
            Fault::BadCredentials => fail(ErrorKind::Auth, "credentials refused"),
            Fault::NoBalance => fail(ErrorKind::Balance, "no money left"),
            Fault::BadContent => fail(ErrorKind::Content, "the content is refused"),
            Fault::ProviderCode { code, .. } => {
                fail(ErrorKind::Protocol, "unknown code").with_provider_code(code.to_string())
            }
        };
        Err(error.with_operation("send"))
    }

    async fn check(&self) -> Result<()> {
        self.connect("check")
    }

    async fn lookup(&self, sent: &SentReference) -> Result<Lookup> {
        if !self.capabilities.lookup {
            return Ok(Lookup::Unknown);
        }
        self.connect("lookup")?;
        let found =
            self.shared.state().provider_ids_by_part.get(&(sent.delivery_id, sent.part.index)).cloned();
        Ok(match found {
            Some(id) => Lookup::Accepted { provider_message_id: Some(id) },
            None => Lookup::NotAccepted,
        })
    }

    fn webhook(&self) -> Option<&dyn WebhookReceiver> {
        let declared = &self.capabilities;
        let comes_back = declared.receipts || declared.inbound || declared.buttons;
        comes_back.then_some(&self.webhook as &dyn WebhookReceiver)
    }

    fn registration(&self) -> Option<&dyn WebhookRegistration> {
        None
    }

    fn poller(&self) -> Option<&dyn Poller> {
        None
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, recipient: &Recipient) -> Result<()> {
        if self.state().refused.contains(recipient) {
            Err(fail(ErrorKind::Recipient, "the recipient cannot be written to").with_operation("send"))
        } else {
            Ok(())
        }
    }

    fn next_inbound(&self) -> u64 {
        let mut state = self.state();
        state.inbound += 1;
        state.inbound
    }
}

impl fmt::Debug for MemoryChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryChannel").field("info", &self.info).finish_non_exhaustive()
    }
}

fn every_capability() -> Capabilities {
    let mut all = Capabilities::default();
    all.recipients =
        vec![RecipientKind::Phone, RecipientKind::Email, RecipientKind::Chat, RecipientKind::Endpoint];
    all.text = true;
    all.html = true;
    all.subject = true;
    all.events = true;
    all.buttons = true;
    all.interaction_replies = true;
    all.edits = true;
    all.inbound = true;
    all.receipts = true;
    all.idempotent_send = true;
    all.lookup = true;
    all.answers = true;
    all
}

fn arrived_buttons(
    buttons: &[fastlead_core::message::Button],
    delivery_id: DeliveryId,
) -> Vec<ArrivedButton> {
    let arrived = |button: &fastlead_core::message::Button| {
        let (data, opens_url) = match &button.action {
            ButtonAction::Respond(response) => {
                (ResponseToken { response: *response, delivery_id }.encode(), false)
            }
            ButtonAction::Open(url) => (url.as_str().to_owned(), true),
            _ => return None,
        };
        Some(ArrivedButton { label: button.label.clone(), data, opens_url })
    };
    buttons.iter().filter_map(arrived).collect()
}

fn peer(chat: &str) -> Peer {
    Peer { chat: chat.into(), user: chat.into(), display_name: None, language: None }
}

fn event(provider_event_id: String, kind: InboundKind) -> InboundEvent {
    InboundEvent { provider_event_id, occurred_at: SystemClock.now(), kind }
}

fn fail(kind: ErrorKind, message: &'static str) -> Error {
    Error::new(kind, message).with_adapter("memory")
}

fn connection_lost() -> Error {
    fail(ErrorKind::Unavailable, "the connection was lost").with_retry(RetryHint::UNKNOWN)
}
