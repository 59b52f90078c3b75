//! Telegram's JSON, as far as it is read. What is not listed is ignored, so that new fields and new
//! kinds of entities or updates do no harm. None of these types can be printed: they hold people.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// <https://core.telegram.org/bots/api#making-requests>
#[derive(Deserialize)]
pub(super) struct Success<T> {
    pub(super) ok: bool,
    pub(super) result: T,
}

#[derive(Deserialize)]
pub(super) struct Refusal {
    pub(super) ok: bool,
    pub(super) error_code: Option<u16>,
    #[serde(default)]
    pub(super) description: String,
    #[serde(default)]
    pub(super) parameters: Parameters,
}

/// <https://core.telegram.org/bots/api#responseparameters>
#[derive(Deserialize, Default)]
pub(super) struct Parameters {
    pub(super) retry_after: Option<u64>,
    pub(super) migrate_to_chat_id: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct SentMessage {
    pub(super) message_id: i64,
}

/// The bot itself: <https://core.telegram.org/bots/api#getme>
#[derive(Deserialize)]
pub(super) struct Me {
    pub(super) username: Option<String>,
}

/// <https://core.telegram.org/bots/api#webhookinfo>
#[derive(Deserialize)]
pub(super) struct WebhookInfo {
    /// Empty where no webhook is set.
    pub(super) url: String,
    #[serde(default)]
    pub(super) pending_update_count: u64,
    pub(super) last_error_message: Option<String>,
    pub(super) allowed_updates: Option<Vec<String>>,
}

/// <https://core.telegram.org/bots/api#update>. The content is read only where its kind is known.
#[derive(Deserialize)]
pub(super) struct Update {
    pub(super) update_id: i64,
    #[serde(flatten)]
    pub(super) content: Map<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) is_bot: bool,
    #[serde(default)]
    pub(super) first_name: String,
    pub(super) last_name: Option<String>,
    pub(super) language_code: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Chat {
    pub(super) id: i64,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) date: i64,
    pub(super) chat: Chat,
    pub(super) from: Option<User>,
    /// The group or channel in whose name somebody writes: an anonymous administrator, a channel.
    pub(super) sender_chat: Option<IgnoredAny>,
    /// A post of a channel that Telegram has copied into the group of its discussions.
    #[serde(default)]
    pub(super) is_automatic_forward: bool,
    pub(super) text: Option<String>,
    pub(super) caption: Option<String>,
    pub(super) contact: Option<Contact>,
    pub(super) migrate_to_chat_id: Option<i64>,
    #[serde(flatten)]
    pub(super) media: Media,
}

/// Whether a message without text is something that a person sent, and not a notice of the chat.
#[derive(Deserialize)]
pub(super) struct Media {
    animation: Option<IgnoredAny>,
    audio: Option<IgnoredAny>,
    document: Option<IgnoredAny>,
    location: Option<IgnoredAny>,
    photo: Option<IgnoredAny>,
    sticker: Option<IgnoredAny>,
    video: Option<IgnoredAny>,
    video_note: Option<IgnoredAny>,
    voice: Option<IgnoredAny>,
}

impl Media {
    pub(super) const fn is_present(&self) -> bool {
        self.animation.is_some()
            || self.audio.is_some()
            || self.document.is_some()
            || self.location.is_some()
            || self.photo.is_some()
            || self.sticker.is_some()
            || self.video.is_some()
            || self.video_note.is_some()
            || self.voice.is_some()
    }
}

#[derive(Deserialize)]
pub(super) struct Contact {
    pub(super) phone_number: String,
    pub(super) user_id: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct CallbackQuery {
    pub(super) id: String,
    pub(super) from: User,
    pub(super) message: Option<CallbackMessage>,
    pub(super) data: Option<String>,
}

/// The message under which a button was pressed; of an inaccessible one only the chat is sure.
#[derive(Deserialize)]
pub(super) struct CallbackMessage {
    pub(super) message_id: Option<i64>,
    pub(super) chat: Chat,
    /// An [`InlineKeyboard`], read by itself so that an unknown shape costs no more than its links.
    pub(super) reply_markup: Option<Value>,
}

/// <https://core.telegram.org/bots/api#inlinekeyboardmarkup>
#[derive(Deserialize)]
pub(super) struct InlineKeyboard {
    pub(super) inline_keyboard: Vec<Vec<InlineButton>>,
}

#[derive(Deserialize)]
pub(super) struct InlineButton {
    pub(super) text: String,
    pub(super) url: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ChatMemberUpdated {
    pub(super) date: i64,
    pub(super) chat: Chat,
    pub(super) from: User,
    pub(super) new_chat_member: ChatMember,
}

#[derive(Deserialize)]
pub(super) struct ChatMember {
    pub(super) status: String,
}
