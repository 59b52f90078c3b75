//! VK's JSON, as far as it is read. What is not listed is ignored, so that new fields do no harm. None of these types can be
//! printed: they hold people.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// <https://dev.vk.com/en/api/api-requests>
#[derive(Deserialize)]
pub(super) struct Success<T> {
    pub(super) response: T,
}

/// An error in place of an answer, with HTTP 200. The words and `request_params` beside the code repeat what was sent, and
/// are not read.
#[derive(Deserialize)]
pub(super) struct Refusal {
    pub(super) error: RefusalCode,
}

#[derive(Deserialize)]
pub(super) struct RefusalCode {
    pub(super) error_code: i64,
}

/// The answer of `messages.send`: a message id where one `peer_id` was named, else one entry for each of `peer_ids`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Sent {
    Id(i64),
    Each(Vec<SentTo>),
}

/// What became of a message to one of several peers.
#[derive(Deserialize)]
pub(super) struct SentTo {
    pub(super) peer_id: i64,
    #[serde(default)]
    pub(super) message_id: i64,
    #[serde(default)]
    pub(super) conversation_message_id: i64,
    /// `{"code": 901, "description": …}`.
    pub(super) error: Option<Value>,
}

/// The answer of methods that only say that they have done it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Done {
    Number(i64),
    Flag(bool),
}

impl Done {
    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Number(1) | Self::Flag(true))
    }
}

/// The answer of `groups.getTokenPermissions`.
#[derive(Deserialize)]
pub(super) struct Permissions {
    #[serde(default)]
    pub(super) mask: u64,
    #[serde(default)]
    pub(super) permissions: Vec<Permission>,
}

#[derive(Deserialize)]
pub(super) struct Permission {
    pub(super) name: String,
}

/// The answer of `groups.getCallbackConfirmationCode`.
#[derive(Deserialize)]
pub(super) struct ConfirmationCode {
    pub(super) code: String,
}

/// The answer of `groups.addCallbackServer`.
#[derive(Deserialize)]
pub(super) struct AddedServer {
    pub(super) server_id: i64,
}

/// The answer of `groups.getCallbackServers`.
#[derive(Deserialize)]
pub(super) struct CallbackServers {
    #[serde(default)]
    pub(super) items: Vec<CallbackServer>,
}

/// An address that VK calls. The address and the key open our side, and are printed nowhere.
#[derive(Deserialize)]
pub(super) struct CallbackServer {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) url: String,
    #[serde(default)]
    pub(super) secret_key: String,
    /// `unconfigured`, `failed`, `wait` or `ok`.
    #[serde(default)]
    pub(super) status: String,
}

/// The answer of `groups.getCallbackSettings`.
#[derive(Deserialize)]
pub(super) struct CallbackSettings {
    pub(super) api_version: Option<String>,
    #[serde(default)]
    pub(super) events: Map<String, Value>,
}

/// What VK posts to a callback server. The content is read only where its kind is known.
#[derive(Deserialize)]
pub(super) struct Envelope {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) group_id: Option<i64>,
    pub(super) event_id: Option<String>,
    pub(super) secret: Option<String>,
    #[serde(default)]
    pub(super) object: Value,
}

/// `object` of `message_new`. Before version 5.103 of the API the message itself stood there.
#[derive(Deserialize)]
pub(super) struct NewMessage {
    pub(super) message: Message,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) client_info: Option<ClientInfo>,
}

#[derive(Deserialize)]
pub(super) struct ClientInfo {
    pub(super) lang_id: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct Message {
    pub(super) from_id: i64,
    pub(super) peer_id: i64,
    pub(super) date: Option<i64>,
    #[serde(default)]
    pub(super) out: i64,
    #[serde(default)]
    pub(super) text: String,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) attachments: Option<Vec<Value>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) fwd_messages: Option<Vec<Value>>,
    pub(super) geo: Option<Value>,
    /// What happened in a chat, such as an invitation: nobody wrote that.
    pub(super) action: Option<Value>,
    /// JSON inside a text.
    pub(super) payload: Option<Value>,
    #[serde(default, deserialize_with = "lenient", rename = "ref")]
    pub(super) reference: Option<String>,
}

/// `object` of `message_event`.
#[derive(Deserialize)]
pub(super) struct PressedButton {
    pub(super) user_id: i64,
    pub(super) peer_id: i64,
    pub(super) event_id: String,
    /// JSON, or JSON inside a text.
    pub(super) payload: Option<Value>,
}

/// `object` of `message_allow` and `message_deny`.
#[derive(Deserialize)]
pub(super) struct Consent {
    pub(super) user_id: i64,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) key: Option<String>,
}

/// Reads what can be done without: another shape than the known one costs this field and not the whole event.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}
