//! From VK's events to ours.

use fastlead_core::channel::{InboundEvent, InboundKind, Peer};
use fastlead_core::secret::Pii;
use fastlead_core::time::{Timestamp, from_millis};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::adapter::{FIRST_CHAT, Press};
use super::keyboard;
use super::lead_form::LeadForm;
use super::wire::{ClientInfo, Consent, Envelope, Message, NewMessage, PressedButton};

/// The kinds of event that [`read_event`] understands, to be asked for.
pub(super) const WANTED: [&str; 5] =
    ["message_new", "message_event", "message_allow", "message_deny", "lead_forms_new"];

/// VK's ids of events are hexadecimal digests; whatever is longer is replaced by one.
const LONGEST_EVENT_ID: usize = 128;

/// What happened, and when, where VK says it. The mark tells the second thing that one event of VK says from the first.
struct Found {
    mark: &'static str,
    date: Option<i64>,
    kind: InboundKind,
}

impl Found {
    const fn now(kind: InboundKind) -> Self {
        Self { mark: "", date: None, kind }
    }
}

/// The events in what VK posted; none where there is nothing for us: an unknown kind, an echo of our own messages, or content
/// of a shape that we do not know. Refusing it would only make VK repeat it and stop bringing others.
pub(super) fn read_event(event: Envelope, received_at: Timestamp) -> Vec<InboundEvent> {
    let id = event_id(&event);
    let found = match event.kind.as_str() {
        "message_new" => read_message(event.object).map(message_events),
        "message_event" => read(event.object).and_then(press_event),
        "message_allow" => read(event.object).and_then(allowed),
        "message_deny" => read(event.object).and_then(denied),
        "lead_forms_new" => {
            return read(event.object).map(|form| form_event(&form, received_at)).into_iter().collect();
        }
        _ => None,
    };
    let found = found.unwrap_or_default().into_iter();
    found
        .map(|Found { mark, date, kind }| InboundEvent {
            provider_event_id: format!("{id}{mark}"),
            occurred_at: date
                .filter(|seconds| *seconds > 0)
                .map_or(received_at, |seconds| from_millis(seconds.saturating_mul(1_000)))
                .min(received_at),
            kind,
        })
        .collect()
}

fn read<T: DeserializeOwned>(object: Value) -> Option<T> {
    serde_json::from_value(object).ok()
}

/// VK's id of the event. Old versions of the API have none; then it is made of what happened, which is the same when VK repeats
/// it.
fn event_id(event: &Envelope) -> String {
    match &event.event_id {
        Some(id) if !id.is_empty() && id.len() <= LONGEST_EVENT_ID => id.clone(),
        _ => {
            let mut hasher = Sha256::new();
            hasher.update(event.kind.as_bytes());
            hasher.update(event.event_id.as_deref().unwrap_or_default().as_bytes());
            hasher.update(event.object.to_string().as_bytes());
            format!("sha256:{}", hex::encode(hasher.finalize()))
        }
    }
}

/// Since version 5.103 the message is a part of the object; before, it was the object.
fn read_message(object: Value) -> Option<NewMessage> {
    if object.get("message").is_some() {
        return read(object);
    }
    read(object).map(|message| NewMessage { message, client_info: None })
}

fn message_events(NewMessage { message, client_info }: NewMessage) -> Vec<Found> {
    // What we write ourselves comes back as `message_reply`, and what a community writes has a negative sender.
    if message.out != 0 || message.from_id <= 0 || message.action.is_some() {
        return Vec::new();
    }
    let from = peer(message.peer_id, message.from_id, client_info.as_ref());
    let date = message.date;
    let reference = message.reference.clone().filter(|reference| !reference.is_empty());
    if is_start(&message) {
        return vec![Found { mark: "", date, kind: InboundKind::Started { from, payload: reference } }];
    }
    let mut found = Vec::new();
    // A person who comes by `vk.me/community?ref=…` need not press Start: the first message carries the payload.
    if reference.is_some() {
        let kind = InboundKind::Started { from: from.clone(), payload: reference };
        found.push(Found { mark: ":start", date, kind });
    }
    if is_from_person(&message) {
        let text = Pii::new(message.text);
        found.push(Found { mark: "", date, kind: InboundKind::Message { from, text } });
    }
    found
}

/// Whether the message is the press of "Start", whose payload is `{"command":"start"}`.
fn is_start(message: &Message) -> bool {
    let payload = message.payload.as_ref().map(keyboard::payload).unwrap_or_default();
    payload.get("command").is_some_and(|command| command == "start")
}

/// Whether a person has sent something, be it without words.
fn is_from_person(message: &Message) -> bool {
    let some = |list: &Option<Vec<Value>>| list.as_ref().is_some_and(|list| !list.is_empty());
    !message.text.is_empty()
        || some(&message.attachments)
        || some(&message.fwd_messages)
        || message.geo.as_ref().is_some_and(|geo| !geo.is_null())
}

fn press_event(press: PressedButton) -> Option<Vec<Found>> {
    let PressedButton { user_id, peer_id, event_id, payload } = press;
    if user_id <= 0 || event_id.is_empty() {
        return None;
    }
    let kind = InboundKind::Interaction {
        interaction_id: Press { event_id, user_id }.id(peer_id),
        token: payload.as_ref().and_then(keyboard::token),
        from: peer(peer_id, user_id, None),
        // VK changes buttons only together with the whole text, which it does not bring.
        message: None,
    };
    Some(vec![Found::now(kind)])
}

/// Messages are allowed. With the "Allow messages" widget it carries the key that the page has given it.
fn allowed(consent: Consent) -> Option<Vec<Found>> {
    let from = person(consent.user_id)?;
    let mut found = vec![Found::now(InboundKind::Unblocked { from: from.clone() })];
    if let Some(key) = consent.key.filter(|key| !key.is_empty()) {
        let kind = InboundKind::Started { from, payload: Some(key) };
        found.push(Found { mark: ":start", date: None, kind });
    }
    Some(found)
}

fn denied(consent: Consent) -> Option<Vec<Found>> {
    person(consent.user_id).map(|from| vec![Found::now(InboundKind::Blocked { from })])
}

/// The port has no event for a lead that comes from outside, so the form is handed over as what the person has written. A
/// form without a person gets an address of its own, to which nothing can be sent.
fn form_event(form: &LeadForm, received_at: Timestamp) -> InboundEvent {
    let provider_event_id = format!("lead:{}", form.lead_id);
    let from = form.user_id.as_ref().and_then(|id| person(*id.expose())).unwrap_or_else(|| {
        let nobody = Pii::new(provider_event_id.clone());
        Peer { chat: nobody.clone(), user: nobody, display_name: None, language: None }
    });
    let from = Peer { display_name: form.name(), ..from };
    let kind = InboundKind::Message { from, text: form.to_text() };
    InboundEvent { provider_event_id, occurred_at: received_at, kind }
}

fn person(id: i64) -> Option<Peer> {
    (1..=FIRST_CHAT).contains(&id).then(|| peer(id, id, None))
}

fn peer(chat: i64, user: i64, client: Option<&ClientInfo>) -> Peer {
    let language = client.and_then(|client| client.lang_id).and_then(language);
    Peer {
        chat: Pii::new(chat.to_string()),
        user: Pii::new(user.to_string()),
        display_name: None,
        language: language.map(str::to_owned),
    }
}

/// VK's number of the interface language, as far as it matters here.
const fn language(id: i64) -> Option<&'static str> {
    match id {
        0 => Some("ru"),
        3 => Some("en"),
        _ => None,
    }
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;
