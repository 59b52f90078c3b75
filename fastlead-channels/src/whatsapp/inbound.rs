//! From Meta's notifications to events.

use fastlead_core::channel::{
    InboundEvent, InboundKind, MessageReference, Peer, ReceiptStatus, ResponseTokenText,
};
use fastlead_core::contact::Phone;
use fastlead_core::id::DeliveryId;
use fastlead_core::secret::Pii;
use fastlead_core::time::{Timestamp, from_millis};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::Serializer;

use super::error::{WINDOW_CLOSED, failure};
use super::window::Windows;
use super::wire::{Change, Contact, Entry, Envelope, Message, Messages, Status, StatusError};

/// Meta's ids of messages have some sixty characters; whatever is longer is replaced by a digest.
const LONGEST_ID: usize = 160;
/// Longest attribution of a click that is kept.
const LONGEST_PAYLOAD: usize = 1_024;
/// What of a click on an advertisement is kept, in this order.
const REFERRAL: [&str; 4] = ["ctwa_clid", "source_type", "source_id", "source_url"];
/// Kinds of message by which a person says nothing new.
const NOT_SAID: [&str; 4] = ["reaction", "system", "edit", "revoke"];

/// The events in a notification. Every level is a list and is walked to its end; an element of a shape that is not known
/// hides no other. What concerns another number, or is of an unknown field or status, is left out: refusing it would only make
/// Meta repeat everything.
pub(super) fn read_events(
    envelope: Envelope,
    phone_number_id: &str,
    windows: &Windows,
    received_at: Timestamp,
) -> Vec<InboundEvent> {
    let entries = envelope.entry.into_iter().filter_map(read::<Entry>);
    let changes = entries.flat_map(|entry| entry.changes).filter_map(read::<Change>);
    let ours = changes.filter(|change| {
        change.field == "messages" && change.value.metadata.phone_number_id == phone_number_id
    });
    let reader = Reader { windows, received_at };
    ours.flat_map(|change| reader.events(change.value)).collect()
}

fn read<T: DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

struct Reader<'a> {
    windows: &'a Windows,
    received_at: Timestamp,
}

impl Reader<'_> {
    fn events(&self, value: Messages) -> Vec<InboundEvent> {
        let contacts: Vec<Contact> = value.contacts.into_iter().filter_map(read).collect();
        let messages = value.messages.into_iter().filter_map(read::<Message>);
        let statuses = value.statuses.into_iter().filter_map(read::<Status>);
        let said = messages.flat_map(|message| self.said(message, &contacts));
        said.chain(statuses.filter_map(|status| self.receipt(status))).collect()
    }

    /// What a person has said: how they came, where an advertisement brought them, and the message.
    fn said(&self, message: Message, contacts: &[Contact]) -> Vec<InboundEvent> {
        let Some(person) = Person::of(&message, contacts) else { return Vec::new() };
        if NOT_SAID.contains(&message.kind.as_str()) {
            return Vec::new();
        }
        let at = self.moment(message.timestamp);
        for address in person.addresses() {
            self.windows.heard(address, at);
        }
        let id = bounded(&message.id);
        let event = |mark: &str, kind| InboundEvent {
            provider_event_id: format!("message:{id}{mark}"),
            occurred_at: at,
            kind,
        };
        let mut events = Vec::new();
        if let Some(payload) = message.content.get("referral").and_then(attribution) {
            let kind = InboundKind::Started { from: person.peer(), payload: Some(payload) };
            events.push(event(":start", kind));
        }
        let kind = match pressed(&message) {
            Some(token) => InboundKind::Interaction {
                interaction_id: message.id.clone(),
                token: Some(token),
                from: person.peer(),
                message: None,
            },
            None => InboundKind::Message { from: person.peer(), text: Pii::new(words(&message)) },
        };
        events.push(event("", kind));
        events
    }

    fn receipt(&self, status: Status) -> Option<InboundEvent> {
        let said = match status.status.as_str() {
            "sent" => ReceiptStatus::InTransit,
            "delivered" => ReceiptStatus::Delivered,
            "read" | "played" => ReceiptStatus::Read,
            "failed" => {
                let code = status.errors.iter().find_map(|error| read::<StatusError>(error.clone()));
                let code = code.map(|error| error.code);
                if code == Some(WINDOW_CLOSED) {
                    for address in status.recipient_id.iter().chain(&status.recipient_user_id) {
                        self.windows.closed(address);
                    }
                }
                ReceiptStatus::Failed(failure(code))
            }
            _ => return None,
        };
        let provider_event_id = format!("status:{}:{}", bounded(&status.id), status.status);
        let occurred_at = self.moment(status.timestamp);
        let message = reference(status.id, status.biz_opaque_callback_data.as_deref(), &said);
        Some(InboundEvent {
            provider_event_id,
            occurred_at,
            kind: InboundKind::Receipt { message, status: said },
        })
    }

    fn moment(&self, seconds: Option<i64>) -> Timestamp {
        let told = seconds.filter(|seconds| *seconds > 0);
        told.map_or(self.received_at, |seconds| from_millis(seconds.saturating_mul(1_000)))
            .min(self.received_at)
    }
}

/// Which message a status is about. What we have sent along names the delivery, also where the status overtakes the answer to
/// our request. Of a text in several parts the whole fails with one of them, and each arrives by itself, under Meta's id.
fn reference(wamid: String, sent_along: Option<&str>, said: &ReceiptStatus) -> MessageReference {
    let ours = |text: &str| text.parse::<DeliveryId>().ok();
    let whole = sent_along.and_then(ours);
    let of_part = || sent_along.and_then(|text| text.rsplit_once('-')).and_then(|(whole, _)| ours(whole));
    let failed = matches!(said, ReceiptStatus::Failed(_));
    match whole.or_else(|| failed.then(of_part).flatten()) {
        Some(delivery) => MessageReference::Delivery(delivery),
        None => MessageReference::Provider(wamid),
    }
}

/// Who has written: a phone number, a business-scoped user id, or both.
struct Person<'a> {
    number: Option<&'a str>,
    user_id: Option<&'a str>,
    name: Option<&'a str>,
}

impl<'a> Person<'a> {
    fn of(message: &'a Message, contacts: &'a [Contact]) -> Option<Self> {
        let filled = |text: &'a Option<String>| text.as_deref().filter(|text| !text.is_empty());
        let (number, user_id) = (filled(&message.from), filled(&message.from_user_id));
        let is_theirs = |contact: &&Contact| {
            (number.is_some() && number == contact.wa_id.as_deref())
                || (user_id.is_some() && user_id == contact.user_id.as_deref())
        };
        let alone =
            || contacts.first().filter(|_| contacts.len() == 1 && number.is_none() && user_id.is_none());
        let contact = contacts.iter().find(is_theirs).or_else(alone);
        let person = Self {
            number: number.or_else(|| contact.and_then(|contact| filled(&contact.wa_id))),
            user_id: user_id.or_else(|| contact.and_then(|contact| filled(&contact.user_id))),
            name: contact
                .and_then(|contact| contact.profile.as_ref())
                .and_then(|profile| filled(&profile.name)),
        };
        (person.number.is_some() || person.user_id.is_some()).then_some(person)
    }

    fn addresses(&self) -> impl Iterator<Item = &'a str> {
        self.number.into_iter().chain(self.user_id)
    }

    /// The number with its plus sign is the address, as leads have it; a person without one is written to by their user id. The
    /// user id tells the person, because it stays when the number is hidden.
    fn peer(&self) -> Peer {
        let number = self.number.map(|number| {
            let digits = number.trim_start_matches('+');
            Phone::parse(&format!("+{digits}")).map_or_else(|_| format!("+{digits}"), String::from)
        });
        let user_id = self.user_id.map(str::to_owned);
        let chat = number.clone().or_else(|| user_id.clone()).unwrap_or_default();
        let user = user_id.unwrap_or_else(|| chat.clone());
        Peer {
            chat: Pii::new(chat),
            user: Pii::new(user),
            display_name: self.name.map(|name| Pii::new(name.to_owned())),
            language: None,
        }
    }
}

/// Our answer to an offer, where the message is the press of one of our buttons: under an interactive message, or under a
/// template.
fn pressed(message: &Message) -> Option<ResponseTokenText> {
    let text = match message.kind.as_str() {
        "interactive" => message.content.get("interactive")?.get("button_reply")?.get("id")?,
        "button" => message.content.get("button")?.get("payload")?,
        _ => return None,
    };
    let token = ResponseTokenText(text.as_str()?.to_owned());
    token.decode().is_some().then_some(token)
}

/// The words of a message; empty where it has none, as a picture without a caption.
fn words(message: &Message) -> String {
    let content = message.content.get(&message.kind);
    let at = |path: &[&str]| {
        let found = path.iter().try_fold(content?, |value, name| value.get(name));
        found.and_then(Value::as_str).filter(|text| !text.is_empty())
    };
    let found = match message.kind.as_str() {
        "text" => at(&["body"]),
        // Of buttons and lists that are not ours, what was written on them.
        "interactive" => at(&["button_reply", "title"]).or_else(|| at(&["list_reply", "title"])),
        "button" => at(&["text"]),
        "order" => at(&["text"]),
        _ => at(&["caption"]),
    };
    found.unwrap_or_default().to_owned()
}

/// How a click on an advertisement brought the person, as the query of an address has it.
fn attribution(referral: &Value) -> Option<String> {
    let mut written = String::new();
    for name in REFERRAL {
        if let Some(value) = referral.get(name).and_then(Value::as_str).filter(|value| !value.is_empty()) {
            let pair = Serializer::new(String::new()).append_pair(name, value).finish();
            let gap = if written.is_empty() { "" } else { "&" };
            if written.len() + gap.len() + pair.len() <= LONGEST_PAYLOAD {
                written.push_str(gap);
                written.push_str(&pair);
            }
        }
    }
    (!written.is_empty()).then_some(written)
}

/// An id of Meta's, as far as it has the length of one.
fn bounded(id: &str) -> String {
    if !id.is_empty() && id.len() <= LONGEST_ID {
        return id.to_owned();
    }
    format!("sha256:{}", hex::encode(Sha256::digest(id.as_bytes())))
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;
