//! From MAX's updates to events. Webhook and poller share this mapping.

use fastlead_core::channel::{InboundEvent, InboundKind, Peer, ResponseTokenText};
use fastlead_core::message::url_text::HttpUrl;
use fastlead_core::message::{Button, ButtonAction, PressedMessage};
use fastlead_core::secret::{Pii, Secret};
use fastlead_core::time::{Timestamp, from_millis};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::adapter::Address;
use super::contact::attested_phone;
use super::wire::{
    Attachment, Body, DialogChanged, Link, LinkButton, Message, MessageCallback, MessageCreated, Recipient,
    Update, User,
};

/// The kinds of update that [`read_update`] understands, to be asked for.
pub(super) const WANTED: [&str; 5] =
    ["message_created", "message_callback", "bot_started", "bot_stopped", "dialog_removed"];

/// The longest payload of a deep link.
const LONGEST_PAYLOAD: usize = 512;

/// The events in an update; none where there is nothing for us: an unknown kind, what a bot wrote (so our own messages,
/// too), or content of a shape that we do not know. Refusing such an update would only make MAX repeat it.
///
/// `bot_token` proves that a shared number is attested.
pub(super) fn read_update(
    update: Update,
    received_at: Timestamp,
    bot_token: &Secret<String>,
) -> Vec<InboundEvent> {
    let Update { update_type: kind, content } = update;
    let at = content.get("timestamp").and_then(Value::as_i64);
    let found = match kind.as_str() {
        "message_created" => message_event(&kind, content, at, bot_token),
        "message_callback" => callback_event(&kind, content, at),
        "bot_started" => started_events(&kind, content, at),
        "bot_stopped" | "dialog_removed" => blocked_event(&kind, content, at),
        _ => None,
    };
    let Some(Found { id, at, kinds }) = found else { return Vec::new() };
    let occurred_at = at.filter(|millis| *millis > 0).map_or(received_at, from_millis);
    let mut events = Vec::with_capacity(kinds.len());
    for (number, kind) in kinds.into_iter().enumerate() {
        let provider_event_id = if number == 0 { id.clone() } else { format!("{id}.{number}") };
        events.push(InboundEvent { provider_event_id, occurred_at, kind });
    }
    events
}

/// What an update says.
struct Found {
    id: String,
    /// Milliseconds since the Unix epoch, where MAX says when.
    at: Option<i64>,
    kinds: Vec<InboundKind>,
}

fn read<T: DeserializeOwned>(content: Map<String, Value>) -> Option<T> {
    serde_json::from_value(Value::Object(content)).ok()
}

/// MAX gives updates no id, and repeats them unchanged: what tells them apart is hashed, because it names people.
fn event_id(kind: &str, facts: &[&dyn std::fmt::Display]) -> String {
    let mut hash = Sha256::new();
    for fact in facts {
        hash.update(fact.to_string());
        hash.update([0]);
    }
    let digest = hex::encode(hash.finalize());
    format!("{kind}.{}", digest.get(..32).unwrap_or_default())
}

fn message_event(
    kind: &str,
    content: Map<String, Value>,
    updated_at: Option<i64>,
    bot_token: &Secret<String>,
) -> Option<Found> {
    let MessageCreated { message, user_locale } = read(content)?;
    let Message { sender, recipient, timestamp, body, link } = message;
    // Without a sender it is a post of a channel, which nobody wrote to us; a bot is another program, or ourselves.
    let sender = sender.filter(|sender| !sender.is_bot)?;
    if recipient.chat_type.as_deref() == Some("channel") {
        return None;
    }
    let from = peer(&address(Some(&recipient), &sender), &sender, user_locale);
    let at = timestamp.or(updated_at);
    let id = match body.as_ref().and_then(|body| body.mid.as_deref()) {
        Some(mid) => format!("{kind}.{mid}"),
        None => {
            let chat = recipient.chat_id.unwrap_or_default();
            event_id(kind, &[&at.unwrap_or_default(), &chat, &sender.user_id])
        }
    };
    let attachments = body.as_ref().and_then(|body| body.attachments.as_deref()).unwrap_or_default();
    let phone = attachments.iter().find_map(|attachment| {
        let Ok(Attachment::Contact(contact)) = serde_json::from_value(attachment.clone()) else {
            return None;
        };
        attested_phone(&contact, sender.user_id, bot_token).map(str::to_owned)
    });
    let event = match (phone, words(body.as_ref(), link.as_ref())) {
        (Some(phone), _) => InboundKind::PhoneShared { from, phone: Pii::new(phone) },
        (None, Some(text)) => InboundKind::Message { from, text: Pii::new(text.to_owned()) },
        (None, None) if attachments.is_empty() && link.is_none() => return None,
        (None, None) => InboundKind::Message { from, text: Pii::default() },
    };
    Some(Found { id, at, kinds: vec![event] })
}

/// What the person wrote, or else what the message that they forward says.
fn words<'a>(body: Option<&'a Body>, link: Option<&'a Link>) -> Option<&'a str> {
    let text = |body: &'a Body| body.text.as_deref().filter(|text| !text.is_empty());
    let forwarded = link.filter(|link| link.kind == "forward").and_then(|link| link.message.as_ref());
    body.and_then(text).or_else(|| forwarded.and_then(text))
}

fn callback_event(kind: &str, content: Map<String, Value>, updated_at: Option<i64>) -> Option<Found> {
    let MessageCallback { callback, message, user_locale } = read(content)?;
    let message: Option<Message> = message.and_then(|message| serde_json::from_value(message).ok());
    let address = address(message.as_ref().map(|message| &message.recipient), &callback.user);
    let from = peer(&address, &callback.user, user_locale);
    let at = callback.timestamp.or(updated_at);
    // MAX's pages call it the id of the press in one place and of the keyboard in another.
    let payload = callback.payload.unwrap_or_default();
    let id =
        event_id(kind, &[&callback.callback_id, &at.unwrap_or_default(), &callback.user.user_id, &payload]);
    let message = message.and_then(|message| pressed_message(&address, message.body?));
    let token = Some(ResponseTokenText(payload)).filter(|text| text.decode().is_some());
    let event = InboundKind::Interaction { interaction_id: callback.callback_id, token, from, message };
    Some(Found { id, at, kinds: vec![event] })
}

/// `None` where it is not said which buttons are under the message: closing the offer would take those away, too, that
/// open a page.
fn pressed_message(address: &Address, body: Body) -> Option<PressedMessage> {
    let attachments = body.attachments?.into_iter();
    let rows = attachments.filter_map(|attachment| match serde_json::from_value(attachment) {
        Ok(Attachment::InlineKeyboard { buttons }) => Some(buttons),
        _ => None,
    });
    let links = rows.flatten().flatten().filter_map(|button| {
        let LinkButton { text, url } = serde_json::from_value(button).ok()?;
        Some(Button { label: text, action: ButtonAction::Open(HttpUrl::try_from(url).ok()?) })
    });
    let links = links.collect();
    Some(PressedMessage { chat: Pii::new(address.to_string()), message_id: body.mid?, links })
}

/// Starting lets a bot in again that was stopped, and MAX says it in no other way.
fn started_events(kind: &str, content: Map<String, Value>, at: Option<i64>) -> Option<Found> {
    let (id, change) = dialog_changed(kind, content, at)?;
    let payload = change.payload.filter(|payload| !payload.is_empty() && payload.len() <= LONGEST_PAYLOAD);
    let from = peer(&Address::Person(change.user.user_id), &change.user, change.user_locale);
    let kinds = vec![InboundKind::Unblocked { from: from.clone() }, InboundKind::Started { from, payload }];
    Some(Found { id, at, kinds })
}

fn blocked_event(kind: &str, content: Map<String, Value>, at: Option<i64>) -> Option<Found> {
    let (id, change) = dialog_changed(kind, content, at)?;
    let from = peer(&Address::Person(change.user.user_id), &change.user, change.user_locale);
    Some(Found { id, at, kinds: vec![InboundKind::Blocked { from }] })
}

fn dialog_changed(
    kind: &str,
    content: Map<String, Value>,
    at: Option<i64>,
) -> Option<(String, DialogChanged)> {
    let chat = content.get("chat_id").and_then(Value::as_i64).unwrap_or_default();
    let change: DialogChanged = read(content)?;
    let id = event_id(kind, &[&at.unwrap_or_default(), &chat, &change.user.user_id]);
    (!change.user.is_bot).then_some((id, change))
}

/// Where to answer a person: themselves in a dialog, and where no chat is named; else the chat that they wrote in.
fn address(recipient: Option<&Recipient>, user: &User) -> Address {
    let elsewhere = recipient.filter(|recipient| match recipient.chat_type.as_deref() {
        Some(kind) => kind != "dialog",
        // Ids of groups are negative.
        None => recipient.chat_id.is_some_and(|id| id < 0),
    });
    match elsewhere.and_then(|recipient| recipient.chat_id) {
        Some(id) => Address::Chat(id),
        None => Address::Person(user.user_id),
    }
}

fn peer(address: &Address, user: &User, language: Option<String>) -> Peer {
    let (first, last) = (user.first_name.as_deref(), user.last_name.as_deref());
    let name: Vec<&str> =
        [first, last].into_iter().flatten().map(str::trim).filter(|part| !part.is_empty()).collect();
    Peer {
        chat: Pii::new(address.to_string()),
        user: Pii::new(user.user_id.to_string()),
        display_name: (!name.is_empty()).then(|| Pii::new(name.join(" "))),
        language,
    }
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;
