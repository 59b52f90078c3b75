//! From Telegram's updates to events. Webhook and poller share this mapping.

use fastlead_core::channel::{InboundEvent, InboundKind, Peer, ResponseTokenText};
use fastlead_core::message::url_text::HttpUrl;
use fastlead_core::message::{Button, ButtonAction, PressedMessage};
use fastlead_core::secret::Pii;
use fastlead_core::time::{Timestamp, from_millis};
use serde::de::DeserializeOwned;
use serde_json::Value;
use teloxide_core::types::AllowedUpdate;

use super::wire::{
    CallbackMessage, CallbackQuery, Chat, ChatMemberUpdated, InlineKeyboard, Message, Update, User,
};

/// The kinds of update that [`read_update`] understands, to be asked for.
pub(super) const WANTED: [AllowedUpdate; 3] =
    [AllowedUpdate::Message, AllowedUpdate::CallbackQuery, AllowedUpdate::MyChatMember];

/// The longest payload of a deep link: <https://core.telegram.org/bots/features#deep-linking>.
const LONGEST_PAYLOAD: usize = 64;

/// The event in an update; `None` where there is nothing for us: an unknown kind, a service message,
/// or content of a shape that we do not know. Refusing such an update would only make Telegram repeat
/// it and hold back all that follow.
///
/// `name` is what the bot is called, where that is known: a command to another bot is not for us.
pub(super) fn read_update(
    update: Update,
    received_at: Timestamp,
    name: Option<&str>,
) -> Option<InboundEvent> {
    let provider_event_id = update.update_id.to_string();
    let (date, kind) = update.content.into_iter().find_map(|(kind, content)| match kind.as_str() {
        "message" => read(content).and_then(|message| message_event(message, name)),
        "callback_query" => read(content).map(callback_event),
        "my_chat_member" => read(content).and_then(membership_event),
        _ => None,
    })?;
    let occurred_at = date
        .filter(|seconds| *seconds > 0)
        .map_or(received_at, |seconds| from_millis(seconds.saturating_mul(1_000)));
    Some(InboundEvent { provider_event_id, occurred_at, kind })
}

/// Seconds since the Unix epoch, where Telegram says when; and what happened.
type Dated = (Option<i64>, InboundKind);

fn read<T: DeserializeOwned>(content: Value) -> Option<T> {
    serde_json::from_value(content).ok()
}

/// Telegram's own account, in whose name posts of a channel stand in the group of its discussions, and which writes to
/// nobody else (<https://core.telegram.org/bots/api#message>, `is_automatic_forward`).
const TELEGRAM_ITSELF: i64 = 777_000;

fn message_event(message: Message, name: Option<&str>) -> Option<Dated> {
    let date = Some(message.date);
    if let Some(to) = message.migrate_to_chat_id {
        let (from_chat, to_chat) = (pii(message.chat.id), pii(to));
        return Some((date, InboundKind::ChatMoved { from_chat, to_chat }));
    }
    // Without a sender it is a post of a channel, which nobody wrote to us. An anonymous administrator or a channel
    // stands behind an account that many share, and nobody could be answered there.
    let sender = message.from.filter(|sender| !sender.is_bot && sender.id != TELEGRAM_ITSELF)?;
    if message.sender_chat.is_some() || message.is_automatic_forward {
        return None;
    }
    let from = peer(&message.chat, &sender);
    if let Some(text) = message.text {
        if is_for_another(&text, name) {
            return None;
        }
        let kind = match start_payload(&text) {
            Some(payload) => InboundKind::Started { from, payload },
            None => InboundKind::Message { from, text: Pii::new(text) },
        };
        return Some((date, kind));
    }
    match message.contact {
        // Anybody can forward anybody's contact card; only this one is attested as the sender's own.
        Some(contact) if contact.user_id == Some(sender.id) => {
            Some((date, InboundKind::PhoneShared { from, phone: Pii::new(contact.phone_number) }))
        }
        contact => {
            let text = Pii::new(message.caption.unwrap_or_default());
            let is_from_person = contact.is_some() || message.media.is_present();
            is_from_person.then_some((date, InboundKind::Message { from, text }))
        }
    }
}

fn callback_event(query: CallbackQuery) -> Dated {
    // Under a message sent through inline mode there is no chat; the person is one, too.
    let private = Chat { id: query.from.id, kind: "private".to_owned() };
    let message = query.message.as_ref().and_then(pressed_message);
    let chat = query.message.map_or(private, |message| message.chat);
    let token = query.data.map(ResponseTokenText).filter(|text| text.decode().is_some());
    let from = peer(&chat, &query.from);
    let kind = InboundKind::Interaction { interaction_id: query.id, token, from, message };
    // Telegram says when the message was sent, but not when the button was pressed.
    (None, kind)
}

fn pressed_message(message: &CallbackMessage) -> Option<PressedMessage> {
    let keyboard: Option<InlineKeyboard> = message.reply_markup.clone().and_then(read);
    let buttons = keyboard.into_iter().flat_map(|keyboard| keyboard.inline_keyboard).flatten();
    let links = buttons.filter_map(|button| {
        let url = HttpUrl::try_from(button.url?).ok()?;
        Some(Button { label: button.text, action: ButtonAction::Open(url) })
    });
    Some(PressedMessage {
        chat: pii(message.chat.id),
        message_id: message.message_id?.to_string(),
        links: links.collect(),
    })
}

fn membership_event(change: ChatMemberUpdated) -> Option<Dated> {
    // In a group it is somebody else who throws the bot out, and says nothing about a person.
    if change.chat.kind != "private" {
        return None;
    }
    let from = peer(&change.chat, &change.from);
    let kind = match change.new_chat_member.status.as_str() {
        "kicked" => InboundKind::Blocked { from },
        "member" => InboundKind::Unblocked { from },
        _ => return None,
    };
    Some((Some(change.date), kind))
}

/// Whether the text is a command to another bot of the same group, as `/start@other_bot`. Names are not case-sensitive.
fn is_for_another(text: &str, name: Option<&str>) -> bool {
    let Some(name) = name else { return false };
    let command = text.split_ascii_whitespace().next().filter(|command| command.starts_with('/'));
    command.and_then(|command| command.split_once('@')).is_some_and(|(_, to)| !to.eq_ignore_ascii_case(name))
}

/// `Some` where the text is the command that a deep link or the Start button sends:
/// `/start`, `/start payload`, and in groups `/start@bot payload`. What somebody typed after the
/// command by hand, and no link can carry, is left out.
fn start_payload(text: &str) -> Option<Option<String>> {
    let mut words = text.split_ascii_whitespace();
    let command = words.next()?;
    let is_start = command == "/start" || command.starts_with("/start@");
    let payload = words.next().filter(|payload| {
        payload.len() <= LONGEST_PAYLOAD
            && payload.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    });
    let alone = words.next().is_none();
    is_start.then(|| payload.filter(|_| alone).map(str::to_owned))
}

fn peer(chat: &Chat, user: &User) -> Peer {
    let name = match &user.last_name {
        Some(last_name) => format!("{} {last_name}", user.first_name),
        None => user.first_name.clone(),
    };
    let name = name.trim();
    Peer {
        chat: pii(chat.id),
        user: pii(user.id),
        display_name: (!name.is_empty()).then(|| name.into()),
        language: user.language_code.clone(),
    }
}

fn pii(id: i64) -> Pii<String> {
    Pii::new(id.to_string())
}

#[cfg(test)]
#[path = "inbound_tests.rs"]
mod tests;
