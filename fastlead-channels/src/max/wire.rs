//! MAX's JSON, as far as it is written and read. What is not listed is ignored, so that new fields and new kinds of
//! attachments or updates do no harm. None of these types can be printed: they hold people.
//!
//! Source: <https://dev.max.ru/docs-api>, OpenAPI 0.0.32.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The body of a message to be sent, and of a change. What is left out of a change stays as it is.
#[derive(Serialize, Default)]
pub(super) struct NewMessage<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    /// Without it the text is shown literally.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) format: Option<&'static str>,
    /// An empty list takes all attachments away, and with them the buttons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attachments: Option<Vec<NewAttachment<'a>>>,
}

#[derive(Serialize)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub(super) enum NewAttachment<'a> {
    InlineKeyboard { buttons: Vec<[NewButton<'a>; 1]> },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum NewButton<'a> {
    Callback { text: &'a str, payload: String },
    Link { text: &'a str, url: &'a str },
}

/// The answer to a pressed button.
#[derive(Serialize)]
pub(super) struct CallbackAnswer<'a> {
    /// A change of the message that the button was under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<NewMessage<'a>>,
    pub(super) notification: &'a str,
}

#[derive(Serialize)]
pub(super) struct NewSubscription<'a> {
    pub(super) url: &'a str,
    pub(super) update_types: &'a [&'a str],
    pub(super) secret: &'a str,
}

/// The answer to a sent message.
#[derive(Deserialize)]
pub(super) struct Sent {
    pub(super) message: SentMessage,
}

#[derive(Deserialize)]
pub(super) struct SentMessage {
    pub(super) body: SentBody,
}

#[derive(Deserialize)]
pub(super) struct SentBody {
    pub(super) mid: String,
}

/// The answer to whatever brings no object. `success: false` comes with 200, too.
#[derive(Deserialize)]
pub(super) struct Done {
    pub(super) success: bool,
}

/// A refusal: either with a status above 399 and a code, or with `success: false`, where the code may be missing.
#[derive(Deserialize)]
pub(super) struct Refusal {
    pub(super) success: Option<bool>,
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Me {
    #[serde(rename = "user_id")]
    pub(super) _user_id: i64,
}

#[derive(Deserialize)]
pub(super) struct Subscriptions {
    pub(super) subscriptions: Vec<Subscription>,
}

#[derive(Deserialize)]
pub(super) struct Subscription {
    pub(super) url: String,
    #[serde(default)]
    pub(super) time: i64,
    /// `None`: every kind.
    pub(super) update_types: Option<Vec<String>>,
}

/// A page of the long poll.
#[derive(Deserialize)]
pub(super) struct UpdateList {
    pub(super) updates: Vec<Value>,
    /// Where to go on.
    pub(super) marker: Option<i64>,
}

/// What happened. The content is read only where its kind is known.
#[derive(Deserialize)]
pub(super) struct Update {
    pub(super) update_type: String,
    #[serde(flatten)]
    pub(super) content: Map<String, Value>,
}

/// A person in a dialog: `bot_started`, `bot_stopped`, `dialog_removed`.
#[derive(Deserialize)]
pub(super) struct DialogChanged {
    pub(super) user: User,
    pub(super) user_locale: Option<String>,
    /// What the deep link carried.
    pub(super) payload: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct MessageCreated {
    pub(super) message: Message,
    pub(super) user_locale: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct MessageCallback {
    pub(super) callback: Callback,
    /// A [`Message`]; `null` where the message was deleted meanwhile. Read by itself, so that an unknown shape costs no
    /// more than the way to change it.
    pub(super) message: Option<Value>,
    pub(super) user_locale: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Callback {
    /// Milliseconds since the Unix epoch.
    pub(super) timestamp: Option<i64>,
    pub(super) callback_id: String,
    pub(super) payload: Option<String>,
    pub(super) user: User,
}

#[derive(Deserialize)]
pub(super) struct User {
    pub(super) user_id: i64,
    #[serde(default)]
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    #[serde(default)]
    pub(super) is_bot: bool,
}

#[derive(Deserialize)]
pub(super) struct Message {
    /// Missing in posts of channels.
    pub(super) sender: Option<User>,
    pub(super) recipient: Recipient,
    /// Milliseconds since the Unix epoch.
    pub(super) timestamp: Option<i64>,
    /// `null` where the message only forwards another.
    pub(super) body: Option<Body>,
    pub(super) link: Option<Link>,
}

#[derive(Deserialize)]
pub(super) struct Recipient {
    pub(super) chat_id: Option<i64>,
    /// `dialog`, `chat` or `channel`.
    #[serde(default)]
    pub(super) chat_type: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Body {
    pub(super) mid: Option<String>,
    pub(super) text: Option<String>,
    /// Each is read by itself, so that an unknown one harms no other.
    pub(super) attachments: Option<Vec<Value>>,
}

/// A message that is forwarded or answered.
#[derive(Deserialize)]
pub(super) struct Link {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) message: Option<Body>,
}

/// Attachments that are read.
#[derive(Deserialize)]
#[serde(tag = "type", content = "payload", rename_all = "snake_case")]
pub(super) enum Attachment {
    InlineKeyboard { buttons: Vec<Vec<Value>> },
    Contact(Contact),
}

#[derive(Deserialize)]
pub(super) struct Contact {
    pub(super) vcf_info: Option<String>,
    /// Proof that the number is that of the account.
    pub(super) hash: Option<String>,
    pub(super) max_info: Option<ContactOwner>,
}

#[derive(Deserialize)]
pub(super) struct ContactOwner {
    pub(super) user_id: i64,
}

/// A button that opens a page.
#[derive(Deserialize)]
pub(super) struct LinkButton {
    pub(super) text: String,
    pub(super) url: String,
}
